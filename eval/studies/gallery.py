"""Pictures of a prior: what it draws, effect by effect, beside recorded curves.

python -m lcpfn.eval.studies.gallery --plot gallery.png
python -m lcpfn.eval.studies.gallery --suite curves.npz --plot compare.png
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.report_plots import grid
from lcpfn.eval.studies.options import study_parser
from lcpfn.io import read_curves
from lcpfn.metric import Metric
from lcpfn.priors import BROAD_PRIOR, Effects, Prior, broad_prior, draw

PER_ROW = 10
INK, SOFT = "#1f4e79", "#7f7f7f"


def drawn_runs(prior: Prior, n: int, seed: int = 0) -> list[Run]:
    """Curves of a prior as runs."""
    sample = jax.jit(lambda key: draw(prior, key, n, oversample=2))
    draws = jax.tree.map(np.asarray, sample(jax.random.key(seed)))
    return [
        Run(
            draws.y[i, :count].astype(float),
            draws.steps[i, :count].astype(float),
            name=f"{prior.name} {i}",
            mode=prior.mode,
        )
        for i, count in enumerate(draws.length)
    ]


def effect_rows(n: int = PER_ROW) -> dict[str, Sequence[Run]]:
    """For every effect, curves that show it and, of the others, only a few."""
    quiet = {field.name: 0.0 for field in fields(Effects)}
    rows: dict[str, Sequence[Run]] = {}
    rows["none of them"] = drawn_runs(broad_prior(Effects(**quiet)), n)
    for field in fields(Effects):
        if field.name == "known":  # bounds are not to be seen
            continue
        # Heat and shrinking noise are effects of a schedule.
        with_schedule = {"schedule": 1.0} if field.name in ("heat", "trend") else {}
        on = replace(Effects(**quiet), **with_schedule, **{field.name: 1.0})
        rows[field.name] = drawn_runs(broad_prior(on), n)
    return rows


def montage(rows: Mapping[str, Sequence[Run]], title: str) -> Any:
    """One line of small plots per entry; y upside down where more is better."""
    widest = max(map(len, rows.values()))
    size = (1.35 * widest + 1.2, 0.95 * len(rows) + 0.5)
    figure, axes = grid(len(rows), widest, size)
    for line, (name, runs) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(
            name.replace("_", " "), rotation=0, ha="right", va="center", fontsize=8
        )
        for ax, run in zip(line, runs, strict=False):
            y = Metric(run.mode).sign * run.values
            ax.plot(run.steps, y, color=INK, lw=0.9)
            ax.axhline(y[np.isfinite(y)][-1], color=SOFT, lw=0.4, zorder=0)
    figure.suptitle(title, fontsize=10)
    return figure


def compare_rows(
    suites: Sequence[CurveSet], n: int = PER_ROW
) -> dict[str, Sequence[Run]]:
    """Two lines of the prior and two of every suite."""
    drawn = drawn_runs(BROAD_PRIOR, 2 * n, seed=1)
    rows: dict[str, Sequence[Run]] = {"prior": drawn[:n], "prior ": drawn[n:]}
    for suite in suites:
        runs = [r for r in suite.sample(4 * n).runs if np.isfinite(r.values).any()]
        rows |= {suite.name: runs[:n], f"{suite.name} ": runs[n : 2 * n]}
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """The commands above."""
    parser = study_parser(__doc__, PER_ROW)
    parser.add_argument("--plot", type=Path, default=Path("gallery.png"))
    args = parser.parse_args(argv)
    if args.suite:
        rows = compare_rows([read_curves(path) for path in args.suite], args.curves)
        figure = montage(rows, "Curves of the broad prior and recorded ones")
    else:
        rows = effect_rows(args.curves)
        figure = montage(rows, "Effects of the broad prior, one by one")
    figure.savefig(args.plot, dpi=110)


if __name__ == "__main__":
    main()
