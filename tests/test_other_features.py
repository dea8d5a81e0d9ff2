"""Other runs as a query sees them, and what it must not see of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.hyperparameters import CONFIG_FEATURES
from lcpfn.jax_setup import float64
from lcpfn.other_features import (
    PAIR_FEATURES,
    PLACES,
    Cutoff,
    grid_shares,
    on_grid,
    pair_features,
)

pytestmark = pytest.mark.usefixtures("strict_jax")
T, M = 20, 5
SHARES = jnp.linspace(0, 1, T)
RNG = np.random.default_rng(0)
VALUES = np.cumsum(RNG.normal(size=(M + 1, T)), axis=1)
SCALES = 0.5 + RNG.random((M + 1, T))
COUNTS = np.array([T, T, 12, 7, 1, 3])
TARGETS = np.array([0.6, 1.0])

place = float64(jax.jit(jax.vmap(on_grid, (None, 0, 0, 0, 0))))
look = float64(jax.jit(pair_features))


def seen(values=VALUES, scales=SCALES, counts=COUNTS, cutoff=9, order=None):
    """Of the first run at a cutoff, among the others."""
    runs = place(SHARES.astype(float), values, values, scales, counts)
    own = jax.tree.map(lambda x: x[0], runs)
    order = np.arange(1, M + 1) if order is None else order
    others = jax.tree.map(lambda x: x[order], runs)
    asked = Cutoff(
        values[0, cutoff], scales[0, cutoff], SHARES[cutoff], own.level, np.array(1.0)
    )
    found = look(asked, others, np.zeros((M, CONFIG_FEATURES)), TARGETS)
    return jax.tree.map(np.asarray, found)


def features(*args, **options):
    """All that is seen, side by side `(Q, M, ...)`."""
    found = seen(*args, **options)
    return np.concatenate([found.features, found.places.reshape(2, M, -1)], -1)


def test_features_have_their_shape_and_are_finite():
    found = seen()
    assert found.features.shape == (2, M, PAIR_FEATURES)
    assert found.places.shape == (2, M, 2, PLACES)
    assert np.isfinite(features()).all()


def test_shift_and_scale_of_all_runs_change_nothing():
    moved = features(VALUES * 100 - 7, SCALES * 100)
    np.testing.assert_allclose(moved, features(), rtol=1e-6, atol=1e-6)


def test_the_order_of_the_others_is_the_order_of_the_features():
    order = np.array([3, 1, 5, 2, 4])
    np.testing.assert_array_equal(features(order=order), features()[:, order - 1])


def test_what_a_run_does_behind_its_last_known_observation_is_not_seen():
    changed = VALUES.copy()
    changed[2, 12:] += 5
    changed[4, 1:] -= 5
    np.testing.assert_array_equal(features(changed), features())


def test_what_the_run_itself_does_behind_the_cutoff_is_not_seen():
    changed = VALUES.copy()
    changed[0, 10:] += 5
    np.testing.assert_array_equal(features(changed), features())
    changed[0, 9] += 5
    assert np.abs(features(changed) - features()).max() > 0.1


def test_a_run_on_the_grid_is_itself_where_it_was_observed():
    run = jax.tree.map(
        lambda x: np.asarray(x[1]),
        place(SHARES.astype(float), VALUES, VALUES, SCALES, COUNTS),
    )
    again = np.interp(SHARES, grid_shares(), run.value)
    assert np.abs(again - VALUES[1]).max() < 0.5 * np.abs(np.diff(VALUES[1])).max()
    assert run.best == VALUES[1].min()


def test_places_are_where_like_gains_would_lead():
    found = seen()
    gain, own, there = np.moveaxis(found.places[:, 0, 0], -1, 0)  # of run 1, values
    level, scale = VALUES[0, 9], SCALES[0, 9]
    end, now = VALUES[1, -1], VALUES[1, 9]
    assert gain[1] == pytest.approx((end - now) / scale, abs=0.3)
    assert own[1] == pytest.approx((end - now) / SCALES[1, 9], abs=0.3)
    assert there[1] == pytest.approx((end - level) / scale, abs=0.3)
    best = found.places[1, 0, 1, 2]
    assert best == pytest.approx((VALUES[1, 10:].min() - level) / scale, abs=0.3)
