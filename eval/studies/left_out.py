r"""Do recorded runs help on sources they are not from?

    lcpfn pretrain recorded --start BEFORE --recorded ALL BUT ONE --out runs/ONE
    python -m lcpfn.eval.studies.left_out BEFORE runs/*/release \
        --suite CURVES... --out FILE

Each checkpoint of the second kind is named after the source (its run's folder) that it
has not seen, and is compared on that one with the checkpoint it started from.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, Case, normal_cases
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
        "gain": source -> cutoff -> difference of the error and CRPS ratios, before
        minus after, with the standard error of the paired difference.
    """
    cases: list[Case] = []
    columns: dict[str, list[dict[str, np.ndarray]]] = {"before": [], "after": []}
    gain: dict[str, dict[str, Any]] = {}
    for suite in suites:
        own = normal_cases(suite, most)
        models = {"before": before, "after": after[suite.name]}
        found = {
            name: measure(own, of_model(model)(own)) for name, model in models.items()
        }
        percent = np.array([case.percent for case in own])
        gain[suite.name] = {
            str(cutoff): _paired(
                {
                    n: {k: x[percent == cutoff] for k, x in c.items()}
                    for n, c in found.items()
                }
            )
            for cutoff in PERCENTS
        }
        cases += own
        for name in columns:
            columns[name].append(found[name])
    joined = {
        name: {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
        for name, parts in columns.items()
    }
    return {
        "checksums": {"before": before.card["checksum"]}
        | {name: model.card["checksum"] for name, model in after.items()},
        "runs_per_suite": most,
        **{name: summarise(cases, column) for name, column in joined.items()},
        "gain": gain,
    }


def _paired(found: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    before, after = found["before"], found["after"]
    last = before["last_error"].mean()
    result = {}
    for key in ("error", "crps"):
        off = (before[key] - after[key]) / last
        result[key] = float(off.mean())
        result[f"{key}_se"] = float(off.std(ddof=1) / np.sqrt(len(off)))
    return result


def to_markdown(results: Mapping[str, Any]) -> str:
    """Before and after, source by source, and all."""
    cutoffs = [str(percent) for percent in PERCENTS]
    lines = [
        "| error / CRPS of the last value's error, 90 % interval holds | prior alone "
        "| and runs of the other sources | gain in error, by cutoff "
        + ", ".join(f"{c} %" for c in cutoffs)
        + " |",
        "|---|---|---|---|",
    ]
    for source, gains in results["gain"].items():
        cells = []
        for name in ("before", "after"):
            rows = list(results[name]["suites"][source].values())
            error, crps = (
                np.exp(np.mean([np.log(row[key]) for row in rows]))
                for key in ("error_ratio", "crps_ratio")
            )
            held = np.mean([row["covered_90"] for row in rows])
            cells.append(f"{error:.2f} / {crps:.2f}, {held:.0%}")
        steps = [
            f"{gains[c]['error']:+.3f} ± {gains[c]['error_se']:.3f}" for c in cutoffs
        ]
        lines.append(f"| {source} | {' | '.join(cells)} | {', '.join(steps)} |")
    overall = [results[name]["overall"]["all"] for name in ("before", "after")]
    cells = [
        f"{row['error_ratio']:.2f} / {row['crps_ratio']:.2f}, {row['covered_90']:.0%}"
        for row in overall
    ]
    worst = [results[name]["worst_error_ratio"] for name in ("before", "after")]
    lines.append(
        f"| all | {' | '.join(cells)} | worst ratio {worst[0]:.2f} → {worst[1]:.2f} |"
    )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    import lcpfn
    from lcpfn.cli.options import read_suites, report

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("before")
    parser.add_argument("after", nargs="+", type=Path)
    parser.add_argument("--suite", nargs="+", required=True)
    parser.add_argument("--curves", type=int, default=200)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    after = {path.parent.name: lcpfn.load(path) for path in args.after}
    suites = read_suites(args.suite, None, None)
    missing = {suite.name for suite in suites} - set(after)
    if missing:
        sys.exit(f"no checkpoint has left out {', '.join(sorted(missing))}")
    results = compare(lcpfn.load(args.before), after, suites, args.curves)
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
