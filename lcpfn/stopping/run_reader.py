"""What one run has shown and what is forecast of it, observation by observation."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.context import context_of
from lcpfn.forecast import Forecast
from lcpfn.shared_model import shared_model
from lcpfn.stopping.decision import Progress
from lcpfn.stopping.given_runs import GivenRuns
from lcpfn.stopping.observations import Observations
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.whole_curves import Ask
from lcpfn.task import Task

if TYPE_CHECKING:
    from lcpfn.model import Model
    from lcpfn.stream import Stream


class RunReader:
    """Forecasts one run: by a stream while it is alone, else among the other runs.

    Args:
        name: of the run.
        model: as of `lcpfn.stopping.monitor.RunMonitor`; loaded at the first question.
        given: other runs that are known beforehand.

    Attributes:
        among: gives forecasts that know other runs, used with checkpoints that were
            trained for it; None: the run is alone.
    """

    def __init__(
        self,
        name: str,
        model: "Model | str | Path | None",
        given: GivenRuns | None = None,
    ) -> None:
        self.name, self.model, self.given = name, model, given
        self.among: Ask | None = None
        self.rest()

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without what was read, a loaded model by its path."""
        model = getattr(self.model, "path", None) or self.model
        unread = dict.fromkeys(("_stream", "_asked", "_ask"))
        return vars(self) | {"model": model} | unread

    def rest(self) -> None:
        """Forgets what was read, and gives back its memory."""
        self._stream: Stream | None = None
        self._asked: float | None = None  # the newest step of the last question
        self._ask: Ask | None = None  # for another horizon runs are read anew

    def newest(
        self, observations: Observations, rule: Rule
    ) -> tuple[Progress, Forecast] | None:
        """What is known at the newest observation; None if nothing is new."""
        model = shared_model(self.model)
        if model.config.others and (self.among or self.given) is not None:
            return self._among(model, observations, rule)
        if self._stream is None:
            self._stream = model.stream(
                rule.horizon, mode=rule.mode, bounds=rule.bounds
            )
        stream = self._stream
        read = stream.steps[-1] if stream.steps else None
        observations.leave_out_beyond(stream.metric, observations.after(read))
        curve, new = observations.curve, observations.after(read)
        if not new:
            return None
        stream.extend([curve[step] for step in new], new)
        return Progress.of_stream(stream), stream.forecast()

    def asker(self, model: "Model", rule: Rule) -> Ask:
        """Gives forecasts that know the other runs, if there are any."""
        if self.among is not None:
            return self.among
        if self._ask is None:
            metric = model.metric(rule.mode, rule.bounds)
            if self.given is None:
                self._ask = partial(Task(model, metric).ask, {}, {})
            else:
                self._ask = self.given.among(model, metric, rule.horizon)
        return self._ask

    def _among(
        self, model: "Model", observations: Observations, rule: Rule
    ) -> tuple[Progress, Forecast] | None:
        metric = model.metric(rule.mode, rule.bounds)
        observations.leave_out_beyond(metric, observations.after(self._asked))
        if not observations.after(self._asked):
            return None
        curve, self._asked = observations.curve, observations.last
        context = context_of(curve, metric, rule.horizon)
        run = Progress.of(list(curve.values()), rule.mode, context.last_step)
        return run, self.asker(model, rule)([(self.name, context)])[0]
