"""What `extrapolate` promises about curves, steps, units and bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lcpfn.model

pytestmark = pytest.mark.usefixtures("strict_jax")

CURVE = [0.52, 0.61, 0.66, 0.69]
RAGGED = [CURVE, [0.3], [0.1, 0.4, 0.35, 0.5, 0.55, 0.6, 0.62]]
LEVELS = np.array([0.05, 0.5, 0.95])


def test_one_curve_has_no_batch_axis(model):
    forecast = model.extrapolate(CURVE, 20, mode="max", bounds=(0, 1))
    np.testing.assert_array_equal(forecast.steps, np.arange(5.0, 21))
    assert forecast.mean().shape == forecast.std().shape == (16,)
    assert forecast.quantile(0.5).shape == forecast.median().shape == (16,)
    assert forecast.quantile(LEVELS).shape == (3, 16)
    assert isinstance(forecast.final.mean(), float)
    assert forecast.final.quantile(LEVELS).shape == (3,)
    assert type(forecast.mean()) is np.ndarray


def test_ragged_curves_end_in_nan(model):
    forecast = model.extrapolate(RAGGED, 20, mode="max", bounds=(0, 1))
    assert forecast.steps.shape == forecast.mean().shape == (3, 19)
    assert forecast.quantile(LEVELS).shape == (3, 3, 19)
    assert forecast.final.mean().shape == (3,)
    assert forecast.final.quantile([0.1, 0.9]).shape == (2, 3)
    for row, curve in zip(forecast.steps, RAGGED, strict=True):
        count = 20 - len(curve)
        np.testing.assert_array_equal(row[:count], np.arange(len(curve) + 1.0, 21))
        assert np.isnan(row[count:]).all()
    for answer in (forecast.mean(), forecast.std(), forecast.cdf(0.5)):
        np.testing.assert_array_equal(np.isnan(answer), np.isnan(forecast.steps))


def test_padded_array_is_the_same_as_a_list(model, same):
    padded = np.full((3, 9), np.nan)
    for row, curve in zip(padded, RAGGED, strict=True):
        row[: len(curve)] = curve
    one = model.extrapolate(RAGGED, 20, mode="max", bounds=(0, 1))
    same(model.extrapolate(padded, 20, mode="max", bounds=(0, 1)), one)


def test_batch_is_the_same_as_one_by_one(model, same):
    batch = model.extrapolate(RAGGED, 20, mode="max", bounds=(0, 1))
    for i, curve in enumerate(RAGGED):
        alone = model.extrapolate(curve, 20, mode="max", bounds=(0, 1))
        same(batch[i], alone)


def test_order_of_curves_changes_nothing(model, same):
    batch = model.extrapolate(RAGGED, 20, mode="min")
    turned = model.extrapolate(RAGGED[::-1], 20, mode="min")
    for i in range(3):
        same(batch[i], turned[2 - i])


def test_many_curves_are_the_same_as_few(model, same):
    curves = [[0.5 + 0.001 * i, 0.6, 0.62] for i in range(70)]
    batch = model.extrapolate(curves, 6, mode="max", bounds=(0, 1))
    few = model.extrapolate(curves[60:63], 6, mode="max", bounds=(0, 1))
    for i in range(3):
        same(batch[60 + i], few[i])


def test_the_parts_of_very_many_curves_keep_their_order(model, same, monkeypatch):
    curves = 0.5 + np.arange(1100)[:, None] / 1e4 + [0.0, 0.05, 0.06]
    before = model.extrapolate(curves, 20, mode="max", bounds=(0, 1), at=20)
    monkeypatch.setattr(lcpfn.programs, "ON_THE_WAY", 1)
    after = model.extrapolate(curves, 20, mode="max", bounds=(0, 1), at=20)
    np.testing.assert_array_equal(after.final.mean(), before.final.mean())
    for i in (0, 300, 1099):
        same(
            model.extrapolate(curves[i], 20, mode="max", bounds=(0, 1), at=20), after[i]
        )


def test_the_curve_matters(model):
    one = model.extrapolate(CURVE, 20, mode="max", bounds=(0, 1))
    two = model.extrapolate([0.52, 0.66, 0.61, 0.69], 20, mode="max", bounds=(0, 1))
    assert np.abs(one.mean() - two.mean()).max() > 1e-3


@settings(max_examples=15)
@given(
    curve=st.lists(st.integers(-64, 64), min_size=2, max_size=8, unique=True),
    factor=st.sampled_from([0.5, 1.0, 100.0]),
    shift=st.integers(-500, 500),
)
def test_forecast_moves_with_the_curve(model, curve, factor, shift):
    one = model.extrapolate(curve, 20, mode="min")
    moved = [factor * y + shift for y in curve]
    two = model.extrapolate(moved, 20, mode="min")
    width = factor * one.std()
    error = (two.mean() - (factor * one.mean() + shift)) / width
    assert np.abs(error).max() < 1e-3
    error = (two.quantile(LEVELS) - (factor * one.quantile(LEVELS) + shift)) / width
    assert np.abs(error).max() < 1e-3
    np.testing.assert_allclose(two.std(), width, rtol=1e-3)


@pytest.mark.parametrize("bounds", [None, (-1.0, 2.0), (None, 2.0)])
def test_mode_is_a_mirror(model, bounds):
    """Minimising -y is maximising y."""
    mirrored = None if bounds is None else tuple(b and -b for b in bounds)[::-1]
    one = model.extrapolate(CURVE, 20, mode="max", bounds=bounds)
    two = model.extrapolate([-y for y in CURVE], 20, mode="min", bounds=mirrored)
    np.testing.assert_allclose(one.mean(), -two.mean(), rtol=1e-9)
    np.testing.assert_allclose(one.quantile(0.9), -two.quantile(0.1), rtol=1e-6)
    np.testing.assert_allclose(one.prob_better(0.7), two.prob_better(-0.7), atol=1e-9)
    gains = one.expected_improvement(0.7), two.expected_improvement(-0.7)
    np.testing.assert_allclose(*gains, atol=1e-12)


def test_mode_matters(model):
    up = model.extrapolate(CURVE, 20, mode="max")
    down = model.extrapolate(CURVE, 20, mode="min")
    assert np.abs(up.mean() - down.mean()).max() > 1e-3


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, None), (None, 0.7)])
def test_nothing_lies_outside_hard_bounds(model, bounds):
    forecast = model.extrapolate(CURVE, 20, mode="max", bounds=bounds)
    low, high = (-np.inf if b is None else b for b in (bounds[0], 1))
    high = np.inf if bounds[1] is None else bounds[1]
    for values in (forecast.quantile([1e-9, 0.5, 1 - 1e-9]), forecast.mean()):
        assert ((values >= low) & (values <= high)).all()
    assert (forecast.quantile(0.0) == low).all()
    assert (forecast.quantile(1.0) == high).all()
    if bounds[0] is not None:
        assert (forecast.cdf(low - 1e-9) == 0).all()
        assert (forecast.log_prob(low - 1e-9) == -np.inf).all()
    if bounds[1] is not None:
        assert (forecast.cdf(high) == 1).all()
        assert (forecast.log_prob(high + 1e-9) == -np.inf).all()


@pytest.mark.parametrize("value", [61.0, -0.5, 1.0000001])
def test_observations_outside_hard_bounds_are_refused(model, value):
    with pytest.raises(ValueError, match=f"bounds.*{value!r} at position 1.*percent"):
        model.extrapolate([0.5, value], 20, mode="max", bounds=(0.0, 1.0))


def test_soft_bounds_refuse_and_truncate_nothing(soft_model):
    curve = [0.9, 1.02, 0.97, 1.01]
    forecast = soft_model.extrapolate(curve, 20, mode="max", bounds=(0.0, 1.0))
    assert (forecast.cdf(1.0) < 1).all()
    assert np.isfinite(forecast.log_prob(1.05)).all()
    free = soft_model.extrapolate(curve, 20, mode="max")
    assert np.abs(free.mean() - forecast.mean()).max() > 1e-4  # bounds are still seen


def test_inputs_are_not_modified(model):
    values = np.array([CURVE, [0.3, 0.4, np.nan, np.nan]], np.float32)
    steps, at = [[1, 2, 3, 4], [1, 2]], [[10, 20], [5]]
    before = values.copy(), [list(s) for s in steps], [list(a) for a in at]
    model.extrapolate(values, 20, mode="max", bounds=(0, 1), steps=steps, at=at).paths(
        2
    )
    np.testing.assert_array_equal(values, before[0])
    assert (steps, at) == before[1:]


def test_records_that_were_not_finite_are_gaps(model, same):
    one = model.extrapolate([0.5, np.nan, 0.6, np.inf, 0.7], 20, mode="max")
    two = model.extrapolate([0.5, 0.6, 0.7], 20, mode="max", steps=[1, 3, 5])
    assert not one.diverged
    same(one, two)


@pytest.mark.parametrize("curve", [[0.5, 0.6, np.nan], [-np.inf], [np.nan, np.nan]])
@pytest.mark.parametrize(
    ("mode", "bounds", "worst"),
    [("max", (0, 1), 0.0), ("min", (0, None), np.inf), ("max", None, -np.inf)],
)
def test_diverged_runs_count_as_the_worst(model, curve, mode, bounds, worst):
    forecast = model.extrapolate(curve, 9, mode=mode, bounds=bounds)
    assert forecast.diverged
    for values in (forecast.mean(), forecast.quantile(0.9), forecast.paths(3)):
        assert (values == worst).all()
    assert (forecast.std() == 0).all()
    assert forecast.final.mean() == worst
    assert (forecast.prob_better(0.5) == 0).all()
    assert (forecast.expected_improvement(0.5) == 0).all()
    above = worst > 0.5
    assert (forecast.prob_above(0.5) == above).all()
    assert (forecast.cdf(0.5) == (not above)).all()


def test_diverged_runs_leave_others_alone(model, same):
    batch = model.extrapolate([CURVE, [0.5, np.nan], [np.nan]], 20, mode="max")
    np.testing.assert_array_equal(batch.diverged, [False, True, True])
    same(batch[0], model.extrapolate(CURVE, 20, mode="max"))
    assert np.nanmax(batch.mean()[1:]) == -np.inf


def test_infinity_lies_outside_no_bounds(model):
    assert model.extrapolate([0.5, np.inf], 9, mode="max", bounds=(0, 1)).diverged


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0), (0.0, None)])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_constant_curves(model, value, bounds, mode):
    forecast = model.extrapolate([value] * 5, 20, mode=mode, bounds=bounds)
    assert np.isfinite(forecast.mean()).all()
    assert (forecast.std() > 0).all()
    assert (np.diff(forecast.quantile(LEVELS), axis=0) > 0).all()


@pytest.mark.parametrize("unit", [1e30, 1e150, 1e-30, 1e-150])
def test_huge_and_tiny_values(model, unit):
    usual = model.extrapolate([5.0, 3.0, 2.0, 2.5], 20, mode="min")
    forecast = model.extrapolate(
        [5 * unit, 3 * unit, 2 * unit, 2.5 * unit], 20, mode="min"
    )
    np.testing.assert_allclose(forecast.mean() / unit, usual.mean(), rtol=1e-3)
    np.testing.assert_allclose(forecast.std() / unit, usual.std(), rtol=1e-3)
    scaled = forecast.quantile(LEVELS) / unit
    np.testing.assert_allclose(scaled, usual.quantile(LEVELS), rtol=1e-3, atol=1e-3)


def test_one_explosion_in_a_curve(model):
    forecast = model.extrapolate([2.0, 1e30, 1.5, 1.4], 20, mode="min")
    assert np.isfinite(forecast.quantile(LEVELS)).all()


def test_long_curves_are_pooled(model):
    steps = np.arange(1, 501)
    curve = 1 - steps**-0.5
    forecast = model.extrapolate(curve, 600, mode="max", bounds=(0, 1))
    assert forecast.steps.shape == (100,)
    assert np.isfinite(forecast.mean()).all()
    early = curve.copy()
    early[0] = 0.9
    other = model.extrapolate(early, 600, mode="max", bounds=(0, 1))
    assert (other.mean() != forecast.mean()).any()


def test_arguments_after_the_horizon_are_named(model):
    with pytest.raises(TypeError):
        model.extrapolate(CURVE, 20)
    with pytest.raises(TypeError):
        model.extrapolate(CURVE, 20, "max")


def test_real_curves(model, curves):
    """Every kind of real curve gets a proper forecast or counts as diverged."""
    for name in ("lcbench", "taskset"):
        data = np.load(curves / f"{name}.npz")
        rows = np.random.default_rng(0).choice(len(data["length"]), 60, replace=False)
        known = [
            row[: max(1, n // 3)].astype(float)
            for row, n in zip(data["curves"][rows], data["length"][rows], strict=True)
        ]
        forecast = model.extrapolate(known, 60, mode="min", bounds=(0, None))
        lost = ~np.array([np.isfinite(row[-1]) for row in known])
        np.testing.assert_array_equal(forecast.diverged, lost)
        final = forecast.final.quantile(LEVELS)
        assert np.isfinite(final[:, ~lost]).all()
        assert (final >= 0).all()
        assert (np.diff(final[:, ~lost], axis=0) > 0).all()
