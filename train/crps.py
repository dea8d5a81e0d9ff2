"""The CRPS of a mixture of Gaussians as a term of a loss: closed form, differentiable.

    CRPS(F, z) = E|X - z| - E|X - X'| / 2,  X and X' independent of F

For Gaussians both are sums over (pairs of) components of E|N(m, v)|. Source: Grimit et
al. 2006, "The continuous ranked probability score for circular variables and its
application to mesoscale forecast ensemble verification".
"""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from lcpfn.network import MixtureParams

# A target this far off, in units of the anchor, is as bad as any: one wild curve does
# not rule a step. Of such curves the density alone is left, which is proper without.
MOST = 5.0
# Means and targets beyond it are moved here, where squares do not overflow.
FARTHEST = 1e3


def _mean_distance(mean: jax.Array, std: jax.Array) -> jax.Array:
    """E|X| of X ~ N(mean, std^2)."""
    score = mean / std
    return 2 * std * norm.pdf(score) + mean * (2 * norm.cdf(score) - 1)


def crps(mixture: MixtureParams, z: jax.Array) -> jax.Array:
    """CRPS of z under a mixture, at most `MOST`, in anchor units; shape of z.

    Args:
        mixture: fields `(..., K)`.
        z: true values `(...)`.
    """
    weight, std = jnp.exp(mixture.log_weight), jnp.exp(mixture.log_std)
    mean = jnp.clip(mixture.mean, -FARTHEST, FARTHEST)
    z = jnp.clip(z, -FARTHEST, FARTHEST)
    off = jnp.sum(weight * _mean_distance(mean - z[..., None], std), -1)
    pairs = _mean_distance(
        mean[..., :, None] - mean[..., None, :],
        jnp.hypot(std[..., :, None], std[..., None, :]),
    )
    spread = jnp.sum(weight[..., :, None] * weight[..., None, :] * pairs, (-1, -2))
    return jnp.minimum(off - spread / 2, MOST)
