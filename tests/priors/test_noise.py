"""Noise and recording of the broad prior do what they say."""

import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.priors import noise
from tests.makers import run_effect

U = jnp.linspace(0.0, 1.0, 101)


def test_recursion_is_the_loop():
    x = np.random.default_rng(0).normal(size=20)
    z, loop = 0.0, []
    for value in x:
        z = 0.7 * z + value
        loop.append(z)
    np.testing.assert_allclose(noise.recursive(0.7, jnp.array(x)), loop, rtol=1e-4)


def test_correlated_noise_has_the_size_it_claims():
    sigma = jnp.full(20_000, 0.1)
    z = run_effect(noise.correlated, sigma, correlation=-1.0, correlated_share=2.0)
    assert float(z.std()) == pytest.approx(0.2, rel=0.1)
    assert np.corrcoef(z[:-1], z[1:])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant():
    np.testing.assert_allclose(
        run_effect(noise.smoothed, jnp.full(9, 3.0)), 3.0, rtol=1e-6
    )


def test_rounding_leaves_few_values():
    y = run_effect(noise.rounded, U, resolution=-1.5)
    assert len(np.unique(np.round(np.asarray(y), 6))) <= 33


def test_a_stuck_curve_keeps_the_value_it_had():
    y = run_effect(noise.stuck, U, U**2, stuck_from=jnp.log10(0.5))
    assert (y[51:] == y[51]).all()
    np.testing.assert_array_equal(y[:50], (U**2)[:50])
