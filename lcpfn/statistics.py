"""Running statistics of a curve: what is causal, and ruled by no single value.

    level_i = average of y up to i, newest weighing 0.4
    scale_i = root of the average of squared changes up to i, newest weighing 0.25

A value enters both averages no further than `REACH`
scales from the median of the newest three (Hampel 1974), so a spike is cut and a step
that lasts is taken one observation later. A scale is at most `RECENT` times the largest
of the newest three changes, the very first one aside, so a huge first value is soon
forgotten; and after a single change at most a share of the way to a bound, if one is
known. A value that repeats is no change: what is small at a plateau is how often
something changes, which tokens count.

Lower is better. The functions are traced by JAX, in the precision of their arguments.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

Array = Any  # jax.Array, or a numpy.ndarray on its way in or out

LEVEL_WEIGHT = 0.4
SCALE_WEIGHT = 0.25
SLOW_WEIGHT = 0.06
# Share of |y| or of the bounds' width that stands in for the scale of a curve in which
# no two values differ yet.
UNSEEN_SHARE = 0.1
# How far a value counts, in scales from the median of the newest three.
REACH = 5.0
# Largest scale, in sizes of the largest of the newest three changes.
RECENT = 3.0
# Smallest scale, as a share of the range seen: keeps ratios finite on plateaus.
SCALE_FLOOR = 1e-9


class Limits(NamedTuple):
    """What is known of the metric, in model space (lower is better); all `(batch,)`.

    Attributes:
        horizon: last step to predict, in the unit of the steps.
        low, high: bounds of the metric, -inf and +inf where unknown.
    """

    horizon: Array
    low: Array
    high: Array


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


class Stats(NamedTuple):
    """Running statistics of one curve after its newest token; all `(batch,)`.

    `tokens` and `observations` count; `moves` counts changes, `still` the tokens since
    the last one. `before` is the value before the newest one, `clean` the newest one
    as far as it counts, `change` and `change2` are the sizes of the newest two changes
    of that but the first; `spread` is the raw scale, zero while no two values differed.
    """

    tokens: Array
    observations: Array
    moves: Array
    still: Array
    start: Array
    step: Array
    value: Array
    before: Array
    clean: Array
    level: Array
    slow_level: Array
    change: Array
    change2: Array
    spread: Array
    slow_spread: Array
    drift: Array
    best: Array
    worst: Array
    first: Array


def empty_stats(batch: int, dtype: Any) -> Stats:
    """Statistics of `batch` curves without any observation."""
    zero = jnp.zeros((batch,), dtype)
    return Stats(*([zero] * len(Stats._fields)))


def to_bounds(value: Array, limits: Limits) -> tuple[Array, Array, Array, Array]:
    """Which bounds there are, and the distances to them; 0 where there is none.

    Args:
        value: `(batch,)`, model space.
        limits: of each curve.

    Returns:
        Whether there is a low and a high bound, and how far they are `(batch,)`.
    """
    low, high = jnp.isfinite(limits.low), jnp.isfinite(limits.high)
    to_low = jnp.where(low, value - jnp.where(low, limits.low, 0), 0)
    to_high = jnp.where(high, jnp.where(high, limits.high, 0) - value, 0)
    return low, high, to_low, to_high


def scale_of(stats: Stats, limits: Limits) -> Array:
    """Scale of the values `(batch,)`, positive."""
    low, high, to_low, to_high = to_bounds(stats.value, limits)
    # Both bounds: their width. One bound: the distance to it. None: |y|.
    guess = jnp.where(low | high, to_low + to_high, jnp.abs(stats.value))
    guess = jnp.where(guess > 0, guess, jnp.abs(stats.value))
    guess = UNSEEN_SHARE * jnp.where(guess > 0, guess, 1)
    floor = SCALE_FLOOR * (stats.worst - stats.best)
    return jnp.where(stats.moves > 0, jnp.maximum(stats.spread, floor), guess)


def advance(stats: Stats, limits: Limits, block: Blocks, start: Array) -> Stats:
    """Statistics after one more token."""
    step, value, count = block
    new, tokens = stats.tokens == 0, stats.tokens + 1
    clean = jnp.where(new, value, _clean(stats, value))
    diff = jnp.where(new, 0, clean - stats.clean)
    moved = diff != 0
    moves, size = stats.moves + moved, jnp.abs(diff)

    def average(old: Array, weight: float, age: Array, x: Array) -> Array:
        rate = jnp.maximum(weight, 1 / jnp.maximum(age, 1))
        return old + rate * (x - old)

    def root_mean_square(old: Array, weight: float, age: Array) -> Array:
        rate = jnp.sqrt(jnp.maximum(weight, 1 / jnp.maximum(age, 1)))
        kept = jnp.sqrt(jnp.maximum(1 - rate * rate, 0))
        return jnp.where(moves > 0, jnp.hypot(kept * old, rate * diff), 0)

    begins = stats.moves == 0
    most = RECENT * jnp.maximum(size, jnp.maximum(stats.change, stats.change2))
    most = jnp.where(begins, _begin(value, limits), most)
    spread = root_mean_square(stats.spread, SCALE_WEIGHT, moves)
    spread = jnp.where(moved, jnp.minimum(spread, most), stats.spread)
    level = stats.level + LEVEL_WEIGHT * (clean - stats.level)
    level = clean + jnp.clip(level - clean, -REACH * spread, REACH * spread)
    return Stats(
        tokens=tokens,
        observations=stats.observations + count,
        moves=moves,
        still=jnp.where(moved, 0, stats.still + 1),
        start=start,
        step=step,
        value=value,
        before=jnp.where(new, value, stats.value),
        clean=clean,
        level=jnp.where(new, value, level),
        slow_level=average(stats.slow_level, SLOW_WEIGHT, tokens, clean),
        change=jnp.where(moved, jnp.where(begins, 0, size), stats.change),
        change2=jnp.where(moved, stats.change, stats.change2),
        spread=spread,
        slow_spread=root_mean_square(stats.slow_spread, SLOW_WEIGHT, tokens - 1),
        drift=average(stats.drift, SLOW_WEIGHT, tokens - 1, diff),
        best=jnp.where(new, value, jnp.minimum(stats.best, value)),
        worst=jnp.where(new, value, jnp.maximum(stats.worst, clean)),
        first=jnp.where(new, value, stats.first),
    )


def _begin(value: Array, limits: Limits) -> Array:
    """Largest scale of a first change: where one bound is known, a share of the way."""
    low, high, to_low, to_high = to_bounds(value, limits)
    way = UNSEEN_SHARE * jnp.where(low, to_low, to_high)
    return jnp.where((low != high) & (way > 0), way, jnp.inf)


def _clean(stats: Stats, value: Array) -> Array:
    """A value as far as it counts: near the median of the newest three."""
    low = jnp.minimum(stats.before, stats.value)
    high = jnp.maximum(stats.before, stats.value)
    median = jnp.clip(value, low, high)
    reach = jnp.where(stats.moves > 0, REACH * stats.spread, jnp.inf)
    return median + jnp.clip(value - median, -reach, reach)
