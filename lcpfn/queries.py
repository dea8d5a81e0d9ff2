"""From states of the network to predicted distributions; traced by JAX.

The network predicts `(y - level) / scale`; with level and scale of the cutoff's anchor
that is a distribution of y itself, in model space (lower is better).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lcpfn import network
from lcpfn.config import ModelConfig
from lcpfn.layers import OtherRuns
from lcpfn.mixture import Mixture
from lcpfn.tokens import Anchor, query_features, stay


def unanchored(params: network.MixtureParams, anchor: Anchor) -> Mixture:
    """Mixtures `(..., Q)` from anchors `(...)`, without bounds; the anchors' dtype."""
    mean: Any
    level, scale = anchor.level[..., None, None], anchor.scale[..., None, None]
    log_weight, mean, log_std = (x.astype(level.dtype) for x in params)
    weight: Any = jnp.exp(log_weight)
    nowhere: Any = jnp.full(mean.shape[:-1], jnp.inf, level.dtype)
    return Mixture(
        weight / weight.sum(-1, keepdims=True),
        level + scale * mean,
        scale * jnp.exp(log_std),
        -nowhere,
        nowhere,
    )


def predict_values(
    config: ModelConfig,
    params: Any,
    state: jax.Array,
    anchor: Anchor,
    horizon: jax.Array,
    targets: jax.Array,
    best: bool = False,
    beside: Callable[[Anchor, jax.Array], OtherRuns] | jax.Array | None = None,
) -> Mixture:
    """Values at later steps.

    Args:
        config: size of the network.
        params: its weights.
        state: at the cutoffs `(..., D)`.
        anchor: of the cutoffs, fields `(...)`.
        horizon: last step `(...)`.
        targets: steps `(..., Q)`.
        best: put the best value up to the horizon before them, `(..., 1 + Q)`; for
            networks that know it.
        beside: what the other runs of the task say to queries; or what is planned up to
            each of these steps `(..., Q, PLAN_FEATURES)`, with `best` up to the horizon
            before them; None: nothing else is known.
    """
    if best:
        targets = jnp.concatenate([horizon[..., None], targets], axis=-1)
    query = query_features(anchor, horizon, targets).astype(jnp.float32)
    if best:
        flag = jnp.arange(query.shape[-2]) == 0
        flag = jnp.broadcast_to(flag, query.shape[:-1])[..., None]
        query = jnp.concatenate([query, flag.astype(jnp.float32)], axis=-1)
    here = stay(anchor).astype(jnp.float32)
    known = beside(anchor, targets) if callable(beside) else beside
    found = network.predict(config, params, state, query, here, known)
    return unanchored(found, anchor)


def predict_end(
    config: ModelConfig,
    params: Any,
    state: jax.Array,
    anchor: Anchor,
    horizon: jax.Array,
    plan: jax.Array | None = None,
) -> Mixture:
    """The value at the horizon `(..., 1)`, after the best one up to it if known.

    `plan` is what is planned up to the horizon `(..., PLAN_FEATURES)`.
    """
    at, best = horizon[..., None], config.best
    if plan is not None:
        plan = jnp.stack([plan] * (1 + best), axis=-2)
    return predict_values(config, params, state, anchor, horizon, at, best, plan)
