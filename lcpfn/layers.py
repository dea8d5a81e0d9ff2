"""The parts of the network: attention over tokens and over other runs, gated blocks.

B batch, N tokens, C cached tokens, Q queries, M other runs, D width, H heads.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from lcpfn.config import ModelConfig
from lcpfn.other_features import PAIR_FEATURES, PLACES, Pairs
from lcpfn.plan import PLAN_FEATURES

Memory = tuple[jax.Array, jax.Array]  # keys and values of one layer, (B, C, H, D/H)
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


def spread_out(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Initial output bias: means from -10 to +2 scales, since curves go down."""
    del key
    count = shape[0] // 3
    means = jnp.arcsinh(jnp.linspace(-10.0, 2.0, count))
    return jnp.concatenate([jnp.zeros(count), means, jnp.zeros(count)]).astype(dtype)


def unlikely(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Initial output bias of copies: at first they have little weight."""
    del key
    count = shape[0] // 3
    return jnp.concatenate([jnp.full(count, -2.0), jnp.zeros(2 * count)]).astype(dtype)


class Attention(nnx.Module):
    """Causal self-attention, with the keys and values of the past."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, linear = config.width, partial(nnx.Linear, use_bias=False, rngs=rngs)
        self.heads = config.heads
        self.qkv = linear(width, 3 * width)
        self.out = linear(width, width, kernel_init=_small(config))

    def __call__(
        self,
        x: jax.Array,
        past: Memory | None,
        position: jax.Array,
        only: jax.Array | None,
    ) -> tuple[jax.Array, Memory]:
        """What is added to tokens `(B, N, D)`, or to token `only`; and the memory."""
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


class Gated(nnx.Module):
    """Gated feed-forward block (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig, hidden: int, rngs: nnx.Rngs) -> None:
        width, linear = config.width, partial(nnx.Linear, use_bias=False, rngs=rngs)
        self.up = linear(width, 2 * hidden)
        self.down = linear(hidden, width, kernel_init=_small(config))

    def __call__(self, x: jax.Array) -> jax.Array:
        """What is added to `(..., D)`."""
        gate, value = jnp.split(self.up(x), 2, axis=-1)
        return self.down(jax.nn.silu(gate) * value)


class Planned(nnx.Module):
    """What a planned learning rate says to a query."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, linear = config.width, partial(nnx.Linear, rngs=rngs)
        self.norm = nnx.RMSNorm(width, rngs=rngs)
        self.embed1 = linear(PLAN_FEATURES, width // 2)
        self.embed2 = linear(width // 2, 2 * width)
        self.up = linear(width, 2 * config.plan, use_bias=False)
        self.down = linear(config.plan, width, kernel_init=nnx.initializers.zeros)

    def __call__(self, x: jax.Array, plan: jax.Array) -> jax.Array:
        """What is added to queries `(..., D)`, given `(..., PLAN_FEATURES)`."""
        embedded = self.embed2(jax.nn.silu(self.embed1(plan)))
        scale, shift = jnp.split(embedded, 2, axis=-1)
        gate, value = jnp.split(self.up(self.norm(x) * (1 + scale) + shift), 2, -1)
        return self.down(jax.nn.silu(gate) * value)


class Block(nnx.Module):
    """Attention, then a feed-forward block, both behind a norm."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.norm1 = nnx.RMSNorm(config.width, rngs=rngs)
        self.attention = Attention(config, rngs)
        self.norm2 = nnx.RMSNorm(config.width, rngs=rngs)
        self.gated = Gated(config, config.hidden, rngs)

    def __call__(
        self,
        x: jax.Array,
        past: Memory | None,
        position: jax.Array,
        only: jax.Array | None,
    ) -> tuple[jax.Array, Memory]:
        """Tokens `(B, N, D)` after it, or token `only`; and the memory."""
        mixed, memory = self.attention(self.norm1(x), past, position, only)
        x = _take(x, only) + mixed
        return x + self.gated(self.norm2(x)), memory


ROUNDS = 2
COPIES = 4


class OtherRuns(NamedTuple):
    """What other runs of a task say to queries; M of them.

    Attributes:
        pairs: `lcpfn.other_features.pair_features` `(..., Q, M, ...)`.
        state: of the network at the newest observation of each `(..., M, D)`.
        mask: which of them there are `(..., M)`.
    """

    pairs: Pairs
    state: jax.Array
    mask: jax.Array


class Copies(NamedTuple):
    """Gaussians that other runs point at; each `(..., Q, COPIES)`, anchor units.

    Attributes:
        mean: mean of the places that others say, weighted by attention.
        spread: their weighted standard deviation.
    """

    mean: jax.Array
    spread: jax.Array


class AttentionToOthers(nnx.Module):
    """Two rounds of attention of a query over the other runs, and over nothing.

    What others gained is copied, not computed: a network that squeezes its inputs could
    not say a location as exactly as the runs of a search agree on it.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, inner = config.width, config.others
        linear = partial(nnx.Linear, rngs=rngs)
        self.heads = config.heads
        self.pair = linear(PAIR_FEATURES, inner)
        self.state = linear(width, inner, use_bias=False)
        self.mix = linear(inner, inner)
        self.norms = nnx.List([nnx.RMSNorm(width, rngs=rngs) for _ in range(ROUNDS)])
        # Query, and key and value of the token that stands for nothing.
        self.asks = nnx.List([linear(width, 3 * inner) for _ in range(ROUNDS)])
        self.tells = nnx.List([linear(inner, 2 * inner) for _ in range(ROUNDS)])
        added = partial(linear, use_bias=False, kernel_init=nnx.initializers.zeros)
        self.outs = nnx.List([added(inner, width) for _ in range(ROUNDS)])
        # Which other run, and which of its places, each copy looks at.
        self.wants = linear(width, COPIES * inner)
        self.offers = linear(inner, PLACES * inner)
        self.copied = added(2 * COPIES, width)

    def __call__(
        self, x: jax.Array, context: OtherRuns, best: jax.Array
    ) -> tuple[jax.Array, Copies]:
        """What the other runs say to queries.

        Args:
            x: `(..., Q, D)`.
            context: the runs.
            best: 1 where the best value is asked for, 0 elsewhere `(..., Q)`.

        Returns:
            The queries with it added, and the Gaussians it points at.
        """
        *lead, queries, _ = x.shape
        state = self.state(context.state)
        mask = jnp.broadcast_to(context.mask, (*lead, context.mask.shape[-1]))
        state = jnp.broadcast_to(state, (*lead, *state.shape[-2:]))
        # One axis for all that leads: XLA's CPU compiler fails on many short ones.
        x, best, pairs, state = jax.tree.map(
            lambda y: y.reshape(-1, *y.shape[len(lead) :]),
            (x, best, context.pairs, state),
        )
        there = mask.reshape(-1, 1, mask.shape[-1], 1)  # (B, 1, M, 1)
        told = self.pair(pairs.features) + state[:, None]
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
        copies = self._copies(x, told, pairs.places, there, best)
        squeezed = jnp.concatenate([jnp.arcsinh(part) for part in copies], -1)
        x = x + self.copied(squeezed)
        back = lambda y: y.reshape(*lead, queries, y.shape[-1])
        return back(x), Copies(*map(back, copies))

    def _copies(
        self,
        x: jax.Array,
        told: jax.Array,
        places: jax.Array,
        there: jax.Array,
        best: jax.Array,
    ) -> Copies:
        """Attention over the places of all runs; leading axes `(B, Q)`."""
        best = best[..., None, None]
        places = jnp.where(best > 0, places[..., 1, :], places[..., 0, :])
        places = jnp.where(there, places, 0)  # (B, Q, M, PLACES)
        want = self.wants(x).reshape(*x.shape[:2], COPIES, -1)
        offer = self.offers(told).reshape(*told.shape[:3], PLACES, -1)
        logits = jnp.einsum("bqcd,bqmpd->bqcmp", want, offer) * want.shape[-1] ** -0.5
        logits = jnp.where(there[:, :, None], logits, -1e30)
        weights = jax.nn.softmax(logits, axis=(-2, -1))
        mean = jnp.einsum("bqcmp,bqmp->bqc", weights, places)
        apart = places[:, :, None] - mean[..., None, None]
        spread = jnp.sqrt(jnp.sum(weights * apart**2, axis=(-2, -1)) + 1e-8)
        return Copies(mean, spread)
