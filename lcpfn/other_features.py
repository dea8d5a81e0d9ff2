"""Other runs of a task, as a query about one run sees them.

A query is (run, cutoff i, target step t). To it another run j is a row of features in
the anchor of the run asked about: where j was at i and at t, what it gained in between,
how far both were apart before, how alike their configurations are, and how much of j is
known. So nothing but differences and ratios enters, and a forecast moves with
`y -> a*y + b` applied to all runs.

All runs of a task lie on one grid of steps, dense early: point k of G is the share
(k / (G - 1))^2 of the way from the first step of the task to its horizon. Between
points a curve is a straight line, before its first and after its last known observation
it stays.

The functions are traced by JAX; M other runs, G grid points, Q targets, D width.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from lcpfn.statistics import Array
from lcpfn.tokens import FARTHEST, Anchor

GRID = 64
# Where two runs are compared before the cutoff, in shares of it.
EARLIER = (0.0, 0.1, 0.25, 0.5, 0.75)
PAIR_FEATURES = 28
# A place is cut off here: of a run that exploded, nothing is learned by how much.
FARTHEST_PLACE = 1e4
# Ways in which another run says where this one will be.
PLACES = 3


class OnGrid(NamedTuple):
    """Runs on the grid of their task, model space; leading axes `(...)`.

    Attributes:
        value, level: the values, and their running average `(..., G)`.
        log_scale: of the anchor there `(..., G)`.
        first, last: shares of the grid between which the run is known `(...)`.
        best: best value that is known `(...)`.
        moved: whether two values differ: before, a scale is a guess `(...)`.
    """

    value: Array
    level: Array
    log_scale: Array
    first: Array
    last: Array
    best: Array
    moved: Array


class Pairs(NamedTuple):
    """Other runs as a query sees them.

    Attributes:
        features: see the top of this file `(Q, M, PAIR_FEATURES)`.
        places: where the target would be if the run asked about gained what the other
            did, or that in its own scale, or were where the other is; in scales from
            the level of the anchor `(Q, M, 2, PLACES)`, for the value and for the best.
    """

    features: Array
    places: Array


class Cutoff(NamedTuple):
    """The run asked about at one cutoff; scalars, but for `level_path`.

    Attributes:
        level, scale: of its anchor.
        share: of the grid, where the cutoff is.
        level_path: running average of its values on the grid `(G,)`; what lies behind
            the cutoff is not looked at.
        known: 1; 0 where nothing of the run is known yet.
    """

    level: Array
    scale: Array
    share: Array
    level_path: Array
    known: Array


def grid_shares(points: int = GRID) -> Array:
    """Shares of the way to the horizon at the points of the grid `(G,)`."""
    return (jnp.arange(points) / (points - 1)) ** 2


def on_grid(
    shares: Array, values: Array, levels: Array, scales: Array, count: Array
) -> OnGrid:
    """One run on the grid.

    Args:
        shares: of the grid, where the observations are, increasing `(T,)`.
        values: there `(T,)`.
        levels: of the anchors there `(T,)`.
        scales: likewise, positive `(T,)`.
        count: how many are known, at least one.
    """
    known = jnp.arange(len(shares)) < count
    last = jnp.maximum(count - 1, 0)
    moved = known & (jnp.cumsum(values != values[0]) > 0)
    shown = jnp.log(jnp.where(moved, scales, scales[jnp.argmax(moved)]))
    held = [jnp.where(known, x, x[last]) for x in (values, levels, shown)]
    place = jnp.where(known, shares, 2.0 + jnp.arange(len(shares)))
    at = grid_shares()
    paths = [jnp.interp(at, place, x) for x in held]
    # Behind the last known observation a line would lead to one that is not known.
    late = at > shares[last]
    value, level, log_scale = (
        jnp.where(late, x[last], path) for x, path in zip(held, paths, strict=True)
    )
    best = jnp.min(jnp.where(known, values, jnp.inf))
    return OnGrid(
        value, level, log_scale, shares[0], shares[last], best, jnp.any(moved)
    )


def _along(path: Array, share: Array) -> Array:
    """Paths `(..., G)` at shares of the grid that broadcast against `(...)`."""
    points = path.shape[-1]
    place = jnp.sqrt(jnp.clip(share, 0, 1)) * (points - 1)
    before = jnp.clip(jnp.floor(place).astype(int), 0, points - 2)
    part = place - before
    shape = jnp.broadcast_shapes(path.shape[:-1], jnp.shape(share))
    path = jnp.broadcast_to(path, (*shape, points))
    before, part = (jnp.broadcast_to(x, shape)[..., None] for x in (before, part))
    left = jnp.take_along_axis(path, before, -1)
    right = jnp.take_along_axis(path, before + 1, -1)
    return (left + part * (right - left))[..., 0]


def _best_between(path: Array, start: Array, end: Array) -> Array:
    """Lowest value of paths `(M, G)` behind `start`, up to `end` `(Q,)`: `(Q, M)`."""
    at = grid_shares(path.shape[-1])
    inside = (at > start) & (at <= end[:, None])  # (Q, G)
    lowest = jnp.min(jnp.where(inside[:, None], path, jnp.inf), axis=-1)
    return jnp.minimum(lowest, _along(path, end[:, None]))


def pair_features(
    asked: Cutoff, others: OnGrid, config: Array, targets: Array
) -> Pairs:
    """What a query about one run at one cutoff sees of the other runs.

    Args:
        asked: the run and its cutoff.
        others: fields `(M, G)` and `(M,)`.
        config: distances of the configurations `(M, CONFIG_FEATURES)`.
        targets: steps asked about, as shares of the grid `(Q,)`.
    """
    then = jnp.minimum(targets[:, None], others.last)  # (Q, M)
    wide = lambda x: jnp.broadcast_to(x, then.shape)
    distances, ratio, places = _distances(asked, others, targets, then)
    squeezed = jnp.stack([wide(x) for x in distances], -1)
    squeezed = jnp.clip(jnp.arcsinh(squeezed), -FARTHEST, FARTHEST)
    plain = [
        ratio,
        others.last - asked.share,
        others.last,
        jnp.where(others.last >= 1, 1.0, 0.0),
        jnp.where(others.last >= asked.share, 1.0, 0.0),
        others.first,
        jnp.where(others.last >= targets[:, None], 1.0, 0.0),
        jnp.clip(others.last - targets[:, None], -1, 1),
    ]
    shape = (*then.shape, config.shape[-1])
    parts = [squeezed, jnp.stack([wide(x) for x in plain], -1)]
    features = jnp.concatenate([*parts, jnp.broadcast_to(config, shape)], -1)
    return Pairs(features, jnp.clip(places, -FARTHEST_PLACE, FARTHEST_PLACE))


def _distances(
    asked: Cutoff, others: OnGrid, targets: Array, then: Array
) -> tuple[list[Array], Array, Array]:
    """Distances to other runs in scales, each `(M,)` or `(Q, M)`; ratios; places.

    Args:
        asked: the run and its cutoff.
        others: fields `(M, G)` and `(M,)`.
        targets: steps asked about `(Q,)`.
        then: the same, or the ends of runs that did not get there `(Q, M)`.
    """
    now = jnp.minimum(asked.share, others.last)  # (M,)
    distance = lambda y: (y - asked.level) / asked.scale
    level_now, value_now = (_along(x, now) for x in (others.level, others.value))
    level_then, value_then = (_along(x, then) for x in (others.level, others.value))
    log_scale = _along(others.log_scale, now)
    log_scale = jnp.where(others.moved, log_scale, jnp.log(asked.scale))
    scale_now = jnp.exp(log_scale)
    gain = level_then - level_now
    apart = _apart_before(asked, others)
    spread = jnp.sqrt(jnp.mean(jnp.square(jnp.stack(apart)), axis=0))
    of_run = [
        distance(level_now),
        distance(value_now),
        distance(_along(others.level, others.last)),
        distance(others.best),
        *apart,
        spread,
    ]
    best = _best_between(others.value, asked.share, targets)
    of_query = [
        distance(level_then),
        distance(value_then),
        distance(best),
        gain / asked.scale,
        gain / scale_now,
        (value_then - level_now) / scale_now,
    ]
    gains = [
        jnp.stack([(y - level_now) / x for x in (asked.scale, scale_now)], -1)
        for y in (level_then, best)
    ]
    there = jnp.stack([distance(level_then), distance(best)], -1)[..., None]
    places = jnp.concatenate([jnp.stack(gains, -2), there], -1)
    return [*of_run, *of_query], log_scale - jnp.log(asked.scale), places


def _apart_before(asked: Cutoff, others: OnGrid) -> list[Array]:
    """How far the runs were apart at shares of the way to the cutoff, each `(M,)`."""
    later = grid_shares(asked.level_path.shape[-1]) > asked.share
    own = jnp.where(later, asked.level, asked.level_path)
    return [
        asked.known * (_along(own, s) - _along(others.level, s)) / asked.scale
        for s in asked.share * jnp.array(EARLIER)
    ]


def anchor_of_others(
    others: OnGrid, mask: Array, step: Array, gap: Array, xp: Any = jnp
) -> Anchor:
    """Where a run is anchored of which nothing is known: amid the others.

    By medians, so that a few that exploded do not say what is usual.

    Args:
        others: fields `(M, G)` and `(M,)`.
        mask: which of them there are `(M,)`.
        step: one gap before its first observation.
        gap: steps between its observations.
        xp: jax.numpy or numpy.
    """

    def median(x: Array, mask: Array) -> Array:
        order, count = xp.sort(xp.where(mask, x, xp.inf)), xp.maximum(mask.sum(), 1)
        middle = order[(count - 1) // 2] + order[count // 2]
        return xp.where(mask.any(), 0.5 * middle, 0.0)

    start, newest = others.level[:, 0], others.level[:, -1]
    level = median(newest, mask)
    spread = 1.5 * median(xp.abs(newest - level), mask)
    spread = xp.maximum(spread, 0.1 * median(xp.abs(newest - start), mask))
    own = median(xp.exp(others.log_scale[:, -1]), mask & others.moved)
    scale = xp.where(spread > 0, spread, xp.where(own > 0, own, 0.1 * xp.abs(level)))
    scale = xp.where(scale > 0, scale, 1.0)
    return Anchor(level, scale, level, step, gap, 0.1 * gap)
