"""What `extrapolate` promises about steps, horizons and what is predicted."""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("strict_jax")

CURVE = [0.52, 0.61, 0.66, 0.69]
RAGGED = [CURVE, [0.3], [0.1, 0.4, 0.35, 0.5, 0.55, 0.6, 0.62]]


def test_default_steps_are_one_to_n(model, same):
    one = model.extrapolate(CURVE, 20, mode="max")
    same(one, model.extrapolate(CURVE, 20, mode="max", steps=[1, 2, 3, 4]))


def test_gaps_in_the_steps_are_seen(model):
    forecast = model.extrapolate(CURVE, 20, mode="max", steps=[1, 5, 6, 12])
    np.testing.assert_array_equal(forecast.steps, np.arange(13.0, 21))
    even = model.extrapolate(CURVE, 20, mode="max", steps=[3, 6, 9, 12])
    assert np.abs(forecast.mean() - even.mean()).max() > 1e-4


@pytest.mark.parametrize("unit", [1000.0, 0.25])
def test_the_unit_of_steps_changes_nothing(model, unit):
    steps = np.array([1.0, 2, 3, 5])
    one = model.extrapolate(CURVE, 20, mode="max", steps=steps, at=[6, 13, 20])
    two = model.extrapolate(
        CURVE,
        20 * unit,
        mode="max",
        steps=steps * unit,
        at=[6 * unit, 13 * unit, 20 * unit],
    )
    np.testing.assert_allclose(one.mean(), two.mean(), rtol=1e-4)
    np.testing.assert_allclose(one.std(), two.std(), rtol=1e-4)


def test_fractional_steps_are_continued(model):
    forecast = model.extrapolate(CURVE, 4, mode="max", steps=[0.5, 1, 1.5, 2])
    np.testing.assert_allclose(forecast.steps, [2.5, 3, 3.5, 4])
    forecast = model.extrapolate([0.5], 1.1, mode="max", steps=[0.25])
    np.testing.assert_allclose(forecast.steps, [0.5, 0.75, 1.0, 1.1])


def test_steps_may_begin_at_zero(model):
    forecast = model.extrapolate([2.3, 1.1], 5, mode="min", steps=[0, 1])
    np.testing.assert_array_equal(forecast.steps, [2, 3, 4, 5])
    assert np.isfinite(forecast.mean()).all()
    assert np.isfinite(model.extrapolate([2.3], 5, mode="min", steps=[0]).mean()).all()


def test_at_picks_from_the_default(model):
    whole = model.extrapolate(CURVE, 20, mode="max")
    picked = model.extrapolate(CURVE, 20, mode="max", at=[7, 20])
    np.testing.assert_array_equal(picked.steps, [7, 20])
    np.testing.assert_allclose(picked.mean(), whole.mean()[[2, 15]], rtol=1e-4)
    assert picked.final.mean() == pytest.approx(picked.mean()[-1], rel=1e-6)


def test_final_does_not_need_the_horizon_among_the_steps(model):
    whole = model.extrapolate(CURVE, 20, mode="max")
    picked = model.extrapolate(CURVE, 20, mode="max", at=[7])
    assert picked.final.steps == 20
    assert picked.final.mean() == pytest.approx(whole.mean()[-1], rel=1e-4)


def test_each_curve_has_its_own_steps_horizon_and_targets(model, same):
    steps = [[1, 2, 3, 4], [10], [2, 4, 6, 8, 10, 12, 14]]
    at = [[5, 10], [11, 12, 13], [30]]
    batch = model.extrapolate(RAGGED, [10, 20, 30], mode="max", steps=steps, at=at)
    assert batch.steps.shape == (3, 3)
    np.testing.assert_array_equal(batch.final.steps, [10, 20, 30])
    for i, curve in enumerate(RAGGED):
        alone = model.extrapolate(
            curve, [10, 20, 30][i], mode="max", steps=steps[i], at=at[i]
        )
        same(batch[i], alone)


@pytest.mark.parametrize("horizon", [517, 1000, 1_000_000, 10**12])
def test_default_steps_are_thinned(model, horizon):
    forecast = model.extrapolate(CURVE, horizon, mode="max")
    assert len(forecast.steps) == 512
    assert forecast.steps[-1] == horizon
    gaps = np.diff(forecast.steps, prepend=4.0)
    assert (gaps >= 1).all()
    assert gaps.max() <= gaps.min() + 2
    assert np.isfinite(forecast.mean()).all()


def test_all_steps_are_kept_while_they_fit(model):
    forecast = model.extrapolate(CURVE, 516, mode="max")
    np.testing.assert_array_equal(forecast.steps, np.arange(5.0, 517))
