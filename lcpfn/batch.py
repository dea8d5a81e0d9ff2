"""Several contexts in one array, as the network reads them.

Observations are pooled into blocks, one per token (see `lcpfn.tokens`), and curves
padded to few lengths, so that nothing is recompiled from call to call.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.metric import Metric
from lcpfn.plan import features_of
from lcpfn.seen_curve import Context
from lcpfn.statistics import Array, Blocks, Limits, Stats
from lcpfn.tokens import Anchor, read

LENGTHS = (8, 16, 32, 64, 128)


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
        plan: what is planned up to the horizons `(B, PLAN_FEATURES)`; None: nothing.
    """

    blocks: Blocks
    start: Array
    last: Array
    limits: Limits
    plan: Array | None = None


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
    plan = features_of(contexts, limits.horizon[:, None])
    return Batch(
        Blocks(*padded[:, which]),
        start[which],
        counts[which] - 1,
        Limits(*(field[which] for field in limits)),
        None if plan is None else plan[which, 0],
    )


def read_batch(batch: Batch) -> tuple[Stats, Anchor, jax.Array]:
    """What `tokens.read` makes of a batch, features zero behind a curve's end."""
    stats, anchor, features = read(batch.limits, batch.blocks, batch.start)
    inside = jnp.arange(features.shape[1]) <= batch.last[:, None]
    # Behind the end steps stand still, and features are 0 / 0.
    return stats, anchor, jnp.where(inside[..., None], features, 0).astype(jnp.float32)


def at_last(fields: Any, last: Array) -> Any:
    """Of arrays `(B, N, ...)` what belongs to token `last` `(B,)` of each row."""
    rows = jnp.arange(len(last))
    return jax.tree.map(lambda field: field[rows, last], fields)
