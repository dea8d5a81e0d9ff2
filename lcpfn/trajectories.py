"""Joint trajectories: sampled points are fed back as if they had been observed.

Steps are cut into at most `KNOTS` blocks. Within a block every step is drawn given the
trajectory so far; the last step of the block is then fed back. Everything runs in units
of the cutoff's anchor, where float32 suffices whatever the user's units are.
"""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.batch import Batch, at_last, factors_of, make_batch, read_batch
from lcpfn.config import ModelConfig
from lcpfn.jax_setup import float64
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture
from lcpfn.seen_curve import Context
from lcpfn.statistics import Blocks, Limits, Stats
from lcpfn.tokens import Anchor, observe, query_features, stay

if TYPE_CHECKING:
    from lcpfn.model import Model

KNOTS = 48
ROWS = 64  # simulated at a time; more do not fit the cache of a CPU
_SHIFTED = (
    *("value", "before", "clean", "level", "slow_level"),
    *("best", "worst", "first"),
)
_SCALED = ("change", "change2", "spread", "slow_spread", "drift")


def in_anchor_units(stats: Stats, anchor: Anchor) -> tuple[Stats, Anchor]:
    """The same curve with its anchor moved to level 0 and scale 1, its start to 0."""
    moved = {
        name: (getattr(stats, name) - anchor.level) / anchor.scale for name in _SHIFTED
    } | {name: getattr(stats, name) / anchor.scale for name in _SCALED}
    zero = jnp.zeros_like(anchor.level)
    moved |= {name: getattr(stats, name) - stats.start for name in ("step", "start")}
    here = Anchor(
        zero, zero + 1, moved["value"], moved["step"], anchor.gap, anchor.position
    )
    return stats._replace(**moved), here


@float64
@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _roll(
    config: ModelConfig,
    hard: bool,
    rows: int,
    params: Any,
    batch: Batch,
    blocks: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, Anchor]:
    """Samples values of one curve at the steps in `blocks` `(knots, block)`.

    Returns:
        `(knots, rows, block)` in units of the cutoff's anchor, and that anchor.
    """
    all_stats, anchors, features = read_batch(batch)
    stats, start = at_last((all_stats, anchors), batch.last)
    low, high = ((x - start.level) / start.scale for x in batch.limits[1:])

    def spread(x: jax.Array) -> jax.Array:
        return jnp.repeat(x, rows, axis=0).astype(jnp.float32)

    stats, anchor = jax.tree.map(spread, in_anchor_units(stats, start))
    end = batch.limits.horizon - batch.start
    limits = jax.tree.map(spread, Limits(end, low, high))
    cache = network.empty_cache(config, rows, features.shape[1] + len(blocks))
    states, cache = network.encode(config, params, spread(features), cache)
    state = states[:, batch.last[0]]
    position = jnp.repeat(batch.last + 1, rows).astype(jnp.int32)

    def knot(carry: tuple, block: tuple) -> tuple[tuple, jax.Array]:
        state, cache, position, stats, anchor = carry
        steps, key = block
        steps = jnp.tile(steps, (rows, 1))
        query = query_features(anchor, limits.horizon, steps)
        mixture = network.predict(config, params, state, query, stay(anchor))
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
            last = jnp.clip(last, limits.low, limits.high)
        one = jnp.ones_like(last)
        stats, anchor, token = observe(
            stats, limits, Blocks(steps[:, -1], last, one), stats.start
        )
        state, cache = network.encode(config, params, token[:, None], cache, position)
        return (state[:, 0], cache, position + 1, stats, anchor), y

    first = (state, cache, position, stats, anchor)
    blocks = (blocks - batch.start[0]).astype(jnp.float32)
    steps = (blocks, jax.random.split(key, len(blocks)))
    return jax.lax.scan(knot, first, steps)[1], start


def simulate(
    model: "Model", contexts: Sequence[Context], metric: Metric, n: int, seed: int
) -> np.ndarray:
    """Draws `n` trajectories of every curve, in the user's units.

    Returns:
        `(n, batch, steps)`, shorter curves ending in NaN. Values are not confined to
        hard bounds: they are there to be ranked, and clipping would tie them.
    """
    targets = [context.wanted() for context in contexts]
    drawn = np.full((n, len(contexts), max(map(len, targets))), np.nan)
    for i, (context, steps) in enumerate(zip(contexts, targets, strict=True)):
        if len(context.values) and len(steps):
            key = jax.random.fold_in(jax.random.key(seed), i)
            drawn[:, i, : len(steps)] = _one(model, context, steps, metric, n, key)
        elif len(steps):
            drawn[:, i, : len(steps)] = _unseen(n, len(steps), [seed, i])
    return drawn


def _unseen(n: int, steps: int, seed: Sequence[int]) -> np.ndarray:
    """Ranks of a run without observations `(n, steps)`: each keeps to its own place.

    Where it is among all that may be is half of it; the rest is a random walk.
    """
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=(n, steps)).cumsum(axis=1) / np.sqrt(steps)
    return rng.normal(size=(n, 1)) + walk


def _one(
    model: "Model",
    context: Context,
    targets: np.ndarray,
    metric: Metric,
    n: int,
    key: jax.Array,
) -> np.ndarray:
    factors = factors_of([context], model.config.context)
    batch = make_batch([context], metric, factors, 1)
    block = -(-len(targets) // KNOTS)
    knots = -(-len(targets) // block)
    knots = min(KNOTS, 8 * -(-knots // 8))
    steps = np.pad(targets, (0, knots * block - len(targets)), mode="edge")
    values = []
    for part in range(0, n, ROWS):
        drawn, anchor = _roll(
            model.config,
            metric.hard,
            min(ROWS, n - part),
            model.params,
            batch,
            steps.reshape(knots, block),
            jax.random.fold_in(key, part),
        )
        values.append(np.moveaxis(np.asarray(drawn, np.float64), 0, 1))
    flat = np.concatenate(values).reshape(n, -1)[:, : len(targets)]
    level, scale = (np.asarray(x)[0] for x in anchor[:2])
    return metric.sign * (level + scale * flat)


def with_marginals(
    simulated: np.ndarray, mixture: Mixture, n: int, seed: int
) -> np.ndarray:
    """The first `n` trajectories, with given distributions at every step.

    The ranks of the simulated values at every step are filled with quantiles of the
    distribution there: ensemble copula coupling, Schefzik et al. 2013.

    Args:
        simulated: `(paths, ...)`.
        mixture: the distributions `(...)`.
        n: how many are returned.
        seed: of the place of each value between two quantiles.
    """
    jitter = np.random.default_rng(seed).random(simulated.shape)
    rank = np.argsort(np.argsort(simulated, axis=0, kind="stable"), axis=0)
    return mixture.quantile((rank + jitter) / len(simulated))[:n]
