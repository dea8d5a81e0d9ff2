"""The prior of LC-PFN: a weighted sum of three families plus noise.

    y(t) = sum_k w_k f_k(t) + sigma * eps_t,      w_k ~ U(0, 1),  eps_t ~ N(0, 1)
    log sigma ~ N(-4, 1)

with f_k of pow3, ilog2 and janoschek. A draw is accepted if its noiseless curve ends
above its start and stays in [0, 1]. Noise comes after that, so about one curve in ten
leaves [0, 1]: the bounds are soft.

Source: Adriaensen et al., NeurIPS 2023 (arXiv 2310.20447), Sec. 3 and Table 1. The
paper prints log sigma^2 ~ N(-8, 2); the released code, as here, log sigma ~ N(-4, 1).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from lcpfn.priors.base import Prior, observe
from lcpfn.priors.families import FAMILIES


def weighted_families(
    steps: jax.Array, names: Sequence[str], observed: jax.Array | None = None
) -> None:
    """NumPyro model: the sum above over the named families.

    Args:
        steps: increasing `(length,)`, the last one is the horizon.
        names: rows of `FAMILIES`.
        observed: values `(length,)`, NaN where not observed; None to sample.
    """
    curve = jnp.zeros_like(steps)
    for name in names:
        family = FAMILIES[name]
        drawn = {
            parameter: numpyro.sample(f"{name}_{parameter}", prior)
            for parameter, prior in family.parameters.items()
        }
        weight = numpyro.sample(f"{name}_weight", dist.Uniform(0.0, 1.0))
        curve = curve + weight * family.value(steps, **drawn)
    numpyro.deterministic("curve", curve)
    fine = (curve[-1] > curve[0]) & jnp.all((curve >= 0) & (curve <= 1))
    numpyro.factor("accept", jnp.where(fine, 0.0, -jnp.inf))
    log_sigma = numpyro.sample("log_sigma", dist.Normal(-4.0, 1.0))
    observe(dist.Normal(curve, jnp.exp(log_sigma)), observed)


def lcpfn_model(steps: jax.Array, observed: jax.Array | None = None) -> None:
    """The three families that LC-PFN was trained on."""
    weighted_families(steps, ("pow3", "ilog2", "janoschek"), observed)


LCPFN_PRIOR = Prior(
    lcpfn_model,
    name="lcpfn",
    length=100,
    mode="max",
    bounds=(0.0, 1.0),
    hard_bounds=False,
    source="Adriaensen et al. 2023, arXiv 2310.20447, Table 1",
)
