"""Fans over the recorded runs that a checkpoint forecasts worst, and over typical ones.

    python -m lcpfn.eval.studies.worst default --suite CURVES... --plot worst.png

A row per suite: left the cases of the highest CRPS (in units of the last value's mean
error, one per task), right those around the median. Does the model know what it does
not know? The results file holds, per suite, the rank correlation of surprise and CRPS,
and the mean CRPS of the four fifths of the cases that surprise least and of the rest.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import lcpfn
from lcpfn.curves import CurveSet
from lcpfn.eval.curves import extrapolate, measure, of_model
from lcpfn.eval.data import Case, scored_cases
from lcpfn.eval.report_plots import fan_of, grid
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import columns_table, report
from lcpfn.model import Model

EACH = 3


def scored(
    model: Model, suite: CurveSet, percent: int, most: int
) -> tuple[list[Case], np.ndarray, np.ndarray]:
    """Normal cases of a suite at one cutoff, their CRPS and their surprise."""
    cases = scored_cases(suite, most, (percent,))
    columns = measure(cases, of_model(model)(cases))
    surprise = [extrapolate(model, case).surprise for case in cases]
    return cases, columns["crps"] / columns["last_error"].mean(), np.array(surprise)


def pick(cases: Sequence[Case], crps: np.ndarray) -> list[int]:
    """The worst case of each of the worst tasks, then cases around the median."""
    order = np.argsort(-crps).tolist()
    worst: dict[str, int] = {}
    for i in order:
        worst.setdefault(cases[i].task, i)
    middle = len(order) // 2
    return [*worst.values()][:EACH] + order[middle : middle + EACH]


def draw(
    model: Model, suites: Sequence[CurveSet], percent: int, most: int
) -> tuple[Any, dict[str, dict[str, float]]]:
    """The picture, and by suite what surprise says of the CRPS."""
    size = (4 * EACH * 1.7, 2.6 * len(suites))
    figure, axes = grid(len(suites), 2 * EACH, size)
    found = {}
    for line, suite in zip(axes, suites, strict=True):
        cases, crps, surprise = scored(model, suite, percent, most)
        chosen = pick(cases, crps)
        for ax in line[len(chosen) :]:
            ax.set_axis_off()
        for ax, i in zip(line, chosen, strict=False):
            fan_of(model, cases[i], ax)
            title = f"{suite.name}: CRPS {crps[i]:.2f}, surprise {surprise[i]:.1f}"
            ax.set_title(title, fontsize=8)
        known = np.isfinite(surprise)
        calm = surprise <= np.nanquantile(surprise, 0.8)
        found[suite.name] = {
            "rank_correlation": float(spearmanr(surprise[known], crps[known])[0]),
            "crps_calm": float(crps[known & calm].mean()),
            "crps_surprised": float(crps[known & ~calm].mean()),
        }
    return figure, found


def to_markdown(results: Mapping[str, Any]) -> str:
    """Whether surprise tells bad forecasts apart, by suite."""
    columns = {
        "CRPS, surprised": "{crps_surprised:.2f}",
        "CRPS, the rest": "{crps_calm:.2f}",
        "rank correlation": "{rank_correlation:.2f}",
    }
    rows = [((name,), row) for name, row in results["suites"].items()]
    return columns_table(("source",), rows, columns)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 120, RESULTS / "surprise.json")
    parser.add_argument("checkpoint", help="bundled name or path")
    parser.add_argument("--percent", type=int, default=20, help="cutoff")
    parser.add_argument("--plot", type=Path, default=Path("worst.png"))
    args, suites = parse(parser, argv)
    model = lcpfn.load(args.checkpoint)
    figure, found = draw(model, suites, args.percent, args.curves)
    figure.savefig(args.plot, dpi=80)
    results = {
        "checksum": model.card["checksum"],
        "percent": args.percent,
        "suites": found,
    }
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
