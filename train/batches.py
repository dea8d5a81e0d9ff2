"""From curves to training tasks: tokens, and queries to every cutoff.

One curve is queried at all of its cutoffs at once. Cutoff i is queried about
`targets` later observations: the one at the horizon and others drawn uniformly from
those left. B curves, T observations, N cutoffs, Q targets.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lcpfn.plan import make_plan, plan_features
from lcpfn.statistics import Blocks, Limits
from lcpfn.tokens import query_features, read, stay
from lcpfn.train.config import Augment


class Curves(NamedTuple):
    """A batch of whole curves in model space (lower is better).

    Attributes:
        y: values `(B, T)`, whatever after the end.
        steps: steps of the observations, increasing `(B, T)`.
        length: number of observations `(B,)`.
        low, high: bounds, infinite where unknown `(B,)`.
        weight: 0 for a row that does not count `(B,)`.
        rate: learning rate that leads to each value `(B, T)`; None: it is not told.
    """

    y: jax.Array
    steps: jax.Array
    length: jax.Array
    low: jax.Array
    high: jax.Array
    weight: jax.Array
    rate: jax.Array | None = None


class Tasks(NamedTuple):
    """What the network is trained on.

    Attributes:
        features: of the tokens `(B, N, TOKEN_FEATURES)`.
        query: features of the queries `(B, N, Q, QUERY_FEATURES)`; one more of each if
            best values are predicted too.
        target: index of the observation to predict `(B, N, Q)`.
        truth: `(y_target - level) / scale` `(B, N, Q)`.
        log_scale: log of the anchor's scale `(B, N)`.
        stay: the newest value in units of the anchor `(B, N)`.
        weight: 1 for a cutoff that counts, 0 for padding `(B, N)`.
        plan: what is planned up to the targets `(B, N, Q, PLAN_FEATURES)`; None:
            nothing is known of it.
    """

    features: jax.Array
    query: jax.Array
    target: jax.Array
    truth: jax.Array
    log_scale: jax.Array
    stay: jax.Array
    weight: jax.Array
    plan: jax.Array | None = None


class Seen(NamedTuple):
    """What of one curve is seen, as observation indices.

    Attributes:
        first: index of the first observation.
        last: index of every token's last observation `(N,)`; T where there is none.
        pooled: whether a token is the mean of its observations, or the last one alone.
        end: index of the observation at the horizon.
    """

    first: jax.Array
    last: jax.Array
    pooled: jax.Array
    end: jax.Array


def draw_context(
    key: jax.Array, length: jax.Array, observations: int, tokens: int, augment: Augment
) -> Seen:
    """Draws what is seen of a curve of `length` out of `observations` observations."""
    odds, keys = jax.random.uniform(key, (4,)), jax.random.split(key, 6)
    index = jnp.arange(observations)
    third = jnp.maximum(length // 3, 1)
    first = jnp.where(
        odds[0] < augment.truncated,
        jax.random.randint(keys[1], (), 1, third + 1),
        0,
    )
    end = jnp.where(
        odds[1] < augment.shortened,
        jax.random.randint(keys[2], (), third, length),
        length - 1,
    )
    long = length > tokens
    pooled = odds[2] < jnp.where(long, 0.7, augment.pooled)
    thinned = ~pooled & (odds[3] < augment.thinned)
    rate = jnp.exp(jax.random.uniform(keys[3], minval=jnp.log(0.1), maxval=0.0))
    stride = jnp.round(1 / rate).astype(int)
    regular = (index - first) % stride == 0
    random = jax.random.uniform(keys[4], (observations,)) < rate
    kept = jnp.where(jax.random.bernoulli(keys[5]), regular, random)
    # Powers of two, up to the one that fits a long curve into the context.
    most = jnp.maximum(jnp.ceil(jnp.log2(length / tokens)), 2)
    factor = 2 ** jnp.ceil(most * (1 + jnp.log(rate) / jnp.log(10.0))).astype(int)
    full = (index - first) % factor == factor - 1
    marks = jnp.where(pooled, full, jnp.where(thinned, kept, True))
    marks &= (index >= first) & (index < length)
    last = jnp.sort(jnp.where(marks, index, observations))[:tokens]
    # A thinned curve starts with the first observation that is kept.
    first = jnp.where(thinned, jnp.minimum(last[0], length - 1), first)
    return Seen(first, last, pooled, end)


def _pool(y: jax.Array, seen: Seen) -> tuple[jax.Array, jax.Array]:
    """Value and observation count of every token, both `(B, N)`."""
    last = jnp.minimum(seen.last, y.shape[1] - 1)
    before = jnp.concatenate([seen.first[:, None] - 1, last[:, :-1]], axis=1)
    total = jnp.concatenate([jnp.zeros_like(y[:, :1]), jnp.cumsum(y, axis=1)], axis=1)
    pooled = seen.pooled[:, None]
    count = jnp.where(pooled, jnp.maximum(last - before, 1), 1)
    observation = jnp.take_along_axis(y, last, axis=1)
    sums = jnp.take_along_axis(total, last + 1, axis=1) - jnp.take_along_axis(
        total, jnp.maximum(before + 1, 0), axis=1
    )
    return jnp.where(count > 1, sums / count, observation), count


def hide_bounds(odds: jax.Array, limits: Limits, hidden: float) -> Limits:
    """Forgets both bounds where odds < hidden, then each one half as often."""
    both = odds < hidden
    low, high = odds < 1.5 * hidden, (odds >= 1.5 * hidden) & (odds < 2 * hidden)
    return limits._replace(
        low=jnp.where(both | low, -jnp.inf, limits.low),
        high=jnp.where(both | high, jnp.inf, limits.high),
    )


def best_ahead(y: jax.Array, last: jax.Array, end: jax.Array) -> jax.Array:
    """Lowest value `(B, N)` after number `last` `(B, N)`, up to number `end` `(B,)`."""
    inside = jnp.arange(y.shape[1]) <= end[:, None]
    later = jax.lax.cummin(jnp.where(inside, y, jnp.inf), axis=1, reverse=True)
    return jnp.take_along_axis(later, jnp.minimum(last + 1, end[:, None]), axis=1)


def draw_targets(
    key: jax.Array, last: jax.Array, end: jax.Array, count: int
) -> jax.Array:
    """Numbers of the observations asked about, of each cutoff `(N, count)`.

    Args:
        key: PRNG key.
        last: number of the last one seen `(N,)`, -1 for none.
        end: number of the one at the horizon, the first of those asked about.
        count: how many; all behind a cutoff, even where that is behind the end.
    """
    left = jnp.maximum(end - last, 1)[:, None]
    share = jax.random.uniform(key, (len(last), count)).at[:, 0].set(1.0)
    return last[:, None] + jnp.clip(jnp.ceil(share * left).astype(int), 1, left)


def ask_best(
    query: jax.Array, value: jax.Array, best: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Makes the last query of each cutoff `(..., Q)` one for the best value `(...)`."""
    flag = jnp.zeros_like(query[..., :1]).at[..., -1, :].set(1)
    return jnp.concatenate([query, flag], axis=-1), value.at[..., -1].set(best)


def _planned(
    steps: jax.Array,
    rate: jax.Array,
    end: jax.Array,
    step: jax.Array,
    target: jax.Array,
) -> jax.Array:
    """What the cutoffs of one curve are told of its learning rate up to `end`."""
    until = jnp.minimum(jnp.arange(len(steps)), end)
    plan = make_plan(steps[until], rate[until])
    return plan_features(plan, step, steps[target])


def make_tasks(
    key: jax.Array,
    curves: Curves,
    targets: int,
    tokens: int,
    augment: Augment,
    best: bool = False,
) -> Tasks:
    """Turns curves into tasks.

    Args:
        key: PRNG key.
        curves: B curves.
        targets: queries per cutoff.
        tokens: most tokens per curve.
        augment: how curves are changed.
        best: query the best value up to the horizon too.

    Returns:
        Tasks with `min(T, tokens)` cutoffs per curve.
    """
    batch, observations = curves.y.shape
    tokens = min(observations, tokens)
    keys = jax.random.split(key, (2, batch))
    seen = jax.vmap(lambda k, n: draw_context(k, n, observations, tokens, augment))(
        keys[0], curves.length
    )
    y = jnp.where(jnp.arange(observations) < curves.length[:, None], curves.y, 0)
    last = jnp.minimum(seen.last, observations - 1)
    value, count = _pool(y, seen)
    step = jnp.take_along_axis(curves.steps, last, axis=1)
    start = jnp.take_along_axis(curves.steps, seen.first[:, None], axis=1)[:, 0]
    horizon = jnp.take_along_axis(curves.steps, seen.end[:, None], axis=1)[:, 0]
    odds = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 1)))(keys[0])
    limits = hide_bounds(odds, Limits(horizon, curves.low, curves.high), augment.hidden)

    blocks = Blocks(step, value, count.astype(y.dtype))
    _, anchor, features = read(limits, blocks, start)

    target = jax.vmap(draw_targets, (0, 0, 0, None))(keys[1], last, seen.end, targets)
    target = jnp.minimum(target, observations - 1)
    if best:
        # The first query is the one at the horizon.
        target = jnp.concatenate([target, target[..., :1]], axis=-1)
    flat = target.reshape(batch, -1)
    wanted = jnp.take_along_axis(y, flat, axis=1).reshape(target.shape)
    wanted_at = jnp.take_along_axis(curves.steps, flat, axis=1).reshape(target.shape)
    query = query_features(
        anchor, jnp.broadcast_to(horizon[:, None], last.shape), wanted_at
    )
    if best:
        query, wanted = ask_best(query, wanted, best_ahead(y, last, seen.end))
    plan = None
    if curves.rate is not None:
        plan = jax.vmap(_planned)(curves.steps, curves.rate, seen.end, step, target)
    counts = seen.last < seen.end[:, None]
    truth = (wanted - anchor.level[..., None]) / anchor.scale[..., None]

    def kept(x: jax.Array) -> jax.Array:
        """Zero at padding, which may be 0/0: a weight of zero does not undo NaN."""
        return jnp.where(counts.reshape(counts.shape + (1,) * (x.ndim - 2)), x, 0)

    return Tasks(
        features=kept(features),
        query=kept(query),
        target=target,
        truth=kept(truth),
        log_scale=kept(jnp.log(anchor.scale)),
        stay=kept(stay(anchor)),
        weight=(counts * curves.weight[:, None]).astype(y.dtype),
        plan=None if plan is None else kept(plan),
    )
