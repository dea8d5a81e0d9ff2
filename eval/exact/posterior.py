"""Reference posteriors of curves by MCMC, and whether the chains agree.

The predictive log-density of an observation is that of the average over all samples:

    log p(y_j | y_1..y_n) = log mean_s p(y_j | z_s)

The chains are those of `lcpfn.eval.exact.mcmc`. All is one compiled program, batched
over curves.

Convergence is judged by what is predicted, the means of unseen observations and their
standard deviation: split R-hat between chains and the effective sample size. Parameters
mix worse, since many of them give the same curve.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

from lcpfn.eval.exact.mcmc import Latents, Settings, Target, records, run_chains, starts
from lcpfn.priors import Prior

# Steps looked at for convergence, and the split R-hat beyond which there is none.
WATCHED = 8
CONVERGED = 1.1
# Domhan et al. 2015; every tenth sample is kept, as in their prediction.
DOMHAN = Settings("ensemble", chains=100, warmup=500, samples=2000, thin=10)
NUTS = Settings("nuts", chains=8, warmup=200, samples=200)


class Posterior(NamedTuple):
    """Samples of one curve's posterior, or of several with a leading axis.

    Attributes:
        latents: `(kept, chains, ...)`, unconstrained.
        log_prob: predictive log-density of every observation `(length,)`.
        watched: `(kept, chains, WATCHED + 1)`, means of observations at evenly spread
            unseen steps, and the log of their standard deviation at the last one.
    """

    latents: Latents
    log_prob: jax.Array
    watched: jax.Array


@partial(jax.jit, static_argnums=(0, 1))
def sample(
    prior: Prior,
    settings: Settings,
    bank: Latents,
    keys: jax.Array,
    y: jax.Array,
    cutoff: jax.Array,
) -> Posterior:
    """Posteriors of several curves given their first observations.

    Args:
        prior: what the curves are from.
        settings: how to sample.
        bank: of `make_bank`.
        keys: one per curve.
        y: `(n, length)`, all observations; NaN where there is none.
        cutoff: observations shown of all curves; one program serves all cutoffs.

    Returns:
        One posterior per curve.
    """
    number = jnp.arange(prior.length)
    last = prior.length - 1
    at = jnp.linspace(jnp.minimum(cutoff, last), last, WATCHED).astype(int)

    def one(key: jax.Array, y: jax.Array) -> Posterior:
        key_start, key = jax.random.split(key)
        whole = Target(prior.model, prior.steps, y)
        shown = whole._replace(y=jnp.where(number < cutoff, y, jnp.nan))
        start = starts(shown, bank, key_start)
        z = run_chains(shown, settings, key, start)

        def summary(z: Latents) -> tuple[jax.Array, jax.Array]:
            log_prob, mean, std = jax.vmap(lambda z: records(whole, z))(z)
            watched = jnp.concatenate([mean[:, at], jnp.log(std[:, -1:])], axis=1)
            return jax.nn.logsumexp(log_prob, axis=0), watched

        log_prob, watched = jax.lax.map(summary, z)
        total = jnp.log(watched.shape[0] * watched.shape[1])
        return Posterior(z, jax.nn.logsumexp(log_prob, axis=0) - total, watched)

    return jax.vmap(one)(keys, y)


def diagnose(watched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convergence of `Posterior.watched` `(n, kept, chains, quantities)`.

    Walkers count as chains, which is lenient: they lean on each other.

    Returns:
        Largest split R-hat and smallest effective sample size of each curve `(n,)`.
    """
    by_chain = np.asarray(watched, np.float64).transpose(0, 2, 1, 3)
    rhat, size = np.full(len(by_chain), np.inf), np.zeros(len(by_chain))
    for i, x in enumerate(by_chain):
        x = x[..., np.ptp(x, axis=(0, 1)) > 0]  # some models know their noise
        if x.size:
            with np.errstate(divide="ignore"):
                rhat[i] = split_gelman_rubin(x).max()
            size[i] = effective_sample_size(x).min()
    return rhat, size


def unconverged(rhat: np.ndarray) -> list[int]:
    """Which curves are not to be relied on."""
    return [int(i) for i in np.flatnonzero(rhat > CONVERGED)]
