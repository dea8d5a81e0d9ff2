r"""What do 20, 100 or 500 finished runs of a task family bring?

    python -m lcpfn.eval.studies.history --suite lcbench.npz olmo_ladder.npz \
        --out runs/history

Every second task of a source is somebody's past: that many of its runs go to `lcpfn
finetune`. The other tasks are the future, on which the checkpoint is compared with the
one it started from. Resumes where it was interrupted.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lcpfn
from lcpfn.cli.options import read_suites
from lcpfn.curves import CurveSet, Run
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import normal_cases

RESULTS = Path(__file__).resolve().parents[1] / "results" / "history.json"
SIZES = (20, 100, 500)


def split(suite: CurveSet) -> tuple[CurveSet, CurveSet]:
    """Past and future: every second task each, runs of the commonest metric alone."""
    kinds = Counter((run.mode, run.bounds) for run in suite.runs)
    kind = kinds.most_common(1)[0][0]
    runs = tuple(run for run in suite.runs if (run.mode, run.bounds) == kind)
    same = CurveSet(suite.name, runs)
    return same.of_tasks(same.tasks[::2]), same.of_tasks(same.tasks[1::2])


def tune(runs: Sequence[Run], out: Path, steps: int) -> Path:
    """Adapts the default checkpoint to these runs, unless that is done."""
    if not (out / "release").is_dir():
        out.mkdir(parents=True, exist_ok=True)
        file = out / "history.json"
        entries = [
            {
                "name": run.name,
                "steps": run.steps.tolist(),
                "values": run.values.tolist(),
            }
            for run in runs
        ]
        file.write_text(json.dumps(entries))
        command = ["lcpfn", "finetune", str(file), "--mode", runs[0].mode]
        if runs[0].bounds is not None:
            limits = ("none" if x is None else str(x) for x in runs[0].bounds)
            command += ["--bounds", *limits]
        command += ["--out", str(out), "--steps", str(steps)]
        subprocess.run([sys.executable, "-m", *command], check=True)
    return out / "release"


def compare(suite: CurveSet, out: Path, steps: int, most: int) -> dict[str, Any]:
    """Figures on the future tasks, before and after each history; JSON values."""
    past, future = split(suite)
    cases = normal_cases(future, most)
    columns = {"0": measure(cases, of_model(lcpfn.load())(cases))}
    for size in SIZES:
        some = past.sample(size).runs
        if len(some) < size:
            continue
        path = tune(some, out / f"{suite.name}-{size}", steps)
        columns[str(size)] = measure(cases, of_model(lcpfn.load(path))(cases))
    return {size: _figures(cases, columns["0"], c) for size, c in columns.items()}


def _figures(
    cases: Sequence[Any], before: Mapping[str, np.ndarray], after: dict[str, np.ndarray]
) -> dict[str, float]:
    overall = summarise(cases, after)["overall"]["all"]
    last = before["last_error"].mean()
    gain = (before["crps"] - after["crps"]) / last
    # Runs of a task are alike, so the tasks are what is independent.
    tasks = np.array([case.task for case in cases])
    means = [gain[tasks == task].mean() for task in set(tasks)]
    return {
        "error_ratio": overall["error_ratio"],
        "crps_ratio": overall["crps_ratio"],
        "covered_90": overall["covered_90"],
        "gain": float(np.mean(means)),
        "gain_se": float(np.std(means, ddof=1) / np.sqrt(len(means))),
        "tasks": len(means),
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per source and size of the history."""
    lines = [
        "| source | finished runs | error / CRPS over the last value's error "
        "| 90 % interval holds | gain in CRPS |",
        "|---|---|---|---|---|",
    ]
    for source, rows in results["sources"].items():
        for size, row in rows.items():
            gain = f"{row['gain']:+.3f} ± {row['gain_se']:.3f}" if size != "0" else ""
            lines.append(
                f"| {source} | {size} | {row['error_ratio']:.2f} / "
                f"{row['crps_ratio']:.2f} | {row['covered_90']:.0%} | {gain} |"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--suite", nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/history"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--curves", type=int, default=200)
    args = parser.parse_args(argv)
    results: dict[str, Any] = {
        "checksum": lcpfn.load().card["checksum"],
        "steps": args.steps,
        "runs_scored": args.curves,
        "sources": {},
    }
    for suite in read_suites(args.suite, None, None):
        found = compare(suite, args.out, args.steps, args.curves)
        results["sources"][suite.name] = found
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
