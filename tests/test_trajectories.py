"""Joint paths: their marginals are the forecast's, their memory is the network's."""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("strict_jax")

CURVE = [0.52, 0.61, 0.66, 0.69]
RAGGED = [CURVE, [0.3], [0.5, 0.6, np.nan]]


@pytest.fixture(scope="module")
def forecast(model):
    return model.extrapolate(CURVE, 12, mode="max", bounds=(0.0, 0.75))


def test_shape_and_seed(forecast):
    paths = forecast.paths(5)
    assert paths.shape == (5, 8)
    np.testing.assert_array_equal(paths, forecast.paths(5))
    np.testing.assert_array_equal(paths, forecast.paths(5, seed=0))
    assert (forecast.paths(5, seed=1) != paths).all()
    assert forecast.paths(1).shape == (1, 8)


def test_marginals_are_those_of_the_forecast(forecast):
    paths = forecast.paths(512)
    ranks = np.sort(forecast.cdf(paths), axis=0)
    even = (np.arange(512) + 0.5) / 512
    assert np.abs(ranks - even[:, None]).max() < 2 / 512
    mean = paths.mean(0)
    assert (np.abs(mean - forecast.mean()) < 0.02 * forecast.std()).all()


def test_a_subset_of_paths_is_not_sorted(forecast):
    """Fewer paths than are simulated still fill the whole distribution."""
    ranks = forecast.cdf(forecast.paths(40))
    assert (ranks.min(0) < 0.2).all()
    assert (ranks.max(0) > 0.8).all()


def test_paths_stay_inside_hard_bounds(forecast):
    paths = forecast.paths(512)
    assert paths.min() >= 0
    assert paths.max() <= 0.75


def test_paths_are_joint(model):
    """Neighbouring steps share where a path has been; shuffling would lose it."""
    # A spread that narrows slowly: what is fed back moves what follows.
    forecast = model.extrapolate(CURVE, 12, mode="max")
    paths = forecast.paths(512)
    correlation = np.corrcoef(paths.T)
    neighbours = np.abs(np.diagonal(correlation, offset=1))
    # Independent columns would stay below 4 / sqrt(512).
    assert neighbours.max() > 0.18


def test_paths_of_several_curves(model):
    batch = model.extrapolate(RAGGED, 12, mode="max", bounds=(0.0, 0.75))
    paths = batch.paths(6)
    assert paths.shape == (6, *batch.steps.shape) == (6, 3, 11)
    missing = np.broadcast_to(np.isnan(batch.steps), paths.shape)
    np.testing.assert_array_equal(np.isnan(paths), missing)
    assert (paths[:, 2, :9] == 0).all()  # diverged
    # Taken out of the batch, a curve keeps the ranks of its paths.
    for i, count in ((0, 8), (1, 11)):
        ranks = batch[i].cdf(paths[:, i, :count])
        assert np.abs(batch[i].cdf(batch[i].paths(6)) - ranks).max() <= 1 / 64


def test_soft_bounds_are_seen_along_the_path(model, soft_model):
    """Bounds so wide that only what the network is told of them can matter."""
    bounds = (-1e4, 1e4)
    paths = [
        m.extrapolate(CURVE, 12, mode="max", bounds=bounds).paths(64)
        for m in (model, soft_model)
    ]
    np.testing.assert_allclose(*paths, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e30, 1e-30])
def test_paths_in_extreme_units(model, unit):
    usual = model.extrapolate([5.0, 3.0, 2.0, 2.5], 12, mode="min")
    moved = model.extrapolate([x * unit for x in (5.0, 3.0, 2.0, 2.5)], 12, mode="min")
    np.testing.assert_allclose(
        np.median(moved.paths(64), 0) / unit,
        np.median(usual.paths(64), 0),
        rtol=0.05,
        atol=0.05,
    )


def test_more_steps_than_knots(model):
    forecast = model.extrapolate(CURVE, 104, mode="max", bounds=(0.0, 1.0))
    paths = forecast.paths(64)
    assert paths.shape == (64, 100)
    ranks = np.sort(forecast.cdf(paths), axis=0)
    assert np.abs(ranks - ((np.arange(64) + 0.5) / 64)[:, None]).max() < 2 / 64
