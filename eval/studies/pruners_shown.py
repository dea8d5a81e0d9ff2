"""Tables and a picture of what `equal_epochs` and `in_optuna` have found."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.eval.tables import columns_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pruners in the picture.
SHOWN = (
    *("no pruning", "LCPruner", "LCPruner, cheap"),
    *("median", "successive halving, from 10 %", "Hyperband", "Wilcoxon"),
)


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per pruner: the best value of every search, mean regret and costs."""
    tasks = results["tasks"]
    columns = {
        f"{name}, {task['metric'].removeprefix('validation ')}": f"{{best[{name}]}}"
        for name, task in tasks.items()
    } | {
        "mean regret": "{regret:.3f}",
        "trials": "{trials:.0f}",
        "s of training": "{training:.1f}",
        "s of deciding": "{deciding:.1f}",
    }
    rows = []
    for name in next(iter(tasks.values()))["pruners"]:
        each = {task: row["pruners"][name] for task, row in tasks.items()}
        row: dict[str, Any] = {
            key: float(np.mean([x[key] for x in each.values()]))
            for key in ("regret", "trials", "training", "deciding")
        }
        row["best"] = {
            task: f"{x['best']:.4f} ± {x['best_se']:.4f}" for task, x in each.items()
        }
        rows.append(((name,), row))
    return columns_table(("pruner",), rows, columns)


def settings_to_markdown(results: Mapping[str, Any]) -> str:
    """What `in_optuna` has found: a line per pruner, from the cheapest on."""
    columns = {
        "epochs": "{epochs:.0%}",
        "regret": "{regret:.1%} ± {regret_se:.1%}",
        "worst task": "{worst_regret:.1%}",
        "winner lost": "{lost:.0%}",
    }
    rows = sorted(results["pruners"].items(), key=lambda item: item[1]["epochs"])
    return columns_table(("pruner",), [((name,), row) for name, row in rows], columns)


def draw(results: Mapping[str, Any], names: Sequence[str] = SHOWN) -> "Figure":
    """Regret of some pruners over epochs and over seconds, a column per search."""
    from lcpfn.plot import PALETTE, pyplot

    tasks = results["tasks"]
    figure, axes = pyplot().subplots(
        2,
        len(tasks),
        figsize=(3.2 * len(tasks), 5.6),
        sharey=True,
        layout="constrained",
    )
    colours = dict(zip(names, ("black", *PALETTE), strict=False))
    for column, (task, row) in zip(axes.T, tasks.items(), strict=True):
        ends = (results["budget"], 3 * row["seconds"])
        for ax, key, end in zip(column, ("by_epochs", "by_seconds"), ends, strict=True):
            for name in names:
                y = np.maximum(row["pruners"][name][key], 1e-3)
                x = np.linspace(0, end, len(y))
                ls = "-" if name.startswith("LCPruner") else ":"
                ax.plot(x, y, ls=ls, color=colours[name], label=name)
            ax.set(xlim=(0, end), yscale="log")
            ax.grid(alpha=0.2)
        column[0].set(title=task, xlabel="epochs, in full trainings")
        column[1].set(xlabel="CPU seconds, decisions included")
    for ax in axes[:, 0]:
        ax.set_ylabel("regret; the median: 1")
    axes[0, -1].legend(frameon=False, fontsize=7)
    return figure
