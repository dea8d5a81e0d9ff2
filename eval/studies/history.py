"""What do 20, 100 or 500 finished runs of a task family bring?

    python -m lcpfn.eval.studies.history --suite lcbench.npz olmo_ladder.npz

Every second task of a source is somebody's past: that many of its runs go to
`lcpfn finetune`. The other tasks are the future, on which the checkpoint is compared
with the one it started from. Resumes where it was interrupted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lcpfn
from lcpfn.card import weights_name
from lcpfn.curves import CurveSet, Run
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import Case, scored_cases
from lcpfn.eval.paired import difference
from lcpfn.eval.report_tables import RATIOS
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import columns_table, fill, report
from lcpfn.train.finetune import finetune

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
        finetune(runs, out, steps=steps)
    return out / "release"


def compare(suite: CurveSet, out: Path, steps: int, most: int) -> dict[str, Any]:
    """Figures on the future tasks, before and after each history; JSON values."""
    past, future = split(suite)
    cases = scored_cases(future, most)
    before = measure(cases, of_model(lcpfn.load())(cases))
    found = {"0": figures(cases, before, before)}
    for size in SIZES:
        some = past.sample(size).runs
        if len(some) < size:
            continue
        path = tune(some, out / f"{suite.name}-{size}", steps)
        after = measure(cases, of_model(lcpfn.load(path))(cases))
        found[str(size)] = figures(cases, before, after)
    return found


def figures(
    cases: Sequence[Case],
    before: Mapping[str, np.ndarray],
    after: dict[str, np.ndarray],
) -> dict[str, float]:
    """Scores after a history, and the gain in CRPS, paired and clustered by task."""
    overall = summarise(cases, after)["overall"]["all"]
    gain = difference(cases, after, before)
    kept = ("error_ratio", "crps_ratio", "covered_90")
    return {key: overall[key] for key in kept} | {
        "gain": gain["crps"],
        "gain_se": gain["crps_se"],
        "tasks": gain["tasks"],
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per source and size of the history."""
    columns = {
        "error / CRPS over the last value's error": RATIOS,
        "90 % interval holds": "{covered_90:.0%}",
        "gain in CRPS": "{shown}",
    }
    rows = []
    for source, sizes in results["sources"].items():
        for size, row in sizes.items():
            gain = fill("{gain:+.3f} ± {gain_se:.3f}", row) if size != "0" else ""
            rows.append(((source, size), row | {"shown": gain}))
    return columns_table(("source", "finished runs"), rows, columns)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 200, RESULTS / "history.json")
    parser.add_argument("--runs", type=Path, default=Path("runs/history"))
    parser.add_argument("--steps", type=int, default=200)
    args, suites = parse(parser, argv)
    card = lcpfn.load().card
    # What other weights have learned from the same runs is no answer here.
    out = args.runs / weights_name(card)
    results: dict[str, Any] = {
        "checksum": card["checksum"],
        "steps": args.steps,
        "runs_scored": args.curves,
        "sources": {},
    }
    for suite in suites:
        found = compare(suite, out, args.steps, args.curves)
        results["sources"][suite.name] = found
        report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
