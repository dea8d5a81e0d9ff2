"""Forecasts of the runs of a search, each amid all others."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.among import check_knows
from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import Config
from lcpfn.jax_setup import check_process
from lcpfn.metric import Metric
from lcpfn.seen_curve import Context
from lcpfn.shared_model import name_of, shared_model
from lcpfn.stopping.given_runs import GivenRuns
from lcpfn.stopping.kept_streams import KeptStreams
from lcpfn.stopping.known_run import KnownRun
from lcpfn.task import Task

if TYPE_CHECKING:
    from lcpfn.model import Model


class SearchForecasts:
    """What the network makes of a search, whoever keeps its runs.

    Args:
        metric: direction and bounds.
        model: a loaded model, a checkpoint name, or None for the default; loaded at
            the first question.
        given: runs that were before the search.
    """

    def __init__(
        self,
        metric: Metric,
        model: "Model | str | Path | None",
        given: GivenRuns | None = None,
    ) -> None:
        self.metric, self.model, self.given = metric, model, given
        self._task: Task | None = None
        self._streams: KeptStreams | None = None

    @property
    def task(self) -> Task:
        """The runs as the network has read them; loads it."""
        if self._task is None:
            model, metric = shared_model(self.model), self.metric
            self._task = Task(model, model.metric(metric.mode, metric.bounds))
        return self._task

    def ask(
        self,
        runs: Mapping[Any, KnownRun],
        asked: Sequence[tuple[Hashable, Context]],
        configs: Mapping[Hashable, Config | None] | None = None,
        ahead: int | None = None,
    ) -> Forecast:
        """Forecasts of runs, each from a part of what is known of it.

        Args:
            runs: all runs by name.
            asked: names, and these parts; all have one horizon.
            configs: hyperparameters of those asked about that are no runs yet.
            ahead: of how many evenly spaced later steps; default: of all.
        """
        check_process()
        task, horizon = self.task, asked[0][1].horizon
        contexts = {n: run.context(task.metric, horizon) for n, run in runs.items()}
        about = {name: run.config for name, run in runs.items()} | dict(configs or {})
        if self.given is not None:
            check_knows(task.model)
            earlier, of_earlier = self.given.known(task.metric, horizon)
            contexts, about = earlier | contexts, of_earlier | about
        # A part that is all there is of a run is not read beside it once more.
        asked = [(name, _same(contexts.get(name), part)) for name, part in asked]
        return task.ask(contexts, about, asked, ahead)

    def ask_alone(self, asked: Sequence[tuple[Hashable, Context]]) -> Forecast:
        """The same, each from its own curve alone; only what is new of it is read."""
        if self._streams is None:
            self._streams = KeptStreams(self.task.model, self.task.metric)
        return self._streams.ask(asked)

    def drop(self, name: Hashable) -> None:
        """Forgets what was read of a run."""
        if self._streams is not None:
            self._streams.drop(name)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without what was read, a loaded model by its path."""
        model = name_of(self.model)
        return vars(self) | {"model": model, "_task": None, "_streams": None}


def _same(known: Context | None, part: Context) -> Context:
    """The context that is known, if the part is all of it."""
    if known is None or part.targets is not None or known[2:5] != part[2:5]:
        return part
    alike = np.array_equal(known.steps, part.steps)
    return known if alike and np.array_equal(known.values, part.values) else part
