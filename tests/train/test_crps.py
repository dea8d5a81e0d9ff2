"""The CRPS of the loss: the closed form, and where it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.eval import scores
from lcpfn.mixture import Mixture
from lcpfn.network import MixtureParams
from lcpfn.train.crps import MOST, crps

pytestmark = pytest.mark.usefixtures("strict_jax")
N, K = 40, 5


@pytest.fixture(scope="module")
def case():
    """Mixtures of every width, and values in them and far off."""
    rng = np.random.default_rng(0)
    mixture = MixtureParams(
        log_weight=np.log(rng.dirichlet(np.ones(K), N)),
        mean=rng.normal(size=(N, K)),
        log_std=rng.uniform(-6, 1, (N, K)),
    )
    return jax.tree.map(lambda x: x.astype(np.float32), (mixture, rng.normal(size=N)))


def test_it_is_what_forecasts_are_scored_by(case):
    mixture, z = case
    free = np.full(N, np.inf)
    forecast = Mixture(
        np.exp(mixture.log_weight), mixture.mean, np.exp(mixture.log_std), -free, free
    )
    found = jax.jit(crps)(mixture, z)
    np.testing.assert_allclose(found, scores.crps(forecast, z), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("far", [1e2, 1e4, 1e30, np.inf])
def test_what_is_far_off_counts_no_more_and_teaches_nothing(case, far):
    mixture, z = case

    @jax.jit
    def value_and_grad(mixture, z):
        return jax.value_and_grad(lambda m: jnp.sum(crps(m, z)))(mixture)

    for wild in (
        (mixture, jnp.full_like(z, far)),
        (mixture._replace(mean=jnp.full_like(mixture.mean, far)), z),
    ):
        value, grads = value_and_grad(*wild)
        np.testing.assert_allclose(value, N * MOST, rtol=1e-6)
        assert all(not np.any(leaf) for leaf in jax.tree.leaves(grads))
