"""Do recorded runs help on sources they are not from?

    lcpfn pretrain recorded --start BEFORE --recorded ALL BUT ONE --out runs/ONE
    python -m lcpfn.eval.studies.left_out BEFORE runs/*/release --suite CURVES...

Each checkpoint of the second kind is named after the source (its run's folder) that it
has not seen, and is compared on that one with the checkpoint it started from. Standard
errors are of paired differences, clustered by task.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lcpfn
from lcpfn.curves import CurveSet
from lcpfn.eval import paired
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, Case, scored_cases
from lcpfn.eval.scores import geometric_mean
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import report, table
from lcpfn.model import Model


def compare(
    before: Model, after: Mapping[str, Model], suites: Sequence[CurveSet], most: int
) -> dict[str, Any]:
    """Both checkpoints of every left-out source on that source.

    Args:
        before: what the others started from; it has seen no recorded run.
        after: by the source that each has not seen.
        suites: recorded curves, named like these sources.
        most: runs taken of each, evenly over its tasks.

    Returns:
        JSON values: "before", "after": what `summarise` says over all sources;
        "gain": source -> cutoff -> before minus after, as `lcpfn.eval.paired.compare`
        has it.
    """
    cases: list[Case] = []
    parts: dict[str, list[dict[str, np.ndarray]]] = {"before": [], "after": []}
    for suite in suites:
        own = scored_cases(suite, most)
        cases += own
        for name, model in (("before", before), ("after", after[suite.name])):
            parts[name].append(measure(own, of_model(model)(own)))
    columns = {
        name: {key: np.concatenate([p[key] for p in found]) for key in found[0]}
        for name, found in parts.items()
    }
    return {
        "checksums": {"before": before.card["checksum"]}
        | {name: model.card["checksum"] for name, model in after.items()},
        "runs_per_suite": most,
        **{name: summarise(cases, column) for name, column in columns.items()},
        "gain": paired.compare(cases, columns["after"], columns["before"]),
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """Before and after, source by source, and all."""
    cutoffs = [str(percent) for percent in PERCENTS]
    cell = "{error:.2f} / {crps:.2f}, {held:.0%}"
    both = ("before", "after")
    rows = []
    for source, gains in results["gain"].items():
        means = [_means(results[name]["suites"][source].values()) for name in both]
        steps = [
            f"{gains[c]['error']:+.3f} ± {gains[c]['error_se']:.3f}"
            for c in cutoffs
            if c in gains
        ]
        rows.append((source, *(cell.format(**m) for m in means), ", ".join(steps)))
    overall = [_means([results[name]["overall"]["all"]]) for name in both]
    worst = [results[name]["worst_error_ratio"] for name in both]
    ratios = f"worst ratio {worst[0]:.2f} → {worst[1]:.2f}"
    rows.append(("all", *(cell.format(**m) for m in overall), ratios))
    head = (
        "error / CRPS of the last value's error, 90 % interval holds",
        *("prior alone", "and runs of the other sources"),
        "gain in error, by cutoff " + ", ".join(f"{c} %" for c in cutoffs),
    )
    return table(head, rows)


def _means(rows: Any) -> dict[str, float]:
    """Geometric means of the ratios over cutoffs, and the mean coverage."""
    rows = list(rows)
    return {
        "error": geometric_mean(row["error_ratio"] for row in rows),
        "crps": geometric_mean(row["crps_ratio"] for row in rows),
        "held": float(np.mean([row["covered_90"] for row in rows])),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 200, RESULTS / "left_out.json")
    parser.add_argument("before", help="checkpoint that the others started from")
    parser.add_argument("after", nargs="+", type=Path, help="runs/SOURCE/release")
    args, suites = parse(parser, argv)
    after = {path.parent.name: lcpfn.load(path) for path in args.after}
    missing = {suite.name for suite in suites} - set(after)
    if missing:
        parser.error(f"no checkpoint has left out {', '.join(sorted(missing))}")
    results = compare(lcpfn.load(args.before), after, suites, args.curves)
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
