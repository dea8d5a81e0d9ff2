"""The stopping benchmark: rules and baselines on every task of recorded runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.data import LEAST_OBSERVATIONS, runs_by_task
from lcpfn.eval.stopping import halving, policies
from lcpfn.eval.stopping.freeze_thaw import freeze_thaw
from lcpfn.eval.stopping.index_rule import by_index
from lcpfn.eval.stopping.measures import SHARES, measure, on_the_front, summarise
from lcpfn.eval.stopping.risk import promised_and_measured
from lcpfn.eval.stopping.simulate import Policy, TaskRuns, with_forecasts
from lcpfn.eval.tables import columns_table, table
from lcpfn.model import Model
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.search_rule import CONFIDENCE, IN_A_SEARCH, PROTECT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST_RUNS = 20  # with fewer a task is no search
RATES = (0.02, 0.05, 0.1)
LYING = 0.6  # rank correlation below which early order lies
# Policies in the picture.
SHOWN = (
    *("no stop", "oracle", "10 %-epoch", "ASHA", "successive halving"),
    *("LC-PFN's rule, 0.95", "ever, 0.975", "population by cost, 0.85"),
)
# Horizon and direction are those of each run.
PLAIN = Rule(horizon=1, mode="min", confidence=0.95)
BY_COST = replace(PLAIN, **IN_A_SEARCH)
RULES = {
    # As in the paper, which has no caution after few observations.
    "LC-PFN's rule, 0.95": replace(PLAIN, method="marginal", cautious=1),
    "ever, 0.95": PLAIN,
    "ever, 0.975": replace(PLAIN, confidence=0.975),
    "ever, 0.99": replace(PLAIN, confidence=0.99),
    "ever, 0.99, patience 3": replace(PLAIN, confidence=0.99, patience=3),
    "ever, 0.95, surprise 3": replace(PLAIN, max_surprise=3.0),
    "ever by cost, 0.95": BY_COST,
}
OURS = {
    **{name: policies.by_rule(rule) for name, rule in RULES.items()},
    **{
        f"{name}, {c:g}": policies.by_rule(replace(rule, confidence=c), PROTECT)
        for name, rule in (("population", PLAIN), ("population by cost", BY_COST))
        for c in (0.95, 0.9, CONFIDENCE, 0.8)
    },
    "population, 0.9, never cautious": policies.by_rule(
        replace(PLAIN, confidence=0.9, cautious=1), PROTECT
    ),
    "index": by_index(),
    "index, 0.2": by_index(0.2),
    "index of chances, 0.3": by_index(0.3, gains=False),
}


def competing(curves: CurveSet, most: int) -> dict[str, list[Run]]:
    """Runs by task and metric, at most `most` of each, tasks with few left out."""
    rng = np.random.default_rng(0)
    usable = (
        run
        for run in curves.runs
        if len(run.values) >= LEAST_OBSERVATIONS and np.isfinite(run.values).any()
    )
    return {
        name: [runs[i] for i in np.sort(rng.permutation(len(runs))[:most])]
        for name, runs in runs_by_task(usable).items()
        if len(runs) >= FEWEST_RUNS
    }


# Searches that come back to runs, for hosts that can pause and resume.
PAUSED: dict[str, Policy] = {
    "1-epoch": halving.i_epoch(1),
    "10 %-epoch": halving.i_epoch(0.1),
    "successive halving": halving.successive_halving(),
    "Hyperband": halving.hyperband(),
    **{
        f"ASHA, eta {eta}, from {first:.0%}": halving.asha_paused(eta, first)
        for eta in (2, 3, 4)
        for first in (0.01, 0.02, 0.05, 0.1)
    },
    "PASHA": halving.asha_paused(grows=True),
    **{
        f"ASHA by forecast, {level:g}": halving.asha_paused(
            rank=halving.forecast_best(level)
        )
        for level in (0.5, 0.2)
    },
    "freeze-thaw": freeze_thaw(),
}


def baselines(tasks: Iterable[TaskRuns], source: str) -> dict[str, Policy]:
    """What a rule has to beat on the tasks of one source."""
    others = [task for task in tasks if task.source != source]
    return {
        "no stop": policies.no_stop(),
        "oracle": policies.oracle(),
        **{f"patience {k}": policies.patience(k) for k in (0, 1, 5, 10, 20, 50)},
        "median rule": policies.median(),
        "ASHA": halving.asha(),
        "last value, 0.95": policies.last_value(others),
    }


def early_order(task: TaskRuns, share: float = 0.25) -> float:
    """Rank correlation of what runs have after a share of them and their best; or NaN.

    Where it is low, early order lies.
    """
    early = [run.losses[max(int(share * len(run.losses)), 1) - 1] for run in task.runs]
    return float(spearmanr(early, task.bests).statistic)


def evaluate_stopping(
    model: Model, suites: Sequence[CurveSet], orders: int = 40, most: int = 150
) -> dict[str, Any]:
    """Every rule and baseline on every task; see `lcpfn.eval.stopping.measures`.

    At most `most` runs of each task compete, in so many random orders.

    Returns:
        JSON values: "overall", "sources" -> source, and "stress" (tasks on which early
        order lies, if there are any) -> policy -> means over tasks;
        "curves" -> policy -> regret at 60 points of the time, mean over tasks; "tasks"
        -> task -> policy -> figures; "risk" -> rate -> what `promised_and_measured`
        says of our plain rule.

    Raises:
        ValueError: if no task has enough runs.
    """
    tasks: list[TaskRuns] = []
    for suite in tqdm(suites, desc="forecasts", disable=None):
        tasks += with_forecasts(model, suite.name, competing(suite, most))
    if not tasks:
        raise ValueError(
            f"no task has {FEWEST_RUNS} runs of {LEAST_OBSERVATIONS} observations or "
            "more: give recorded runs with more of each"
        )
    sources = sorted({task.source for task in tasks})
    known = {s: baselines(tasks, s) | OURS | PAUSED for s in sources}
    bar = tqdm(tasks, desc="searches", disable=None)
    found = [measure(task, known[task.source], orders) for task in bar]
    pairs = list(zip(tasks, found, strict=True))
    lying = [rows for task, rows in pairs if early_order(task) < LYING]
    return {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum"),
        "orders": orders,
        "runs_per_task": most,
        "overall": summarise(found),
        "sources": {
            s: summarise([rows for task, rows in pairs if task.source == s])
            for s in sources
        },
        "stress": summarise(lying) if lying else {},
        "risk": promised_and_measured(tasks, PLAIN, RATES),
        "curves": _mean_curves(found),
        "tasks": {f"{task.source}/{task.name}": _rounded(rows) for task, rows in pairs},
    }


def _mean_curves(found: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """By policy, the regret over time, mean over tasks."""
    return {
        name: np.mean([rows[name]["curve"] for rows in found], 0).round(5).tolist()
        for name in found[0]
    }


def _rounded(task: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The figures of all policies on one task, but for the curve."""
    return {
        name: {
            key: round(x, 5 if key == "regret" else 4)
            for key, x in row.items()
            if key != "curve"
        }
        for name, row in task.items()
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """One line a policy that never comes back to a run: speed-up, and what it costs."""
    return _table(results, [n for n in results["overall"] if n not in PAUSED])


def paused_to_markdown(results: Mapping[str, Any]) -> str:
    """The same of the policies that pause runs and take them up again."""
    return _table(results, ["no stop", "oracle", *PAUSED])


def _table(results: Mapping[str, Any], names: Iterable[str]) -> str:
    columns = {
        "speed-up": "{speed_up:.2f}",
        "slowest task": "{slowest:.2f}",
        "tasks slower than no stop": "{slower_than_no_stop} of {tasks}",
        "winner stopped": "{winner_stopped:.1%}",
        "top 3 stopped early": "{top_3_stopped_early:.0%}",
        "mean regret over the budget": "{regret_area:.3f}",
        "better than the average run by": "{improvement:.1%}",
        "of the possible": "{share_of_possible:.1%}",
        "where early order lies": "{stress}",
    } | {name: f"{{sources[{name}]:.2f}}" for name in results["sources"]}
    rows = []
    for name in names:
        sources = {s: rows[name]["speed_up"] for s, rows in results["sources"].items()}
        lying = results["stress"].get(name)
        stress = f"{lying['speed_up']:.2f}" if lying else ""
        row = results["overall"][name] | {"sources": sources, "stress": stress}
        rows.append(((name,), row))
    return columns_table(("policy",), rows, columns)


def risk_to_markdown(results: Mapping[str, Any]) -> str:
    """Promised and measured share of good runs stopped, by what was left out."""
    rows = [
        ((f"{float(rate):.0%}",), row)
        for rate, rows in results["risk"].items()
        for row in rows
    ]
    columns = {
        "left out": "{left_out}",
        "good runs": "{good}",
        "confidence chosen on the rest": "{confidence:.4g}",
        "measured": "{measured:.1%}",
    }
    return columns_table(("promised at most",), rows, columns)


def cost_points(results: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Share of the first runs trained and regret among them, of all but the oracle."""
    return {
        name: (row["share_trained"], row["regret_among_first"])
        for name, row in results["overall"].items()
        if name != "oracle"
    }


def front_to_markdown(results: Mapping[str, Any]) -> str:
    """Observations of the first 20 runs and regret among them, by regret."""
    points = cost_points(results)
    front = on_the_front(points)
    rows = [
        (name, f"{cost:.1%}", f"{regret:.3f}", "yes" if name in front else "")
        for name, (cost, regret) in sorted(points.items(), key=lambda item: item[1])
    ]
    return table(("policy", "observations trained", "regret", "on the front"), rows)


def draw(results: Mapping[str, Any], names: Sequence[str] = SHOWN) -> "Figure":
    """Regret against observations spent, and cost and regret of the first 20 runs."""
    from lcpfn.eval.report_plots import grid

    figure, ((ax, right),) = grid(1, 2, (11, 4.2))
    for name in names:
        mean = np.array(results["curves"][name])
        ours = name.startswith(("ever", "population"))
        share = SHARES[:: len(SHARES) // 60]
        ax.plot(share, mean, label=name, lw=2 if ours else 1)
    ax.axvline(1.0, color="0.8", lw=0.8)
    ax.set(xlabel="observations spent, in budgets of 20 full runs", xlim=(0, 1.5))
    ax.set(ylabel="regret, from best (0) to median run (1)", yscale="log")
    ax.legend(fontsize=8)
    _draw_front(right, cost_points(results))
    return figure


def _draw_front(ax: "Axes", points: Mapping[str, tuple[float, float]]) -> None:
    """Cost and regret of the first runs: our rules in colour, some others by name."""
    best = on_the_front(points)
    front = sorted(points[name] for name in best)
    ax.plot(*zip(*front, strict=True), color="0.7", lw=1, zorder=0)
    kinds = {"ever": "#cc79a7", "population": "#0072b2"}
    for name, xy in points.items():
        kind = name.partition(",")[0].removesuffix(" by cost")
        ax.scatter(*xy, s=16, color=kinds.get(kind, "0.35"))
        if kind not in kinds and name in {*best, *SHOWN, "median rule"}:
            ax.annotate(name, xy, (3, 3), textcoords="offset points", fontsize=7)
    for kind, colour in kinds.items():
        ax.scatter([], [], s=16, color=colour, label=kind)
    ax.legend(title="ours, at several confidences", fontsize=8, title_fontsize=8)
    ax.set(xlabel="share of the observations of the first 20 runs", xlim=(0, 1.05))
    ax.set(ylabel="regret among them", ylim=(-0.02, None))
    ax.set_yscale("symlog", linthresh=0.05)
