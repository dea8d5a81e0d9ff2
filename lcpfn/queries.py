"""From states of the network to predicted distributions; traced by JAX.

The network predicts `(y - level) / scale`; with level and scale of the cutoff's anchor
that is a distribution of y itself, in model space (lower is better).
"""

from typing import Any

import jax
import jax.numpy as jnp

from lcpfn import network
from lcpfn.config import ModelConfig
from lcpfn.mixture import Mixture
from lcpfn.others import Others, other_runs_of
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
    beside: Others | jax.Array | None,
    best: bool,
) -> Mixture:
    """Values at later steps.

    Args:
        config: size of the network.
        params: its weights.
        state: at the cutoffs `(..., D)`.
        anchor: of the cutoffs, fields `(...)`.
        horizon: last step `(...)`.
        targets: steps `(..., Q)`.
        beside: the other runs of the task; or what is planned up to each of these steps
            `(..., Q, PLAN_FEATURES)`, with `best` up to the horizon before them; None:
            nothing else is known.
        best: put the best value up to the horizon before them, `(..., 1 + Q)`; for
            networks that know it.
    """
    if best:
        targets = jnp.concatenate([horizon[..., None], targets], axis=-1)
    query = query_features(anchor, horizon, targets).astype(jnp.float32)
    if best:
        flag = jnp.arange(query.shape[-2]) == 0
        flag = jnp.broadcast_to(flag, query.shape[:-1])[..., None]
        query = jnp.concatenate([query, flag.astype(jnp.float32)], axis=-1)
    here = stay(anchor).astype(jnp.float32)
    known: Any = beside
    if isinstance(beside, Others):
        known = other_runs_of(beside, anchor, targets)
    found = network.predict(config, params, state, query, here, known)
    return unanchored(found, anchor)
