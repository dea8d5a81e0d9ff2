"""The network: a causal transformer over tokens and a head that answers queries.

    context   token i attends to tokens 1..i, so its state sums up the curve to i
    query     (cutoff i, target step j) reads the state of i alone and gives a mixture
              of Gaussians for (y_j - level_i) / scale_i; with `best`, also for the
              best value between i and j in place of y_j

One of the Gaussians has the newest value for its mean, whatever the network thinks: how
likely a curve stays exactly where it is, no location that is computed could say.

One pass over a curve therefore holds the forecasts from every cutoff. The same
causality makes streaming exact: `encode` with a cache appends tokens to the keys and
values of the past.

flax lives in this file alone; everything outside calls the pure functions below.
B batch, N tokens, C cached tokens, Q queries, D width, H heads, K components.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from lcpfn.config import ModelConfig
from lcpfn.pairs import PAIR_FEATURES
from lcpfn.tokens import QUERY_FEATURES, TOKEN_FEATURES

Params = Any


class MixtureParams(NamedTuple):
    """Gaussian mixtures in units of the anchor; each `(..., K)`."""

    log_weight: jax.Array
    mean: jax.Array
    log_std: jax.Array


Memory = tuple[jax.Array, jax.Array]  # keys and values of one layer, (B, C, H, D/H)
Cache = tuple[Memory, ...]  # of all layers


ROUNDS = 2
# Curves from which on `_attend_one` is the faster way.
MANY_ROWS = 16


def _attend(q: jax.Array, k: jax.Array, v: jax.Array, index: jax.Array) -> jax.Array:
    """Each query attends to the tokens up to its own `index` `(B, N)`."""
    seen = jnp.arange(k.shape[1])[None, None] <= index[..., None]  # (B, N, C)
    logits = jnp.einsum("bnhd,bmhd->bhnm", q, k) * q.shape[-1] ** -0.5
    weights = jax.nn.softmax(jnp.where(seen[:, None], logits, -1e30))
    return jnp.einsum("bhnm,bmhd->bnhd", weights, v)


def _attend_one(
    q: jax.Array, k: jax.Array, v: jax.Array, index: jax.Array
) -> jax.Array:
    """The same for one query of each of many curves.

    Sums of products read keys and values once, in the order they lie in: for 64 curves
    on a CPU in three quarters of the time, for a single one in several times as much.
    """
    seen = jnp.arange(k.shape[1])[None] <= index  # (B, C)
    logits = jnp.sum(q * k, axis=-1) * q.shape[-1] ** -0.5  # (B, C, H)
    weights = jax.nn.softmax(jnp.where(seen[..., None], logits, -1e30), axis=1)
    return jnp.sum(weights[..., None] * v, axis=1, keepdims=True)


def _take(x: jax.Array, only: jax.Array | None) -> jax.Array:
    """Token `only` `(B,)` of every row of `(B, N, ...)`, or all of them for None."""
    return x if only is None else x[jnp.arange(x.shape[0]), only][:, None]


def _small(config: ModelConfig) -> Any:
    """Initial weights of what is added to the residual stream, twice a layer."""
    share = 1 / (2 * config.layers)
    return nnx.initializers.variance_scaling(share, "fan_in", "truncated_normal")


class _Attention(nnx.Module):
    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, small = config.width, _small(config)
        self.heads = config.heads
        self.qkv = nnx.Linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.out = nnx.Linear(
            width, width, use_bias=False, kernel_init=small, rngs=rngs
        )

    def __call__(
        self,
        x: jax.Array,
        past: Memory | None,
        position: jax.Array,
        only: jax.Array | None,
    ) -> tuple[jax.Array, Memory]:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]  # (B, N, H, D/H)
        index = position[:, None] + jnp.arange(tokens)  # (B, N)
        if past is not None:
            rows = jnp.arange(batch)[:, None]
            k = past[0].at[rows, index].set(k)
            v = past[1].at[rows, index].set(v)
        q, index = _take(q, only), _take(index, only)
        many = q.shape[1] == 1 and batch >= MANY_ROWS
        mixed = (_attend_one if many else _attend)(q, k, v, index)
        return self.out(mixed.reshape(batch, -1, width)), (k, v)


class _Gated(nnx.Module):
    """Gated feed-forward block (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig, hidden: int, rngs: nnx.Rngs) -> None:
        width, small = config.width, _small(config)
        self.up = nnx.Linear(width, 2 * hidden, use_bias=False, rngs=rngs)
        self.down = nnx.Linear(
            hidden, width, use_bias=False, kernel_init=small, rngs=rngs
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        gate, value = jnp.split(self.up(x), 2, axis=-1)
        return self.down(jax.nn.silu(gate) * value)


class _Block(nnx.Module):
    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.norm1 = nnx.RMSNorm(config.width, rngs=rngs)
        self.attention = _Attention(config, rngs)
        self.norm2 = nnx.RMSNorm(config.width, rngs=rngs)
        self.gated = _Gated(config, config.hidden, rngs)

    def __call__(
        self,
        x: jax.Array,
        past: Memory | None,
        position: jax.Array,
        only: jax.Array | None,
    ) -> tuple[jax.Array, Memory]:
        mixed, memory = self.attention(self.norm1(x), past, position, only)
        x = _take(x, only) + mixed
        return x + self.gated(self.norm2(x)), memory


def _spread_out(
    key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> jax.Array:
    """Initial output bias: means from -10 to +2 scales, since curves go down."""
    del key
    count = shape[0] // 3
    means = jnp.arcsinh(jnp.linspace(-10.0, 2.0, count))
    return jnp.concatenate([jnp.zeros(count), means, jnp.zeros(count)]).astype(dtype)


class Context(NamedTuple):
    """What other runs of a task say to queries; M of them.

    Attributes:
        pairs: `lcpfn.pairs.pair_features` `(..., Q, M, PAIR_FEATURES)`.
        state: of the network at the newest observation of each `(..., M, D)`.
        mask: which of them there are `(..., M)`.
    """

    pairs: jax.Array
    state: jax.Array
    mask: jax.Array


class _Others(nnx.Module):
    """Two rounds of attention of a query over the other runs, and over nothing."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, inner = config.width, config.others
        self.heads = config.heads
        self.pair = nnx.Linear(PAIR_FEATURES, inner, rngs=rngs)
        self.state = nnx.Linear(width, inner, use_bias=False, rngs=rngs)
        self.mix = nnx.Linear(inner, inner, rngs=rngs)
        self.norms = nnx.List([nnx.RMSNorm(width, rngs=rngs) for _ in range(ROUNDS)])
        # Query, and key and value of the token that stands for nothing.
        self.asks = nnx.List(
            [nnx.Linear(width, 3 * inner, rngs=rngs) for _ in range(ROUNDS)]
        )
        self.tells = nnx.List(
            [nnx.Linear(inner, 2 * inner, rngs=rngs) for _ in range(ROUNDS)]
        )
        self.outs = nnx.List(
            [
                nnx.Linear(
                    *(inner, width),
                    use_bias=False,
                    kernel_init=nnx.initializers.zeros,
                    rngs=rngs,
                )
                for _ in range(ROUNDS)
            ]
        )

    def __call__(self, x: jax.Array, context: Context) -> jax.Array:
        """The same `(..., Q, D)` with what the other runs say added."""
        *lead, queries, width = x.shape
        state = self.state(context.state)
        mask = jnp.broadcast_to(context.mask, (*lead, context.mask.shape[-1]))
        state = jnp.broadcast_to(state, (*lead, *state.shape[-2:]))
        # One axis for all that leads: XLA's CPU compiler fails on many short ones.
        x, pairs, state = (
            y.reshape(-1, *y.shape[len(lead) :]) for y in (x, context.pairs, state)
        )
        there = mask.reshape(-1, 1, mask.shape[-1], 1)  # (B, 1, M, 1)
        told = self.pair(pairs) + state[:, None]
        told = jax.nn.silu(self.mix(jax.nn.silu(told)))  # (B, Q, M, inner)
        split = lambda y: y.reshape(*y.shape[:-1], self.heads, -1)
        for norm, ask, tell, out in zip(
            self.norms, self.asks, self.tells, self.outs, strict=True
        ):
            q, none_k, none_v = map(split, jnp.split(ask(norm(x)), 3, axis=-1))
            k, v = map(split, jnp.split(tell(told), 2, axis=-1))
            size = q.shape[-1] ** -0.5
            logits = jnp.einsum("bqhd,bqmhd->bqmh", q, k) * size
            none = jnp.sum(q * none_k, -1)[:, :, None] * size
            logits = jnp.concatenate([jnp.where(there, logits, -1e30), none], 2)
            weights = jax.nn.softmax(logits, axis=2)
            mixed = jnp.einsum("bqmh,bqmhd->bqhd", weights[:, :, :-1], v)
            mixed += weights[:, :, -1, :, None] * none_v
            x = x + out(mixed.reshape(*mixed.shape[:2], -1))
        return x.reshape(*lead, queries, width)


class _Network(nnx.Module):
    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width = config.width
        self.embed1 = nnx.Linear(TOKEN_FEATURES, width, rngs=rngs)
        self.embed2 = nnx.Linear(width, width, rngs=rngs)
        self.blocks = nnx.List([_Block(config, rngs) for _ in range(config.layers)])
        self.norm = nnx.RMSNorm(width, rngs=rngs)
        # Attributes name the parameters in checkpoints.
        self.ask1 = nnx.Linear(QUERY_FEATURES + config.best, width // 2, rngs=rngs)
        self.ask2 = nnx.Linear(width // 2, 2 * width, rngs=rngs)
        if config.others:
            self.others = _Others(config, rngs)
            # The state of a run of which nothing is known yet.
            self.unseen = nnx.Param(jnp.zeros(width))
        self.head_norm = nnx.RMSNorm(width, rngs=rngs)
        self.head = _Gated(config, config.head_hidden, rngs)
        self.out = nnx.Linear(
            width,
            3 * config.components,
            kernel_init=nnx.initializers.normal(0.01),
            bias_init=_spread_out,
            rngs=rngs,
        )

    def encode(
        self,
        features: jax.Array,
        cache: Cache | None,
        position: jax.Array,
        only: jax.Array | None,
    ) -> tuple[jax.Array, Cache]:
        x = self.embed2(jax.nn.silu(self.embed1(features)))
        memories = []
        for i, block in enumerate(self.blocks):
            past = None if cache is None else cache[i]
            # Before the last block other tokens are needed as keys and values.
            last = only if i == len(self.blocks) - 1 else None
            x, memory = block(x, past, position, last)
            memories.append(memory)
        return self.norm(x), tuple(memories)

    def predict(
        self,
        state: jax.Array,
        query: jax.Array,
        stay: jax.Array,
        context: Context | None,
    ) -> MixtureParams:
        # A query without the flag of `best` is one for a value.
        lacking = self.ask1.in_features - query.shape[-1]
        query = jnp.pad(query, [(0, 0)] * (query.ndim - 1) + [(0, lacking)])
        embedded = self.ask2(jax.nn.silu(self.ask1(query)))
        scale, shift = jnp.split(embedded, 2, axis=-1)
        x = state[..., None, :] * (1 + scale) + shift
        if context is not None:
            some = jnp.any(context.mask, axis=-1)[..., None, None]
            x = jnp.where(some, self.others(x, context), x)
        x = x + self.head(self.head_norm(x))
        weight, mean, std = jnp.split(self.out(x), 3, axis=-1)
        # Soft limits: a mean within sinh(15) scales, a spread within exp(+-9) of them.
        mean = jnp.sinh(15 * jnp.tanh(mean / 15))
        std = 9 * jnp.tanh(std / 9)
        # And that of the first, whose mean is exact, from exp(-6) to exp(-2).
        return MixtureParams(
            jax.nn.log_softmax(weight),
            mean.at[..., 0].set(stay[..., None]),
            std.at[..., 0].set(2 * jnp.tanh(std[..., 0] / 2) - 4),
        )


@functools.lru_cache
def _graph(config: ModelConfig) -> Any:
    return nnx.split(nnx.eval_shape(lambda: _Network(config, nnx.Rngs(0))))[0]


def init(config: ModelConfig, key: jax.Array) -> Params:
    """Fresh parameters: a nested dict of float32 arrays."""
    network = _Network(config, nnx.Rngs(params=key))
    return nnx.to_pure_dict(nnx.split(network)[1])


def empty_cache(config: ModelConfig, batch: int, tokens: int) -> Cache:
    """A cache with room for `tokens` tokens of each of `batch` curves."""
    shape = (batch, tokens, config.heads, config.width // config.heads)
    # Whatever precision the process defaults to, the network computes in float32.
    empty = lambda: jnp.zeros(shape, jnp.float32)
    return tuple((empty(), empty()) for _ in range(config.layers))


def encode(
    config: ModelConfig,
    params: Params,
    features: jax.Array,
    cache: Cache | None = None,
    position: jax.Array | None = None,
    only: Any | None = None,
) -> tuple[jax.Array, Cache]:
    """Reads tokens, each attending to itself and those before it.

    Args:
        config: size of the network.
        params: from `init`.
        features: `(B, N, TOKEN_FEATURES)`. Tokens after a curve's last are padding:
            they change nothing before them.
        cache: keys and values of the past, or None to start a curve.
        position: index of the first new token `(B,)`; default 0.
        only: among these tokens the one whose state is wanted `(B,)`; default all.

    Returns:
        States `(B, N, D)`, or `(B, 1, D)` with `only`, and the cache with the new
        tokens written into it.
    """
    if position is None:
        position = jnp.zeros(features.shape[0], int)
    if config.masked:
        hidden = jnp.isin(jnp.arange(TOKEN_FEATURES), jnp.array(config.masked))
        features = jnp.where(hidden, 0, features)
    return nnx.merge(_graph(config), params).encode(features, cache, position, only)


def predict(
    config: ModelConfig,
    params: Params,
    state: jax.Array,
    query: jax.Array,
    stay: jax.Array,
    context: Context | None = None,
) -> MixtureParams:
    """Predicted distribution of `(y_target - level) / scale`.

    Args:
        config: size of the network.
        params: from `init`.
        state: of the cutoffs `(..., D)`.
        query: `(..., Q, QUERY_FEATURES)`, see `lcpfn.tokens.query_features`; with one
            more column, 0 to predict values and 1 to predict best values.
        stay: the newest value in units of the anchor `(...)`, see `lcpfn.tokens.stay`.
        context: other runs of the task; for networks that know them. Where there are
            none the prediction is that without, to the last digit.

    Returns:
        MixtureParams with fields `(..., Q, K)`.
    """
    return nnx.merge(_graph(config), params).predict(state, query, stay, context)


def unseen(config: ModelConfig, params: Params) -> jax.Array:
    """State `(D,)` of a run of which nothing is known, but perhaps other runs."""
    return nnx.merge(_graph(config), params).unseen[...]


def parameter_count(params: Params) -> int:
    """Numbers in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
