"""From a forecast to a decision.

kind          stop   the run ...
promising     no     may still beat the threshold
hopeless      yes    will not beat `beat`
plateau       yes    will not beat its own best
diverged      yes    ended in NaN or infinity
surprised     no     looks hopeless, but the model mispredicts it
protected     no     looks hopeless, but is among the best so far
too early     no     looks hopeless or diverged, has under `min_steps` observations
patience      no     looks hopeless or diverged, not often enough in a row
finished      no     is at its horizon

`decide` is for one run and says why; `decide_all` is the same for arrays, over runs or
over the observations of one run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lcpfn.stopping.rule import Rule, confidence_at
from lcpfn.stopping.threshold import best_of, chance_of, threshold_of

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast

KINDS = (
    *("promising", "hopeless", "plateau", "diverged", "surprised"),
    *("protected", "too early", "patience", "finished"),
)


class Evidence(NamedTuple):
    """What decisions are made from; numbers, or arrays that broadcast.

    Attributes:
        chance: probability of beating the threshold.
        diverged: whether the newest observation is not finite.
        share: of the horizon that the newest observation has reached.
        count: observations so far.
        surprise: of the forecast; NaN where it is not known.
        protected: whether the run is not to be stopped unless it has diverged.
        plateau: whether the threshold is the run's own best.
    """

    chance: Any
    diverged: Any
    share: Any
    count: Any
    surprise: Any = np.nan
    protected: Any = False
    plateau: Any = False


class Verdicts(NamedTuple):
    """Decisions; plain values for plain evidence, else arrays of one shape.

    Attributes:
        kind: of `KINDS`.
        stop: whether to stop.
        streak: consecutive decisions, this one included, that found the run hopeless.
    """

    kind: Any
    stop: Any
    streak: Any


def looks_hopeless(rule: Rule, evidence: Evidence) -> Any:
    """Whether runs have diverged, or beat the threshold with too small a chance."""
    least = 1 - confidence_at(rule.confidence, evidence.share)
    return np.logical_or(evidence.diverged, evidence.chance <= least)


def spared(rule: Rule, evidence: Evidence) -> Any:
    """Whether runs go on however small their chance: protected, or a surprised model.

    A diverged run is never spared. Surprise NaN, too few observations to tell, is none.
    """
    most = np.inf if rule.max_surprise is None else rule.max_surprise
    reason = evidence.protected | (evidence.surprise > most)
    return np.logical_and(np.logical_not(evidence.diverged), reason)


def decide_all(
    rule: Rule, evidence: Evidence, streak: Any = 0, *, in_turn: bool = False
) -> Verdicts:
    """Decides on many runs, or at many observations of one.

    Args:
        rule: when to stop; its `horizon`, `mode` and `beat` are in the evidence.
        evidence: of each decision.
        streak: consecutive earlier decisions that found the run hopeless.
        in_turn: entries along the last axis are consecutive decisions on one run, and
            `streak` is that before the first; else they are separate runs.
    """
    finished, hopeless = evidence.share >= 1, looks_hopeless(rule, evidence)
    safe = spared(rule, evidence)
    counts = np.logical_and(hopeless, np.logical_not(finished | safe))
    streak = _in_turn(counts, streak) if in_turn else counts * (streak + 1)
    early, waiting = evidence.count < rule.min_steps, streak < rule.patience
    kind = _first_that_holds(
        {
            "finished": finished,
            "promising": np.logical_not(hopeless),
            "protected": safe & evidence.protected,
            "surprised": safe,
            "too early": early,
            "patience": waiting,
            "diverged": evidence.diverged,
            "plateau": evidence.plateau,
        },
        otherwise="hopeless",
    )
    return Verdicts(kind, counts & np.logical_not(early | waiting), streak)


def _in_turn(counts: np.ndarray, before: Any) -> np.ndarray:
    """How many in a row count, up to each position of the last axis."""
    index = np.arange(1, counts.shape[-1] + 1)
    reset = np.maximum.accumulate(np.where(counts, 0, index), axis=-1)
    return np.where(counts, index - reset + np.where(reset, 0, before), 0)


def _first_that_holds(conditions: dict[str, Any], otherwise: str) -> Any:
    """Name of the first condition that is true; plain values need no arrays."""
    if not any(isinstance(x, np.ndarray) for x in conditions.values()):
        return next((name for name, x in conditions.items() if x), otherwise)
    arrays = np.broadcast_arrays(*conditions.values())
    return np.select(arrays, list(conditions), otherwise)


@dataclass(frozen=True)
class Decision:
    """What to do with a run, and why.

    Attributes:
        stop: whether to stop it now.
        reason: one sentence for people, with the probability.
        prob_better: probability of beating the threshold, as the rule's method has it.
        expected_final: expected value at the horizon, the user's units.
        forecast: the forecast behind it.
        threshold: the value to beat; NaN while there is none.
        final_std: standard deviation of the value at the horizon.
        kind: one of `KINDS`, for programs.
    """

    stop: bool
    reason: str
    prob_better: float
    expected_final: float
    forecast: "Forecast"
    threshold: float
    final_std: float = 0.0
    kind: str = "promising"


def decide(
    rule: Rule,
    values: Sequence[float],
    forecast: "Forecast",
    streak: int,
    step: float | None = None,
    protected: bool | Callable[[], bool] = False,
) -> tuple[Decision, int]:
    """Decides on one run.

    Args:
        rule: when to stop.
        values: the run so far, the user's units.
        forecast: from its newest observation.
        streak: consecutive earlier decisions that found it hopeless.
        step: of the newest observation; default: the number of observations.
        protected: whether it is among the runs that are not to be stopped; a function
            is called only if the run looks hopeless.

    Returns:
        The decision, and the streak after it.
    """
    threshold = threshold_of(rule, values)
    finished, diverged = bool(forecast.finished), bool(forecast.diverged)
    own_best = rule.beat is None or threshold != rule.beat
    share = 1.0 if finished else (len(values) if step is None else step) / rule.horizon
    confidence = float(confidence_at(rule.confidence, share))
    if finished:
        beaten = rule.beat is not None and own_best and not np.isnan(threshold)
        chance, expected, std = float(beaten), float(values[-1]), 0.0
    else:
        chance = chance_of(rule, forecast, threshold, 1 - confidence)
        expected, std = float(forecast.final.mean()), float(forecast.final.std())
    evidence = Evidence(chance, diverged, share, len(values), plateau=own_best)
    if not finished and looks_hopeless(rule, evidence):
        known = rule.max_surprise is not None and not diverged
        evidence = evidence._replace(
            protected=bool(protected() if callable(protected) else protected),
            surprise=forecast.surprise if known else np.nan,
        )
    found = decide_all(rule, evidence, streak)
    kind, stop, streak = found.kind, bool(found.stop), int(found.streak)
    if finished:
        reason = f"The run has reached its horizon of {rule.horizon:g} steps."
    else:
        outlook = _outlook(rule, values, evidence, threshold, expected)
        reason = f"{outlook}; {_consequence(rule, kind, evidence, streak)}."
    return (
        Decision(stop, reason, chance, expected, forecast, threshold, std, kind),
        streak,
    )


def _outlook(
    rule: Rule,
    values: Sequence[float],
    evidence: Evidence,
    threshold: float,
    expected: float,
) -> str:
    """What is to be expected of a run, for people."""
    if evidence.diverged:
        return f"The run diverged: its last value is {values[-1]:g}"
    what = f"{threshold:g}"
    if evidence.plateau:
        gain = f" by {rule.min_delta:g}" if rule.min_delta else ""
        what = f"its own best, {best_of(values, rule.mode):g},{gain}"
    when = " at any one step" if rule.method == "marginal" else ""
    return (
        f"The run beats {what} by step {rule.horizon:g} with probability "
        f"{evidence.chance:.1%}{when} (expected final value {expected:.4g})"
    )


def _consequence(rule: Rule, kind: str, evidence: Evidence, streak: int) -> str:
    """What follows for the run, for people."""
    surprise, count = evidence.surprise, evidence.count
    confidence = confidence_at(rule.confidence, evidence.share)
    return {
        "promising": "going on",
        "protected": "protected, it is among the best so far",
        "surprised": f"not stopped, the model mispredicts it (surprise {surprise:.2g})",
        "too early": f"too early to stop, {count} of {rule.min_steps} observations",
        "patience": f"{streak} of {rule.patience} agreeing decisions",
    }.get(kind, f"stopped at confidence {confidence:g}")
