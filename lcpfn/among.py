"""Curves that are read together with the other runs of their task."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn import network
from lcpfn.batch import bucket
from lcpfn.checks import check_curves
from lcpfn.configs import Config, Configs, check_config
from lcpfn.context import Context
from lcpfn.curves import Run
from lcpfn.cutoffs import Cutoffs
from lcpfn.metric import Metric
from lcpfn.others import (
    SIZES,
    Others,
    Readings,
    among_of,
    anchors_of_unseen,
    gap_of,
)
from lcpfn.tokens import Anchor

if TYPE_CHECKING:
    from lcpfn.model import Model


def check_others(
    others: Iterable[Run], horizon: float, metric: Metric
) -> tuple[list[Context], list[Config | None]]:
    """Other runs and their configurations; those without a finite value are left out.

    Args:
        others: the runs.
        horizon: of the task; a run that went farther has its own.
        metric: direction and bounds.

    Raises:
        ValueError: saying which run is wrong, what was expected and what to do.
    """
    contexts, configs = [], []
    for i, run in enumerate(others):
        if not isinstance(run, Run):
            raise ValueError(
                f"others must be runs, lcpfn.Run(values, steps, config), got "
                f"{type(run).__name__} at {i}"
            )
        config = check_config(run.config, f"others[{i}]")
        if not np.size(run.values):
            continue
        try:
            last = float(np.max(np.asarray(run.steps, float), initial=0))
            end = max(horizon, last) if np.isfinite(last) else horizon
            (context,), single = check_curves(run.values, end, metric, run.steps, None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"others[{i}]: {error}") from None
        if not single:
            raise ValueError(f"others[{i}] must be one run, got several curves")
        if len(context.values):
            contexts.append(context)
            configs.append(config)
    return contexts, configs


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


def different(contexts: Sequence[Context], others: Sequence[Context]) -> np.ndarray:
    """Which others are not the very curve asked about `(B, M)`."""
    keys = [(c.steps.tobytes(), c.values.tobytes()) for c in (*contexts, *others)]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    known = np.array([numbers[key] for key in keys])
    return known[: len(contexts), None] != known[None, len(contexts) :]


def cutoffs_among(
    model: "Model",
    metric: Metric,
    contexts: Sequence[Context],
    configs: Configs,
    readings: Readings,
    asked: np.ndarray,
    allowed: np.ndarray,
    counted: np.ndarray,
) -> Cutoffs:
    """Curves at their cutoffs, with what the other runs say of each.

    Args:
        model: that read them.
        metric: direction and bounds.
        contexts: N runs of the task, with those asked about among them.
        configs: of each.
        readings: what the network knows of them.
        asked: numbers of those asked about `(B,)`.
        allowed: which runs each of these may see `(B, N)`.
        counted: which configurations count in ranks `(N,)`.
    """
    known, anchor, span = readings
    seen = np.array([len(context.values) > 0 for context in contexts])
    among = among_of(known.grid, seen, configs, asked, allowed, counted)
    # Few sizes, so that few programs are compiled.
    count = len(contexts)
    room = np.minimum(np.arange(bucket(count, SIZES)), count - 1)
    runs = jax.tree.map(lambda x: np.asarray(x)[room], known)
    others = [context for context, here in zip(contexts, seen, strict=True) if here]
    gap = gap_of(others)
    before = anchors_of_unseen(runs.grid, among, span[0] - gap, gap)
    here = seen[asked]
    anchor = Anchor(
        *(
            np.where(here, own[asked], np.asarray(unseen))
            for own, unseen in zip(anchor, before, strict=True)
        )
    )
    nothing = np.asarray(network.unseen(model.config, model.params))
    state = np.where(here[:, None], known.state[asked], nothing)
    around = Others(runs, among, span)
    about = [contexts[i] for i in asked]
    horizon = np.array([context.horizon for context in about])
    end = model.predict(
        state, anchor, horizon, horizon[:, None], around, model.config.best
    )
    return Cutoffs(
        model, metric, about, state, anchor, metric.in_user_units(end), around
    )
