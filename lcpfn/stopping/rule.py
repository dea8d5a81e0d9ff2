"""The options of a stopping rule.

A run is worth continuing only for what it has not reached yet. It has to beat a
threshold (see `lcpfn.stopping.threshold`), and is stopped when the forecast gives that
too small a probability (see `lcpfn.stopping.decision`).
"""

import math
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from lcpfn.checks import check_count, check_horizon
from lcpfn.metric import Bounds, Metric
from lcpfn.plan import check_plan
from lcpfn.stopping.observations import plain

# From these shares of the horizon on, with these confidences.
ConfidenceSchedule = tuple[tuple[float, float], ...]
METHODS = ("ever", "marginal")


def is_number(x: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether an option is a number of this range, NumPy's too; NaN never is."""
    number: Any = x if isinstance(x, Real) else math.nan
    return bool(least <= number <= most)


@dataclass(frozen=True)
class Rule:
    """When to stop.

    Attributes:
        horizon: last step of a full run.
        mode: "max" or "min".
        bounds: of the metric, or None.
        beat: value to beat, or None: then the run's own best is the threshold, and the
            run stops when it has nothing left to gain.
        confidence: stop when beating the threshold has probability at most
            1 - confidence; or a schedule, pairs (share of the horizon, confidence) of
            which each holds from its share on.
        by_cost: weigh the probability by what going on costs: that which stops a run
            falls with the share of the horizon that remains, so that a run which is
            nearly through may finish.
        patience: consecutive decisions that must agree before the run is stopped.
        min_steps: observations before which a run is never stopped.
        cautious: observations up to which a probability has to be smaller to stop a
            run, since a forecast from few of them is often wrong: after n by the factor
            ((n - 1) / (cautious - 1))^2. 1: it never has.
        method: "ever", the probability that the run beats the threshold at any step
            that remains; or "marginal", the highest probability at any one of them,
            which is the rule of Domhan et al. 2015 and Adriaensen et al. 2023
            (Sec. 4.3).
        max_surprise: never stop while `Forecast.surprise` is above it: the model has
            just mispredicted this curve. None: surprise is not computed.
        min_delta: plateau rule: gains on the run's own best count only above it.
        plan: learning rates of the whole run, see `Model.extrapolate`; None: unknown.
            Not where a run is forecast among others.
    """

    horizon: float
    mode: str
    bounds: Bounds | None = None
    beat: float | None = None
    confidence: float | ConfidenceSchedule = 0.975
    by_cost: bool = False
    patience: int = 1
    min_steps: int = 2
    cautious: int = 7
    method: str = "ever"
    max_surprise: float | None = None
    min_delta: float | None = None
    plan: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_horizon(self.horizon)
        metric = Metric(self.mode, self.bounds)
        if self.beat is not None:
            if not is_number(self.beat):
                raise ValueError(f"beat must be a number or None, got {self.beat!r}")
            metric.check(np.array([float(self.beat)]), "beat")
        _check_confidence(self.confidence)
        if not isinstance(self.by_cost, bool | np.bool_):
            raise ValueError(f"by_cost must be True or False, got {self.by_cost!r:.80}")
        for name in ("patience", "min_steps", "cautious"):
            check_count(getattr(self, name), name)
        if self.method not in METHODS:
            raise ValueError(
                f'method must be "ever" or "marginal", got {self.method!r}'
            )
        for name in ("max_surprise", "min_delta"):
            value = getattr(self, name)
            if value is not None and not is_number(value, 0):
                raise ValueError(f"{name} must be a number >= 0 or None, got {value!r}")
        rates = check_plan(self.plan, "the run")
        if rates is not None:
            object.__setattr__(self, "plan", tuple(rates.tolist()))

    def confidence_at(self, step: Any) -> Any:
        """The confidence that holds at a step, or at each of an array of steps."""
        return confidence_at(self.confidence, step / self.horizon)

    def least_chance(self, share: Any) -> Any:
        """The probability at which a run is stopped at a share of the horizon."""
        return (1 - confidence_at(self.confidence, share)) * self.cost(share)

    def cost(self, share: Any) -> Any:
        """What a probability is weighed by: that of going on, 1 for a full run."""
        return np.maximum(1 - np.asarray(share), 0.0) if self.by_cost else 1.0

    def caution(self, count: Any) -> Any:
        """By what a probability has to be smaller after so many observations."""
        if self.cautious == 1:
            return 1.0
        return np.clip((np.asarray(count) - 1) / (self.cautious - 1), 0, 1) ** 2

    def state(self) -> dict[str, Any]:
        """The fields in plain JSON values."""
        return {name: plain(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, horizon: float, mode: str, **options: Any) -> "Rule":
        """A rule from a user's options; refuses by name what it has no field for."""
        known = [field.name for field in fields(cls)][2:]
        for name in options.keys() - set(known):
            raise TypeError(
                f"there is no option {name!r}; those of a stopping rule are "
                f"{', '.join(known)}"
            )
        return cls(horizon, mode, **options)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Rule":
        """The rule of a `state()`; raises for anything else."""
        found = dict(state)
        if found["bounds"] is not None:
            low, high = found["bounds"]
            ends = (None if end is None else float(end) for end in (low, high))
            found["bounds"] = tuple(ends)
        if isinstance(found["beat"], str):
            found["beat"] = float(found["beat"])
        if isinstance(found["confidence"], list):
            found["confidence"] = tuple(tuple(pair) for pair in found["confidence"])
        return cls(**found)


def confidence_at(confidence: float | ConfidenceSchedule, share: Any) -> Any:
    """The confidence that holds at a share of the horizon, or at an array of them."""
    if not isinstance(confidence, tuple):
        return confidence
    starts, levels = np.array(confidence).T
    begun = np.searchsorted(starts, share, side="right") - 1
    return levels[np.maximum(begun, 0)]


def _check_confidence(confidence: Any) -> None:
    levels: tuple[Any, ...] = (confidence,)
    if not isinstance(confidence, Real):
        try:
            shares, levels = zip(*confidence, strict=True)
            rising = isinstance(confidence, tuple) and shares == tuple(
                sorted(set(shares))
            )
            fine = rising and 0 <= shares[0] and shares[-1] <= 1
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise ValueError(
                "confidence must be a number such as 0.95, or a tuple of pairs (share "
                "of the horizon, confidence) with increasing shares in [0, 1], got "
                f"{confidence!r:.80}"
            )
    for level in levels:
        if not (is_number(level, 0.5) and level < 1):
            raise ValueError(
                f"confidence must lie in [0.5, 1), for instance 0.95, got {level!r}"
            )
