"""Other runs that are given beforehand, for forecasts of one run that know them."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.among import check_knows, check_others, runs_of, warn_of_far
from lcpfn.curves import Run
from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import Config, check_config, usable_config
from lcpfn.metric import Bounds, Metric
from lcpfn.plan import refuse_plan
from lcpfn.seen_curve import Context
from lcpfn.stopping.whole_curves import Ask
from lcpfn.task import Task

if TYPE_CHECKING:
    from lcpfn.model import Model

# Runs, or the file they are in.
Given = Iterable[Run] | str | Path
Contexts = dict[Hashable, Context]


def take_given(
    options: dict[str, Any], mode: str, bounds: Bounds | None
) -> "GivenRuns | None":
    """Takes `others` and `config` out of the options of a monitor or a stopper."""
    others = options.pop("others", None)
    config = check_config(options.pop("config", None), "this run")
    if isinstance(others, GivenRuns):
        return replace(others, config=config)
    if others is None:
        return None
    refuse_plan(options.get("plan"))
    return GivenRuns.of(others, config, mode, bounds)


@dataclass(frozen=True)
class GivenRuns:
    """Runs of the task that have been, and the configuration of the one that is.

    Attributes:
        runs: those that have been.
        config: hyperparameters of the run that they are for.
        read: contexts and configurations by horizon and metric, made once.
    """

    runs: Sequence[Run]
    config: Config | None = None
    read: dict[Any, tuple[Contexts, dict[Hashable, Config | None]]] = field(
        default_factory=dict, compare=False
    )

    @staticmethod
    def of(
        others: Given, config: Config | None, mode: str, bounds: Bounds | None
    ) -> "GivenRuns":
        """From runs, or a file or folder of them in any format of `lcpfn.io`.

        Raises:
            ValueError: for what is no such file, run or configuration, and for a file
                with runs of several tasks or metrics.
        """
        if isinstance(others, str | Path):
            others = _in_file(others, mode, bounds)
        runs = runs_of(others)
        check_others(runs, 1.0, Metric(mode, bounds))
        return GivenRuns(runs, config)

    def known(
        self, metric: Metric, horizon: float
    ) -> tuple[Contexts, dict[Hashable, Config | None]]:
        """The runs as the network takes them, and their configurations, by name."""
        key = (metric, horizon)
        if key not in self.read:
            contexts, configs = check_others(self.runs, horizon, metric)
            warn_of_far(contexts, horizon)
            names: list[Hashable] = [("given", i) for i in range(len(contexts))]
            self.read[key] = (
                dict(zip(names, contexts, strict=True)),
                dict(zip(names, configs, strict=True)),
            )
        return self.read[key]

    def among(self, model: "Model", metric: Metric, horizon: float) -> Ask:
        """Gives forecasts that know these runs."""
        contexts, configs = self.known(metric, horizon)
        check_knows(model)
        task = Task(model, metric)

        def ask(asked: Sequence[tuple[Hashable, Context]]) -> Forecast:
            of_run = {name: self.config for name, _ in asked}
            return task.ask(contexts, configs | of_run, asked)

        return ask


def _in_file(path: str | Path, mode: str, bounds: Bounds | None) -> list[Run]:
    from lcpfn.io import read_curves

    return comparable(read_curves(path, mode=mode, bounds=bounds).runs)


def comparable(runs: Iterable[Run]) -> list[Run]:
    """Recorded runs with what can be compared of their configurations."""
    quiet = lambda kind, message: None
    return [replace(run, config=usable_config(run.config, quiet)) for run in runs]
