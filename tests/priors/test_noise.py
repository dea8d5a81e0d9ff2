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


def test_hot_noise_goes_with_what_the_rate_costs():
    sigma = jnp.full(101, 0.01)
    little, much, none = (
        float(run_effect(noise.hot, size * (1 - U), sigma, hot=1.0)[0])
        for size in (0.025, 2.5, 0.0)
    )
    assert (little, much, none) == pytest.approx((0.001, 0.1, 0.01))


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


def test_noise_that_dies_out_is_nearly_gone_at_the_end():
    sigma = run_effect(noise.dying, U, jnp.full_like(U, 0.1), dying=3.0, dies=0.0)
    assert sigma[0] == pytest.approx(0.1)
    assert sigma[-1] == pytest.approx(1e-4)
    assert (jnp.diff(sigma) < 0).all()


def test_one_observation_is_wild():
    jump = run_effect(noise.wild, U, wild_at=0.395 ** (1 / 3), wild=3.0, wild_down=0)
    assert np.flatnonzero(jump).tolist() == [40]
    assert jump[40] == pytest.approx(1e3)


@pytest.mark.parametrize(("at_bound", "best"), [(0, 0.3), (1, 0.0)])
def test_nothing_is_better_than_the_ceiling(at_bound, best):
    low = jnp.array(0.0)
    y = run_effect(
        *(noise.ceiling, 1.2 - U, low),
        ceiling=jnp.log10(0.1 / 0.9),
        ceiling_at_bound=at_bound,
    )
    assert float(y.min()) == pytest.approx(best, abs=1e-6)
    assert 9 <= (y == y.min()).sum() <= 12


def test_a_curve_at_rest_stays_near_the_value_it_had():
    y = run_effect(noise.rest, U, U**2, rest_from=jnp.log10(0.5), rest_jitter=-3.0)
    np.testing.assert_array_equal(y[:50], (U**2)[:50])
    assert np.abs(y[51:] - 0.25).max() < 0.02
    assert len(set(y[51:].tolist())) > 40
