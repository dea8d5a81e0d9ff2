"""Searches simulated on recorded runs: a policy says which run is trained how far.

    trace = simulate(task_runs, policy, order)

A policy yields moves (run, until): train this run until it has so many observations. A
run may be left and trained further later; observations that it has are not paid for
again. All figures are read from traces, with values in model space (lower is better):

    regret          best value reached - best value that any run reaches in full
    winner stopped  the best of the runs begun was not trained until it was better than
                    all others: the search has a regret among the runs begun
    good run        it ends better than the incumbent, which is the best value that
                    runs begun before have reached, or a value given; it is stopped if
                    its training ends before it is better
    cost            observations trained

Regrets are in units of the distance from the median run's best value to the best of
all, and at most `MOST_REGRET` of them are counted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lcpfn.curves import Run
from lcpfn.mixture import Mixture
from lcpfn.model import Model
from lcpfn.prefixes import PrefixForecasts
from lcpfn.stopping import offline
from lcpfn.stopping.offline import RecordedRun, recorded_run

MOST_REGRET = 10.0

# Train a run (its number) until it has that many observations.
Move = tuple[int, int]
Policy = Callable[["TaskRuns", np.ndarray], Iterator[Move]]


@dataclass(frozen=True)
class TaskRuns:
    """Recorded runs of one task and metric that compete.

    Attributes:
        name: of the task and metric.
        source: where it is from.
        runs: all of them in full, with their forecasts.
    """

    name: str
    source: str
    runs: tuple[RecordedRun, ...]

    @cached_property
    def length(self) -> float:
        """Observations of a full run, on average."""
        return float(np.mean([len(run.losses) for run in self.runs]))

    @cached_property
    def bests(self) -> np.ndarray:
        """The best value of each run `(n,)`."""
        return np.array([run.best for run in self.runs])

    @cached_property
    def best(self) -> float:
        """The best value of any run."""
        return float(self.bests.min())

    @cached_property
    def regret_unit(self) -> float:
        """From the median run's best value to the best; 1 where there is no such."""
        unit = float(np.median(self.bests)) - self.best
        return unit if np.isfinite(unit) and unit > 0 else 1.0

    def regret(
        self, reached: np.ndarray | float, best: float | None = None
    ) -> np.ndarray:
        """Regret of values reached, in its unit; the most where nothing is known.

        Args:
            reached: best values, infinite while there is none.
            best: the best that was possible; default: of all runs.
        """
        best = self.best if best is None else best
        with np.errstate(invalid="ignore"):
            found = (np.asarray(reached) - best) / self.regret_unit
        return np.minimum(np.where(np.isfinite(found), found, MOST_REGRET), MOST_REGRET)


def with_forecasts(
    model: Model, source: str, tasks: dict[str, list[Run]], horizon: float | None = None
) -> list[TaskRuns]:
    """Competing runs with their forecasts, task by task.

    Args:
        model: whose forecasts rules decide on.
        source: where the runs are from.
        tasks: from `lcpfn.eval.data.runs_by_task`.
        horizon: last step of a full run; default: the last one of each.
    """
    return [
        TaskRuns(name, source, tuple(offline.replay(model, runs, horizon)))
        for name, runs in tasks.items()
    ]


def without_forecasts(
    source: str, tasks: Mapping[str, Sequence[Run]]
) -> list[TaskRuns]:
    """Competing runs, task by task, for policies that make forecasts of their own."""
    nowhere = Mixture(*[np.empty((0, 0))] * 3, *[np.empty(0)] * 2)
    nothing = PrefixForecasts(np.empty(0, int), None, nowhere, np.empty(0))
    return [
        TaskRuns(
            name,
            source,
            tuple(recorded_run(run, nothing, float(run.steps[-1])) for run in runs),
        )
        for name, runs in tasks.items()
    ]


@dataclass(frozen=True)
class Trace:
    """What a policy did, move by move.

    Attributes:
        task_runs: the runs it chose from.
        moves: number of the run, its observations before and after.
        cut_off: whether a budget has ended it.
    """

    task_runs: TaskRuns
    moves: tuple[tuple[int, int, int], ...]
    cut_off: bool = False

    @cached_property
    def trained(self) -> dict[int, int]:
        """Observations of every run begun, in the order of their beginnings."""
        return {run: after for run, _, after in self.moves}

    @property
    def spent(self) -> int:
        """Observations trained."""
        return sum(self.trained.values())

    @cached_property
    def best_after(self) -> np.ndarray:
        """Best value after 0, 1, ... observations of the search `(spent + 1,)`."""
        runs = self.task_runs.runs
        losses = [runs[run].losses[before:after] for run, before, after in self.moves]
        return np.minimum.accumulate(np.concatenate([[np.inf], *losses]))

    def regret(self, spent: np.ndarray) -> np.ndarray:
        """Regret once so many observations are spent, of a search that has ended too.

        Args:
            spent: numbers of observations, fractions allowed.
        """
        done = np.minimum(np.floor(spent).astype(int), len(self.best_after) - 1)
        return self.task_runs.regret(self.best_after[done])

    def within(self, budget: float) -> "Trace":
        """The search ended by a budget of observations, amid a move if need be."""
        moves, spent = [], 0
        for run, before, after in self.moves:
            if spent >= budget:
                break
            moves.append((run, before, min(before + int(budget - spent), after)))
            spent += after - before
        return replace(self, moves=tuple(moves), cut_off=spent >= budget)

    def reached(self, run: int) -> float:
        """The best value to which a run was trained."""
        count = self.trained[run]
        return float(self.task_runs.runs[run].own[count - 1]) if count else np.inf


def simulate(
    task_runs: TaskRuns,
    policy: Policy,
    order: np.ndarray,
    budget: float = np.inf,
) -> Trace:
    """Lets a policy search.

    Args:
        task_runs: the runs it may train.
        policy: what decides.
        order: numbers of the runs, in the order in which they come up.
        budget: observations after which no further move is made.
    """
    moves: list[tuple[int, int, int]] = []
    trained: dict[int, int] = {}
    spent = 0
    for run, until in policy(task_runs, order):
        before = trained.get(run, 0)
        moves.append((run, before, until))
        trained[run], spent = until, spent + until - before
        if spent >= budget:
            break
    return Trace(task_runs, tuple(moves))


def stopped_early(trace: Trace) -> tuple[bool, float]:
    """Whether the winner was stopped, and what share of the best three was too early.

    Too early is before its own best value. The run begun last does not count if the
    budget has ended the search: the policy had not stopped it.
    """
    runs = list(trace.trained)
    if trace.cut_off and len(runs) > 1:
        runs = runs[:-1]
    best = trace.task_runs.bests
    by_best = sorted(runs, key=lambda run: best[run])
    early = [trace.reached(run) > best[run] for run in by_best[:3]]
    # Another run that got as far has won just as well.
    winner_stopped = min(map(trace.reached, runs)) > best[by_best[0]]
    return bool(winner_stopped), float(np.mean(early))


def good_runs(trace: Trace, beat: float | None = None) -> dict[int, float]:
    """Good runs, and the incumbent that each of them met when it was begun.

    Args:
        trace: a search.
        beat: the incumbent of all runs; default: what those begun before have reached,
            infinite for the first.
    """
    incumbent = np.inf if beat is None else beat
    good = {}
    for run, before, after in trace.moves:
        recorded = trace.task_runs.runs[run]
        if before == 0 and recorded.best < incumbent:
            good[run] = incumbent
        if beat is None:
            incumbent = min(incumbent, float(recorded.own[after - 1]))
    return good
