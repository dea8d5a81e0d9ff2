"""Kendall's tau with a slope, and scores combined by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kendalltau

from lcpfn.eval.nas.combine import SLOPE, combined, soft_tau


def test_soft_tau_is_kendalls_where_scores_are_far_apart():
    rng = np.random.default_rng(0)
    score, outcome = rng.permutation(12) * 50.0 * SLOPE, rng.permutation(12) * 1.0
    found = soft_tau(jnp.array(score), jnp.array(outcome), jnp.ones(12))
    assert found == pytest.approx(kendalltau(score, outcome).statistic, abs=1e-6)


def test_soft_tau_has_a_slope_and_leaves_out_what_does_not_count():
    outcome = jnp.array([0.0, 1.0, 2.0])
    counted = jnp.array([1.0, 1.0, 0.0])
    value, slope = jax.value_and_grad(soft_tau)(jnp.zeros(3), outcome, counted)
    assert value == 0
    np.testing.assert_array_equal(np.sign(slope), [-1, 1, 0])
    assert soft_tau(outcome, outcome, jnp.zeros(3)) == 0


def test_a_combination_ranks_cells_that_it_has_not_seen():
    rng = np.random.default_rng(0)
    weight = np.array([1.0, -0.5, 0.2, 0.0, 0.0])
    z = rng.normal(size=(140, 6))
    z[:, 5] = 3.0  # says nothing
    outcome = np.exp(z[:, :5] @ weight)
    own, other = combined(z[:40], outcome[:40], z[40:])
    assert own.shape == (40,)
    assert kendalltau(other, outcome[40:]).statistic > 0.7
    assert kendalltau(own, outcome[:40]).statistic > 0.6
    mixed = rng.permutation(outcome[:40])
    own, other = combined(z[:40], mixed, z[40:])
    assert abs(kendalltau(other, outcome[40:]).statistic) < 0.5
