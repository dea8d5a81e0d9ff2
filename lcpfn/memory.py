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
from lcpfn.context import Batch, at_last, read_batch
from lcpfn.jax_setup import float64
from lcpfn.mixture import Mixture
from lcpfn.queries import predict_end
from lcpfn.tokens import Anchor, Array, Blocks, Limits, Stats, observe


class Past(NamedTuple):
    """What the next token of R rows builds on.

    Attributes:
        cache: keys and values of the complete tokens, and room for more.
        position: how many complete tokens there are `(R,)`.
        stats: after the last of them, fields `(R,)`.
    """

    cache: network.Cache
    position: Array
    stats: Stats


class Now(NamedTuple):
    """What is known at the newest observation of R rows.

    Attributes:
        state: of the network `(R, D)`.
        anchor: level and scale, fields `(R,)`.
        end: the best value up to the horizon if the network knows it, and the value
            there `(R, 1 or 2)`, model space without bounds.
    """

    state: Array
    anchor: Anchor
    end: Mixture


class Token(NamedTuple):
    """One more token of some of R rows; all `(R,)`.

    Attributes:
        block: of which observations it is the mean.
        start: step of the first observation of the curve.
        live: whether the row has one at all.
        full: whether it is complete; else the next one replaces it.
    """

    block: Blocks
    start: Array
    live: Array
    full: Array


def _where(mask: jax.Array, new: Any, old: Any) -> Any:
    """Row-wise choice between two trees of arrays `(R, ...)`."""

    def choose(n: jax.Array, o: jax.Array) -> jax.Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (n.ndim - 1)), n, o)

    return jax.tree.map(choose, new, old)


@float64
@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def append(
    config: network.ModelConfig,
    params: Any,
    past: Past,
    now: Now,
    token: Token,
    limits: Limits,
) -> tuple[Past, Now]:
    """Takes one more token of the rows that have one."""
    stats, anchor, features = observe(past.stats, limits, *token.block, token.start)
    features = jnp.where(token.live[:, None], features, 0).astype(jnp.float32)
    # Rows that stand still write behind their end, where nobody looks.
    room = past.cache[0][0].shape[1]
    at = jnp.minimum(past.position, room - 1)
    states, cache = network.encode(config, params, features[:, None], past.cache, at)
    state = states[:, 0]
    end = predict_end(config, params, state, anchor, limits.horizon)
    done = token.live & token.full
    return (
        Past(cache, past.position + done, _where(done, stats, past.stats)),
        _where(token.live, Now(state, anchor, end), now),
    )


@float64
@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def fill_row(
    config: network.ModelConfig,
    params: Any,
    past: Past,
    now: Now,
    batch: Batch,
    row: jax.Array,
) -> tuple[Past, Now]:
    """Reads all complete tokens of one row at once; `batch` has one curve."""
    stats, anchors, features = read_batch(batch)
    states, cache = network.encode(config, params, features)
    state, anchor, stats = at_last((states, anchors, stats), batch.last)
    end = predict_end(config, params, state, anchor, batch.limits.horizon)
    room = past.cache[0][0].shape[1]

    def put(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda n, o: o.at[row].set(n[0]), new, old)

    held = jax.tree.map(
        lambda n, o: o.at[row, : n.shape[1]].set(n[0]),
        jax.tree.map(lambda n: n[:, :room], cache),
        past.cache,
    )
    done = (batch.last[0] + 1).astype(past.position.dtype)
    position = past.position.at[row].set(done)
    return Past(held, position, put(stats, past.stats)), put(
        Now(state, anchor, end), now
    )


@float64
def empty_memory(
    config: network.ModelConfig, rows: int, room: int, device: Any
) -> tuple[Past, Now]:
    """Of curves without a token, with room for some."""
    zero, parts = np.zeros(rows), 1 + config.best
    wide = np.ones((rows, parts, config.components))
    mixture = Mixture(wide, wide, wide, *np.zeros((2, rows, parts)))
    anchor = Anchor(zero, zero + 1, zero, zero + 1)
    state = np.zeros((rows, config.width), np.float32)
    cache = network.empty_cache(config, rows, room)
    past = Past(cache, np.zeros(rows, np.int32), Stats(*(zero for _ in Stats._fields)))
    return jax.device_put((past, Now(state, anchor, mixture)), device)


@float64
def forget_row(past: Past, row: int) -> Past:
    """Starts a row anew; what its cache holds is behind its position."""
    stats = jax.tree.map(lambda field: field.at[row].set(0), past.stats)
    return Past(past.cache, past.position.at[row].set(0), stats)


def make_room(past: Past, tokens: int) -> Past:
    """The same with room for so many tokens."""
    room = past.cache[0][0].shape[1]
    more = [(0, 0), (0, tokens - room), (0, 0), (0, 0)]
    return past._replace(cache=jax.tree.map(lambda x: jnp.pad(x, more), past.cache))
