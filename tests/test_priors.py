"""Priors and families: one contract per kind, run over the registries."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density
from scipy import stats

from lcpfn.priors import (
    FAMILIES,
    LCPFN_PRIOR,
    PRIORS,
    Prior,
    check_prior,
    draw,
    load_prior,
    observe,
)

STEPS = jnp.arange(1.0, 101.0)
KEY = jax.random.key(7)

# Steep draws overflow float32: 1 - (k t)^d and friends stay finite, but b - a t^alpha
# and (k t)^d may pass 1e38 in the far tail of a log-normal. Share of draws allowed.
NON_FINITE: dict[str, float] = {}


def sampled(family, n=2000):
    keys = jax.random.split(KEY, len(family.parameters))
    return {
        name: prior.sample(key, (n, 1))
        for key, (name, prior) in zip(keys, family.parameters.items(), strict=True)
    }


def test_there_are_the_eleven_families_of_domhan():
    assert len(FAMILIES) == 11
    assert all(name == family.name for name, family in FAMILIES.items())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_family_contract(family):
    assert family.name
    assert family.formula
    assert family.source
    drawn = sampled(family)
    eager = family.value(STEPS, **drawn)
    jitted = jax.jit(family.value)(STEPS, **drawn)
    assert eager.shape == (2000, 100)
    finite = np.isfinite(eager)
    assert (~finite.all(axis=1)).mean() <= NON_FINITE.get(family.name, 0.0)
    np.testing.assert_allclose(
        np.where(finite, eager, 0), np.where(finite, jitted, 0), rtol=2e-5, atol=2e-6
    )
