"""Policies that compare runs at rungs and train the best on, for `simulate`.

A rung is a number of observations, each `eta` times the one below. What is compared
there is a `Rank`: the newest value, or a quantile of the forecast of the best to come.
"""

import bisect
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.stopping.offline import RecordedRun

# What a run (its number) is worth after so many observations, lower is better.
Rank = Callable[[int, int], float]


def newest(task_runs: TaskRuns) -> Rank:
    """The newest value."""
    return lambda i, count: float(task_runs.runs[i].losses[count - 1])


def forecast_best(level: float = 0.5) -> Callable[[TaskRuns], Rank]:
    """A quantile of the best that a run will have reached, by its forecast.

    A low level is optimistic: it hopes for what is uncertain.
    """
    # Of the runs asked about, since they come up in many orders.
    known: dict[int, tuple[RecordedRun, np.ndarray]] = {}

    def ranks(task_runs: TaskRuns) -> Rank:
        def rank(i: int, count: int) -> float:
            run = task_runs.runs[i]
            seen, best, _, _ = run.forecasts
            at = int(np.searchsorted(seen, count, side="right")) - 1
            if at < 0 or best is None or count >= len(run.losses):
                return float(run.own[count - 1])
            if id(run) not in known:
                known[id(run)] = run, best.quantile(np.array(level))
            return float(min(known[id(run)][1][at], run.own[count - 1]))

        return rank

    return ranks


def rungs(count: int, eta: int, first: float) -> list[int]:
    """Observations of the rungs of a run of `count`, the last of them all."""
    found, at = [], max(int(np.ceil(first * count)), 1)
    while at < count:
        found.append(at)
        at *= eta
    return [*found, count]


def asha(eta: int = 3, first: float = 0.05) -> Policy:
    """Asynchronous successive halving that stops (Li et al. 2020, Ray's variant).

    At each rung a run goes on only if its newest value is among the best 1/eta of those
    seen at that rung; it is never taken up again.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        seen: dict[int, list[float]] = {}
        for i in map(int, order):
            losses = task_runs.runs[i].losses
            for until in rungs(len(losses), eta, first):
                if until == len(losses):
                    break
                values = seen.setdefault(until, [])
                values.append(float(losses[until - 1]))
                if values[-1] > np.quantile(np.minimum(values, 1e300), 1 / eta):
                    break
            yield i, until

    return moves


def asha_paused(
    eta: int = 3,
    first: float = 0.05,
    rank: Callable[[TaskRuns], Rank] = newest,
    grows: bool = False,
) -> Policy:
    """Asynchronous successive halving that pauses and resumes (Li et al. 2020).

    The best 1/eta of a rung go on to the next one as soon as they are that, the highest
    rung first; where none may, the next run is begun.

    Args:
        eta: what a rung is of the one below.
        first: the lowest rung, a share of a run.
        rank: gives, for one search, what runs are compared by.
        grows: PASHA (Bohdal et al. 2023): at first there are two rungs, and a further
            one only once the two highest order their runs differently.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        waiting, worth = [int(i) for i in order[::-1]], rank(task_runs)
        levels = {i: rungs(len(task_runs.runs[i].losses), eta, first) for i in waiting}
        height = max(map(len, levels.values()))
        # Per rung, sorted: what runs are worth there; and who has gone on.
        values: list[list[tuple[float, int]]] = [[] for _ in range(height)]
        above: list[set[int]] = [set() for _ in range(height)]
        top = 1 if grows else height - 1
        while True:
            chosen = _promoted(values[:top], above, eta)
            if chosen is None:
                if not waiting:
                    return
                chosen = waiting.pop(), 0
            i, level = chosen
            until = levels[i][min(level, len(levels[i]) - 1)]
            yield i, until
            bisect.insort(values[level], (worth(i, until), i))
            if level:
                above[level - 1].add(i)
            if level == top < height - 1:
                until_top = {i: r[min(level, len(r) - 1)] for i, r in levels.items()}
                below, above_it = (
                    {i: x for x, i in values[k]} for k in (level - 1, level)
                )
                top += not _agree(task_runs, below, above_it, until_top)

    return moves


def _promoted(
    values: list[list[tuple[float, int]]], above: list[set[int]], eta: int
) -> tuple[int, int] | None:
    """The run to go on and its next rung; None where no run may."""
    for level in reversed(range(len(values))):
        for _, i in values[level][: len(values[level]) // eta]:
            if i not in above[level]:
                return i, level + 1
    return None


def _agree(
    task_runs: TaskRuns,
    below: dict[int, float],
    top: dict[int, float],
    until: dict[int, int],
) -> bool:
    """Whether the two highest rungs order the runs of the higher one alike.

    Runs nearer than the noise are alike: the 90th percentile of the distances between
    runs that have changed places twice, as PASHA's authors have it.

    Args:
        task_runs: all runs.
        below: what runs are worth at the second highest rung.
        top: and at the highest one.
        until: observations of the highest rung, by run.
    """
    low, high = np.array([below[i] for i in top]), np.array([*top.values()])
    curves = [task_runs.runs[i].losses[: until[i]] for i in top]
    crossed = []
    for j, one in enumerate(curves):
        for two in curves[:j]:
            n = min(len(one), len(two))
            ahead = 1 * (one[:n] > two[:n]) - (one[:n] < two[:n])
            if np.sum(ahead[1:] * ahead[:-1] < 0) >= 2:
                crossed.append(abs(one[n - 1] - two[n - 1]))
    alike = float(np.quantile(crossed, 0.9)) if crossed else 0.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(low[:, None] - low[None]) > alike
    turned = (low[:, None] < low[None]) & (high[:, None] > high[None])
    return not (apart & turned).any()


def _brackets(batch: int, eta: int, levels: Sequence[int | float]) -> Policy:
    """Runs in batches: all to the first rung, the best 1/eta of each to the next one.

    Args:
        batch: runs of a bracket.
        eta: of so many runs one goes on, of fewer too.
        levels: observations; a float is a share of a full run.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        for start in range(0, len(order), batch):
            alive = [int(run) for run in order[start : start + batch]]
            for level in levels:
                value = {}
                for run in alive:
                    losses = task_runs.runs[run].losses
                    count = len(losses)
                    until = level if isinstance(level, int) else round(level * count)
                    until = min(max(until, 1), count)
                    yield run, until
                    value[run] = losses[until - 1]
                alive.sort(key=value.__getitem__)
                alive = alive[: max(len(alive) // eta, 1)]

    return moves


def i_epoch(i: int | float, batch: int = 20) -> Policy:
    """The i-epoch rule (Egele et al. 2024): all to i, then the best to its end.

    Args:
        i: observations; a float is a share of a full run.
        batch: runs that are compared.
    """
    return _brackets(batch, batch, (i, 1.0))


def successive_halving(batch: int = 27, eta: int = 3, first: float = 1 / 27) -> Policy:
    """Successive halving (Jamieson & Talwalkar 2016): brackets of `batch` runs."""
    shares = [float(first)]
    while shares[-1] < 1:
        shares.append(min(shares[-1] * eta, 1.0))
    return _brackets(batch, eta, shares)


def hyperband(eta: int = 3, first: float = 1 / 27) -> Policy:
    """Hyperband (Li et al. 2017): brackets of successive halving, over and over.

    From many runs with a small first rung to few runs trained in full.
    """
    most = round(np.log(1 / first) / np.log(eta))

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        left = order
        while len(left):
            for s in range(most, -1, -1):
                batch = int(np.ceil((most + 1) / (s + 1) * eta**s))
                part, left = left[:batch], left[batch:]
                yield from successive_halving(batch, eta, eta**-s)(task_runs, part)

    return moves
