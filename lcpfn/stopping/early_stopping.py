"""Early stopping: one run followed observation by observation, and the state of that.

The rule is in `lcpfn.stopping.rule`, how it decides in `lcpfn.stopping.decision`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.metric import Bounds, Metric
from lcpfn.stopping.decision import Decision, decide
from lcpfn.stopping.given_runs import take_given
from lcpfn.stopping.observations import NAN_MEANINGS, check_nan, plain
from lcpfn.stopping.rule import ConfidenceSchedule, Rule
from lcpfn.stopping.run_reader import RunReader
from lcpfn.stopping.saved_state import STATE_FORMAT, saved_count, saved_curve

if TYPE_CHECKING:
    from lcpfn.model import Model

# Fields that are the same in all states of a format: the first knew one method.
FIXED_FIELDS: dict[Any, dict[str, Any]] = {1: {"method": "marginal"}, STATE_FORMAT: {}}


class EarlyStopping:
    """Watches one run and says when to stop it.

        stopper = lcpfn.EarlyStopping(horizon=50, mode="max", bounds=(0, 1), beat=0.81)
        for epoch in range(1, 51):
            decision = stopper.update(train_one_epoch(), step=epoch)
            if decision.stop:
                print(decision.reason)
                break

    Args are the fields of `Rule`; `model` is a loaded model, a checkpoint name, or None
    for the default. The model is loaded at the first update, not before. With
    `nan="skip"` a NaN is no observation: its step is counted and the last decision
    holds; by default the run has diverged. Infinity always is divergence. `others`,
    finished runs of the same task or the file they are in, and this run's `config` are
    used by checkpoints that were trained for it.

    `beat` may be set between updates, as the best of the other runs moves.
    """

    def __init__(
        self,
        horizon: float,
        mode: str,
        bounds: Bounds | None = None,
        beat: float | None = None,
        confidence: float | ConfidenceSchedule = Rule.confidence,
        *,
        nan: str = "diverged",
        model: "Model | str | Path | None" = None,
        **options: Any,
    ) -> None:
        given = take_given(options, mode, bounds)
        options |= {"bounds": bounds, "beat": beat, "confidence": confidence}
        self.rule = Rule.of(horizon, mode, **options)
        self.nan, self._reader = check_nan(nan), RunReader("this run", model, *given)
        self._restart({}, 0)

    def _restart(self, curve: dict[float, float], streak: int) -> None:
        """Begins with these values by step, which are read at the next update."""
        self._curve, self._streak = curve, streak
        self._skipped = self._without_value(curve.values())
        self._reader.rest()
        self._decision: Decision | None = None

    @property
    def beat(self) -> float | None:
        """The value to beat; set it when the best of the other runs moves."""
        return self.rule.beat

    @beat.setter
    def beat(self, value: float | None) -> None:
        self.rule = replace(self.rule, beat=value)

    def _without_value(self, values: Iterable[float]) -> int:
        """How many of these are no observations."""
        return sum(map(math.isnan, values)) if self.nan == "skip" else 0

    def update(
        self,
        value: float,
        step: float | None = None,
        protected: bool | Callable[[], bool] = False,
    ) -> Decision:
        """Takes the newest value and decides.

        Args:
            value: the metric, in the user's units; NaN or infinity: the run diverged.
            step: its step; default: the last one plus 1.
            protected: whether the run is among those not to be stopped now, for
                instance by `among_best`; or a function that says so, called only if
                the run looks hopeless. A diverged run is not protected.

        Raises:
            ValueError: a step not after the last one or beyond the horizon, or a value
                outside the bounds. The state is then as it was before.
        """
        return self.replay([value], [step], protected)

    def replay(
        self,
        values: Iterable[float],
        steps: Iterable[float | None],
        protected: bool | Callable[[], bool] = False,
    ) -> Decision:
        """Takes a run's observations at once and decides at the newest one.

        The same as `update` one by one, but for `patience`: decisions in between
        are not made.
        """
        stream = self._reader.stream(self.rule)
        if not stream.steps:  # what a state or a copy brought along
            stream.extend(self._curve.values(), self._curve)
        known = len(stream.steps)
        stream.extend(values, steps)
        self._curve |= zip(stream.steps[known:], stream.values[known:], strict=True)
        self._skipped += self._without_value(stream.values[known:])
        run, forecast = self._reader.newest(self.rule)
        if self._without_value([run.last]):
            # It decides nothing; without observations it is too early for all rules.
            first, _ = decide(self.rule, replace(run, count=0), forecast, 0)
            return self._decision or first
        run = replace(run, count=run.count - self._skipped)
        self._decision, self._streak = decide(
            self.rule, run, forecast, self._streak, protected
        )
        return self._decision

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies: what was observed, without what was read of it."""
        return vars(self) | {"_decision": None}

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on elsewhere; plain JSON values."""
        return {
            "format": STATE_FORMAT,
            "rule": self.rule.state(),
            "nan": self.nan,
            "values": plain(list(self._curve.values())),
            "steps": list(self._curve),
            "streak": self._streak,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a `state_dict()`, whose rule replaces this one's.

        Raises:
            ValueError: if it is not such a state; this one is then as it was before.
        """
        try:
            if state["format"] not in FIXED_FIELDS:
                raise ValueError(f"format {state['format']!r}, not {STATE_FORMAT}")
            fields = {**state["rule"], **FIXED_FIELDS[state["format"]]}
            rule = Rule.from_state(fields)
            nan = check_nan(state.get("nan", NAN_MEANINGS[0]))
            pairs = zip(state["steps"], state["values"], strict=True)
            curve = saved_curve(pairs, rule.horizon)
            values = np.array([*curve.values()])
            if Metric(rule.mode, rule.bounds).outside(values).any():
                # To some models bounds are mere hints: it is loaded to say so.
                self._reader.metric(rule).check(values, "values")
            streak = saved_count(state, "streak", len(curve))
        except Exception as error:
            raise ValueError(
                f"this is not a state of EarlyStopping: {type(error).__name__}: {error}"
            ) from error
        self.rule, self.nan = rule, nan
        self._restart(curve, streak)
