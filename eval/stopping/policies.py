"""Policies of a search, our rules and what they have to beat, for `simulate`.

They take one run after the other and never come back to one. Those that pause runs at
rungs are in `lcpfn.eval.stopping.halving`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.stopping.offline import RecordedRun, stop_after
from lcpfn.stopping.rule import Rule


class Past(NamedTuple):
    """What a search has seen when a run comes up.

    Attributes:
        number: of the run.
        incumbent: best value reached by any run; infinite if there is none.
        trained: observations of the runs before it.
        earlier: best so far of these, infinite behind where they ended `(m, N)`.
        finished: best values of those that were trained in full.
    """

    number: int
    incumbent: float
    trained: Mapping[int, int]
    earlier: np.ndarray
    finished: Sequence[float]

    def spares(self, own: np.ndarray, protect: float) -> np.ndarray:
        """Where a run is among the best share of those before it `(n,)`.

        Args:
            own: its best so far `(n,)`.
            protect: the share; the best one always is.
        """
        better = (self.earlier[:, : len(own)] < own).sum(0)
        return better < max(protect * len(self.earlier), 1)


# From a run and what was seen before it: the observations to train it for.
Stop = Callable[[RecordedRun, Past], int]
# From the number of a run, and the observations of those before it: the run with the
# forecasts that decide on it.
Look = Callable[[int, Mapping[int, int]], RecordedRun]


def one_by_one(stop: Stop) -> Policy:
    """Each run until `stop` says so."""

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        incumbent, trained, finished = np.inf, dict[int, int](), list[float]()
        length = max(len(run.own) for run in task_runs.runs)
        earlier = np.full((len(order), length), np.inf)
        for count, i in enumerate(map(int, order)):
            run = task_runs.runs[i]
            past = Past(i, incumbent, trained, earlier[:count], finished)
            until = stop(run, past)
            yield i, until
            trained[i], earlier[count, :until] = until, run.own[:until]
            incumbent = min(incumbent, float(run.own[until - 1]))
            finished += [run.best] if until == len(run.losses) else []

    return moves


def _alone(task_runs: TaskRuns) -> Look:
    return lambda i, trained: task_runs.runs[i]


def by_rule(
    rule: Rule,
    protect: float | None = None,
    beat: float | None = None,
    looks: Callable[[TaskRuns], Look] = _alone,
) -> Policy:
    """A rule of ours, run by run.

    Args:
        rule: when a run is stopped; its `beat` and `horizon` are not looked at.
        protect: never stop a run among this best share of the earlier ones at the same
            observation, as `SearchMonitor` does; runs stopped before it
            count as worse, and without a value to beat nothing is stopped. None: no
            run is protected.
        beat: value to beat, model space; default: the best value of the earlier runs.
        looks: gives, for one search, the forecasts that decide; default: those of each
            run alone.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        look = looks(task_runs)

        def stop(run: RecordedRun, past: Past) -> int:
            incumbent = past.incumbent if beat is None else beat
            spared = None
            if protect is not None:
                if not np.isfinite(incumbent):
                    return len(run.losses)
                spared = past.spares(run.own, protect)
            return stop_after(rule, look(past.number, past.trained), incumbent, spared)

        return one_by_one(stop)(task_runs, order)

    return moves


def no_stop() -> Policy:
    """Every run to its end: random search, where the order is random."""
    return one_by_one(lambda run, past: len(run.losses))


def oracle() -> Policy:
    """Knows the run: trains it for one observation if it will not become the best."""
    return one_by_one(
        lambda run, past: (
            int(np.argmin(run.losses)) + 1 if run.best < past.incumbent else 1
        )
    )


def patience(k: int) -> Policy:
    """Stops a run whose own best is more than `k` observations old."""

    def stop(run: RecordedRun, past: Past) -> int:
        index = np.arange(len(run.losses))
        newest_best = np.maximum.accumulate(np.where(run.losses <= run.own, index, 0))
        old = np.flatnonzero(index - newest_best > k)
        return int(old[0]) + 1 if len(old) else len(index)

    return one_by_one(stop)


def median(start: int = 5, grace: float = 0.1) -> Policy:
    """Median stopping rule of Vizier (Golovin et al. 2017).

    A run stops if its best so far is worse than the median, over earlier runs, of
    their mean up to the same observation; not in the first `grace` of it, and not
    before `start` runs have been seen.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        averages: list[np.ndarray] = []
        for i in map(int, order):
            run = task_runs.runs[i]
            until = count = len(run.losses)
            if len(averages) >= start:
                for n in range(max(int(grace * count), 1), count):
                    others = [a[n - 1] for a in averages if len(a) >= n]
                    if others and run.own[n - 1] > np.median(others):
                        until = n
                        break
            yield i, until
            losses = np.minimum(run.losses[:until], 1e30)
            averages.append(np.cumsum(losses) / np.arange(1, until + 1))

    return moves


def last_value(others: Sequence[TaskRuns], confidence: float = 0.95) -> Policy:
    """The last value with the errors that it makes on other tasks.

    The best value still to come is the last one minus a gain, in units of the range
    seen; gains by share of the run, over all runs of `others`.
    """
    shares = np.linspace(0.05, 1.0, 20)
    gains: list[list[float]] = [[] for _ in shares]
    for run in (run for task_runs in others for run in task_runs.runs):
        count, spread = len(run.losses), _ranges(run.losses)
        later = np.minimum.accumulate(run.losses[::-1])[::-1]
        for gain, share in zip(gains, shares, strict=True):
            n = max(int(share * count), 2)
            if n < count and np.isfinite(run.losses[n - 1]) and spread[n - 1] > 0:
                gain.append((run.losses[n - 1] - later[n]) / spread[n - 1])
    likely = [
        float(np.quantile(g, confidence)) if len(g) > 20 else np.inf for g in gains
    ]

    def stop(run: RecordedRun, past: Past) -> int:
        count, spread = len(run.losses), _ranges(run.losses)
        for n in range(2, count):
            last = run.losses[n - 1]
            gain = likely[min(int(n / count * len(shares)), len(shares) - 1)]
            reached = last - gain * max(spread[n - 1], 1e-12)
            if not np.isfinite(last) or reached > min(past.incumbent, run.own[n - 1]):
                return n
        return count

    return one_by_one(stop)


def _ranges(losses: np.ndarray) -> np.ndarray:
    """Range of the finite losses up to each, 0 before the first `(n,)`."""
    highest = np.maximum.accumulate(np.where(np.isfinite(losses), losses, -np.inf))
    lowest = np.minimum.accumulate(losses)
    return np.where(np.isfinite(highest), highest - lowest, 0.0)
