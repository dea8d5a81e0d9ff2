"""A prior of one's own: pre-train on it, compare with exact inference.

    pip install lcpfn-jax
    python examples/own_prior.py

Prints the mean log-density of the value at the horizon after 10 of 50 records, of 16
fresh curves; the oracle knows the noiseless curve. What more training would gain is the
distance to NUTS. About

    accepted candidates: 100%
    network 1.88
    NUTS    2.46
    oracle  2.59
"""

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

import lcpfn
from lcpfn.config import ModelConfig
from lcpfn.priors import Prior, check_prior, draw, observe
from lcpfn.train.fit import fit
from lcpfn.train.presets import PRESETS

NOISE, SEEN, CURVES = 0.02, 10, 16
# NumPyro's, of no consequence here.
warnings.filterwarnings("ignore", message="Some donated buffers")


def model(steps, observed=None):
    """An error that falls to a floor by a power law."""
    floor = numpyro.sample("floor", dist.Uniform(0.0, 0.5))
    rate = numpyro.sample("rate", dist.LogNormal(0.0, 0.5))
    curve = numpyro.deterministic("curve", floor + steps**-rate)
    observe(dist.Normal(curve, NOISE), observed)


PRIOR = Prior(model, name="power-law", length=50, mode="min", hard_bounds=False)


def log_density(y, mean):
    """Of y under an even mixture of normals `(samples, curves)`, mean over curves."""
    each = dist.Normal(mean, NOISE).log_prob(y)
    return float(jnp.mean(jax.nn.logsumexp(each, axis=0) - jnp.log(len(mean))))


def exact(curves):
    """Posterior samples of the noiseless value at the horizon `(samples, curves)`."""

    def ends(y):
        mcmc = MCMC(NUTS(model), num_warmup=200, num_samples=500, progress_bar=False)
        observed = jnp.where(PRIOR.steps <= SEEN, y, jnp.nan)
        mcmc.run(jax.random.key(1), PRIOR.steps, observed)
        return mcmc.get_samples()["curve"][:, -1]

    return jax.vmap(ends, out_axes=1)(curves)


def main():
    """Checks the prior, trains, compares."""
    print(f"accepted candidates: {check_prior(PRIOR):.0%}")
    size = ModelConfig(
        width=64, layers=2, heads=2, hidden=128, head_hidden=64, components=8
    )
    name = f"{__file__}:PRIOR"
    changed = {"prior": name, "model": size, "steps": 400, "batch": 32}
    config = replace(PRESETS["tiny"], **changed, save_every=400)
    with tempfile.TemporaryDirectory() as folder:
        network = lcpfn.load(fit(config, Path(folder) / "run", progress=False))
    fresh = draw(PRIOR, jax.random.key(2), CURVES)
    y = np.asarray(fresh.y, float)
    forecast = network.extrapolate(y[:, :SEEN], PRIOR.length, mode="min")
    by_network = forecast.final.log_prob(y[:, -1]).mean()
    print(f"network {by_network:.2f}")
    print(f"NUTS    {log_density(y[:, -1], exact(fresh.y)):.2f}")
    print(f"oracle  {log_density(y[:, -1], fresh.curve[None, :, -1]):.2f}")


if __name__ == "__main__":
    main()
