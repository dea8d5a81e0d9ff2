"""Pruners in real Optuna studies over recorded runs: what each costs and loses.

    python -m lcpfn.eval.studies.in_optuna --suite TASKS --out eval/results/optuna.json

Every trial of a study is one recorded run with its configuration, in random order: it
reports what was recorded, step by step, until the pruner ends it, and returns its best
value. All pruners see the same orders. Written pruner by pruner; goes on where it was
interrupted. Needs Optuna.

    epochs   share of the observations that no pruning takes
    regret   of the best value returned, in units of (best - median run)
    lost     how often the best run of all was pruned before it was at its best
"""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from tqdm import tqdm

import lcpfn
from lcpfn.curves import Run
from lcpfn.eval.scores import mean_with_error
from lcpfn.eval.stopping.benchmark import competing
from lcpfn.eval.stopping.simulate import TaskRuns, without_forecasts
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.studies.pruners_shown import settings_to_markdown
from lcpfn.eval.tables import report
from lcpfn.integrations.optuna import LCPruner
from lcpfn.json_files import add_part, begun
from lcpfn.model import Model

ORDERS = 10
NONE = "no pruning"
# From the horizon, the bounds and a checkpoint to a pruner.
Make = Callable[[int, Any, Model], optuna.pruners.BasePruner]


def ours(**options: Any) -> Make:
    """`LCPruner` with some options."""
    return lambda horizon, bounds, model: LCPruner(
        horizon, bounds=bounds, model=model, **options
    )


# What is documented for searches that have to be cheap.
CHEAP: dict[str, Any] = {"confidence": 0.8, "n_startup_trials": 1}


def _warmed(make: Callable[..., optuna.pruners.BasePruner], **options: Any) -> Make:
    """A pruner that begins after a tenth of a full trial."""
    return lambda horizon, *_: make(n_warmup_steps=horizon // 10, **options)


PRUNERS: dict[str, Make] = {
    NONE: lambda *_: optuna.pruners.NopPruner(),
    "LCPruner": ours(),
    "LCPruner, cheap": ours(**CHEAP),
    "LCPruner, 0.9, 5 trials to start": ours(confidence=0.9, n_startup_trials=5),
    "LCPruner, 0.9": ours(confidence=0.9),
    "LCPruner, 0.6": ours(confidence=0.6),
    "median": lambda *_: optuna.pruners.MedianPruner(),
    "median, warm-up": _warmed(optuna.pruners.MedianPruner),
    "percentile 25, warm-up": _warmed(optuna.pruners.PercentilePruner, percentile=25.0),
    "successive halving": lambda *_: optuna.pruners.SuccessiveHalvingPruner(),
    "successive halving, from 10 %": lambda horizon, *_: (
        optuna.pruners.SuccessiveHalvingPruner(
            min_resource=max(horizon // 10, 1), reduction_factor=3
        )
    ),
    "Hyperband": lambda *_: optuna.pruners.HyperbandPruner(),
    "Hyperband, from 10 %": lambda horizon, *_: optuna.pruners.HyperbandPruner(
        min_resource=max(horizon // 10, 1), max_resource=horizon
    ),
    "Wilcoxon": lambda *_: optuna.pruners.WilcoxonPruner(),
}


Space = dict[str, tuple[float, float] | list[str]]


def space_of(runs: Sequence[Run]) -> Space:
    """Range of every number in the configurations, names of everything else."""
    seen: dict[str, list[Any]] = {}
    for run in runs:
        for name, value in (run.config or {}).items():
            seen.setdefault(name, []).append(value)
    return {
        name: (float(min(values)), float(max(values)))
        if all(type(x) in (int, float) for x in values)
        else sorted(set(map(str, values)))
        for name, values in seen.items()
    }


def suggest(trial: optuna.Trial, run: Run, space: Space) -> None:
    """Gives a trial the configuration of a run."""
    for name, value in (run.config or {}).items():
        limits = space[name]
        if value is None:
            continue
        if isinstance(limits, tuple):
            trial.suggest_float(name, *limits)
        else:
            trial.suggest_categorical(name, limits)


class Played(NamedTuple):
    """A run as a trial: its observations, seconds of decisions, whether to the end."""

    run: int
    trained: int
    deciding: float
    ended: bool


def play(
    runs: Sequence[Run],
    order: np.ndarray,
    pruner: optuna.pruners.BasePruner,
    budget: float = np.inf,
) -> list[Played]:
    """A study of recorded runs, which ends after so many observations of them."""
    mode, space, played = runs[0].mode, space_of(runs), list[Played]()
    study = optuna.create_study(
        study_name=str(order),  # Hyperband draws brackets by it
        direction="maximize" if mode == "max" else "minimize",
        pruner=pruner,
    )
    best = max if mode == "max" else min

    def objective(trial: optuna.Trial) -> float:
        i, deciding = int(order[trial.number]), 0.0
        suggest(trial, runs[i], space)
        before = sum(one.trained for one in played)
        values = runs[i].values
        for step, value in enumerate(values.tolist(), start=1):
            trial.report(value, step)
            began = time.process_time()
            prune = trial.should_prune()
            deciding += time.process_time() - began
            if over := before + step >= budget:
                study.stop()
            if prune or (over and step < len(values)):
                played.append(Played(i, step, deciding, ended=False))
                raise optuna.TrialPruned
        played.append(Played(i, len(values), deciding, ended=True))
        return float(best(values[np.isfinite(values)]))

    for i in order:
        study.enqueue_trial(
            {
                name: value if type(value) in (int, float) else str(value)
                for name, value in (runs[int(i)].config or {}).items()
                if value is not None
            }
        )
    study.optimize(objective, n_trials=len(order))
    return played


def measure(
    task_runs: TaskRuns, orders: Sequence[np.ndarray], make: Make, model: Model
) -> dict[str, float]:
    """One pruner on one task: means over orders."""
    runs = [r.run for r in task_runs.runs]
    lengths = np.array([len(run.values) for run in runs])
    winner = int(np.argmin(task_runs.bests))
    rows = []
    for order in orders:
        pruner = make(int(lengths.max()), runs[0].bounds, model)
        played = sorted(play(runs, order, pruner))  # by run
        trained = np.array([trial.trained for trial in played])
        ended = np.array([trial.ended for trial in played])
        reached = task_runs.bests[ended].min(initial=np.inf)
        rows.append(
            (
                trained.sum() / lengths.sum(),
                float(task_runs.regret(reached)),
                # A pruned trial returns nothing.
                float(not ended[winner]),
            )
        )
    epochs, regret, lost = np.mean(rows, axis=0)
    return {"epochs": float(epochs), "regret": float(regret), "lost": float(lost)}


def study(
    tasks: Sequence[TaskRuns], model: Model, make: Make, orders: int
) -> dict[str, Any]:
    """One pruner on all tasks, over the orders that all pruners get.

    Returns:
        JSON values: "epochs", "regret" and "lost", means over tasks with standard
        errors "..._se"; "worst_regret" of a task; "tasks" -> name -> figures.
    """
    rng = np.random.default_rng(0)
    shuffled = [
        [rng.permutation(len(task.runs)) for _ in range(orders)] for task in tasks
    ]
    pairs = list(zip(tasks, shuffled, strict=True))
    rows = {
        task.name: measure(task, some, make, model)
        for task, some in tqdm(pairs, desc="tasks", disable=None)
    }
    figures: dict[str, Any] = {}
    for key in ("epochs", "regret", "lost"):
        figures |= mean_with_error(key, np.array([row[key] for row in rows.values()]))
    worst = max(row["regret"] for row in rows.values())
    return figures | {"worst_regret": worst, "tasks": rows}


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 60, RESULTS / "optuna.json")
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--orders", type=int, default=ORDERS, help="of each task (10)")
    parser.add_argument("--pruners", nargs="+", choices=PRUNERS, default=list(PRUNERS))
    args, suites = parse(parser, argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    model = lcpfn.load(args.checkpoint)
    tasks = [
        task
        for suite in suites
        for task in without_forecasts(suite.name, competing(suite, args.curves))
    ]
    about = {
        "checkpoint": model.name,
        "checksum": model.card["checksum"],
        "orders": args.orders,
        "runs_per_task": args.curves,
        "suites": [suite.name for suite in suites],
    }
    results = begun(args.out, about)
    for name in args.pruners:
        make = lambda name=name: study(tasks, model, PRUNERS[name], args.orders)
        add_part(results, ("pruners", name), make, args.out)
    report(results, settings_to_markdown(results), args.out)


if __name__ == "__main__":
    main()
