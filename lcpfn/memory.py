"""What the network remembers of growing curves: keys, values and statistics.

Keys and values of past tokens stay on the device, so that one more token of some of R
curves is one call: it observes, encodes and predicts the end.
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
from lcpfn.queries import predict_end
from lcpfn.statistics import Array, Blocks, Limits, Stats
from lcpfn.tokens import Anchor, observe


class Past(NamedTuple):
    """What the next token of R rows builds on.

    Attributes:
        cache: keys and values of the complete tokens, and room for more.
        position: how many complete tokens there are `(R,)`.
        stats: after the last of them, the fields of `statistics.Stats` `(R, 19)`.
    """

    cache: network.Cache
    position: Array
    stats: Array


class Now(NamedTuple):
    """What is known at the newest observation of R rows.

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
    """One more token of one row; of R rows an array `(R, 6)`.

    Attributes:
        step, value, count: of the pooled observations, see `statistics.Blocks`.
        start: step of the first observation of the curve.
        live: 1; 0 where a row has no token.
        full: 1 if it is complete; else the next one replaces it.
    """

    step: Array
    value: Array
    count: Array
    start: Array
    live: Array = 1.0
    full: Array = 1.0


def known_now(
    config: ModelConfig,
    params: Any,
    state: jax.Array,
    anchor: Anchor,
    horizon: jax.Array,
) -> Now:
    """What the network says at the cutoffs of R rows."""
    end = predict_end(config, params, state, anchor, horizon)
    return Now(state, jnp.stack(anchor, 1), jnp.stack(end[:3], 1))


def _where(mask: jax.Array, new: Any, old: Any) -> Any:
    """Row-wise choice between two trees of arrays `(R, ...)`."""

    def choose(n: jax.Array, o: jax.Array) -> jax.Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (n.ndim - 1)), n, o)

    return jax.tree.map(choose, new, old)


@float64
@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def append(
    config: ModelConfig,
    params: Any,
    past: Past,
    now: Now,
    tokens: jax.Array,
    limits: Limits,
) -> tuple[Past, Now]:
    """Takes one more token `(R, 6)` of the rows that have one."""
    token = Token(*tokens.T)
    stats, anchor, features = observe(
        Stats(*past.stats.T), limits, Blocks(*token[:3]), token.start
    )
    live, full = token.live > 0, token.full > 0
    features = jnp.where(live[:, None], features, 0).astype(jnp.float32)
    # Rows that stand still write behind their end, where nobody looks.
    room = past.cache[0][0].shape[1]
    at = jnp.minimum(past.position, room - 1)
    states, cache = network.encode(config, params, features[:, None], past.cache, at)
    done = live & full
    held = jnp.where(done[:, None], jnp.stack(stats, 1), past.stats)
    new = known_now(config, params, states[:, 0], anchor, limits.horizon)
    return Past(cache, past.position + done, held), _where(live, new, now)


@float64
@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def fill_row(
    config: ModelConfig,
    params: Any,
    past: Past,
    now: Now,
    batch: Batch,
    row: jax.Array,
) -> tuple[Past, Now]:
    """Reads all complete tokens of one row at once; `batch` has one curve."""
    stats, anchors, features = read_batch(batch)
    states, memories = network.encode(config, params, features)
    state, anchor, stats = at_last((states, anchors, stats), batch.last)
    new = known_now(config, params, state, anchor, batch.limits.horizon)
    room = past.cache[0][0].shape[1]
    cache = jax.tree.map(
        lambda new, old: old.at[row, : min(room, new.shape[1])].set(new[0, :room]),
        memories,
        past.cache,
    )
    done = (batch.last[0] + 1).astype(past.position.dtype)
    held = past.stats.at[row].set(jnp.stack(stats, 1)[0])
    return (
        Past(cache, past.position.at[row].set(done), held),
        jax.tree.map(lambda n, o: o.at[row].set(n[0]), new, now),
    )


@float64
def empty_memory(
    config: ModelConfig, rows: int, room: int, device: Any
) -> tuple[Past, Now]:
    """Of curves without a token, with room for some."""
    cache = network.empty_cache(config, rows, room)
    stats = np.zeros((rows, len(Stats._fields)))
    past = Past(cache, np.zeros(rows, np.int32), stats)
    state = np.zeros((rows, config.width), np.float32)
    # Any numbers that are finite: nothing is known of these rows.
    anchor = np.ones((rows, len(Anchor._fields)))
    end = np.ones((rows, 3, 1 + config.best, config.components))
    return jax.device_put((past, Now(state, anchor, end)), device)


@float64
def forget_row(past: Past, row: int) -> Past:
    """Starts a row anew; what its cache holds is behind its position."""
    stats, position = (x.at[row].set(0) for x in (past.stats, past.position))
    return Past(past.cache, position, stats)


def make_room(past: Past, tokens: int) -> Past:
    """The same with room for so many tokens."""
    room = past.cache[0][0].shape[1]
    more = [(0, 0), (0, tokens - room), (0, 0), (0, 0)]
    return past._replace(cache=jax.tree.map(lambda x: jnp.pad(x, more), past.cache))
