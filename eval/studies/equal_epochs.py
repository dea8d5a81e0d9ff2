"""Pruners in real Optuna studies that may spend the same number of epochs.

    python -m lcpfn.eval.studies.equal_epochs --out eval/results/pruners.json

Every trial is one of the real trainings in `eval/results/small_trainings.npz` (see
`lcpfn.eval.studies.small_trainings`), played as `in_optuna` does, in random order,
until the budget is spent: who prunes more tries more of them. Needs Optuna.

    best     value of a completed trial, the mean over orders
    regret   of it, in units of (best - median of all configurations), at most 1
    seconds  CPU time of the epochs as it was recorded, and of the decisions now
"""

import argparse
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from tqdm import tqdm

import lcpfn
from lcpfn.curves import CurveSet
from lcpfn.eval.scores import mean_with_error
from lcpfn.eval.stopping.benchmark import competing
from lcpfn.eval.stopping.simulate import TaskRuns, without_forecasts
from lcpfn.eval.studies.in_optuna import (
    NONE,
    PRUNERS,
    Make,
    ours,
    play,
)
from lcpfn.eval.studies.options import RESULTS
from lcpfn.eval.studies.pruners_shown import to_markdown
from lcpfn.eval.tables import report
from lcpfn.io import read_curves
from lcpfn.io.arrays import load_arrays
from lcpfn.json_files import add_part, begun
from lcpfn.model import Model

TRAININGS = RESULTS / "small_trainings.npz"
ORDERS, BUDGET = 10, 16  # the budget in full trainings
GRID = 100  # points of a curve of regret
COMPARED: dict[str, Make] = {
    name: PRUNERS[name]
    for name in (
        *(NONE, "LCPruner", "LCPruner, cheap", "LCPruner, 0.9, 5 trials to start"),
        *("median", "median, warm-up"),
        *("successive halving", "successive halving, from 10 %"),
        *("Hyperband", "Hyperband, from 10 %", "Wilcoxon"),
    )
} | {
    "LCPruner, 0.9, 5 trials to start, alone": ours(
        confidence=0.9, n_startup_trials=5, alone=True
    )
}


class Recorded(NamedTuple):
    """The trainings of one search.

    Attributes:
        task_runs: their curves.
        seconds: CPU time of every epoch `(n, T)`.
    """

    task_runs: TaskRuns
    seconds: np.ndarray


class Search(NamedTuple):
    """What a study did.

    Attributes:
        trials: that were begun.
        epochs, training, deciding: spent in all: epochs, and seconds of either kind.
        ended: epochs, seconds and loss (lower is better) at the end of every completed
            trial `(m, 3)`.
    """

    trials: int
    epochs: int
    training: float
    deciding: float
    ended: np.ndarray


def load_trainings(path: Path) -> list[Recorded]:
    """The trainings in a file of `small_trainings`, search by search."""
    arrays = load_arrays(path)
    seconds = dict(zip(arrays["run_id"], arrays["seconds"], strict=True))
    curves = CurveSet(path.stem, read_curves(path).runs)
    tasks = without_forecasts(path.stem, competing(curves, len(curves.runs)))
    return [
        Recorded(task, np.stack([seconds[past.run.name] for past in task.runs]))
        for task in tasks
    ]


def search(
    recorded: Recorded,
    order: np.ndarray,
    pruner: optuna.pruners.BasePruner,
    budget: int,
) -> Search:
    """A study of recorded trainings that ends after so many epochs."""
    runs = recorded.task_runs.runs
    played = play([past.run for past in runs], order, pruner, budget)
    each = [
        (n, recorded.seconds[i, :n].sum(dtype=float), deciding)
        for i, n, deciding, _ in played
    ]
    spent = np.cumsum(each, axis=0)
    ended = [
        (epochs, training + deciding, runs[trial.run].best)
        for trial, (epochs, training, deciding) in zip(played, spent, strict=True)
        if trial.ended
    ]
    epochs, training, deciding = spent[-1].tolist()
    ends = np.array(ended).reshape(-1, 3)
    return Search(len(played), int(epochs), training, deciding, ends)


def regret_at(
    task_runs: TaskRuns, found: Search, spent: np.ndarray, what: int
) -> np.ndarray:
    """Regret of a search once so much is spent, at most 1 `(len(spent),)`.

    Args:
        task_runs: what was searched.
        found: the search.
        spent: epochs, or seconds.
        what: 0: epochs; 1: seconds.
    """
    reached = np.append(np.inf, np.minimum.accumulate(found.ended[:, 2]))
    count = np.searchsorted(found.ended[:, what], spent, side="right")
    return np.minimum(task_runs.regret(reached[count]), 1.0)


def measure(
    recorded: Recorded, orders: Sequence[np.ndarray], make: Make, model: Model
) -> dict[str, Any]:
    """One pruner in one search: means over orders, and regret over what is spent.

    Returns:
        JSON values: "best" and "regret" with "..._se", "trials", "epochs", "training"
        and "deciding" seconds; "by_epochs" and "by_seconds", regret at `GRID` points up
        to the budget, and up to three times the seconds of training that it takes.
    """
    task_runs, length = recorded.task_runs, recorded.seconds.shape[1]
    run, budget = task_runs.runs[0].run, BUDGET * length
    found = [
        search(recorded, order, make(length, run.bounds, model), budget)
        for order in orders
    ]
    sign = -1 if run.mode == "max" else 1
    lowest = np.array([each.ended[:, 2].min(initial=np.inf) for each in found])
    ends = (float(budget), 3 * budget * float(recorded.seconds.mean()))
    curves = [
        np.mean(
            [regret_at(task_runs, x, np.linspace(0, end, GRID), i) for x in found], 0
        )
        for i, end in enumerate(ends)
    ]
    return {
        **mean_with_error("best", sign * lowest),
        **mean_with_error("regret", np.minimum(task_runs.regret(lowest), 1.0)),
        **{
            name: float(np.mean([getattr(each, name) for each in found]))
            for name in ("trials", "epochs", "training", "deciding")
        },
        "by_epochs": curves[0].round(5).tolist(),
        "by_seconds": curves[1].round(5).tolist(),
    }


def about(recorded: Recorded) -> dict[str, Any]:
    """What is said of a search."""
    run = recorded.task_runs.runs[0].run
    count, length = recorded.seconds.shape
    return {
        "metric": run.metric,
        "mode": run.mode,
        "configurations": count,
        "epochs": length,
        "seconds": BUDGET * length * float(recorded.seconds.mean()),
        "pruners": {},
    }


def compare(
    recorded: Recorded, orders: int, model: Model, results: dict, out: Path | None
) -> None:
    """Adds all pruners in one search, over the same orders, to the results.

    Args:
        recorded: the search.
        orders: how many.
        model: whose forecasts decide.
        results: those pruners that they lack are added, one after the other.
        out: their file.
    """
    task, rng = recorded.task_runs.runs[0].run.task, np.random.default_rng(0)
    shuffled = [rng.permutation(len(recorded.seconds)) for _ in range(orders)]
    results.setdefault("tasks", {}).setdefault(task, about(recorded))
    for name, make in tqdm(COMPARED.items(), desc=task, disable=None):
        one = partial(measure, recorded, shuffled, make, model)
        add_part(results, ("tasks", task, "pruners", name), one, out)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--trainings", type=Path, default=TRAININGS, help="what to play"
    )
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--orders", type=int, default=ORDERS, help="of a search (10)")
    parser.add_argument("--out", type=Path, default=RESULTS / "pruners.json")
    args = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    model = lcpfn.load(args.checkpoint)
    results = begun(
        args.out,
        {
            "checkpoint": model.name,
            "checksum": model.card["checksum"],
            "orders": args.orders,
            "budget": BUDGET,
        },
    )
    for recorded in load_trainings(args.trainings):
        compare(recorded, args.orders, model, results, args.out)
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
