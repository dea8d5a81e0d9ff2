"""Forecasts of the runs of a search, each amid all others."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.among import check_knows
from lcpfn.configs import Config
from lcpfn.context import Context
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process
from lcpfn.metric import Metric
from lcpfn.shared_model import name_of, shared_model
from lcpfn.stopping.given_runs import GivenRuns
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

    @property
    def task(self) -> Task:
        """The runs as the network has read them; loads it."""
        if self._task is None:
            model, metric = shared_model(self.model), self.metric
            self._task = Task(model, model.metric(metric.mode, metric.bounds))
        return self._task

    def ask(
        self,
        runs: Mapping[Hashable, KnownRun],
        asked: Sequence[tuple[Hashable, Context]],
        configs: Mapping[Hashable, Config] | None = None,
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
        return task.ask(contexts, about, asked, ahead)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without what was read, a loaded model by its path."""
        return vars(self) | {"model": name_of(self.model), "_task": None}
