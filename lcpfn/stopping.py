"""Early stopping: the rule that turns a forecast into a decision, and its state.

The rule of Domhan et al. 2015 and Adriaensen et al. 2023 (Sec. 4.3): stop a run when at
no remaining step it beats the bar with probability above 1 - confidence. The bar is the
value to beat, or the run's own best where that is better: a run is worth continuing
only for what it has not reached yet.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.curves import check_horizon
from lcpfn.forecast import Forecast
from lcpfn.metric import Bounds, Metric

if TYPE_CHECKING:
    from lcpfn.extrapolate import Model
    from lcpfn.stream import Stream

STATE_FORMAT = 1


@dataclass(frozen=True)
class Decision:
    """What to do with a run, and why.

    Attributes:
        stop: whether to stop it now.
        reason: one sentence for people, with the probability.
        prob_better: highest probability, over the remaining steps, of beating the bar.
        expected_final: expected value at the horizon, the user's units.
        forecast: the forecast behind it.
        bar: the value to beat; NaN while there is none.
    """

    stop: bool
    reason: str
    prob_better: float
    expected_final: float
    forecast: Forecast
    bar: float


@dataclass(frozen=True)
class Rule:
    """When to stop.

    Attributes:
        horizon: last step of a full run.
        mode: "max" or "min".
        bounds: of the metric, or None.
        beat: value to beat, or None: then the run's own best is the bar, and the run
            stops when it has nothing left to gain.
        confidence: stop when beating the bar has probability at most 1 - confidence.
        patience: consecutive decisions that must agree before the run is stopped.
        min_steps: records before which a run is never stopped.
    """

    horizon: float
    mode: str
    bounds: Bounds | None = None
    beat: float | None = None
    confidence: float = 0.95
    patience: int = 1
    min_steps: int = 2

    def __post_init__(self) -> None:
        check_horizon(self.horizon)
        metric = Metric(self.mode, self.bounds)
        if self.beat is not None:
            if not isinstance(self.beat, int | float | np.number) or np.isnan(
                self.beat
            ):
                raise ValueError(f"beat must be a number or None, got {self.beat!r}")
            metric.check(np.array([float(self.beat)]), "beat")
        if not 0.5 <= self.confidence < 1:
            raise ValueError(
                f"confidence must lie in [0.5, 1), for instance 0.95, got "
                f"{self.confidence!r}"
            )
        for name in ("patience", "min_steps"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")


def bar_of(rule: Rule, values: list[float]) -> float:
    """The value to beat: `beat`, or the best finite value so far if that is better."""
    seen = list(filter(math.isfinite, values))
    known = seen if rule.beat is None else [*seen, float(rule.beat)]
    if not known:
        return float("nan")
    return max(known) if rule.mode == "max" else min(known)


def judge(
    rule: Rule, values: list[float], forecast: Forecast, streak: int
) -> tuple[Decision, int]:
    """Decides on one run; pure.

    Args:
        rule: when to stop.
        values: the run so far, the user's units.
        forecast: from its newest record.
        streak: consecutive earlier decisions that found it hopeless.

    Returns:
        The decision, and the streak after it.
    """
    bar = bar_of(rule, values)
    if not forecast.steps.size:
        done = f"The run has reached its horizon of {rule.horizon:g} steps."
        beaten = rule.beat is not None and not np.isnan(bar) and bar != rule.beat
        return Decision(False, done, float(beaten), values[-1], forecast, bar), 0

    expected = float(forecast.final.mean())
    chance = 0.0 if np.isnan(bar) else float(np.max(forecast.prob_better(bar)))
    diverged = bool(forecast.diverged)
    hopeless = diverged or chance <= 1 - rule.confidence
    streak = streak + 1 if hopeless else 0
    if diverged:
        why = f"The run diverged: its last value is {values[-1]:g}"
    else:
        own = rule.beat is None or bar != rule.beat
        what = f"its own best, {bar:g}," if own else f"{bar:g}"
        verb = "at most" if hopeless else "up to"
        why = (
            f"The run beats {what} by step {rule.horizon:g} with probability {verb} "
            f"{chance:.1%} at any one step (expected final value {expected:.4g})"
        )
    stop = False
    if not hopeless:
        reason = f"{why}; going on."
    elif len(values) < rule.min_steps:
        reason = f"{why}; too early to stop, {len(values)} of {rule.min_steps} records."
    elif streak < rule.patience:
        reason = f"{why}; {streak} of {rule.patience} agreeing decisions."
    else:
        stop, reason = True, f"{why}; stopped at confidence {rule.confidence:g}."
    return Decision(stop, reason, chance, expected, forecast, bar), streak


def _plain(x: Any) -> Any:
    """The same in JSON, which has neither NumPy's numbers nor NaN and infinity."""
    if isinstance(x, np.generic | np.ndarray):
        x = x.tolist()
    if isinstance(x, list | tuple):
        return [_plain(part) for part in x]
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


class EarlyStopping:
    """Watches one run and says when to stop it.

        stopper = lcpfn.EarlyStopping(horizon=50, mode="max", bounds=(0, 1), beat=0.81)
        for epoch in range(1, 51):
            decision = stopper.update(train_one_epoch(), step=epoch)
            if decision.stop:
                print(decision.reason)
                break

    Args are those of `Rule`; `model` is a loaded model, a checkpoint name, or None for
    the default. The model is loaded at the first update, not before.
    """

    def __init__(
        self,
        horizon: float,
        mode: str,
        bounds: Bounds | None = None,
        beat: float | None = None,
        confidence: float = 0.95,
        patience: int = 1,
        min_steps: int = 2,
        model: "Model | str | Path | None" = None,
    ) -> None:
        self.rule = Rule(horizon, mode, bounds, beat, confidence, patience, min_steps)
        self._model = model
        self._stream: Stream | None = None
        self._streak = 0
        self._past: tuple[list[float], list[float]] = ([], [])

    def _open(self) -> "Stream":
        if self._stream is None:
            from lcpfn import load

            model = self._model
            if model is None or isinstance(model, str | Path):
                model = load(model)
            rule = self.rule
            stream = model.stream(rule.horizon, mode=rule.mode, bounds=rule.bounds)
            stream.extend(*self._past)
            self._stream = stream
        return self._stream

    def update(self, value: float, step: float | None = None) -> Decision:
        """Takes the newest value and decides.

        Args:
            value: the metric, in the user's units; NaN or infinity: the run diverged.
            step: its step; default: the last one plus 1.

        Raises:
            ValueError: a step not after the last one or beyond the horizon, or a value
                outside the bounds. The state is then as it was before.
        """
        stream = self._open()
        forecast = stream.update(value, step)
        decision, self._streak = judge(self.rule, stream.values, forecast, self._streak)
        return decision

    def replay(self, values: Iterable[float], steps: Iterable[float]) -> Decision:
        """Takes a run's records at once and decides at the newest one.

        The same as `update` record by record, but for `patience`: decisions in between
        are not made.
        """
        stream = self._open()
        stream.extend(values, steps)
        decision, self._streak = judge(
            self.rule, stream.values, stream.forecast(), self._streak
        )
        return decision

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on elsewhere; plain JSON values."""
        values, steps = self._past
        if self._stream is not None:
            values, steps = self._stream.values, self._stream.steps
        return {
            "format": STATE_FORMAT,
            "rule": {name: _plain(x) for name, x in asdict(self.rule).items()},
            "values": _plain(values),
            "steps": list(steps),
            "streak": self._streak,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a `state_dict()`, whose rule replaces this one's.

        Raises:
            ValueError: if it is not such a state.
        """
        try:
            if state["format"] != STATE_FORMAT:
                raise ValueError(f"format {state['format']!r}, expected {STATE_FORMAT}")
            rule = dict(state["rule"])
            if rule["bounds"] is not None:
                ends = (None if end is None else float(end) for end in rule["bounds"])
                rule["bounds"] = tuple(ends)
            if isinstance(rule["beat"], str):
                rule["beat"] = float(rule["beat"])
            restored = Rule(**rule)
            past = ([float(v) for v in state["values"]], [*map(float, state["steps"])])
            if len(past[0]) != len(past[1]):
                raise ValueError("as many values as steps expected")
            streak = int(state["streak"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"this is not a state of EarlyStopping: {type(error).__name__}: {error}"
            ) from error
        self.rule, self._past, self._streak = restored, past, streak
        self._stream = None
