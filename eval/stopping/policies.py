"""Policies of a search, ours and what they have to beat, for `simulate`.

A policy is a generator of moves: which run is trained until how many records. All but
`i_epoch`, `successive_halving` never come back to a run.
"""

from collections.abc import Callable, Iterator

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, Pool
from lcpfn.stopping.offline import RecordedRun, stop_after
from lcpfn.stopping.rule import Rule

# From one run and the best value of the others: the records to train it for.
Stop = Callable[[RecordedRun, float], int]


def one_by_one(stop: Stop) -> Policy:
    """Each run until `stop` says so, against the best value reached by any run."""

    def moves(pool: Pool, order: np.ndarray) -> Iterator[Move]:
        bar = np.inf
        for run in order:
            past = pool.runs[run]
            until = stop(past, bar)
            yield int(run), until
            bar = min(bar, float(past.own[until - 1]))

    return moves


def no_stop() -> Policy:
    """Every run to its end."""
    return one_by_one(lambda past, bar: len(past.losses))


def by_rule(rule: Rule) -> Policy:
    """A rule of ours."""
    return one_by_one(lambda past, bar: stop_after(rule, past, bar))


def in_population(rule: Rule, protect: float) -> Policy:
    """A rule of ours that never stops a run among the best share at the same record.

    As `lcpfn.study.Population` has it: a run is compared with all earlier ones,
    and those that were stopped before that record count as worse.
    """

    def moves(pool: Pool, order: np.ndarray) -> Iterator[Move]:
        bar = np.inf
        length = max(len(past.own) for past in pool.runs)
        seen = np.full((len(order), length), np.inf)
        for count, run in enumerate(order):
            past = pool.runs[run]
            better = (seen[:count, : len(past.own)] < past.own).sum(0)
            among = better < max(protect * count, 1)
            until = stop_after(rule, past, bar, among if count else None)
            yield int(run), until
            seen[count, :until] = past.own[:until]
            bar = min(bar, float(past.own[until - 1]))

    return moves


def oracle() -> Policy:
    """Knows the run: trains it for one record if it will not beat the bar."""
    return one_by_one(
        lambda past, bar: int(np.argmin(past.losses)) + 1 if past.best < bar else 1
    )


def patience(k: int) -> Policy:
    """Stops a run whose own best is more than `k` records old."""

    def stop(past: RecordedRun, bar: float) -> int:
        index = np.arange(len(past.losses))
        fresh = past.losses <= past.own
        newest = np.maximum.accumulate(np.where(fresh, index, 0))
        old = np.flatnonzero(index - newest > k)
        return int(old[0]) + 1 if len(old) else len(index)

    return one_by_one(stop)


def median(start: int = 5, grace: float = 0.1) -> Policy:
    """Median stopping rule of Vizier (Golovin et al. 2017).

    A run stops if its best so far is worse than the median, over earlier runs, of
    their mean up to the same record; not in the first `grace` of it, and not before
    `start` runs have been seen.
    """

    def moves(pool: Pool, order: np.ndarray) -> Iterator[Move]:
        averages: list[np.ndarray] = []
        for run in order:
            past = pool.runs[run]
            until = count = len(past.losses)
            if len(averages) >= start:
                for n in range(max(int(grace * count), 1), count):
                    others = [a[n - 1] for a in averages if len(a) >= n]
                    if others and past.own[n - 1] > np.median(others):
                        until = n
                        break
            yield int(run), until
            losses = np.minimum(past.losses[:until], 1e30)
            averages.append(np.cumsum(losses) / np.arange(1, until + 1))

    return moves


def asha(eta: int = 3, grace: float = 0.05) -> Policy:
    """Asynchronous successive halving, stopping variant (Li et al. 2020, Ray's).

    At records grace * eta^k a run goes on only if its newest value is among the best
    1/eta of those seen at that rung.
    """

    def moves(pool: Pool, order: np.ndarray) -> Iterator[Move]:
        rungs: dict[int, list[float]] = {}
        for run in order:
            losses = pool.runs[run].losses
            rung, until = max(int(np.ceil(grace * len(losses))), 1), len(losses)
            while rung < len(losses):
                seen = rungs.setdefault(rung, [])
                seen.append(float(losses[rung - 1]))
                if losses[rung - 1] > np.quantile(np.minimum(seen, 1e300), 1 / eta):
                    until = rung
                    break
                rung *= eta
            yield int(run), until

    return moves


def i_epoch(records: int | float, batch: int = 20) -> Policy:
    """The i-epoch rule (Egele et al. 2024): all to i records, then the best to its end.

    Args:
        records: i; a float is a share of a full run.
        batch: runs that are compared.
    """

    def moves(pool: Pool, order: np.ndarray) -> Iterator[Move]:
        for first in range(0, len(order), batch):
            at = {}
            for run in order[first : first + batch]:
                losses = pool.runs[run].losses
                i = (
                    records
                    if isinstance(records, int)
                    else round(records * len(losses))
                )
                i = min(max(i, 1), len(losses))
                yield int(run), i
                at[int(run)] = float(losses[i - 1])
            best = min(at, key=lambda run: at[run])
            yield best, len(pool.runs[best].losses)

    return moves


def successive_halving(batch: int = 27, eta: int = 3, first: float = 1 / 27) -> Policy:
    """Successive halving (Jamieson & Talwalkar 2016): brackets of `batch` runs."""

    def moves(pool: Pool, order: np.ndarray) -> Iterator[Move]:
        for start in range(0, len(order), batch):
            alive = [int(run) for run in order[start : start + batch]]
            share = first
            while alive:
                until = {
                    run: max(round(share * len(pool.runs[run].losses)), 1)
                    for run in alive
                }
                for run in alive:
                    yield run, until[run]
                if share >= 1:
                    break
                value = {r: pool.runs[r].losses[until[r] - 1] for r in alive}
                alive = sorted(alive, key=lambda run: value[run])
                alive = alive[: max(len(alive) // eta, 1)]
                share = min(share * eta, 1.0)

    return moves


def last_value(pools: list[Pool], confidence: float = 0.95) -> Policy:
    """The last value with the errors that it makes on other pools.

    The best still to come is the last value minus a gain, in units of the range seen;
    gains by share of the run, over all runs of `pools`.
    """
    shares = np.linspace(0.05, 1.0, 20)
    gains: list[list[float]] = [[] for _ in shares]
    for pool in pools:
        for past in pool.runs:
            count = len(past.losses)
            later = np.minimum.accumulate(past.losses[::-1])[::-1]
            for k, share in enumerate(shares):
                n = max(int(share * count), 2)
                reach = _range(past.losses[:n])
                if n < count and np.isfinite(past.losses[n - 1]) and reach > 0:
                    gains[k].append((past.losses[n - 1] - later[n]) / reach)
    known = [
        float(np.quantile(g, confidence)) if len(g) > 20 else np.inf for g in gains
    ]

    def stop(past: RecordedRun, bar: float) -> int:
        count = len(past.losses)
        for n in range(2, count):
            last, reach = past.losses[n - 1], _range(past.losses[:n])
            if not np.isfinite(last):
                return n
            likely = known[min(int(n / count * len(shares)), len(shares) - 1)]
            if last - likely * max(reach, 1e-12) > min(bar, past.own[n - 1]):
                return n
        return count

    return one_by_one(stop)


def _range(losses: np.ndarray) -> float:
    finite = losses[np.isfinite(losses)]
    return float(np.ptp(finite)) if len(finite) else 0.0
