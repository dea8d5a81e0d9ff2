"""Other runs that are given beforehand, for forecasts of one run that know them."""

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.among import check_others
from lcpfn.configs import Config, check_config
from lcpfn.context import Context
from lcpfn.curves import Run
from lcpfn.forecast import Forecast
from lcpfn.metric import Bounds, Metric
from lcpfn.stopping.whole_curves import Ask
from lcpfn.task import Task

if TYPE_CHECKING:
    from lcpfn.model import Model

# Runs, or the file they are in.
Given = Iterable[Run] | str | Path


def take_given(
    options: dict[str, Any], mode: str, bounds: Bounds | None
) -> "GivenRuns | None":
    """Takes `others` and `config` out of the options of a monitor or a stopper."""
    others, config = options.pop("others", None), options.pop("config", None)
    return None if others is None else GivenRuns(others, config, mode, bounds)


class GivenRuns:
    """Runs of the task that have been, and the configuration of the one that is.

    Args:
        others: the runs, or a file or folder of them in any format of `lcpfn.io`.
        config: hyperparameters of the run that they are for.
        mode: "max" or "min".
        bounds: of the metric, or None.

    Raises:
        ValueError: for what is no such file, run or configuration.
    """

    def __init__(
        self, others: Given, config: Config | None, mode: str, bounds: Bounds | None
    ) -> None:
        if isinstance(others, str | Path):
            from lcpfn.io import read_curves

            others = read_curves(others, mode=mode, bounds=bounds).runs
        self.runs, self.config = list(others), check_config(config, "this run")
        self.mode, self.bounds = mode, bounds
        check_others(self.runs, 1.0, Metric(mode, bounds))

    def among(self, model: "Model", horizon: float) -> Ask:
        """Gives forecasts that know these runs."""
        metric = model.metric(self.mode, self.bounds)
        contexts, configs = check_others(self.runs, horizon, metric)
        names: Sequence[Hashable] = [("given", i) for i in range(len(contexts))]
        known: dict[Hashable, Context] = dict(zip(names, contexts, strict=True))
        task, own = Task(model, metric), dict(zip(names, configs, strict=True))

        def ask(asked: Sequence[tuple[Hashable, Context]]) -> Forecast:
            of_run = {name: self.config for name, _ in asked}
            return task.ask(known, own | of_run, asked)

        return ask
