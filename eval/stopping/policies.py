"""Policies of a search, our rules and what they have to beat, for `simulate`.

Most take one run after the other and never come back to one; `i_epoch` does. Those that
pause runs at rungs are in `lcpfn.eval.stopping.halving`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.stopping.offline import RecordedRun, stop_after
from lcpfn.stopping.rule import Rule

# From a run and the best value of the others: the observations to train it for.
Stop = Callable[[RecordedRun, float], int]
# From the number of a run, and the observations of those before it: the run with the
# forecasts that decide on it.
Look = Callable[[int, Mapping[int, int]], RecordedRun]


def one_by_one(stop: Stop) -> Policy:
    """Each run until `stop` says so, against the best value reached by any run."""

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        incumbent = np.inf
        for i in map(int, order):
            run = task_runs.runs[i]
            until = stop(run, incumbent)
            yield i, until
            incumbent = min(incumbent, float(run.own[until - 1]))

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
        incumbent, look = np.inf if beat is None else beat, looks(task_runs)
        trained: dict[int, int] = {}
        length = max(len(run.own) for run in task_runs.runs)
        earlier = np.full((len(order), length), np.inf)
        for count, i in enumerate(map(int, order)):
            run = task_runs.runs[i]
            until = len(run.losses)
            if protect is None:
                until = stop_after(rule, look(i, trained), incumbent)
            elif np.isfinite(incumbent):
                protected = among_best_before(earlier[:count], run.own, protect)
                until = stop_after(rule, look(i, trained), incumbent, protected)
            yield i, until
            trained[i], earlier[count, :until] = until, run.own[:until]
            if beat is None:
                incumbent = min(incumbent, float(run.own[until - 1]))

    return moves


def among_best_before(
    earlier: np.ndarray, own: np.ndarray, protect: float
) -> np.ndarray:
    """Where a run is among the best share of those before it `(n,)`.

    Args:
        earlier: best so far of these runs, infinite behind where they ended `(m, N)`.
        own: that of the run `(n,)`.
        protect: the share; the best one always is.
    """
    better = (earlier[:, : len(own)] < own).sum(0)
    return better < max(protect * len(earlier), 1)


def no_stop() -> Policy:
    """Every run to its end: random search, where the order is random."""
    return one_by_one(lambda run, incumbent: len(run.losses))


def oracle() -> Policy:
    """Knows the run: trains it for one observation if it will not become the best."""
    return one_by_one(
        lambda run, incumbent: (
            int(np.argmin(run.losses)) + 1 if run.best < incumbent else 1
        )
    )


def patience(k: int) -> Policy:
    """Stops a run whose own best is more than `k` observations old."""

    def stop(run: RecordedRun, incumbent: float) -> int:
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


def i_epoch(i: int | float, batch: int = 20) -> Policy:
    """The i-epoch rule (Egele et al. 2024): all to i, then the best to its end.

    Args:
        i: observations; a float is a share of a full run.
        batch: runs that are compared.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        for first in range(0, len(order), batch):
            value = {}
            for run in map(int, order[first : first + batch]):
                losses = task_runs.runs[run].losses
                until = i if isinstance(i, int) else round(i * len(losses))
                until = min(max(until, 1), len(losses))
                yield run, until
                value[run] = float(losses[until - 1])
            best = min(value, key=lambda run: value[run])
            yield best, len(task_runs.runs[best].losses)

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

    def stop(run: RecordedRun, incumbent: float) -> int:
        count, spread = len(run.losses), _ranges(run.losses)
        for n in range(2, count):
            last = run.losses[n - 1]
            gain = likely[min(int(n / count * len(shares)), len(shares) - 1)]
            reached = last - gain * max(spread[n - 1], 1e-12)
            if not np.isfinite(last) or reached > min(incumbent, run.own[n - 1]):
                return n
        return count

    return one_by_one(stop)


def _ranges(losses: np.ndarray) -> np.ndarray:
    """Range of the finite losses up to each, 0 before the first `(n,)`."""
    highest = np.maximum.accumulate(np.where(np.isfinite(losses), losses, -np.inf))
    lowest = np.minimum.accumulate(losses)
    return np.where(np.isfinite(highest), highest - lowest, 0.0)
