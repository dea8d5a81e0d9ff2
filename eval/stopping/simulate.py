"""Early stopping in a search: runs come in random order, whom does a policy train?

The protocol of LC-PFN (Adriaensen et al. 2023, Sec. 4.3): a budget of `FULL` full runs,
many random orders, and per policy the regret over the records trained, averaged over
orders:

    regret   = best value so far - best value of any run of the pool
    speed-up = records no-stop needs for its final regret / records the policy needs

A policy that does not get there is given until `LATEST` budgets, and counted as getting
there then. No-stop in random order is random search: the floor. What a search found is
also compared with the average run of the pool, as Yang et al. 2020 ("NAS evaluation is
frustratingly hard") ask for,

    improvement = (value found - average run's value) / average run's value

where a run's value is its best record, for a metric that is maximised; for a loss its
negative, so that it is the share of the average loss that is gone. Theirs is of
accuracies at the end of the search; ours after one budget, mean over orders. Runs worse
than `MOST` count as that bad in the average.

A winner is lost in an order if the best of the runs that were begun within the budget,
was stopped before it was better than all others begun.

Beside that, without a budget: the records a policy trains on the first `FULL` runs of
an order and the regret among these, a point of the front between cost and loss (Egele
et al. 2024).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.stopping.offline import RecordedRun

FULL = 20
LATEST = 3.0
GRID = 2000
# Runs below which a pool is no search.
FEWEST = 20
# Regret, in units of a pool's reach, beyond which none is counted.
MOST = 10.0

# What a policy does: train a run (its number) until it has that many records.
Move = tuple[int, int]
Policy = Callable[["Pool", np.ndarray], Iterator[Move]]


class Pool(NamedTuple):
    """Runs of one task and metric that compete.

    Attributes:
        name: source, task and metric.
        source: where it is from.
        runs: all of them; those that end early have ended.
    """

    name: str
    source: str
    runs: tuple[RecordedRun, ...]

    @property
    def length(self) -> float:
        """Records of a full run, on average."""
        return float(np.mean([len(past.losses) for past in self.runs]))

    @property
    def best(self) -> float:
        """The best value of any run, model space."""
        return min(past.best for past in self.runs)

    @property
    def reach(self) -> float:
        """What regrets are measured in: from the median run's best to the best."""
        reach = float(np.median([past.best for past in self.runs])) - self.best
        return reach if np.isfinite(reach) and reach > 0 else 1.0


def groups(curves: CurveSet, most: int, seed: int = 0) -> dict[str, list]:
    """Runs by task and metric, at most `most` of each, small ones left out."""
    found: dict[str, list] = {}
    for run in curves.runs:
        if len(run.values) >= 10 and np.isfinite(run.values).any():
            found.setdefault(f"{run.task} {run.metric}".strip(), []).append(run)
    rng = np.random.default_rng(seed)
    return {
        name: [runs[i] for i in np.sort(rng.permutation(len(runs))[:most])]
        for name, runs in found.items()
        if len(runs) >= FEWEST
    }


class Trace(NamedTuple):
    """What a policy did in one order.

    Attributes:
        regret: after each share of the budget, `GRID` points up to `LATEST` `(GRID,)`.
        lost: whether the winner was stopped before it won.
        begun: runs begun within the budget.
        trained: records trained within the budget.
        top_lost: share of the best three of those begun that were stopped before
            their best.
    """

    regret: np.ndarray
    lost: bool
    begun: int
    trained: int
    top_lost: float


def race(pool: Pool, policy: Policy, order: np.ndarray) -> Trace:
    """Runs a policy on one order until `LATEST` budgets are spent or no run is left."""
    budget = FULL * pool.length
    spent, best = 0, np.inf
    times, bests = [0.0], [np.inf]
    trained: dict[int, int] = {}
    within: dict[int, int] = {}
    for run, until in policy(pool, order):
        began = trained.get(run, 0)
        losses = pool.runs[run].losses[began:until]
        falls = np.flatnonzero(losses < np.minimum.accumulate([best, *losses[:-1]]))
        for i in falls:
            times.append(float(spent + i + 1))
            bests.append(float(losses[i]))
        best = min(best, float(losses.min(initial=np.inf)))
        if spent < budget:
            within[run] = min(began + int(budget - spent), until)
        trained[run], spent = until, spent + until - began
        if spent >= LATEST * budget:
            break
    grid = np.arange(1, GRID + 1) / GRID * LATEST * budget
    at = np.searchsorted(times, grid, side="right") - 1
    regret = (np.array(bests)[at] - pool.best) / pool.reach
    # Before the first record, and while all diverge, nothing is known: as bad as is
    # counted at all.
    regret = np.minimum(np.where(np.isfinite(regret), regret, MOST), MOST)
    lost, top_lost = _lost(pool, within, cut_off=spent >= budget)
    return Trace(regret, lost, len(within), min(spent, int(budget)), top_lost)


def _lost(pool: Pool, within: Mapping[int, int], cut_off: bool) -> tuple[bool, float]:
    """Whether the winner, and what share of the top three, were stopped too early."""
    # The run that the end of the budget has cut off was not stopped by the policy.
    stopped = dict(within)
    last = next(reversed(stopped))
    if cut_off and len(stopped) > 1:
        del stopped[last]
    reached = {i: float(pool.runs[i].own[n - 1]) for i, n in stopped.items()}
    by_best = sorted(stopped, key=lambda i: pool.runs[i].best)
    missed = [reached[i] > pool.runs[i].best for i in by_best[:3]]
    # Another run that got as far has won just as well.
    lost = min(reached.values()) > pool.runs[by_best[0]].best
    return lost, float(np.mean(missed))


def measure(
    pool: Pool, policies: Mapping[str, Policy], orders: int = 40, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """All policies on the same orders of one pool.

    Returns:
        By policy: "speed_up" over the policy "no stop", "reached" (whether within the
        time given), "lost", "top_lost", "begun", "regret" after 1/4, 1/2 and 1 budget,
        "improvement" at the end of the budget (see above), "way" (the share of the way
        from the average run to the best of all), "curve", the regret at 60 points of
        the time, and of the first `FULL` runs alone "epochs", the share of their
        records trained, and "missed", the regret towards the best of them.
    """
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(len(pool.runs)) for _ in range(orders)]
    traces = {
        name: [race(pool, policy, order) for order in shuffled]
        for name, policy in policies.items()
    }
    mean = {
        name: np.mean([trace.regret for trace in found], axis=0)
        for name, found in traces.items()
    }
    shares = np.arange(1, GRID + 1) / GRID * LATEST
    at_budget = int(np.searchsorted(shares, 1.0))
    goal = mean["no stop"][at_budget]
    bests = np.array([past.best for past in pool.runs])
    lacking = np.minimum((bests - pool.best) / pool.reach, MOST)
    average = float(np.mean(np.where(np.isfinite(lacking), lacking, MOST)))
    unit = pool.reach / (abs(pool.best + average * pool.reach) or 1.0)
    needs = {name: _first(curve, goal) for name, curve in mean.items()}
    alone = {
        name: np.mean([on_the_first(pool, policy, o) for o in shuffled], axis=0)
        for name, policy in policies.items()
    }
    return {
        name: {
            "speed_up": float(shares[needs["no stop"]] / shares[needs[name]]),
            "reached": bool(mean[name][needs[name]] <= goal),
            "lost": float(np.mean([t.lost for t in found])),
            "top_lost": float(np.mean([t.top_lost for t in found])),
            "begun": float(np.mean([t.begun for t in found])),
            "regret": {
                str(share): float(mean[name][np.searchsorted(shares, share)])
                for share in (0.25, 0.5, 1.0)
            },
            "improvement": unit * (average - float(mean[name][at_budget])),
            "way": 1 - float(mean[name][at_budget]) / (average or 1.0),
            "curve": np.round(mean[name][:: GRID // 60], 5).tolist(),
            "epochs": float(alone[name][0]),
            "missed": float(alone[name][1]),
        }
        for name, found in traces.items()
    }


def on_the_first(pool: Pool, policy: Policy, order: np.ndarray) -> tuple[float, float]:
    """Share of the records of the first `FULL` runs trained, and regret among them."""
    some = order[:FULL]
    until: dict[int, int] = {}
    for run, records in policy(pool, some):
        until[run] = records
    total = sum(len(pool.runs[run].losses) for run in some)
    best = min(float(pool.runs[run].own[n - 1]) for run, n in until.items())
    regret = (best - min(pool.runs[run].best for run in some)) / pool.reach
    regret = min(regret, MOST) if np.isfinite(regret) else MOST
    return sum(until.values()) / total, regret


def on_the_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Those of which no other is as good in both numbers and better in one."""
    return [
        name
        for name, (x, y) in points.items()
        if not any(a <= x and b <= y and (a < x or b < y) for a, b in points.values())
    ]


def _first(curve: np.ndarray, goal: float) -> int:
    reached = np.flatnonzero(curve <= goal)
    return int(reached[0]) if len(reached) else len(curve) - 1


def summarise(pools: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over pools: geometric of speed-ups, arithmetic of the rest."""
    names = pools[0]
    return {
        name: {
            "speed_up": float(
                np.exp(np.mean([np.log(p[name]["speed_up"]) for p in pools]))
            ),
            "slowest": float(min(p[name]["speed_up"] for p in pools)),
            "slower": sum(p[name]["speed_up"] < 1 for p in pools),
            "lost": float(np.mean([p[name]["lost"] for p in pools])),
            "top_lost": float(np.mean([p[name]["top_lost"] for p in pools])),
            "regret": float(np.mean([p[name]["regret"]["1.0"] for p in pools])),
            "improvement": float(np.mean([p[name]["improvement"] for p in pools])),
            "epochs": float(np.mean([p[name]["epochs"] for p in pools])),
            "missed": float(np.mean([p[name]["missed"] for p in pools])),
            "way": float(np.mean([p[name]["way"] for p in pools])),
            "pools": len(pools),
        }
        for name in names
    }
