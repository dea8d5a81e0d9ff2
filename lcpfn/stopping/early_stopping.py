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
from lcpfn.shared_model import shared_model
from lcpfn.stopping.decision import Decision, Progress, decide
from lcpfn.stopping.given_runs import take_given
from lcpfn.stopping.observations import NAN_MEANINGS, check_nan, plain
from lcpfn.stopping.rule import ConfidenceSchedule, Rule
from lcpfn.stopping.saved_state import STATE_FORMAT, saved_curve, saved_streak
from lcpfn.stopping.whole_curves import Ask

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast
    from lcpfn.model import Model
    from lcpfn.stream import Stream

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
        self._given = take_given(options, mode, bounds)
        self.rule = Rule(horizon, mode, bounds, beat, confidence, **options)
        self.nan, self._model = check_nan(nan), model
        self._restart({}, 0)

    def _restart(self, past: dict[float, float], streak: int) -> None:
        """Begins with these values by step, which are read at the next update."""
        self._past, self._streak = past, streak
        self._stream: Stream | None = None
        self._decision: Decision | None = None
        self._among: Ask | None = None
        self._skipped = 0  # values that are no observations

    @property
    def beat(self) -> float | None:
        """The value to beat; set it when the best of the other runs moves."""
        return self.rule.beat

    @beat.setter
    def beat(self, value: float | None) -> None:
        self.rule = replace(self.rule, beat=value)

    def _open(self) -> "Stream":
        if self._stream is None:
            rule, model = self.rule, shared_model(self._model)
            stream = model.stream(rule.horizon, mode=rule.mode, bounds=rule.bounds)
            stream.extend(self._past.values(), self._past)
            self._stream, self._skipped = stream, self._without_value(stream.values)
        return self._stream

    def _without_value(self, values: Iterable[float]) -> int:
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
        stream = self._open()
        known = len(stream.values)
        stream.extend(values, steps)
        self._skipped += self._without_value(stream.values[known:])
        run, forecast = Progress.of_stream(stream), self._forecast(stream)
        if self._without_value([run.last]):
            # It decides nothing; without observations it is too early for all rules.
            first, _ = decide(self.rule, replace(run, count=0), forecast, 0)
            return self._decision or first
        run = replace(run, count=run.count - self._skipped)
        self._decision, self._streak = decide(
            self.rule, run, forecast, self._streak, protected
        )
        return self._decision

    def _forecast(self, stream: "Stream") -> "Forecast":
        """The rest of the run, with the other runs if there are any."""
        if self._given is None or not stream.model.config.others:
            return stream.forecast()
        if self._among is None:
            self._among = self._given.among(
                stream.model, stream.metric, self.rule.horizon
            )
        return self._among([("this run", stream.context())])[0]

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on elsewhere; plain JSON values."""
        steps, values = list(self._past), list(self._past.values())
        if self._stream is not None:
            steps, values = self._stream.steps, self._stream.values
        return {
            "format": STATE_FORMAT,
            "rule": self.rule.state(),
            "nan": self.nan,
            "values": plain(values),
            "steps": list(steps),
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
            rule, nan = (
                Rule.from_state(fields),
                check_nan(state.get("nan", NAN_MEANINGS[0])),
            )
            pairs = zip(state["steps"], state["values"], strict=True)
            past = saved_curve(pairs, rule.horizon)
            self._check_bounds(rule, past)
            streak = saved_streak(state["streak"], len(past))
        except Exception as error:
            raise ValueError(
                f"this is not a state of EarlyStopping: {type(error).__name__}: {error}"
            ) from error
        self.rule, self.nan = rule, nan
        self._restart(past, streak)

    def _check_bounds(self, rule: Rule, past: dict[float, float]) -> None:
        """Refuses values outside bounds, unless they are mere hints to the model."""
        try:
            Metric(rule.mode, rule.bounds).check(np.array([*past.values()]), "values")
        except ValueError:
            if shared_model(self._model).metric(rule.mode, rule.bounds).hard:
                raise
