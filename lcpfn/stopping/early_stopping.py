"""Early stopping: one run followed observation by observation, and the state of that.

The rule is in `lcpfn.stopping.rule`, how it decides in `lcpfn.stopping.decision`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.metric import Bounds
from lcpfn.stopping.decision import Decision, Progress, decide
from lcpfn.stopping.observations import plain
from lcpfn.stopping.rule import ConfidenceSchedule, Rule

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast
    from lcpfn.model import Model
    from lcpfn.stream import Stream

STATE_FORMAT = 2
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
    for the default. The model is loaded at the first update, not before.

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
        model: "Model | str | Path | None" = None,
        **options: Any,
    ) -> None:
        self.rule = Rule(horizon, mode, bounds, beat, confidence, **options)
        self._model = model
        self._stream: Stream | None = None
        self._streak = 0
        self._past: tuple[list[float], list[float]] = ([], [])

    @property
    def beat(self) -> float | None:
        """The value to beat; set it when the best of the other runs moves."""
        return self.rule.beat

    @beat.setter
    def beat(self, value: float | None) -> None:
        self.rule = replace(self.rule, beat=value)

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
        stream = self._open()
        return self._decide(stream.update(value, step), protected)

    def replay(
        self,
        values: Iterable[float],
        steps: Iterable[float],
        protected: bool | Callable[[], bool] = False,
    ) -> Decision:
        """Takes a run's observations at once and decides at the newest one.

        The same as `update` one by one, but for `patience`: decisions in between
        are not made.
        """
        stream = self._open()
        stream.extend(values, steps)
        return self._decide(stream.forecast(), protected)

    def _decide(
        self, forecast: "Forecast", protected: bool | Callable[[], bool]
    ) -> Decision:
        stream = self._open()
        decision, self._streak = decide(
            self.rule, Progress.of_stream(stream), forecast, self._streak, protected
        )
        return decision

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on elsewhere; plain JSON values."""
        values, steps = self._past
        if self._stream is not None:
            values, steps = self._stream.values, self._stream.steps
        return {
            "format": STATE_FORMAT,
            "rule": self.rule.state(),
            "values": plain(values),
            "steps": list(steps),
            "streak": self._streak,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a `state_dict()`, whose rule replaces this one's.

        Raises:
            ValueError: if it is not such a state.
        """
        try:
            if state["format"] not in FIXED_FIELDS:
                raise ValueError(f"format {state['format']!r}, not {STATE_FORMAT}")
            fields = {**state["rule"], **FIXED_FIELDS[state["format"]]}
            restored = Rule.from_state(fields)
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
