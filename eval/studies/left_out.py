"""Do recorded runs help on sources they are not from?

    lcpfn pretrain recorded --start BEFORE --set recorded=0 --out runs/none
    lcpfn pretrain recorded --start BEFORE --recorded ALL BUT ONE AND TWO \
        --out runs/ONE+TWO
    python -m lcpfn.eval.studies.left_out runs/none/release runs/*+*/release \
        --suite CURVES...

Checkpoints of the second kind are named (their run's folder) after the sources that
they have not seen, and are compared on these with one that was trained as long on the
prior alone. Several shares of recorded runs may be given: each card says its own.
Standard errors are of paired differences, clustered by task.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lcpfn
from lcpfn.curves import CurveSet
from lcpfn.eval import paired
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, scored_cases
from lcpfn.eval.scores import geometric_mean
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import report, table
from lcpfn.model import Model

# From a source to the checkpoint that has not seen it.
Unseen = Mapping[str, Model]


def compare(
    before: Model, after: Mapping[str, Unseen], suites: Sequence[CurveSet], most: int
) -> dict[str, Any]:
    """All checkpoints that have not seen a source on that source.

    Args:
        before: one that has seen no recorded run.
        after: by the share of recorded runs that they were trained on.
        suites: recorded curves, named like these sources.
        most: runs taken of each, evenly over its tasks.

    Returns:
        JSON values: "before": what `summarise` says over all sources; "shares" -> share
        -> "after", likewise, and "gain": source -> cutoff -> before minus after, as
        `lcpfn.eval.paired.compare` has it.
    """
    cases = [scored_cases(suite, most) for suite in suites]
    together = [case for own in cases for case in own]

    def columns(of: Callable[[str], Model]) -> dict[str, np.ndarray]:
        found = [
            measure(own, of_model(of(suite.name))(own))
            for suite, own in zip(suites, cases, strict=True)
        ]
        return {key: np.concatenate([part[key] for part in found]) for key in found[0]}

    own = columns(lambda source: before)
    found = {share: columns(unseen.__getitem__) for share, unseen in after.items()}
    return {
        "checksums": {"before": before.card["checksum"]}
        | {
            f"{source}, {share}": model.card["checksum"]
            for share, unseen in after.items()
            for source, model in unseen.items()
        },
        "runs_per_suite": most,
        "before": summarise(together, own),
        "shares": {
            share: {
                "after": summarise(together, theirs),
                "gain": paired.compare(together, theirs, own),
            }
            for share, theirs in found.items()
        },
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """Before and after, source by source, and all."""
    cell = "{error:.2f} / {crps:.2f}, {held:.0%}"
    shares = results["shares"]
    parts = [results["before"], *(found["after"] for found in shares.values())]
    rows = []
    for source in results["before"]["suites"]:
        means = [_means(part["suites"][source].values()) for part in parts]
        gains = [_gains(found["gain"].get(source, {})) for found in shares.values()]
        rows.append((source, *(cell.format(**mean) for mean in means), *gains))
    overall = [_means([part["overall"]["all"]]) for part in parts]
    worst = [f"worst ratio {part['worst_error_ratio']:.2f}" for part in parts[1:]]
    rows.append(("all", *(cell.format(**mean) for mean in overall), *worst))
    names = [f"{float(share):.0%} recorded runs" for share in shares]
    cutoffs = ", ".join(f"{percent} %" for percent in PERCENTS)
    head = (
        "error / CRPS of the last value's error, 90 % interval holds",
        *("prior alone", *names),
        *(f"gain in error by {name}, {cutoffs}" for name in names),
    )
    return table(head, rows)


def _gains(cells: Mapping[str, Mapping[str, float]]) -> str:
    """Paired differences by cutoff; a dash where there are too few tasks."""
    shown = "{error:+.3f} ± {error_se:.3f}"
    found = [cells.get(str(percent)) for percent in PERCENTS]
    return ", ".join(shown.format(**row) if row else "-" for row in found)


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
    parser.add_argument("before", help="checkpoint that has seen the prior alone")
    parser.add_argument("after", nargs="+", type=Path, help="runs/SOURCES/release")
    args, suites = parse(parser, argv)
    after: dict[str, dict[str, Model]] = {}
    for path in args.after:
        model = lcpfn.load(path)
        unseen = after.setdefault(str(model.card["training"]["recorded"]), {})
        unseen |= dict.fromkeys(path.parent.name.split("+"), model)
    for share, unseen in after.items():
        missing = {suite.name for suite in suites} - set(unseen)
        if missing:
            listed = ", ".join(sorted(missing))
            parser.error(f"at a share of {share} no checkpoint has left out {listed}")
    results = compare(lcpfn.load(args.before), after, suites, args.curves)
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
