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

flax lives here and in `lcpfn.layers`; all others call the pure functions below.
B batch, N tokens, C cached tokens, Q queries, D width, H heads, K components.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from lcpfn.config import FADED, FAR, ModelConfig
from lcpfn.layers import (
    COPIES,
    AttentionToOthers,
    Block,
    Copies,
    Gated,
    Memory,
    OtherRuns,
    Planned,
    spread_out,
    unlikely,
)
from lcpfn.statistics import REACH
from lcpfn.tokens import QUERY_FEATURES, TOKEN_FEATURES, log_count, share_gone

Params = Any
# A weight of nothing, whose logarithm is finite.
NOTHING = 1e-30


class MixtureParams(NamedTuple):
    """Gaussian mixtures in units of the anchor; each `(..., K)`."""

    log_weight: jax.Array
    mean: jax.Array
    log_std: jax.Array


Cache = tuple[Memory, ...]  # of all layers


class _Network(nnx.Module):
    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        width, self.best = config.width, config.best
        self.tilt, self.temperature = config.tilt, config.temperature
        self.temperature_among = config.temperature_among
        self.plan_from = max(config.plan_from, NOTHING)
        linear = functools.partial(nnx.Linear, rngs=rngs)
        self.embed1 = linear(TOKEN_FEATURES, width)
        self.embed2 = linear(width, width)
        self.blocks = nnx.List([Block(config, rngs) for _ in range(config.layers)])
        self.norm = nnx.RMSNorm(width, rngs=rngs)
        # Attributes name the parameters in checkpoints.
        self.ask1 = linear(QUERY_FEATURES + config.best, width // 2)
        self.ask2 = linear(width // 2, 2 * width)
        if config.others:
            self.others = AttentionToOthers(config, rngs)
            # The state of a run of which nothing is known yet.
            self.unseen = nnx.Param(jnp.zeros(width, jnp.float32))
            zeros = nnx.initializers.zeros
            self.copy_out = linear(
                width, 3 * COPIES, kernel_init=zeros, bias_init=unlikely
            )
        if config.plan:
            self.planned = Planned(config, rngs)
        self.head_norm = nnx.RMSNorm(width, rngs=rngs)
        self.head = Gated(config, config.head_hidden, rngs)
        small = nnx.initializers.normal(0.01)
        self.out = linear(
            width, 3 * config.components, kernel_init=small, bias_init=spread_out
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
        beside: OtherRuns | jax.Array | None,
    ) -> MixtureParams:
        # A query without the flag of `best` is one for a value.
        lacking = self.ask1.in_features - query.shape[-1]
        query = jnp.pad(query, [(0, 0)] * (query.ndim - 1) + [(0, lacking)])
        embedded = self.ask2(jax.nn.silu(self.ask1(query)))
        scale, shift = jnp.split(embedded, 2, axis=-1)
        x = state[..., None, :] * (1 + scale) + shift
        asked, copies, some = x, None, jnp.zeros((), bool)
        if isinstance(beside, OtherRuns):
            some = jnp.any(beside.mask, axis=-1)[..., None, None]
            flag = query[..., -1] if self.best else jnp.zeros(query.shape[:-1])
            told, copies = self.others(x, beside, flag)
            x = jnp.where(some, told, x)
        x, (weight, mean, std) = self._gaussians(x, stay)
        if copies is not None:
            more = self._copied(x, copies)
            added = jnp.where(some, more.log_weight, -1e30), more.mean, more.log_std
            weight, mean, std = (
                jnp.concatenate(both, -1)
                for both in zip((weight, mean, std), added, strict=True)
            )
        few = jnp.clip(1 - log_count(query) / math.log(FADED), 0, 1)[..., None]
        weight = self._calibrated(weight, mean, stay[..., None, None], few, some)
        found = MixtureParams(jax.nn.log_softmax(weight), mean, std)
        if beside is None or isinstance(beside, OtherRuns):
            return found
        told = asked + self.planned(asked, jnp.nan_to_num(beside))
        known = jnp.isfinite(beside[..., :1])
        return self._mixed(found, self._gaussians(told, stay)[1], known, query)

    def _gaussians(self, x: jax.Array, stay: jax.Array) -> tuple[jax.Array, Any]:
        """What the head makes of queries: states, and logits, means and log of stds."""
        x = x + self.head(self.head_norm(x))
        weight, mean, std = jnp.split(self.out(x), 3, axis=-1)
        # Soft limits: a mean within sinh(15) scales, a spread within exp(+-9) of them.
        mean = jnp.sinh(15 * jnp.tanh(mean / 15))
        std = 9 * jnp.tanh(std / 9)
        # And that of the first, whose mean is exact, from exp(-6) to exp(-2).
        mean = mean.at[..., 0].set(stay[..., None])
        std = std.at[..., 0].set(2 * jnp.tanh(std[..., 0] / 2) - 4)
        return x, (weight, mean, std)

    def _mixed(
        self, found: MixtureParams, told: Any, known: jax.Array, query: jax.Array
    ) -> MixtureParams:
        """What is said without a plan, and with it, as likely as `ModelConfig` says."""
        gone = share_gone(query)[..., None]
        trust = jnp.where(gone < self.plan_from, (gone / self.plan_from) ** 2, 1.0)
        trust = jnp.where(known, trust, 0.0)
        weights = (
            found.log_weight + jnp.log(jnp.maximum(1 - trust, NOTHING)),
            jax.nn.log_softmax(told[0]) + jnp.log(jnp.maximum(trust, NOTHING)),
        )
        pairs = (weights, (found.mean, told[1]), (found.log_std, told[2]))
        return MixtureParams(*(jnp.concatenate(pair, axis=-1) for pair in pairs))

    def _calibrated(
        self,
        weight: jax.Array,
        mean: jax.Array,
        stay: jax.Array,
        few: jax.Array,
        some: jax.Array,
    ) -> jax.Array:
        """Logits corrected as `ModelConfig` says.

        Args:
            weight: logits of the Gaussians `(..., queries, K)`.
            mean: of the Gaussians, likewise.
            stay: the newest value `(..., 1, 1)`.
            few: 1 after one observation, 0 after many `(..., queries, 1)`.
            some: whether other runs are given; broadcasts against these.
        """
        alone = self.temperature**few
        weight = weight / jnp.where(some, self.temperature_among, alone)
        # A wild value is no place to be near to.
        far = jnp.abs(mean - jnp.clip(stay, -REACH, REACH))
        usual = (jax.nn.softmax(weight) * far).sum(-1, keepdims=True)
        farther = jnp.minimum(far, FAR * usual) / jnp.maximum(usual, NOTHING)
        return weight - jnp.where(some, 0.0, self.tilt * few) * farther

    def _copied(self, x: jax.Array, copies: Copies) -> MixtureParams:
        """Gaussians at the copies, as wide as these are spread and a little more."""
        weight, wider, least = jnp.split(self.copy_out(x), 3, axis=-1)
        spread = copies.spread * jnp.exp(2 * jnp.tanh(wider / 2))
        log_std = jnp.log(spread + jnp.exp(6 * jnp.tanh(least / 6) - 1))
        return MixtureParams(weight, copies.mean, log_std)


@functools.lru_cache
def _graph(config: ModelConfig) -> tuple[Any, Params]:
    """The network without its parameters, and their shapes."""
    graph, state = nnx.split(nnx.eval_shape(lambda: _Network(config, nnx.Rngs(0))))
    return graph, nnx.to_pure_dict(state)


def _merged(config: ModelConfig, params: Params) -> _Network:
    network: _Network = nnx.merge(_graph(config)[0], params)
    return network


def init(config: ModelConfig, key: jax.Array) -> Params:
    """Fresh parameters: a nested dict of float32 arrays."""
    network = _Network(config, nnx.Rngs(params=key))
    return nnx.to_pure_dict(nnx.split(network)[1])


def shapes(config: ModelConfig) -> Params:
    """What `init` makes, as `jax.ShapeDtypeStruct` in the place of arrays."""
    return _graph(config)[1]


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
    return _merged(config, params).encode(features, cache, position, only)


def predict(
    config: ModelConfig,
    params: Params,
    state: jax.Array,
    query: jax.Array,
    stay: jax.Array,
    beside: OtherRuns | jax.Array | None = None,
) -> MixtureParams:
    """Predicted distribution of `(y_target - level) / scale`.

    Args:
        config: size of the network.
        params: from `init`.
        state: of the cutoffs `(..., D)`.
        query: `(..., Q, QUERY_FEATURES)`, see `lcpfn.tokens.query_features`; with one
            more column, 0 to predict values and 1 to predict best values.
        stay: the newest value in units of the anchor `(...)`, see `lcpfn.tokens.stay`.
        beside: other runs of the task, for networks that know them; or what is planned
            up to the targets, `(..., Q, PLAN_FEATURES)` of `lcpfn.plan.features_of`,
            for networks that know plans. Where there are no runs the prediction is that
            without, to the last digit; where the features are NaN, up to rounding.

    Returns:
        MixtureParams with fields `(..., Q, K)`, or with other runs those and `COPIES`
        more, with a plan twice as many.
    """
    return _merged(config, params).predict(state, query, stay, beside)


def unseen(config: ModelConfig, params: Params) -> jax.Array:
    """State `(D,)` of a run of which nothing is known, but perhaps other runs."""
    return _merged(config, params).unseen[...]


def parameter_count(params: Params) -> int:
    """Numbers in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
