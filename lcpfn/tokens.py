"""Tokens: what the network sees of a curve, and what it never sees.

The network never sees the user's units. For every observation the running statistics
give an *anchor*, a level and a scale, both causal:

    level_i = average of y up to i, newest weighing 0.4
    scale_i = root of the average of squared differences up to i, newest weighing 0.25

and every value enters as a distance from something else in the curve, measured in that
scale and squeezed through asinh. The prediction is anchored likewise,
`y_j ~ level_i + scale_i * Mixture(...)`, so a forecast moves with the data under
`y -> a*y + b`. Until two different values have been seen there is no scale in the data:
then it is taken from the bounds or, without any, from |y|.

Steps enter as fractions of the horizon and as multiples of the mean gap between
observations, so epochs 1..50 and optimizer steps 1000..50000 are the same curve.

A context holds a fixed number of tokens. A longer curve is pooled: token k is the mean
of `p` consecutive observations, with p the smallest power of two that fits. The tokens
depend on the observations alone, not on how they arrived.

The functions are traced by JAX, in float32 inside the training step and in float64 at
inference, where a large offset must not cost precision.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any  # jax.Array, or a numpy.ndarray on its way in or out

LEVEL_WEIGHT = 0.4
SCALE_WEIGHT = 0.25
SLOW_WEIGHT = 0.06
# Share of |y| or of the bounds' width that stands in for the scale of a curve in which
# no two values differ yet.
UNSEEN_SHARE = 0.1
# Smallest scale, as a share of the range seen: keeps ratios finite on plateaus.
SCALE_FLOOR = 1e-6
LOG_FLOOR = 1e-5

TOKEN_FEATURES = 26
# Where the network expects distances (0..10), logarithms (11..18) and others (19..25).
ORDER = (
    *(0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 9, 10, 19, 20, 21, 22),
    *(13, 23, 24, 14, 25, 15, 16, 17, 18),
)
QUERY_FEATURES = 8


class Limits(NamedTuple):
    """What is known of the metric, in model space (lower is better); all `(batch,)`.

    Attributes:
        horizon: last step to predict, in the unit of the steps.
        low, high: bounds of the metric, -inf and +inf where unknown.
    """

    horizon: Array
    low: Array
    high: Array


class Stats(NamedTuple):
    """Running statistics of one curve after its newest token; all `(batch,)`.

    `tokens` and `observations` count, `moves` counts differences since the first that
    was not zero; `spread` is the raw scale, zero while no two values differed.
    """

    tokens: Array
    observations: Array
    moves: Array
    start: Array
    step: Array
    value: Array
    level: Array
    slow_level: Array
    spread: Array
    slow_spread: Array
    drift: Array
    best: Array
    worst: Array
    first: Array


class Blocks(NamedTuple):
    """What tokens are made of: consecutive observations pooled; all `(batch, tokens)`.

    Attributes:
        step: of the last observation.
        value: mean of the observations, model space.
        count: how many there are.
    """

    step: Array
    value: Array
    count: Array


class Anchor(NamedTuple):
    """Where and how wide the prediction of one cutoff is anchored; all `(batch,)`."""

    level: Array
    scale: Array
    step: Array
    gap: Array


def empty_stats(batch: int, dtype: Any) -> Stats:
    """Statistics of `batch` curves without any observation."""
    zero = jnp.zeros((batch,), dtype)
    return Stats(*([zero] * len(Stats._fields)))


def _scale(stats: Stats, limits: Limits) -> Array:
    low, high = jnp.isfinite(limits.low), jnp.isfinite(limits.high)
    to_low = jnp.where(low, stats.value - jnp.where(low, limits.low, 0), 0)
    to_high = jnp.where(high, jnp.where(high, limits.high, 0) - stats.value, 0)
    # Both bounds: their width. One bound: the distance to it. None: |y|.
    guess = jnp.where(low | high, to_low + to_high, jnp.abs(stats.value))
    guess = jnp.where(guess > 0, guess, jnp.abs(stats.value))
    guess = UNSEEN_SHARE * jnp.where(guess > 0, guess, 1)
    floor = SCALE_FLOOR * (stats.worst - stats.best)
    return jnp.where(stats.moves > 0, jnp.maximum(stats.spread, floor), guess)


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
    after = _advance(stats, block, start)
    return after, *_describe(stats, after, limits)


def read(
    stats: Stats, limits: Limits, blocks: Blocks, start: Array
) -> tuple[Stats, Anchor, Array]:
    """The same for all tokens of curves; `blocks` has fields `(batch, tokens)`.

    Returns:
        Statistics after and anchor of every token, fields `(batch, tokens)`, and
        features `(batch, tokens, TOKEN_FEATURES)`.
    """

    def one(before: Stats, block: Blocks) -> tuple[Stats, tuple[Stats, Stats]]:
        after = _advance(before, block, start)
        return after, (before, after)

    columns = jax.tree.map(jnp.transpose, blocks)
    both = jax.lax.scan(one, stats, columns)[1]
    before, after = jax.tree.map(jnp.transpose, both)
    wide = Limits(*(field[:, None] for field in limits))
    return after, *_describe(before, after, wide)


def _advance(stats: Stats, block: Blocks, start: Array) -> Stats:
    """Statistics after one more token."""
    step, value, count = block
    new = stats.tokens == 0
    diff = jnp.where(new, 0, value - stats.value)
    moves = jnp.where((stats.moves > 0) | (diff != 0), stats.moves + 1, 0)
    tokens = stats.tokens + 1

    def average(old: Array, weight: float, age: Array, x: Array) -> Array:
        rate = jnp.maximum(weight, 1 / jnp.maximum(age, 1))
        return old + rate * (x - old)

    def root_mean_square(old: Array, weight: float) -> Array:
        rate = jnp.sqrt(jnp.maximum(weight, 1 / jnp.maximum(moves, 1)))
        kept = jnp.sqrt(jnp.maximum(1 - rate * rate, 0))
        return jnp.where(moves > 0, jnp.hypot(kept * old, rate * diff), 0)

    return Stats(
        tokens=tokens,
        observations=stats.observations + count,
        moves=moves,
        start=start,
        step=step,
        value=value,
        level=jnp.where(new, value, stats.level + LEVEL_WEIGHT * (value - stats.level)),
        slow_level=average(stats.slow_level, SLOW_WEIGHT, tokens, value),
        spread=root_mean_square(stats.spread, SCALE_WEIGHT),
        slow_spread=root_mean_square(stats.slow_spread, SLOW_WEIGHT),
        drift=average(stats.drift, SLOW_WEIGHT, tokens - 1, diff),
        best=jnp.where(new, value, jnp.minimum(stats.best, value)),
        worst=jnp.where(new, value, jnp.maximum(stats.worst, value)),
        first=jnp.where(new, value, stats.first),
    )


def _mean_gap(stats: Stats, limits: Limits) -> Array:
    """Steps per observation so far; for a single one the distance from step 0."""
    later = (stats.step - stats.start) / jnp.maximum(stats.observations - 1, 1)
    # A curve that starts at step 0 shows no gap yet: a hundredth of the way is typical.
    first = jnp.where(stats.step > 0, stats.step, limits.horizon / 100)
    return jnp.where(stats.observations > 1, later, first)


def _describe(old: Stats, new: Stats, limits: Limits) -> tuple[Anchor, Array]:
    """Anchor and features of tokens, from the statistics before and after each."""
    scale, gap = _scale(new, limits), _mean_gap(new, limits)
    before = jnp.where(old.tokens == 0, scale, _scale(old, limits))
    diff = jnp.where(old.tokens == 0, 0, new.value - old.value)
    count = new.observations - old.observations
    low, high = jnp.isfinite(limits.low), jnp.isfinite(limits.high)
    to_low = jnp.where(low, new.value - jnp.where(low, limits.low, 0), 0)
    to_high = jnp.where(high, jnp.where(high, limits.high, 0) - new.value, 0)
    width = jnp.where(low & high, to_low + to_high, 1)
    done = new.step / limits.horizon
    seen = new.moves > 0
    # Without bounds the scale is then made of |y|, which a shift of the curve changes.
    known = (old.moves > 0) | low | high
    one = jnp.ones_like(scale)
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
        4 * new.drift / scale,
        to_low / scale,
        to_high / scale,
    ]
    ratios = [
        jnp.where(seen, new.slow_spread / scale, 1),
        jnp.where(known, scale / before, 1),
        new.observations,
        count,
        done,
        limits.horizon / gap,
        (new.step - old.step) / (gap * count),
        new.step / gap,
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
    columns = [
        jnp.arcsinh(jnp.stack(distances, axis=-1)),
        _log(jnp.stack(ratios, axis=-1)),
        jnp.stack(others, axis=-1),
    ]
    features = jnp.concatenate(columns, axis=-1)[..., jnp.array(ORDER)]
    return Anchor(new.level, scale, new.step, gap), features


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
    step, gap, end = anchor.step[..., None], anchor.gap[..., None], horizon[..., None]

    ahead = targets - step
    ratios = [ahead / gap, targets / end, end / gap + 0 * ahead, step / end + 0 * ahead]
    first, *rest = _log(jnp.stack(ratios))
    others = [
        jnp.log1p(ahead / jnp.maximum(step, LOG_FLOOR * end)),
        ahead / end,
        ahead / jnp.maximum(end - step, LOG_FLOOR * end),
        targets / end,
    ]
    return jnp.stack([first, *others, *rest], axis=-1)
