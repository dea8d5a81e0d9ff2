"""Pruners in real Optuna studies over recorded runs: what each costs and loses.

    python -m lcpfn.eval.studies.in_optuna --suite TASKS --out eval/results/optuna.json

Every trial of a study is one recorded run with its configuration, in random order: it
reports what was recorded, step by step, until the pruner ends it, and returns its best
value. All pruners see the same orders. Needs Optuna.

    epochs   share of the observations that no pruning takes
    regret   of the best value returned, in units of (best - median run)
    lost     how often the best run of all was pruned before it was at its best
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from tqdm import tqdm

import lcpfn
from lcpfn.curves import Run
from lcpfn.eval.scores import mean_with_error
from lcpfn.eval.stopping.benchmark import competing
from lcpfn.eval.stopping.simulate import TaskRuns, without_forecasts
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import columns_table, report
from lcpfn.integrations.optuna import LCPruner
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


def _warmed(make: Callable[..., optuna.pruners.BasePruner], **options: Any) -> Make:
    """A pruner that begins after a tenth of a full trial."""
    return lambda horizon, *_: make(n_warmup_steps=horizon // 10, **options)


PRUNERS: dict[str, Make] = {
    NONE: lambda *_: optuna.pruners.NopPruner(),
    "LCPruner": ours(),
    "LCPruner, 2 trials to start": ours(n_startup_trials=2),
    "LCPruner, 0.8": ours(confidence=0.8),
    "LCPruner, 0.8, 2 trials to start": ours(confidence=0.8, n_startup_trials=2),
    "LCPruner, 0.6, 2 trials to start": ours(confidence=0.6, n_startup_trials=2),
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


def play(
    runs: Sequence[Run], order: np.ndarray, pruner: optuna.pruners.BasePruner
) -> list[int]:
    """A study of recorded runs; how many observations of each were trained `(n,)`."""
    mode, trained, space = runs[0].mode, [0] * len(runs), space_of(runs)
    study = optuna.create_study(
        direction="maximize" if mode == "max" else "minimize", pruner=pruner
    )
    best = max if mode == "max" else min

    def objective(trial: optuna.Trial) -> float:
        i = int(order[trial.number])
        suggest(trial, runs[i], space)
        for step, value in enumerate(runs[i].values.tolist(), start=1):
            trained[i] = step
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(best(runs[i].values[np.isfinite(runs[i].values)]))

    for i in order:
        study.enqueue_trial(
            {
                name: value if type(value) in (int, float) else str(value)
                for name, value in (runs[int(i)].config or {}).items()
                if value is not None
            }
        )
    study.optimize(objective, n_trials=len(order))
    return trained


def measure(
    task_runs: TaskRuns, orders: Sequence[np.ndarray], make: Make, model: Model
) -> dict[str, float]:
    """One pruner on one task: means over orders."""
    runs = [r.run for r in task_runs.runs]
    lengths = np.array([len(run.values) for run in runs])
    winner = int(np.argmin(task_runs.bests))
    at = int(np.argmin(task_runs.runs[winner].losses)) + 1
    rows = []
    for order in orders:
        pruner = make(int(lengths.max()), runs[0].bounds, model)
        trained = np.array(play(runs, order, pruner))
        ended = trained == lengths
        reached = task_runs.bests[ended].min(initial=np.inf)
        rows.append(
            (
                trained.sum() / lengths.sum(),
                float(task_runs.regret(reached)),
                # A pruned trial returns nothing.
                float(not ended[winner] or trained[winner] < at),
            )
        )
    epochs, regret, lost = np.mean(rows, axis=0)
    return {"epochs": float(epochs), "regret": float(regret), "lost": float(lost)}


def study(
    tasks: Sequence[TaskRuns], model: Model, pruners: Mapping[str, Make], orders: int
) -> dict[str, Any]:
    """All pruners on all tasks.

    Returns:
        JSON values by pruner: "epochs", "regret" and "lost", means over tasks with
        standard errors "..._se"; "worst_regret" of a task; "tasks" -> name -> figures.
    """
    rng = np.random.default_rng(0)
    shuffled = [
        [rng.permutation(len(task.runs)) for _ in range(orders)] for task in tasks
    ]
    found = {}
    for name, make in tqdm(pruners.items(), desc="pruners", disable=None):
        rows = {
            task.name: measure(task, some, make, model)
            for task, some in zip(tasks, shuffled, strict=True)
        }
        columns = {
            key: np.array([row[key] for row in rows.values()])
            for key in ("epochs", "regret", "lost")
        }
        figures: dict[str, Any] = {}
        for key, column in columns.items():
            figures |= mean_with_error(key, column)
        worst = float(columns["regret"].max())
        found[name] = figures | {"worst_regret": worst, "tasks": rows}
    return found


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per pruner, from the cheapest on."""
    columns = {
        "epochs": "{epochs:.0%}",
        "regret": "{regret:.1%} ± {regret_se:.1%}",
        "worst task": "{worst_regret:.1%}",
        "winner lost": "{lost:.0%}",
    }
    rows = sorted(results["pruners"].items(), key=lambda item: item[1]["epochs"])
    return columns_table(("pruner",), [((name,), row) for name, row in rows], columns)


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
    pruners = {name: PRUNERS[name] for name in args.pruners}
    results = {
        "checkpoint": model.name,
        "checksum": model.card["checksum"],
        "orders": args.orders,
        "pruners": study(tasks, model, pruners, args.orders),
    }
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
