"""The context of a forecast: what one curve has shown up to its cutoff.

In float64 and model space (lower is better). Observations are pooled into blocks, one
per token (see `lcpfn.tokens`), and several curves padded to one array.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.metric import Metric
from lcpfn.tokens import (
    Anchor,
    Array,
    Blocks,
    Limits,
    Stats,
    empty_stats,
    read,
)

MOST_TARGETS = 512
LENGTHS = (8, 16, 32, 64, 128)


class Context(NamedTuple):
    """One checked curve up to its cutoff, in model space (lower is better).

    Attributes:
        steps, values: the finite observations `(n,)`, float64.
        last_step: of the newest observation, finite or not.
        last_value: of the newest observation.
        horizon: last step to predict.
        targets: steps to predict, increasing `(s,)`; None: `default_targets`.
        unit: distance of the default targets.
    """

    steps: np.ndarray
    values: np.ndarray
    last_step: float
    last_value: float
    horizon: float
    targets: np.ndarray | None = None
    unit: float = 1.0

    @property
    def diverged(self) -> bool:
        """Whether the newest observation is not finite."""
        return not math.isfinite(self.last_value)

    @property
    def finished(self) -> bool:
        """Whether no step remains."""
        return self.last_step >= self.horizon

    def wanted(self) -> np.ndarray:
        """The steps to predict."""
        if self.targets is not None:
            return self.targets
        return default_targets(self.last_step, self.unit, self.horizon)


def step_unit(steps: np.ndarray) -> float:
    """Distance of targets: 1 where all steps are whole numbers, else the median gap."""
    if (steps == np.round(steps)).all():
        return 1.0
    return float(np.median(np.diff(steps))) if len(steps) > 1 else float(steps[0])


def default_targets(
    last: float, unit: float, horizon: float, most: int = MOST_TARGETS
) -> np.ndarray:
    """Every step after the last one up to the horizon, thinned to at most `most`.

    Args:
        last: the newest step.
        unit: distance between steps, see `step_unit`.
        horizon: the last target.
        most: how many at most, evenly spaced.
    """
    count = math.ceil((horizon - last) / unit * (1 - 1e-12))
    if count < 1:
        return np.empty(0)
    ticks = np.linspace(max(count / most, 1), count, min(count, most)).round()
    targets = last + unit * ticks
    targets[-1] = horizon
    return targets


def pool_factor(observations: int, context: int) -> int:
    """Observations per token: the smallest power of two that fits `context` tokens."""
    factor = 1
    while -(-observations // factor) > context:
        factor *= 2
    return factor


def pool(steps: np.ndarray, values: np.ndarray, factor: int) -> Blocks:
    """Consecutive blocks of `factor` observations; fields `(blocks,)`."""
    if factor == 1:
        return Blocks(steps, values, np.ones(len(values)))
    starts = np.arange(0, len(values), factor)
    counts = np.diff(np.append(starts, len(values)))
    # Scaled before adding: a sum of huge values must not overflow.
    means = np.add.reduceat(values / np.repeat(counts, counts), starts)
    return Blocks(steps[starts + counts - 1], means, counts.astype(float))


class Batch(NamedTuple):
    """Several contexts as the network takes them; B curves, N tokens.

    Attributes:
        blocks: fields `(B, N)`; behind the end of a curve its last block again.
        start: step of each curve's first observation `(B,)`.
        last: index of each curve's last token `(B,)`.
        limits: horizons and bounds, fields `(B,)`.
    """

    blocks: Blocks
    start: Array
    last: Array
    limits: Limits


def limits_of(metric: Metric, horizons: Sequence[float]) -> Limits:
    """Horizons and bounds of several curves, in model space."""
    count = len(horizons)
    ends = (np.full(count, metric.low), np.full(count, metric.high))
    return Limits(np.array(horizons, float), *ends)


def bucket(size: int, sizes: Sequence[int]) -> int:
    """The smallest of `sizes` that holds `size`; beyond them, the next power of two."""
    for candidate in sizes:
        if size <= candidate:
            return candidate
    return 1 << (size - 1).bit_length()


def factors_of(contexts: Sequence[Context], most: int) -> list[int]:
    """Observations per token of each, such that none has more than `most` tokens."""
    return [pool_factor(len(context.values), most) for context in contexts]


def make_batch(
    contexts: Sequence[Context],
    metric: Metric,
    factors: Sequence[int],
    rows: int,
    lengths: Sequence[int] = LENGTHS,
) -> Batch:
    """Contexts as arrays of few sizes.

    Args:
        contexts: curves. One without a finite observation is given one: its forecast
            does not depend on what the network says.
        metric: direction and bounds.
        factors: observations per token of each, see `pool_factor`.
        rows: of the result; behind the contexts the last one again.
        lengths: what the number of tokens is rounded up to.
    """
    pooled = [
        pool(c.steps, c.values, factor)
        if len(c.values)
        else Blocks(np.ones(1), np.zeros(1), np.ones(1))
        for c, factor in zip(contexts, factors, strict=True)
    ]
    which = np.minimum(np.arange(rows), len(pooled) - 1)
    counts = np.array([len(blocks.step) for blocks in pooled])
    padded = np.empty((3, len(pooled), bucket(int(counts.max()), lengths)))
    for i, blocks in enumerate(pooled):
        for row, column in zip(padded[:, i], blocks, strict=True):
            row[: len(column)], row[len(column) :] = column, column[-1]
    start = np.array([c.steps[0] if len(c.steps) else 1.0 for c in contexts])
    limits = limits_of(metric, [c.horizon for c in contexts])
    return Batch(
        Blocks(*padded[:, which]),
        start[which],
        counts[which] - 1,
        Limits(*(field[which] for field in limits)),
    )


def read_batch(batch: Batch) -> tuple[Stats, Anchor, jax.Array]:
    """What `tokens.read` makes of a batch, features zero behind a curve's end."""
    empty = empty_stats(len(batch.start), batch.start.dtype)
    stats, anchor, features = read(empty, batch.limits, batch.blocks, batch.start)
    inside = jnp.arange(features.shape[1]) <= batch.last[:, None]
    # Behind the end steps stand still, and features are 0 / 0.
    return stats, anchor, jnp.where(inside[..., None], features, 0).astype(jnp.float32)


def at_last(fields: Any, last: Array) -> Any:
    """Of arrays `(B, N, ...)` what belongs to token `last` `(B,)` of each row."""
    rows = jnp.arange(len(last))
    return jax.tree.map(lambda field: field[rows, last], fields)
