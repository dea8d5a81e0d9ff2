"""What one run has shown and what is forecast of it, observation by observation."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import Config
from lcpfn.metric import Metric
from lcpfn.shared_model import name_of, shared_model
from lcpfn.stopping.decision import Progress
from lcpfn.stopping.given_runs import GivenRuns
from lcpfn.stopping.observations import Observations
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.search_forecasts import SearchForecasts
from lcpfn.stopping.whole_curves import Ask

if TYPE_CHECKING:
    from lcpfn.model import Model
    from lcpfn.stream import Stream


class RunReader:
    """Reads one run as a stream, and forecasts it alone or among the other runs.

    Args:
        name: of the run.
        model: as of `lcpfn.stopping.monitor.RunMonitor`; loaded at the first question.
        given: other runs that are known beforehand.
        config: hyperparameters of the run.

    Attributes:
        among: gives forecasts that know other runs, used with checkpoints that were
            trained for it; None: the run is alone.
        opened: the run as it was read so far, if it was.
    """

    def __init__(
        self,
        name: str,
        model: "Model | str | Path | None",
        given: GivenRuns | None = None,
        config: Config | None = None,
    ) -> None:
        self.name, self.model, self.given, self.config = name, model, given, config
        self.among: Ask | None = None
        self.rest()

    def rest(self) -> None:
        """Forgets what was read, and gives back its memory."""
        self.opened: Stream | None = None
        self._ask: Ask | None = None

    def metric(self, rule: Rule) -> Metric:
        """Direction and bounds, as the model takes them."""
        return shared_model(self.model).metric(rule.mode, rule.bounds)

    def stream(self, rule: Rule) -> "Stream":
        """The run as it was read so far; empty after `rest`."""
        if self.opened is None:
            self.opened = shared_model(self.model).stream(
                rule.horizon, mode=rule.mode, bounds=rule.bounds, plan=rule.plan
            )
        return self.opened

    def take(self, observations: Observations, rule: Rule) -> bool:
        """Reads what is new, without values out of bounds; whether anything is."""
        stream = self.stream(rule)
        read = stream.steps[-1] if stream.steps else None
        observations.leave_out_beyond(stream.metric, observations.after(read))
        curve, new = observations.curve, observations.after(read)
        stream.extend([curve[step] for step in new], new)
        return bool(new)

    def newest(self, rule: Rule) -> tuple[Progress, Forecast]:
        """What is known at the newest observation that was read."""
        stream = self.stream(rule)
        count, step = len(stream.steps), stream.steps[-1]
        progress = Progress(count, step, stream.values[-1], stream.best)
        others = self.among or self.given
        if others is None or not stream.model.config.others:
            return progress, stream.forecast()
        return progress, self.asker(rule)([(self.name, stream.context())])[0]

    def asker(self, rule: Rule) -> Ask:
        """Gives forecasts that know the other runs, if there are any to be known."""
        if self.among is not None:
            return self.among
        if self._ask is None:
            metric = Metric(rule.mode, rule.bounds)
            search = SearchForecasts(metric, self.model, self.given)
            self._ask = partial(search.ask, {}, configs={self.name: self.config})
        return self._ask

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without what was read, a loaded model by its path."""
        return vars(self) | {"model": name_of(self.model), "opened": None, "_ask": None}
