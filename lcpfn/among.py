"""Other runs of a task as they are given: checked, and which is the run asked about."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.checks import check_curves
from lcpfn.curves import Run
from lcpfn.hyperparameters import Config, check_config
from lcpfn.metric import Metric
from lcpfn.seen_curve import Context

if TYPE_CHECKING:
    from lcpfn.model import Model

FAR = 100  # horizons beyond which the steps of a run are taken to be of another unit


def runs_of(others: Any) -> list[Run]:
    """Runs, of whatever holds some: a list, a `CurveSet`, a single one, None.

    Raises:
        ValueError: if it holds no runs.
    """
    found: Any = [] if others is None else getattr(others, "runs", others)
    several = isinstance(found, Iterable) and not isinstance(
        found, str | bytes | Mapping
    )
    runs = list(found) if several else [found]
    for i, run in enumerate(runs):
        if not isinstance(run, Run):
            raise ValueError(
                f"others must be runs, lcpfn.Run(values, steps, config), got "
                f"{type(run).__name__} at {i}; lcpfn.io.read_curves(path) reads them"
            )
    return runs


def check_knows(model: "Model") -> None:
    """That a checkpoint was trained with other runs.

    Raises:
        ValueError: if it was not.
    """
    if not model.config.others:
        raise ValueError(
            f"checkpoint {model.name} was not trained with other runs; leave out "
            "others, or load one whose card has others in its model"
        )


def check_others(
    others: Sequence[Run], horizon: float, metric: Metric
) -> tuple[list[Context], list[Config | None]]:
    """Other runs and their configurations; those without a finite value are left out.

    Args:
        others: the runs.
        horizon: of the task; a run that went farther has its own.
        metric: direction and bounds.

    Raises:
        ValueError: saying which run is wrong, what was expected and what to do.
    """
    kinds = sorted({f"{run.task} {run.metric}".strip() for run in others} - {""})
    if len(kinds) > 1:
        raise ValueError(
            f"others are runs of several tasks or metrics ({', '.join(kinds[:5])}); "
            "give the runs of one, as lcpfn.io.read_curves(...).runs has them"
        )
    contexts: list[Context] = []
    configs: list[Config | None] = []
    for i, run in enumerate(others):
        config = check_config(run.config, f"others[{i}]")
        if run.mode not in ("", metric.mode):
            raise ValueError(
                f"others[{i}] was recorded with mode {run.mode!r}, and is asked for "
                f"with {metric.mode!r}; give runs of the same metric"
            )
        if not np.size(run.values):
            continue
        try:
            last = float(np.max(np.asarray(run.steps, float), initial=0))
            end = max(horizon, last) if np.isfinite(last) else horizon
            (context,), single = check_curves(run.values, end, metric, run.steps)
        except (TypeError, ValueError) as error:
            raise ValueError(f"others[{i}]: {error}") from None
        if not single:
            raise ValueError(f"others[{i}] must be one run, got several curves")
        if len(context.values):
            contexts.append(context)
            configs.append(config)
    return contexts, configs


def warn_of_far(others: Sequence[Context], horizon: float) -> None:
    """Says if a run ends at a step that is hardly one of the unit of the horizon."""
    last = max((context.last_step for context in others), default=0.0)
    if last > FAR * horizon:
        warnings.warn(
            f"one of the other runs ends at step {last:g}, and the horizon is "
            f"{horizon:g}: if its steps are of another unit, give it those of the "
            "horizon, or leave it out; forecasts are vague beside it",
            stacklevel=4,
        )


def check_configs(config: Any, count: int, single: bool) -> list[Config | None]:
    """The configuration of each of `count` curves.

    Raises:
        ValueError: not as many of them as curves, or one that is no configuration.
    """
    if config is None or single:
        return [check_config(config, "the curve")] * count
    if not isinstance(config, Sequence) or isinstance(config, str):
        raise ValueError(
            f"config must be a list with one entry per curve, got "
            f"{type(config).__name__} for {count} curves"
        )
    if len(config) != count:
        raise ValueError(
            f"config must be given per curve: {count} curves, got {len(config)}"
        )
    return [check_config(own, f"curve {i}") for i, own in enumerate(config)]


def itself(
    contexts: Sequence[Context],
    configs: Sequence[Config | None],
    others: Sequence[Context],
    of_others: Sequence[Config | None],
) -> np.ndarray:
    """Which of the others the very curve asked about is `(B,)`; -1: none.

    One with the same observations, and the same configuration where both are known. Of
    several such it is one: what the rest of them did alike, they did on their own.
    """
    places: dict[tuple[bytes, bytes, bool], list[int]] = {}
    key = lambda run: (run.steps.tobytes(), run.values.tobytes(), bool(run.diverged))
    for i, run in enumerate(others):
        places.setdefault(key(run), []).append(i)
    found = np.full(len(contexts), -1)
    for row, (context, config) in enumerate(zip(contexts, configs, strict=True)):
        twins = places.get(key(context), ()) if len(context.values) else ()
        alike = [
            (of_others[i] != config, repr(of_others[i]), i)
            for i in twins
            if None in (config, of_others[i]) or config == of_others[i]
        ]
        if alike:
            found[row] = min(alike)[-1]
    return found
