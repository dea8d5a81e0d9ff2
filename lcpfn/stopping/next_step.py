"""What a search does next: go on with a run, start a new one, or end.

Every choice has an index, the highest rate at which it may improve on the best value
that the search has seen:

    max over later steps u of  E[improvement at u] / (u - where it is + what it costs)

the index of Gittins (1979) for a choice that may be left at any step, with the steps at
which it is left fixed beforehand; `docs/stopping.md` derives it. A choice is revised at
the next rung.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast

# The next rung lies so much of the horizon ahead, at least.
RUNG = 0.05
# Runs that have to be begun before they are compared with new ones.
FEWEST = 3
# Probability of an improvement from which on a run is worth looking at: what was best
# on recorded searches. Rates see to the rest, so it says little but when to end.
LEAST = 0.03


@dataclass(frozen=True)
class Todo:
    """What to do next.

    Attributes:
        kind: "continue", "start" or "stop": nothing is left that is worth its price.
        run: the run to continue; None otherwise.
        candidate: index of the candidate to start; None otherwise.
        until: step to ask again at; NaN for "stop".
        score: expected improvement per step, in the metric's units.
        reason: one sentence.
    """

    kind: str
    run: Hashable | None
    candidate: int | None
    until: float
    score: float
    reason: str


class Prospect(NamedTuple):
    """What a choice may gain.

    Attributes:
        steps: later steps `(U,)`.
        gains: expected improvement on the best value seen, at each.
        chance: probability of any by the horizon.
    """

    steps: np.ndarray
    gains: np.ndarray
    chance: float


class Choice(NamedTuple):
    """A run that may go on, or a candidate that may be started.

    Attributes:
        run: its name; None for a candidate.
        candidate: its index; None for a run.
        step: where it is, 0 for a candidate.
        extra: steps to pay before it goes on, as of a run that was paused.
        prospect: what it may gain; None while there is nothing to compare with.
    """

    run: Hashable | None
    candidate: int | None
    step: float
    extra: float = 0.0
    prospect: Prospect | None = None


def worth_of_any(reached: Sequence[float], best: float) -> tuple[float, float]:
    """Expected improvement and its probability of a run of which nothing is known.

    After n runs the next one is the best with probability 1 / (n + 1), and then by
    about the median distance of the others from the best, over n.

    Args:
        reached: best values of the runs.
        best: the value to beat.
    """
    count = max(len(reached), 1)
    apart = np.abs(np.array(reached, float) - best)
    chance = 1 / (count + 1)
    return chance * float(np.median(apart)) / count if len(reached) else 0.0, chance


def to_come(found: "Forecast") -> "Forecast":
    """The best value still to come; the final one where the checkpoint has no best."""
    return found.best if found.has_best else found.final


def prospects_of(ahead: "Forecast", best: float) -> list[Prospect]:
    """Those of curves.

    Args:
        ahead: of a batch, at as many later steps of each.
        best: the value to beat.
    """
    end = to_come(ahead)
    gains = [each.expected_improvement(best) for each in (ahead, end)]
    steps = np.column_stack([ahead.steps, end.steps])
    chances = end.prob_better(best).tolist()
    return list(map(Prospect, steps, np.column_stack(gains), chances))


def prospect_of_any(reached: Sequence[float], best: float, horizon: float) -> Prospect:
    """That of a run of which nothing is known, after its first rung."""
    gain, chance = worth_of_any(reached, best)
    return Prospect(np.array([_rung(horizon)]), np.array([gain]), chance)


def prospect_of_new(forecast: Prospect, usual: Prospect) -> Prospect:
    """That of a candidate: what is forecast of it, at most what is usual.

    While all runs are at their beginnings each new one will improve on what they have
    shown: a search that believes its forecasts there begins all and ends none.

    Args:
        forecast: amid the runs of the search.
        usual: of `prospect_of_any`.
    """
    one, other = (float((x.gains / x.steps).max()) for x in (forecast, usual))
    return forecast if one < other else usual


def next_step(
    choices: Sequence[Choice],
    horizon: float,
    best: float | None,
    begun: int,
    least: float = LEAST,
) -> Todo:
    """The choice with the highest index.

    Args:
        choices: what can be done.
        horizon: last step of a full run.
        best: the best value seen; None while there is none.
        begun: runs of the search; while they are few a candidate is started.
        least: probability of an improvement from which on a run is worth looking at; a
            candidate always is, since nothing else can be better.
    """
    new = [choice for choice in choices if choice.run is None]
    if new and (best is None or begun < FEWEST):
        why = f"{begun} begun so far, too few to compare with"
        return _todo(new[0], horizon, math.nan, why)
    if best is None:
        return _nothing("there are no runs and no candidates")
    worth = [c for c in choices if c.run is None or _prospect(c).chance > least]
    if not worth:
        return _nothing(f"nothing beats {best:g} with a probability above {least:.1%}")
    prices = [_prospect(c).steps - c.step + c.extra for c in worth]
    rates = [_prospect(c).gains / x for c, x in zip(worth, prices, strict=True)]
    first = int(np.argmax([rate.max() for rate in rates]))
    choice, price, rate = worth[first], prices[first], rates[first]
    prospect, at = _prospect(choice), int(np.argmax(rate))
    return _todo(
        choice,
        horizon,
        float(rate[at]),
        f"it beats {best:g} with probability {prospect.chance:.1%}, an expected "
        f"improvement of {prospect.gains[at]:.3g} for {price[at]:g} steps",
    )


def _prospect(choice: Choice) -> Prospect:
    assert choice.prospect is not None, "compared are choices that were looked at"
    return choice.prospect


def _rung(horizon: float) -> float:
    return max(RUNG * horizon, 1.0)


def _todo(choice: Choice, horizon: float, rate: float, why: str) -> Todo:
    until = min(choice.step + _rung(horizon), horizon)
    if choice.run is None:
        reason = f"Start candidate {choice.candidate}: {why}."
        return Todo("start", None, choice.candidate, until, rate, reason)
    reason = f"Continue {choice.run}: {why}."
    return Todo("continue", choice.run, None, until, rate, reason)


def _nothing(why: str) -> Todo:
    return Todo("stop", None, None, math.nan, 0.0, f"Stop: {why}.")
