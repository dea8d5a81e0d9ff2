"""What a search does next: go on with a run, start a new one, or end.

Every choice has a price, the steps it takes to its horizon, and a gain, the expected
improvement on the incumbent by then. Going on with one run is worth as much as a safe
gain of z if E[max(gain - z, 0)] pays for the steps (Weitzman 1979, "Optimal search for
the best alternative"); where gains are small against what they are compared with, the
order of these reservation values is that of gain over price, which is used here. A
choice is revised at the next rung, so the price is only committed to up to there.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# The next rung lies so much of the horizon ahead, at least.
RUNG = 0.1


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


class Choice(NamedTuple):
    """A run that may go on, or a candidate that may be started.

    Attributes:
        run: its name; None for a candidate.
        candidate: its index; None for a run.
        step: where it is, 0 for a candidate.
        extra: steps to pay before it goes on, as of a run that was paused.
        gain: expected improvement on the incumbent by the horizon.
        chance: probability of any.
    """

    run: Hashable | None
    candidate: int | None
    step: float
    extra: float = 0.0
    gain: float = 0.0
    chance: float = 0.0


def worth_of_any(ended: Sequence[float], incumbent: float) -> tuple[float, float]:
    """Expected improvement and its probability of a run of which nothing is known.

    After n runs the next one is the best with probability 1 / (n + 1), and then by
    about the median distance of the others from the best, over n.

    Args:
        ended: best values of the finished runs.
        incumbent: the value to beat.
    """
    count = max(len(ended), 1)
    apart = np.abs(np.array(ended, float) - incumbent)
    chance = 1 / (count + 1)
    return chance * float(np.median(apart)) / count if len(ended) else 0.0, chance


def next_step(
    choices: Sequence[Choice], horizon: float, least: float, incumbent: float | None
) -> Todo:
    """The choice with the highest expected improvement per step.

    Args:
        choices: what can be done.
        horizon: last step of a full run.
        least: probability of an improvement from which on a run is worth looking at; a
            candidate always is, since nothing else can be better.
        incumbent: the value to beat; None while there is none: then what is nearest to
            its end goes on, and what is not there yet is started.
    """
    if incumbent is None:
        ahead = sorted(choices, key=lambda c: (c.run is None, -c.step))
        if not ahead:
            return _nothing("there are no runs and no candidates")
        return _todo(ahead[0], horizon, math.nan, "no run has finished yet")
    worth = [c for c in choices if c.run is None or c.chance > least]
    if not worth:
        return _nothing(
            f"nothing beats {incumbent:g} with a probability above {least:.1%}"
        )
    best = max(worth, key=lambda choice: _rate(choice, horizon))
    rate = _rate(best, horizon)
    return _todo(
        best,
        horizon,
        rate,
        f"it beats {incumbent:g} with probability {best.chance:.1%}, an expected "
        f"improvement of {best.gain:.3g} for {_price(best, horizon):g} steps",
    )


def _price(choice: Choice, horizon: float) -> float:
    return horizon - choice.step + choice.extra


def _rate(choice: Choice, horizon: float) -> float:
    return choice.gain / _price(choice, horizon)


def _todo(choice: Choice, horizon: float, rate: float, why: str) -> Todo:
    until = min(choice.step + max(RUNG * horizon, 1), horizon)
    if choice.run is None:
        reason = f"Start candidate {choice.candidate}: {why}."
        return Todo("start", None, choice.candidate, until, rate, reason)
    reason = f"Continue {choice.run}: {why}."
    return Todo("continue", choice.run, None, until, rate, reason)


def _nothing(why: str) -> Todo:
    return Todo("stop", None, None, math.nan, 0.0, f"Stop: {why}.")
