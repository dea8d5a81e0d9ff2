"""Stops a run as soon as a fresh one is worth more for its price.

The comparison of docs/stopping.md, for hosts that cannot resume. What a run may gain on
the incumbent is E[max(z - Y, 0)] of its best value to come, or with `gains` False the
probability of any; over the observations left. A fresh run is one of which nothing is
known, see `lcpfn.stopping.next_step.worth_of_any`. What few observations say of a run
is often wrong, so after them it has to be worth less than that by the caution of the
threshold rule, `Rule.caution`.
"""

import numpy as np

from lcpfn.eval.stopping.policies import Past, one_by_one
from lcpfn.eval.stopping.simulate import Policy
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
    """The comparison, run by run; a run that diverges ends there.

    Args:
        times: a run is stopped when it is worth less than so many times a fresh one.
        gains: compare expected gains; else probabilities of any.
        protect: as of `lcpfn.eval.stopping.policies.by_rule`.
        rule: how cautious it is after few observations, and what a chance is.
    """

    def stop(run: RecordedRun, past: Past) -> int:
        if not past.finished:
            return len(run.losses)
        seen, incumbent = run.forecasts.seen, past.incumbent
        gain, chance = worth_of_any(past.finished, incumbent)
        fresh = times * (gain if gains else chance)
        cheap = _worth(rule, run, incumbent, gains) < fresh * rule.caution(seen)
        spared = past.spares(run.own, protect) | (run.own < incumbent)
        diverged = np.flatnonzero(~np.isfinite(run.losses)) + 1
        stops = seen[cheap & ~spared[seen - 1]]
        return int(min([*stops, *diverged, len(run.losses)]))

    return one_by_one(stop)


def _worth(rule: Rule, run: RecordedRun, incumbent: float, gains: bool) -> np.ndarray:
    """What each forecast of a run is worth, per share of a full run left `(m,)`."""
    seen, best = run.forecasts.seen, run.forecasts.best
    left = np.maximum(1 - seen / len(run.losses), 1e-9)
    if gains and best is not None:
        return best.expected_shortfall(np.minimum(incumbent, run.own[seen - 1])) / left
    return chances(rule, run, incumbent) / left
