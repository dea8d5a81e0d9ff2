"""What is each part of the prior and of the network worth, at equal compute?

    python -m lcpfn.eval.studies.ablation --out runs/ablation --suite CURVES...

Pre-trains the `broad` preset for `STEPS` steps as it is and with one thing changed, and
scores all of them by the final-value protocol. Resumes where it was interrupted. Writes
`ablation.json` into the results and a table beside the presets.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lcpfn
from lcpfn.cli.options import read_suites
from lcpfn.curves import CurveSet
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, normal_cases
from lcpfn.eval.studies.without import GROUPS

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = "lcpfn.eval.studies.without"
RESULTS, TABLE = ROOT / "eval/results/ablation.json", ROOT / "train/ABLATION.md"
STEPS = 300
COMMON = [f"steps={STEPS}", f"save_every={STEPS}", "validation=64"]
# What is set beside that.
VARIANTS = {
    "as it is": "prior=broad",
    "another seed": "seed=9",
    **{
        f"prior without {name.replace('_', ' ')}": f"prior={WITHOUT}:{name}"
        for name in GROUPS
    },
    "tokens without averages": "model.masked=(2, 3, 8)",
    "tokens without best, worst and first": "model.masked=(4, 5, 6, 7)",
    "tokens without changes of scale": "model.masked=(9, 10)",
    "tokens without bounds": "model.masked=(11, 12, 13, 14, 15)",
    "3 layers instead of 6": "model.layers=3",
    "4 Gaussians instead of 16": "model.components=4",
    "no question for the best": "model.best=False",
    "bounds always told": "augment.hidden=0.0",
    "one length (64)": "lengths=(64,)",
}


def train(out: Path, name: str) -> Path:
    """Trains a variant, unless it is there; returns its checkpoint."""
    folder = out / name.replace(" ", "-").replace("(", "").replace(")", "")
    release = folder / "release"
    if not release.is_dir():
        options = ["--out", str(folder), "--set", *COMMON, VARIANTS[name]]
        command = [sys.executable, "-m", "lcpfn", "pretrain", "broad", *options]
        subprocess.run(command, check=True)
    return release


def score(path: Path, suites: Sequence[CurveSet], most: int) -> dict[str, Any]:
    """The final-value protocol on normal runs, all cutoffs and suites."""
    model = lcpfn.load(path)
    cases = [case for suite in suites for case in normal_cases(suite, most)]
    found = summarise(cases, measure(cases, of_model(model)(cases)))
    return {"overall": found["overall"], "worst": found["worst_error_ratio"]}


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per variant."""
    lines = [
        "# What was tried, at equal compute\n\n"
        f"{STEPS} steps of the preset `broad` each, "
        f"{results['runs_per_suite']} runs of "
        "each development suite; written by `python -m lcpfn.eval.studies.ablation`.\n",
        "| variant | error / CRPS over the last value's error, all cutoffs | "
        + " | ".join(f"{c} %" for c in PERCENTS)
        + " | worst suite and cutoff | 90 % interval holds |",
        "|---|---|" + "---|" * (len(PERCENTS) + 2),
    ]
    for name, row in results["variants"].items():
        parts = [row["overall"][key] for key in ("all", *map(str, PERCENTS))]
        cells = [f"{p['error_ratio']:.3f} / {p['crps_ratio']:.3f}" for p in parts]
        lines.append(
            f"| {name} | {' | '.join(cells)} | {row['worst']:.2f} "
            f"| {parts[0]['covered_90']:.0%} |"
        )
    return "\n".join(lines) + "\n\n" + _noise(results["variants"])


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
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--suite", nargs="+", required=True)
    parser.add_argument("--curves", type=int, default=100)
    args = parser.parse_args(argv)
    suites = read_suites(args.suite, None, None)
    results: dict[str, Any] = {"steps": STEPS, "runs_per_suite": args.curves}
    results["variants"] = {}
    for name in VARIANTS:
        path = train(args.out, name)
        results["variants"][name] = score(path, suites, args.curves)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        TABLE.write_text(to_markdown(results))


if __name__ == "__main__":
    main()
