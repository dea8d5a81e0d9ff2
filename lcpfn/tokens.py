"""Tokens: what the network sees of a curve, and what it never sees.

The network never sees the user's units. For every record the running statistics give
an *anchor*, a level and a scale, both causal:

    level_i = average of y up to i, newest record weighing 0.4
    scale_i = root of the average of squared differences up to i, newest weighing 0.25

and every value enters as a distance from something else in the curve, measured in that
scale and squeezed through asinh. The prediction is anchored likewise,
`y_j ~ level_i + scale_i * Mixture(...)`, so a forecast moves with the data under
`y -> a*y + b`. Until two different values have been seen there is no scale in the data:
then it is taken from the bounds or, without any, from |y|.

Steps enter as fractions of the horizon and as multiples of the mean gap between
records, so epochs 1..50 and optimizer steps 1000..50000 are the same curve.

A context holds a fixed number of tokens. A longer curve is pooled: token k is the mean
of `p` consecutive records, with p the smallest power of two that fits (`pool_factor`).
The tokens depend on the records alone, not on how they arrived.

The functions take the array module as `xp`: `numpy` in float64 at inference, where a
large offset must not cost precision, and `jax.numpy` inside the training step.
"""

from types import ModuleType
from typing import Any, NamedTuple

Array = Any  # numpy.ndarray or jax.Array, according to `xp`

LEVEL_WEIGHT = 0.4
SCALE_WEIGHT = 0.25
SLOW_WEIGHT = 0.06
# Share of |y| or of the bounds' width that stands in for the scale of a curve in which
# no two values differ yet.
BLIND_SHARE = 0.1
# Smallest scale, as a share of the range seen: keeps ratios finite on plateaus.
SCALE_FLOOR = 1e-6
LOG_FLOOR = 1e-5

TOKEN_FEATURES = 26
QUERY_FEATURES = 8


class Metric(NamedTuple):
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

    `tokens` and `records` count, `moves` counts differences since the first that was
    not zero; `spread` is the raw scale, zero while no two values differed.
    """

    tokens: Array
    records: Array
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


class Anchor(NamedTuple):
    """Where and how wide the prediction of one cutoff is anchored; all `(batch,)`."""

    level: Array
    scale: Array
    step: Array
    gap: Array


def empty_stats(batch: int, xp: ModuleType, dtype: Any) -> Stats:
    """Statistics of `batch` curves without any record."""
    zero = xp.zeros((batch,), dtype)
    return Stats(*([zero] * len(Stats._fields)))


def pool_factor(records: int, context: int) -> int:
    """Records per token: the smallest power of two that fits them into `context`."""
    factor = 1
    while -(-records // factor) > context:
        factor *= 2
    return factor


def _scale(stats: Stats, metric: Metric, xp: ModuleType) -> Array:
    low, high = xp.isfinite(metric.low), xp.isfinite(metric.high)
    to_low = xp.where(low, stats.value - xp.where(low, metric.low, 0), 0)
    to_high = xp.where(high, xp.where(high, metric.high, 0) - stats.value, 0)
    # Both bounds: their width. One bound: the distance to it. None: |y|.
    blind = xp.where(low | high, to_low + to_high, xp.abs(stats.value))
    blind = xp.where(blind > 0, blind, xp.abs(stats.value))
    blind = BLIND_SHARE * xp.where(blind > 0, blind, 1)
    floor = SCALE_FLOOR * (stats.worst - stats.best)
    return xp.where(stats.moves > 0, xp.maximum(stats.spread, floor), blind)


def observe(
    stats: Stats,
    metric: Metric,
    step: Array,
    value: Array,
    count: Array,
    start: Array,
    xp: ModuleType,
) -> tuple[Stats, Anchor, Array]:
    """Takes one more token of every curve.

    Args:
        stats: statistics before it, fields `(batch,)`.
        metric: horizon and bounds, fields `(batch,)`.
        step: step of the token's last record `(batch,)`.
        value: mean of its records in model space, lower is better `(batch,)`.
        count: how many records it pools `(batch,)`.
        start: step of the curve's first record `(batch,)`.
        xp: `numpy` or `jax.numpy`.

    Returns:
        Statistics after it, its anchor, its features `(batch, TOKEN_FEATURES)`.
    """
    new = stats.tokens == 0
    diff = xp.where(new, 0, value - stats.value)
    moves = xp.where((stats.moves > 0) | (diff != 0), stats.moves + 1, 0)
    tokens = stats.tokens + 1
    records = stats.records + count

    def average(old: Array, weight: float, age: Array, x: Array) -> Array:
        rate = xp.maximum(weight, 1 / xp.maximum(age, 1))
        return old + rate * (x - old)

    def root_mean_square(old: Array, weight: float) -> Array:
        rate = xp.sqrt(xp.maximum(weight, 1 / xp.maximum(moves, 1)))
        kept = xp.sqrt(xp.maximum(1 - rate * rate, 0))
        return xp.where(moves > 0, xp.hypot(kept * old, rate * diff), 0)

    after = Stats(
        tokens=tokens,
        records=records,
        moves=moves,
        start=start,
        step=step,
        value=value,
        level=xp.where(new, value, stats.level + LEVEL_WEIGHT * (value - stats.level)),
        slow_level=average(stats.slow_level, SLOW_WEIGHT, tokens, value),
        spread=root_mean_square(stats.spread, SCALE_WEIGHT),
        slow_spread=root_mean_square(stats.slow_spread, SLOW_WEIGHT),
        drift=average(stats.drift, SLOW_WEIGHT, tokens - 1, diff),
        best=xp.where(new, value, xp.minimum(stats.best, value)),
        worst=xp.where(new, value, xp.maximum(stats.worst, value)),
        first=xp.where(new, value, stats.first),
    )
    scale = _scale(after, metric, xp)
    before = xp.where(new, scale, _scale(stats, metric, xp))
    gap = _mean_gap(after, metric, xp)
    features = _features(stats, after, metric, diff, count, (before, scale, gap), xp)
    return after, Anchor(after.level, scale, step, gap), features


def _mean_gap(stats: Stats, metric: Metric, xp: ModuleType) -> Array:
    """Steps per record so far; for a single record the distance from step 0."""
    later = (stats.step - stats.start) / xp.maximum(stats.records - 1, 1)
    # A curve that starts at step 0 shows no gap yet: a hundredth of the way is typical.
    first = xp.where(stats.step > 0, stats.step, metric.horizon / 100)
    return xp.where(stats.records > 1, later, first)


def _features(
    old: Stats,
    new: Stats,
    metric: Metric,
    diff: Array,
    count: Array,
    scales: tuple[Array, Array, Array],
    xp: ModuleType,
) -> Array:
    before, scale, gap = scales
    low, high = xp.isfinite(metric.low), xp.isfinite(metric.high)
    to_low = xp.where(low, new.value - xp.where(low, metric.low, 0), 0)
    to_high = xp.where(high, xp.where(high, metric.high, 0) - new.value, 0)
    width = xp.where(low & high, to_low + to_high, 1)
    done = new.step / metric.horizon
    seen = new.moves > 0
    # Without bounds the blind scale is made of |y|, which a shift of the curve changes.
    known = (old.moves > 0) | low | high
    one = xp.ones_like(scale)

    def log(x: Array) -> Array:
        return xp.log(xp.maximum(x, LOG_FLOOR))

    columns = [
        xp.where(known, xp.arcsinh(diff / before), 0),
        xp.arcsinh(diff / scale),
        xp.arcsinh((new.value - new.level) / scale),
        xp.arcsinh((new.value - new.slow_level) / scale),
        xp.arcsinh((new.value - new.best) / scale),
        xp.arcsinh((new.value - new.worst) / scale),
        xp.arcsinh((new.value - new.first) / scale),
        xp.arcsinh((new.value - xp.where(old.tokens > 0, old.best, new.value)) / scale),
        xp.arcsinh(4 * new.drift / scale),
        xp.where(seen, log(new.slow_spread / scale), 0),
        xp.where(known, log(scale / before), 0),
        xp.arcsinh(to_low / scale),
        xp.arcsinh(to_high / scale),
        xp.where(low & high, to_low / width, 0),
        one * low,
        one * high,
        one * seen,
        log(new.records),
        1 / new.tokens,
        xp.minimum(new.moves, 8) / 8,
        log(count),
        done,
        log(done),
        log(metric.horizon / gap),
        log((new.step - old.step) / (gap * count)),
        log(new.step / gap),
    ]
    return xp.stack(columns, axis=-1)


def query_features(
    anchor: Anchor, horizon: Array, targets: Array, xp: ModuleType
) -> Array:
    """Features of the questions (cutoff, target step).

    Args:
        anchor: of the cutoffs, fields `(...)`.
        horizon: last step to predict `(...)`.
        targets: steps to predict `(..., queries)`.
        xp: `numpy` or `jax.numpy`.

    Returns:
        `(..., queries, QUERY_FEATURES)`.
    """
    step, gap, end = anchor.step[..., None], anchor.gap[..., None], horizon[..., None]

    def log(x: Array) -> Array:
        return xp.log(xp.maximum(x, LOG_FLOOR))

    ahead = targets - step
    columns = [
        log(ahead / gap),
        xp.log1p(ahead / xp.maximum(step, LOG_FLOOR * end)),
        ahead / end,
        ahead / xp.maximum(end - step, LOG_FLOOR * end),
        targets / end,
        log(targets / end),
        log(end / gap) + 0 * ahead,
        log(step / end) + 0 * ahead,
    ]
    return xp.stack(columns, axis=-1)
