"""Tokens: what the network sees of a curve, and what it never sees.

The network never sees the user's units. For every observation the running statistics
give an *anchor*, a level and a scale, both causal:

    level_i = average of y up to i, newest weighing 0.4
    scale_i = root of the average of squared changes up to i, newest weighing 0.25

and every value enters as a distance from something else in the curve, measured in that
scale and squeezed through asinh. The prediction is anchored likewise,
`y_j ~ level_i + scale_i * Mixture(...)`, so a forecast moves with the data under
`y -> a*y + b`. Until two different values have been seen there is no scale in the data:
then it is taken from the bounds or, without any, from |y|.

One wild value rules neither. A value enters both averages no further than `REACH`
scales from the median of the newest three (Hampel 1974), so a spike is cut and a step
that lasts is taken one observation later. A scale is at most `RECENT` times the largest
of the newest three changes, the very first one aside, so a huge first value is soon
forgotten; and after a single change at most a share of the way to a bound, if one is
known. A value that repeats is no change: what is small at a plateau is how often
something changes, which tokens count.

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
# How far a value counts, in scales from the median of the newest three.
REACH = 5.0
# Largest scale, in sizes of the largest of the newest three changes.
RECENT = 3.0
# Smallest scale, as a share of the range seen: keeps ratios finite on plateaus.
SCALE_FLOOR = 1e-9
LOG_FLOOR = 1e-5
# Distances beyond sinh(16) scales, some four million, look alike.
FARTHEST = 16.0

TOKEN_FEATURES = 27
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
    after = _advance(stats, limits, block, start)
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
        after = _advance(before, limits, block, start)
        return after, (before, after)

    columns = jax.tree.map(jnp.transpose, blocks)
    both = jax.lax.scan(one, stats, columns)[1]
    before, after = jax.tree.map(jnp.transpose, both)
    wide = Limits(*(field[:, None] for field in limits))
    return after, *_describe(before, after, wide)


def _advance(stats: Stats, limits: Limits, block: Blocks, start: Array) -> Stats:
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
    low, high = jnp.isfinite(limits.low), jnp.isfinite(limits.high)
    to_low = value - jnp.where(low, limits.low, 0)
    to_high = jnp.where(high, limits.high, 0) - value
    way = UNSEEN_SHARE * jnp.where(low, to_low, to_high)
    return jnp.where((low != high) & (way > 0), way, jnp.inf)


def _clean(stats: Stats, value: Array) -> Array:
    """A value as far as it counts: near the median of the newest three."""
    low = jnp.minimum(stats.before, stats.value)
    high = jnp.maximum(stats.before, stats.value)
    median = jnp.clip(value, low, high)
    reach = jnp.where(stats.moves > 0, REACH * stats.spread, jnp.inf)
    return median + jnp.clip(value - median, -reach, reach)


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
    scale, (gap, position) = _scale(new, limits), _place(new, limits)
    before = jnp.where(old.tokens == 0, scale, _scale(old, limits))
    diff = jnp.where(old.tokens == 0, 0, new.value - old.value)
    count = new.observations - old.observations
    low, high = jnp.isfinite(limits.low), jnp.isfinite(limits.high)
    to_low = jnp.where(low, new.value - jnp.where(low, limits.low, 0), 0)
    to_high = jnp.where(high, jnp.where(high, limits.high, 0) - new.value, 0)
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


def stay(anchor: Anchor) -> Array:
    """The newest value in units of the anchor `(...)`."""
    return (anchor.value - anchor.level) / anchor.scale
