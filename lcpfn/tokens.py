"""Tokens: what the network sees of a curve, and what it never sees.

The network never sees the user's units. For every observation the running statistics
give an *anchor*, a level and a scale, both causal (see `lcpfn.statistics`), and every
value enters as a distance from something else in the curve, measured in that scale and
squeezed through asinh. The prediction is anchored likewise,
`y_j ~ level_i + scale_i * Mixture(...)`, so a forecast moves with the data under
`y -> a*y + b`. Until two different values have been seen there is no scale in the data:
then it is taken from the bounds or, without any, from |y|.

Steps enter as distances from where the curve would have been one mean gap before its
first observation, so epochs 1..50, optimizer steps 1000..50000 and seconds since 1970
are the same curve. A single observation has no gap: its token says nothing of its
step, and a query takes the step itself for the gap if that leaves as much again.

A context holds a fixed number of tokens. A longer curve is pooled: token k is the mean
of `p` consecutive observations, with p the smallest power of two that fits. The tokens
depend on the observations alone, not on how they arrived.

The functions are traced by JAX, in float32 inside the training step and in float64 at
inference, where a large offset must not cost precision.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lcpfn.statistics import (
    Array,
    Blocks,
    Limits,
    Stats,
    advance,
    empty_stats,
    scale_of,
    to_bounds,
)

LOG_FLOOR = 1e-5
# Distances beyond sinh(16) scales, some four million, look alike.
FARTHEST = 16.0

TOKEN_FEATURES = 27
QUERY_FEATURES = 8


class Anchor(NamedTuple):
    """Where and how wide the prediction of one cutoff is anchored; all `(batch,)`.

    Attributes:
        level, scale: of the values.
        value: the newest one.
        step: of the newest observation.
        gap: steps per observation.
        position: steps from where the curve began to the newest observation.
    """

    level: Array
    scale: Array
    value: Array
    step: Array
    gap: Array
    position: Array


def observe(
    stats: Stats, limits: Limits, block: Blocks, start: Array
) -> tuple[Stats, Anchor, Array]:
    """Takes one more token of every curve.

    Args:
        stats: statistics before it, fields `(batch,)`.
        limits: horizon and bounds, fields `(batch,)`.
        block: what the token is made of, fields `(batch,)`.
        start: step of the curve's first observation `(batch,)`.

    Returns:
        Statistics after it, its anchor, its features `(batch, TOKEN_FEATURES)`.
    """
    after = advance(stats, limits, block, start)
    return after, *_describe(stats, after, limits)


def read(limits: Limits, blocks: Blocks, start: Array) -> tuple[Stats, Anchor, Array]:
    """The same for all tokens of curves; `blocks` has fields `(batch, tokens)`.

    Returns:
        Statistics after and anchor of every token, fields `(batch, tokens)`, and
        features `(batch, tokens, TOKEN_FEATURES)`.
    """

    def one(before: Stats, block: Blocks) -> tuple[Stats, tuple[Stats, Stats]]:
        after = advance(before, limits, block, start)
        return after, (before, after)

    columns = jax.tree.map(jnp.transpose, blocks)
    empty = empty_stats(len(start), blocks.value.dtype)
    both = jax.lax.scan(one, empty, columns)[1]
    before, after = jax.tree.map(jnp.transpose, both)
    wide = Limits(*(field[:, None] for field in limits))
    return after, *_describe(before, after, wide)


def _place(stats: Stats, limits: Limits) -> tuple[Array, Array]:
    """Steps per observation, and steps since the curve began."""
    several = stats.observations > 1
    since = stats.step - stats.start
    gap = since / jnp.maximum(stats.observations - 1, 1)
    ahead = limits.horizon - stats.step
    # A step larger than what is left is no gap: the count began elsewhere.
    usual = (stats.step > 0) & (stats.step <= ahead)
    guess = jnp.where(usual, stats.step, ahead / 64)
    guess = jnp.where(guess > 0, guess, 1)
    gap = jnp.where(several, gap, guess)
    return gap, jnp.where(several, since, 0) + gap


def _describe(old: Stats, new: Stats, limits: Limits) -> tuple[Anchor, Array]:
    """Anchor and features of tokens, from the statistics before and after each."""
    scale, (gap, position) = scale_of(new, limits), _place(new, limits)
    before = jnp.where(old.tokens == 0, scale, scale_of(old, limits))
    diff = jnp.where(old.tokens == 0, 0, new.value - old.value)
    count = new.observations - old.observations
    low, high, to_low, to_high = to_bounds(new.value, limits)
    width = jnp.where(low & high, to_low + to_high, 1)
    several = new.observations > 1
    end = position + limits.horizon - new.step
    done = jnp.where(several, position / end, 0)
    seen = new.moves > 0
    # Without bounds the scale is then made of |y|, which a shift of the curve changes.
    known = (old.moves > 0) | low | high
    one = jnp.ones_like(scale)
    later = (old.tokens > 0) & several
    # One call of each function: they are what takes long to compile.
    distances = [
        jnp.where(known, diff / before, 0),
        diff / scale,
        (new.value - new.level) / scale,
        (new.value - new.slow_level) / scale,
        (new.value - new.best) / scale,
        (new.value - new.worst) / scale,
        (new.value - new.first) / scale,
        (new.value - jnp.where(old.tokens > 0, old.best, new.value)) / scale,
        (new.value - new.clean) / scale,
        4 * new.drift / scale,
        to_low / scale,
        to_high / scale,
    ]
    ratios = [
        jnp.where(seen, new.slow_spread / scale, 1),
        jnp.where(known, scale / before, 1),
        new.observations,
        count,
        new.still + 1,
        jnp.where(several, done, 1),
        jnp.where(several, end / gap, 1),
        jnp.where(later, (new.step - old.step) / (gap * count), 1),
    ]
    others = [
        jnp.where(low & high, to_low / width, 0),
        one * low,
        one * high,
        one * seen,
        1 / new.tokens,
        jnp.minimum(new.moves, 8) / 8,
        done,
    ]
    distance = jnp.arcsinh(jnp.stack(distances, axis=-1))
    columns = [
        jnp.clip(distance, -FARTHEST, FARTHEST),
        _log(jnp.stack(ratios, axis=-1)),
        jnp.stack(others, axis=-1),
    ]
    anchor = Anchor(new.level, scale, new.value, new.step, gap, position)
    return anchor, jnp.concatenate(columns, axis=-1)


def _log(x: Array) -> Array:
    return jnp.log(jnp.maximum(x, LOG_FLOOR))


def query_features(anchor: Anchor, horizon: Array, targets: Array) -> Array:
    """Features of the queries (cutoff, target step).

    Args:
        anchor: of the cutoffs, fields `(...)`.
        horizon: last step to predict `(...)`.
        targets: steps to predict `(..., queries)`.

    Returns:
        `(..., queries, QUERY_FEATURES)`.
    """
    step, gap, here = (
        field[..., None] for field in (anchor.step, anchor.gap, anchor.position)
    )
    left, ahead = horizon[..., None] - step, targets - step
    end, there = here + left, here + ahead
    ratios = [ahead / gap, there / end, end / gap + 0 * ahead, here / end + 0 * ahead]
    first, *rest = _log(jnp.stack(ratios))
    others = [
        jnp.log1p(ahead / here),
        ahead / end,
        ahead / jnp.maximum(left, LOG_FLOOR * end),
        there / end,
    ]
    return jnp.stack([first, *others, *rest], axis=-1)


def log_count(query: Array) -> Array:
    """Logarithm of how many observations there are behind a query `(...)`.

    Args:
        query: of `query_features`, `(..., QUERY_FEATURES)` and perhaps more.
    """
    of_end, here = query[..., QUERY_FEATURES - 2], query[..., QUERY_FEATURES - 1]
    return of_end + here


def share_gone(query: Array) -> Array:
    """Share of the whole run that lies before the cutoff of a query `(...)`."""
    return jnp.exp(query[..., QUERY_FEATURES - 1])


def stay(anchor: Anchor) -> Array:
    """The newest value in units of the anchor `(...)`."""
    return (anchor.value - anchor.level) / anchor.scale
