"""Joint paths: sampled points are fed back through the stream as if observed.

Steps are cut into at most `KNOTS` blocks. Within a block every step is drawn given the
path so far; the last step of the block is then fed back. Everything runs in units of
the cutoff's anchor, where float32 suffices whatever the user's units are.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.context import read_tokens
from lcpfn.curves import Records
from lcpfn.metric import Metric as UserMetric
from lcpfn.tokens import Anchor, Metric, Stats, observe, query_features

KNOTS = 48
ROWS = 64  # simulated at a time; more do not fit the cache of a CPU
_SHIFTED = ("value", "level", "slow_level", "best", "worst", "first")
_SCALED = ("spread", "slow_spread", "drift")


def in_anchor_units(stats: Stats, anchor: Anchor) -> tuple[Stats, Anchor]:
    """The same curve with its anchor moved to level 0 and scale 1."""
    moved = {
        name: (getattr(stats, name) - anchor.level) / anchor.scale for name in _SHIFTED
    } | {name: getattr(stats, name) / anchor.scale for name in _SCALED}
    zero = np.zeros_like(anchor.level)
    return stats._replace(**moved), anchor._replace(level=zero, scale=zero + 1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _roll(
    config: network.ModelConfig,
    hard: bool,
    params: Any,
    context: tuple[jax.Array, jax.Array],
    seen: tuple[Stats, Anchor],
    metric: Metric,
    blocks: jax.Array,
    keys: jax.Array,
) -> jax.Array:
    """Samples values at the steps in `blocks`, both `(knots, rows, block)`."""
    features, count = context
    knots, rows = blocks.shape[:2]
    cache = network.empty_cache(config, rows, features.shape[1] + knots)
    states, cache = network.encode(config, params, features, cache)
    state = states[jnp.arange(rows), count - 1]

    def knot(carry: tuple, block: tuple) -> tuple[tuple, jax.Array]:
        state, cache, position, stats, anchor = carry
        steps, key = block
        query = query_features(anchor, metric.horizon, steps, jnp)
        mixture = network.answer(config, params, state, query)
        key_pick, key_value = jax.random.split(key)
        pick = jax.random.categorical(key_pick, mixture.log_weight)[..., None]
        mean, log_std = (
            jnp.take_along_axis(x, pick, axis=-1)[..., 0]
            for x in (mixture.mean, mixture.log_std)
        )
        noise = jax.random.normal(key_value, mean.shape, mean.dtype)
        z = mean + jnp.exp(log_std) * noise
        y = anchor.level[:, None] + anchor.scale[:, None] * z
        # What lies outside the bounds keeps its rank, but is not fed back.
        last = y[:, -1]
        if hard:
            last = jnp.clip(last, metric.low, metric.high)
        one = jnp.ones_like(last)
        stats, anchor, token = observe(
            stats, metric, steps[:, -1], last, one, stats.start, jnp
        )
        state, cache = network.encode(config, params, token[:, None], cache, position)
        return (state[:, 0], cache, position + 1, stats, anchor), y

    start = (state, cache, count, *seen)
    return jax.lax.scan(knot, start, (blocks, jax.random.split(keys, knots)))[1]


def simulate(
    config: network.ModelConfig,
    params: network.Params,
    records: list[Records],
    metric: UserMetric,
    n: int,
    seed: int,
) -> np.ndarray:
    """Draws `n` trajectories of every curve, in the user's units.

    Returns:
        `(n, batch, steps)`, shorter curves ending in NaN. Values are not confined to
        hard bounds: they are there to be ranked, and clipping would tie them.
    """
    widest = max(len(r.targets) for r in records)
    drawn = np.full((n, len(records), widest), np.nan)
    for i, r in enumerate(records):
        if len(r.values):
            key = jax.random.fold_in(jax.random.key(seed), i)
            drawn[:, i, : len(r.targets)] = _one(config, params, r, metric, n, key)
    return drawn


def _one(
    config: network.ModelConfig,
    params: network.Params,
    record: Records,
    metric: UserMetric,
    n: int,
    key: jax.Array,
) -> np.ndarray:
    tokens = read_tokens([record], metric, config.context)
    size = max(8, 1 << (tokens.features.shape[1] - 1).bit_length())
    features = np.pad(
        tokens.features, ((0, 0), (0, size - tokens.features.shape[1]), (0, 0))
    )
    stats, anchor = in_anchor_units(tokens.stats, tokens.anchor)
    level, scale = tokens.anchor.level[0], tokens.anchor.scale[0]
    bounds = tokens.metric._replace(
        low=(tokens.metric.low - level) / scale,
        high=(tokens.metric.high - level) / scale,
    )
    block = -(-len(record.targets) // KNOTS)
    knots = -(-len(record.targets) // block)
    knots = min(KNOTS, 8 * -(-knots // 8))
    steps = np.pad(
        record.targets, (0, knots * block - len(record.targets)), mode="edge"
    ).reshape(knots, 1, block)

    values = []
    device = jax.tree.leaves(params)[0].device
    for part in range(0, n, ROWS):
        rows = min(ROWS, n - part)

        def spread(x: Any, rows: int = rows) -> np.ndarray:
            x = np.broadcast_to(np.asarray(x), (1, *np.shape(x)[1:]))
            return np.repeat(x, rows, axis=0).astype(np.float32)

        with jax.default_device(device):
            drawn = _roll(
                config,
                metric.hard,
                params,
                (spread(features), np.repeat(tokens.length, rows)),
                (Stats(*map(spread, stats)), Anchor(*map(spread, anchor))),
                Metric(*map(spread, bounds)),
                np.repeat(steps, rows, axis=1).astype(np.float32),
                jax.random.fold_in(key, part),
            )
        values.append(np.moveaxis(np.asarray(drawn, np.float64), 0, 1))
    flat = np.concatenate(values).reshape(n, -1)[:, : len(record.targets)]
    return metric.sign * (level + scale * flat)
