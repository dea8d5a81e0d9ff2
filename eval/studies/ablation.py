"""What is each part of the prior and of the network worth, at equal compute?

    python -m lcpfn.eval.studies.ablation --runs runs/ablation --suite CURVES...

Pre-trains the preset `curves` for `STEPS` steps as it is and with one thing changed,
and scores all of them by the final-value protocol. Resumes where it was interrupted.
Writes `ablation.json` into the results and a table beside the presets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

import lcpfn
from lcpfn.curves import CurveSet
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, scored_cases
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.studies.without import GROUPS
from lcpfn.eval.tables import cells, report, table
from lcpfn.train.config import TrainConfig
from lcpfn.train.fit import fit
from lcpfn.train.presets import PRESETS

TABLE = Path(__file__).resolve().parents[2] / "train/ABLATION.md"
WITHOUT = "lcpfn.eval.studies.without"
STEPS = 300
BASE = replace(PRESETS["curves"], steps=STEPS, save_every=STEPS, validation=64)
ONE_LENGTH = replace(BASE, lengths=(64,))


def with_model(**changes: Any) -> TrainConfig:
    """The base with another network."""
    return replace(BASE, model=replace(BASE.model, **changes))


VARIANTS = {
    "as it is": BASE,
    "another seed": replace(BASE, seed=9),
    **{
        f"prior without {name.replace('_', ' ')}": replace(
            BASE, prior=f"{WITHOUT}:{name}"
        )
        for name in GROUPS
    },
    "tokens without averages": with_model(masked=(2, 3, 9)),
    "tokens without best, worst and first": with_model(masked=(4, 5, 6, 7)),
    "tokens without what is wild or still": with_model(masked=(8, 16)),
    "tokens without changes of scale": with_model(masked=(12, 13)),
    "tokens without bounds": with_model(masked=(10, 11, 20, 21, 22)),
    "1 layer instead of 3": with_model(layers=1),
    **{f"{n} layers instead of 3": with_model(layers=n) for n in (2, 4, 6)},
    **{
        f"width {n} instead of 128": with_model(width=n, hidden=2 * n, head_hidden=n)
        for n in (64, 96, 192)
    },
    "4 Gaussians instead of 16": with_model(components=4),
    "no query for the best": with_model(best=False),
    "bounds always told": replace(BASE, augment=replace(BASE.augment, hidden=0.0)),
    "one length (64)": ONE_LENGTH,
    "one length (64), CRPS in the loss": replace(ONE_LENGTH, crps=1.0),
    "one length (64), 3 CRPS in the loss": replace(ONE_LENGTH, crps=3.0),
}


def train(config: TrainConfig, out: Path) -> Path:
    """Trains a variant, unless it is there; returns its checkpoint."""
    if not (out / "release").is_dir():
        fit(config, out)
        jax.clear_caches()  # what was compiled is of no use to another network
    return out / "release"


def score(path: Path, suites: Sequence[CurveSet], most: int) -> dict[str, Any]:
    """The final-value protocol on scored runs, all cutoffs and suites."""
    model = lcpfn.load(path)
    cases = [case for suite in suites for case in scored_cases(suite, most)]
    found = summarise(cases, measure(cases, of_model(model)(cases)))
    return {"overall": found["overall"], "worst": found["worst_error_ratio"]}


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per variant."""
    ratios = "{error_ratio:.3f} / {crps_ratio:.3f}"
    rows = []
    for name, row in results["variants"].items():
        at = cells(row["overall"], ratios, ("all", *map(str, PERCENTS)))
        held = f"{row['overall']['all']['covered_90']:.0%}"
        rows.append((name, *at, f"{row['worst']:.2f}", held))
    head = (
        *("variant", "error / CRPS over the last value's error, all cutoffs"),
        *(f"{c} %" for c in PERCENTS),
        *("worst suite and cutoff", "90 % interval holds"),
    )
    return (
        "# What was tried, at equal compute\n\n"
        f"{STEPS} steps of the preset `curves` each, {results['runs_per_suite']} runs "
        "of each development suite; written by "
        "`python -m lcpfn.eval.studies.ablation`.\n\n"
        f"{table(head, rows)}\n\n{_noise(results['variants'])}"
    )


def _noise(rows: Mapping[str, Any]) -> str:
    """How much two seeds differ, which is what a difference has to exceed."""
    if not {"as it is", "another seed"} <= set(rows):
        return ""
    one, two = (rows[n]["overall"]["all"] for n in ("as it is", "another seed"))
    error, crps = (abs(one[k] - two[k]) for k in ("error_ratio", "crps_ratio"))
    return (
        f"Two seeds differ by {error:.3f} in error and {crps:.3f} in CRPS over all "
        "cutoffs;\nsmaller differences say nothing.\n"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 100, RESULTS / "ablation.json")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    args, suites = parse(parser, argv)
    results: dict[str, Any] = {"steps": STEPS, "runs_per_suite": args.curves}
    results["variants"] = {}
    for name, config in VARIANTS.items():
        folder = args.runs / name.replace(" ", "-").replace("(", "").replace(")", "")
        path = train(config, folder)
        results["variants"][name] = score(path, suites, args.curves)
        text = to_markdown(results)
        report(results, text, args.out)
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
