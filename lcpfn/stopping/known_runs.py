"""What a watched search knows of its runs, for forecasts that see the others."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.among import check_knows
from lcpfn.configs import Config, usable_config
from lcpfn.context import Context, context_of
from lcpfn.forecast import Forecast
from lcpfn.metric import Bounds
from lcpfn.shared_model import shared_model
from lcpfn.stopping.given_runs import GivenRuns
from lcpfn.stopping.observations import WarnOnce
from lcpfn.task import Task

if TYPE_CHECKING:
    from lcpfn.model import Model

Around = Callable[[], Mapping[Hashable, Context]]


class KnownRuns:
    """The runs of a search.

    Args:
        mode: "max" or "min".
        horizon: last step of a full run.
        bounds: of the metric, or None.
        model: as of `lcpfn.stopping.monitor.RunMonitor`; loaded at the first question.
        warn_once: how to warn.
        given: runs that were before the search.

    Attributes:
        configs: hyperparameters by run.
    """

    def __init__(
        self,
        mode: str,
        horizon: float,
        bounds: Bounds | None,
        model: "Model | str | Path | None",
        warn_once: WarnOnce,
        given: GivenRuns | None = None,
    ) -> None:
        self.mode, self.horizon, self.bounds = mode, horizon, bounds
        self.model, self.warn_once, self.given = model, warn_once, given
        self.configs: dict[Hashable, Config | None] = {}
        self._contexts: dict[Hashable, tuple[dict[Any, Any], Context]] = {}
        self._task: Task | None = None

    @property
    def task(self) -> Task:
        """The runs as the network has read them; loads it."""
        if self._task is None:
            model = shared_model(self.model)
            self._task = Task(model, model.metric(self.mode, self.bounds))
        return self._task

    def configure(self, run: Hashable, config: Any) -> None:
        """Hyperparameters of a run; what cannot be compared is left out, said once."""
        self.configs[run] = usable_config(config, self.warn_once)

    def drop(self, run: Hashable) -> None:
        """Forgets a run."""
        self.configs.pop(run, None)
        self._contexts.pop(run, None)

    def end_at(self, horizon: float) -> None:
        """Full runs end at another step than was thought."""
        if horizon != self.horizon:
            self.horizon, self._contexts = horizon, {}

    def context(self, run: Hashable, curve: Mapping[Any, Any]) -> Context:
        """A run as the network takes it; put in order anew only if it has changed.

        Values outside hard bounds are left out.
        """
        known = self._contexts.get(run)
        if known is None or known[0] != curve:
            metric, steps = self.task.metric, sorted(curve)
            values = [float(curve[step]) for step in steps]
            kept = ~metric.outside(np.array(values))
            inside = {s: v for s, v, k in zip(steps, values, kept, strict=True) if k}
            known = (dict(curve), context_of(inside, metric, self.horizon))
            self._contexts[run] = known
        return known[1]

    def ask(
        self,
        asked: Sequence[tuple[Hashable, Context]],
        around: Around | None = None,
    ) -> Forecast:
        """Forecasts of runs, each from a part of what is known of it.

        Args:
            asked: names of the runs, and these parts.
            around: gives all runs by name; called only if the checkpoint was trained
                for other runs. None: there are none.
        """
        known: dict[Hashable, Context] = {}
        configs = self.configs
        if self.given is not None:
            check_knows(self.task.model)
        if self.task.model.config.others:
            known |= around() if around else {}
            if self.given is not None:
                earlier, of_earlier = self.given.known(self.task.metric, self.horizon)
                known, configs = {**earlier, **known}, {**of_earlier, **configs}
        return self.task.ask(known, configs, asked)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without what was read, a loaded model by its path."""
        model = getattr(self.model, "path", None) or self.model
        return vars(self) | {"model": model, "_task": None, "_contexts": {}}
