"""Stops a run as soon as a fresh one is worth more for its price.

The comparison of docs/stopping.md, for hosts that cannot resume. What a run may gain on
the incumbent is E[max(z - Y, 0)] of its best value to come, or with `gains` False the
probability of any; over the observations left. A fresh run is one of which nothing is
known, see `lcpfn.stopping.next_step.worth_of_any`. What few observations say of a run
is often wrong, so after them it has to be worth less than that by the caution of the
threshold rule, `Rule.caution`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lcpfn.eval.stopping.policies import among_best_before
from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.stopping.next_step import worth_of_any
from lcpfn.stopping.offline import RecordedRun, chances
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.search_rule import PROTECT

# Horizon and direction are those of each run.
EVER = Rule(horizon=1, mode="min")


def by_index(
    times: float = 1.0,
    gains: bool = True,
    protect: float = PROTECT,
    rule: Rule = EVER,
) -> Policy:
    """The comparison, run by run.

    Args:
        times: a run is stopped when it is worth less than so many times a fresh one.
        gains: compare expected gains; else probabilities of any.
        protect: as of `lcpfn.eval.stopping.policies.by_rule`.
        rule: how cautious it is after few observations, and what a chance is.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        length = max(len(run.own) for run in task_runs.runs)
        earlier = np.full((len(order), length), np.inf)
        incumbent, ended = np.inf, list[float]()
        for count, i in enumerate(map(int, order)):
            run = task_runs.runs[i]
            until = len(run.losses)
            if ended:
                spared = among_best_before(earlier[:count], run.own, protect)
                spared |= run.own < incumbent
                fresh = times * _fresh(ended, incumbent, gains)
                worth = _worth(rule, run, incumbent, gains)
                cheap = worth < fresh * rule.caution(run.forecasts.seen)
                until = _first(run, cheap & ~spared[run.forecasts.seen - 1])
            yield i, until
            earlier[count, :until] = run.own[:until]
            incumbent = min(incumbent, float(run.own[until - 1]))
            if until == len(run.losses):
                ended.append(run.best)

    return moves


def _worth(rule: Rule, run: RecordedRun, incumbent: float, gains: bool) -> np.ndarray:
    """What each forecast of a run is worth, per share of a full run left `(m,)`."""
    seen, best = run.forecasts.seen, run.forecasts.best
    left = np.maximum(1 - seen / len(run.losses), 1e-9)
    if gains and best is not None:
        return best.expected_shortfall(np.minimum(incumbent, run.own[seen - 1])) / left
    return chances(rule, run, incumbent) / left


def _fresh(ended: Sequence[float], incumbent: float, gains: bool) -> float:
    gain, chance = worth_of_any(ended, incumbent)
    return gain if gains else chance


def _first(run: RecordedRun, stops: np.ndarray) -> int:
    """Observations at the first stop `(m,)`, or when it diverges; else all."""
    diverged = np.flatnonzero(~np.isfinite(run.losses)) + 1
    found = [*run.forecasts.seen[stops][:1], *diverged[:1], len(run.losses)]
    return int(min(found))
