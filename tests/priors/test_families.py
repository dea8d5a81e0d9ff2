"""One contract for every curve family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.priors import FAMILIES

STEPS = jnp.arange(1.0, 101.0)
KEY = jax.random.key(7)


def test_there_are_eleven_families():
    assert len(FAMILIES) == 11
    assert all(name == family.name for name, family in FAMILIES.items())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_family_contract(family):
    assert family.name
    assert family.formula
    assert family.source
    keys = jax.random.split(KEY, len(family.parameters))
    values = {
        name: prior.sample(key, (2000, 1))
        for key, (name, prior) in zip(keys, family.parameters.items(), strict=True)
    }
    eager = family.value(STEPS, **values)
    assert eager.shape == (2000, 100)
    assert np.isfinite(eager).all()
    jitted = jax.jit(family.value)(STEPS, **values)
    np.testing.assert_allclose(eager, jitted, rtol=1e-5, atol=1e-6)
