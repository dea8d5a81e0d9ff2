"""Other runs that are given beforehand, for forecasts of one run that know them."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lcpfn.among import check_others, runs_of, warn_of_far
from lcpfn.curves import Run
from lcpfn.hyperparameters import Config, check_config, usable_config
from lcpfn.metric import Bounds, Metric
from lcpfn.plan import refuse_plan
from lcpfn.seen_curve import Context

Contexts = dict[Hashable, Context]


def take_given(
    options: dict[str, Any], mode: str, bounds: Bounds | None
) -> "tuple[GivenRuns | None, Config | None]":
    """Takes `others` and `config` out of the options of a monitor or a stopper.

    Others are runs, or a file or folder of them in any format of `lcpfn.io`.

    Raises:
        ValueError: for what is no such file, run or configuration, and for a file with
            runs of several tasks or metrics.
    """
    others = options.pop("others", None)
    config = check_config(options.pop("config", None), "this run")
    if others is None or isinstance(others, GivenRuns):
        return others, config
    refuse_plan(options.get("plan"))
    if isinstance(others, str | Path):
        from lcpfn.io import read_curves

        others = comparable(read_curves(others, mode=mode, bounds=bounds).runs)
    runs = runs_of(others)
    check_others(runs, 1.0, Metric(mode, bounds))
    return GivenRuns(runs), config


@dataclass(frozen=True)
class GivenRuns:
    """Runs of the task that have been.

    Attributes:
        runs: these.
        read: contexts and configurations by horizon and metric, made once.
    """

    runs: Sequence[Run]
    read: dict[Any, tuple[Contexts, dict[Hashable, Config | None]]] = field(
        default_factory=dict, compare=False
    )

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


def comparable(runs: Iterable[Run]) -> list[Run]:
    """Recorded runs with what can be compared of their configurations."""
    quiet = lambda kind, message: None
    return [replace(run, config=usable_config(run.config, quiet)) for run in runs]
