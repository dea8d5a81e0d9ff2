"""What the network remembers of a growing curve: keys, values and statistics.

Keys and values of past tokens stay on the device, so that one more token is one call:
it observes, encodes and predicts the end. Arrays have an axis of one curve first.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.batch import Batch, at_last, read_batch
from lcpfn.config import ModelConfig
from lcpfn.jax_setup import float64
from lcpfn.queries import predict_values
from lcpfn.statistics import Array, Blocks, Limits, Stats
from lcpfn.tokens import Anchor, observe


class Past(NamedTuple):
    """What the next token builds on.

    Attributes:
        cache: keys and values of the complete tokens, and room for a whole context.
        position: how many complete tokens there are `(1,)`.
        stats: after the last of them, the fields of `statistics.Stats` `(1, 19)`.
    """

    cache: network.Cache
    position: Array
    stats: Array


class Now(NamedTuple):
    """What is known at the newest observations of R curves.

    Few arrays, since every one of them costs time in a call.

    Attributes:
        state: of the network `(R, D)`.
        anchor: the fields of `tokens.Anchor` `(R, 6)`.
        end: weight, mean and std of the best value up to the horizon, if the network
            knows it, and of the value there `(R, 3, 1 or 2, K)`; model space.
    """

    state: Array
    anchor: Array
    end: Array


class Token(NamedTuple):
    """One more token; given as an array `(1, 5)`.

    Attributes:
        step, value, count: of the pooled observations, see `statistics.Blocks`.
        start: step of the first observation of the curve.
        full: 1 if it is complete; else the next one replaces it.
    """

    step: Array
    value: Array
    count: Array
    start: Array
    full: Array = 1.0


def known_now(
    config: ModelConfig,
    params: Any,
    state: jax.Array,
    anchor: Anchor,
    horizon: jax.Array,
    plan: jax.Array | None,
) -> Now:
    """What the network says at the cutoffs of R curves.

    `plan` is what is planned up to the horizons `(R, PLAN_FEATURES)`.
    """
    at, best = horizon[:, None], config.best
    if plan is not None:
        plan = jnp.stack([plan] * (1 + best), axis=1)
    end = predict_values(config, params, state, anchor, horizon, at, plan, best)
    return Now(state, jnp.stack(anchor, 1), jnp.stack(end[:3], 1))


@float64
@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def append(
    config: ModelConfig,
    params: Any,
    past: Past,
    tokens: jax.Array,
    limits: Limits,
    plan: jax.Array | None,
) -> tuple[Past, Now]:
    """Takes one more token `(1, 5)`; see `Batch.plan`."""
    token = Token(*tokens.T)
    stats, anchor, features = observe(
        Stats(*past.stats.T), limits, Blocks(*token[:3]), token.start
    )
    features = features.astype(jnp.float32)[:, None]
    states, cache = network.encode(config, params, features, past.cache, past.position)
    done = token.full > 0
    held = jnp.where(done[:, None], jnp.stack(stats, 1), past.stats)
    now = known_now(config, params, states[:, 0], anchor, limits.horizon, plan)
    return Past(cache, past.position + done, held), now


@float64
@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def fill(
    config: ModelConfig, params: Any, past: Past, batch: Batch
) -> tuple[Past, Now]:
    """Reads all complete tokens at once; `batch` has one curve."""
    stats, anchors, features = read_batch(batch)
    states, memories = network.encode(config, params, features)
    state, anchor, stats = at_last((states, anchors, stats), batch.last)
    room = past.cache[0][0].shape[1]
    cache = jax.tree.map(
        lambda new, old: old.at[:, : min(room, new.shape[1])].set(new[:, :room]),
        memories,
        past.cache,
    )
    done = (batch.last + 1).astype(past.position.dtype)
    now = known_now(config, params, state, anchor, batch.limits.horizon, batch.plan)
    return Past(cache, done, jnp.stack(stats, 1)), now


@float64
def empty_memory(config: ModelConfig, device: Any) -> tuple[Past, Now]:
    """Of a curve without a token."""
    cache = network.empty_cache(config, 1, config.context)
    stats = np.zeros((1, len(Stats._fields)))
    past = Past(cache, np.zeros(1, np.int32), stats)
    state = np.zeros((1, config.width), np.float32)
    # Any numbers that are finite: nothing is known yet.
    anchor = np.ones((1, len(Anchor._fields)))
    end = np.ones((1, 3, 1 + config.best, config.components))
    return jax.device_put((past, Now(state, anchor, end)), device)
