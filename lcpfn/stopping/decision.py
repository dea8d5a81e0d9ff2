"""From a forecast to a decision.

kind          stop   the run ...
promising     no     may still beat the threshold
hopeless      yes    will not beat `beat`
plateau       yes    will not beat its own best
diverged      yes    ended in NaN or infinity
surprised     no     looks hopeless, but the model mispredicts it
protected     no     looks hopeless, but is among the best so far
too early     no     looks hopeless or diverged, but too little is known of it yet
patience      no     looks hopeless or diverged, not often enough in a row
finished      no     is at its horizon

`decide` is for one run and says why; `decide_all` is the same for arrays, over runs or
over the observations of one run.
"""

import functools
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
# Quantiles of the final value that people are told.
SHOWN = (0.05, 0.5, 0.95)


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
    least = rule.least_chance(evidence.share)
    return np.logical_or(evidence.diverged, evidence.chance <= least)


def too_early(rule: Rule, evidence: Evidence) -> Any:
    """Whether too little is known of runs to stop them with this chance."""
    least = rule.least_chance(evidence.share)
    unsure = evidence.chance > least * rule.caution(evidence.count)
    unsure = np.logical_and(unsure, np.logical_not(evidence.diverged))
    return np.logical_or(evidence.count < rule.min_steps, unsure)


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
        rule: when to stop; what it says of horizon, mode and value to beat is in the
            evidence already.
        evidence: of each decision.
        streak: consecutive earlier decisions that found the run hopeless.
        in_turn: entries along the last axis are consecutive decisions on one run, and
            `streak` is that before the first; else they are separate runs.
    """
    finished, hopeless = evidence.share >= 1, looks_hopeless(rule, evidence)
    safe = spared(rule, evidence)
    counts = np.logical_and(hopeless, np.logical_not(finished | safe))
    streak = _in_turn(counts, streak) if in_turn else counts * (streak + 1)
    early, waiting = too_early(rule, evidence), streak < rule.patience
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
class Progress:
    """What one run has shown so far; values in the user's units.

    Attributes:
        count: observations.
        step, last: of the newest one; the value may be NaN or infinite.
        best: the best finite value; NaN if there is none.
    """

    count: int
    step: float
    last: float
    best: float

    @staticmethod
    def of(values: Sequence[float], mode: str, step: float) -> "Progress":
        """Of a run's values, and the step of the newest one."""
        return Progress(len(values), step, values[-1], best_of(values, mode))


@dataclass(frozen=True)
class Decision:
    """What to do with a run, and why.

    Attributes:
        stop: whether to stop it now.
        kind: one of `KINDS`, for programs.
        prob_better: probability of beating the threshold, as the rule's method has it.
        threshold: the value to beat; NaN while there is none.
        forecast: the forecast behind it.
        rule, progress, evidence, streak: what else it was made from.
    """

    stop: bool
    kind: str
    prob_better: float
    threshold: float
    forecast: "Forecast"
    rule: Rule
    progress: Progress
    evidence: Evidence
    streak: int

    @property
    def expected_final(self) -> float:
        """Expected value at the horizon, the user's units."""
        return float(self.forecast.final.mean())

    @property
    def final_std(self) -> float:
        """Standard deviation of the value at the horizon."""
        return float(self.forecast.final.std())

    @functools.cached_property
    def reason(self) -> str:
        """One sentence for people: the probability, and where the run will end.

        The median with its 90 % interval: the mean of a skewed distribution lies where
        hardly any run ends.
        """
        rule, run = self.rule, self.progress
        if self.kind == "finished":
            return f"The run has reached its horizon of {rule.horizon:g} steps."
        if self.evidence.diverged:
            outlook = f"The run diverged: its last value is {run.last:g}"
        else:
            what = f"{self.threshold:g}"
            if self.evidence.plateau:
                gain = f" by {rule.min_delta:g}" if rule.min_delta else ""
                what = f"its own best, {run.best:g},{gain}"
            when = " at any one step" if rule.method == "marginal" else ""
            low, median, high = self.forecast.final.quantile(np.array(SHOWN))
            outlook = (
                f"The run beats {what} by step {rule.horizon:g} with probability "
                f"{self.prob_better:.1%}{when} (final value {median:.4g}, 90% between "
                f"{low:.4g} and {high:.4g})"
            )
        return (
            f"{outlook}; {_consequence(rule, self.kind, self.evidence, self.streak)}."
        )


def decide(
    rule: Rule,
    run: Progress,
    forecast: "Forecast",
    streak: int,
    protected: bool | Callable[[], bool] = False,
    chance: float | None = None,
) -> tuple[Decision, int]:
    """Decides on one run.

    Args:
        rule: when to stop.
        run: what it has shown.
        forecast: from its newest observation.
        streak: consecutive earlier decisions that found it hopeless.
        protected: whether it is among the runs that are not to be stopped; a function
            is called only if the run looks hopeless.
        chance: that it beats the threshold, from `chance_of`, where that is known.

    Returns:
        The decision, and the streak after it.
    """
    threshold = threshold_of(rule, run.best)
    finished, diverged = bool(forecast.finished), bool(forecast.diverged)
    own_best = rule.beat is None or threshold != rule.beat
    share = 1.0 if finished else run.step / rule.horizon
    if finished:
        beaten = rule.beat is not None and own_best and not np.isnan(threshold)
        chance = float(beaten)
    elif chance is None:
        chance = chance_of(rule, forecast, threshold, rule.least_chance(share))
    evidence = Evidence(chance, diverged, share, run.count, plateau=own_best)
    if not finished and looks_hopeless(rule, evidence):
        known = rule.max_surprise is not None and not diverged
        evidence = evidence._replace(
            protected=bool(protected() if callable(protected) else protected),
            surprise=forecast.surprise if known else np.nan,
        )
    found = decide_all(rule, evidence, streak)
    stop, streak = bool(found.stop), int(found.streak)
    decision = Decision(
        *(stop, found.kind, chance, threshold, forecast),
        *(rule, run, evidence, streak),
    )
    return decision, streak


def _consequence(rule: Rule, kind: str, evidence: Evidence, streak: int) -> str:
    """What follows for the run, for people."""
    surprise, count = evidence.surprise, evidence.count
    confidence = confidence_at(rule.confidence, evidence.share)
    by_cost = ", by cost" if rule.by_cost else ""
    return {
        "promising": "going on",
        "protected": "protected, there is no value to beat yet"
        if rule.beat is None
        else "protected, it is among the best so far",
        "surprised": f"not stopped, the model mispredicts it (surprise {surprise:.2g})",
        "too early": f"too early to stop, {count} of {rule.min_steps} observations"
        if count < rule.min_steps
        else f"not sure enough to stop after {count} observations",
        "patience": f"{streak} of {rule.patience} agreeing decisions",
        "diverged": "stopped",
    }.get(kind, f"stopped at confidence {confidence:g}{by_cost}")
