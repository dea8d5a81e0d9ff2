"""What one asks of a forecast, in the user's units."""

import numpy as np
import pytest
from scipy.integrate import quad

CURVE = [0.52, 0.61, 0.66, 0.69]
RAGGED = [CURVE, [0.3], [0.1, 0.4, 0.35, 0.5, 0.55, 0.6, 0.62]]


@pytest.fixture(
    scope="module", params=[("max", (0.0, 100.0)), ("min", (0.0, None)), ("max", None)]
)
def forecast(model, request):
    """Three steps of one curve in percent."""
    mode, bounds = request.param
    curve = [100 * y for y in CURVE]
    return model.extrapolate(curve, 20, mode=mode, bounds=bounds, at=[5, 9, 20])


def ends(forecast):
    """Where the mass lies, for numerical integration."""
    low, high = forecast.quantile([1e-12, 1 - 1e-12])
    inner = forecast.quantile(np.linspace(0.02, 0.98, 25))
    return low, high, inner


def integrals(forecast, function):
    low, high, inner = ends(forecast)
    return [
        quad(
            lambda y, i=i: function(y, i),
            low[i],
            high[i],
            points=inner[:, i],
            limit=300,
        )[0]
        for i in range(len(low))
    ]


def density(forecast):
    return lambda y, i: float(np.exp(forecast.log_prob(y)[i]))


def test_log_prob_is_a_density_in_the_users_units(forecast):
    np.testing.assert_allclose(integrals(forecast, density(forecast)), 1, atol=1e-6)


def test_mean_and_std_are_those_of_the_density(forecast):
    p, mean = density(forecast), forecast.mean()
    first = integrals(forecast, lambda y, i: y * p(y, i))
    second = integrals(forecast, lambda y, i: (y - mean[i]) ** 2 * p(y, i))
    np.testing.assert_allclose(first, mean, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(second), forecast.std(), rtol=1e-5)


@pytest.mark.parametrize("best", [40.0, 69.0, 75.0])
def test_expected_improvement_is_the_integral(forecast, best):
    sign = 1 if forecast.metric.mode == "max" else -1
    low, high, inner = ends(forecast)
    p = density(forecast)
    for i in range(3):
        points = np.unique(np.clip([*inner[:, i], best], low[i], high[i]))
        gain = lambda y, i=i: max(sign * (y - best), 0) * p(y, i)
        wanted = quad(gain, low[i], high[i], points=points, limit=300)[0]
        gained = forecast.expected_improvement(best)[i]
        assert gained == pytest.approx(wanted, rel=1e-5, abs=1e-7)
        assert gained >= 0


def test_expected_improvement_on_nothing_and_on_the_unbeatable(forecast):
    sign = 1 if forecast.metric.mode == "max" else -1
    assert (forecast.expected_improvement(-sign * np.inf) == np.inf).all()
    assert (forecast.expected_improvement(sign * np.inf) == 0).all()


def test_quantile_and_cdf_are_inverse(forecast):
    q = np.array([0.01, 0.3, 0.5, 0.9, 0.999])
    y = forecast.quantile(q)
    np.testing.assert_allclose(forecast.cdf(y), q[:, None] + np.zeros(3), atol=1e-9)
    np.testing.assert_array_equal(forecast.median(), y[2])
    np.testing.assert_array_equal(forecast.quantile(0.3), y[1])


def test_interval_holds_its_mass(forecast):
    low, high = forecast.interval(0.8)
    np.testing.assert_allclose(forecast.cdf(high) - forecast.cdf(low), 0.8, atol=1e-9)
    np.testing.assert_allclose(forecast.cdf(low), 0.1, atol=1e-9)


def test_better_is_above_for_max_and_below_for_min(forecast):
    y = 70.0
    above, better = forecast.prob_above(y), forecast.prob_better(y)
    np.testing.assert_allclose(above, 1 - forecast.cdf(y), atol=1e-12)
    wanted = above if forecast.metric.mode == "max" else 1 - above
    np.testing.assert_allclose(better, wanted, atol=1e-12)
    worse = 90.0 if forecast.metric.mode == "min" else 50.0
    assert (forecast.prob_better(worse) > better).all()


def test_final_is_the_last_step_alone(forecast):
    final = forecast.final
    assert final.steps == 20
    for name, arguments in [
        ("mean", ()),
        ("std", ()),
        ("quantile", (0.9,)),
        ("cdf", (70.0,)),
        ("log_prob", (70.0,)),
        ("prob_better", (70.0,)),
        ("expected_improvement", (70.0,)),
    ]:
        value = getattr(final, name)(*arguments)
        assert isinstance(value, float)
        assert value == pytest.approx(getattr(forecast, name)(*arguments)[-1], rel=1e-5)
    assert final.quantile([0.1, 0.5]).shape == (2,)
    with pytest.raises(ValueError, match="forecast of a single step"):
        _ = final.final
    with pytest.raises(ValueError, match="a single step, which has no path"):
        final.paths(3)


def test_values_to_compare_with_broadcast(model):
    batch = model.extrapolate(RAGGED, 20, mode="max", bounds=(0, 1))
    y = np.array([0.5, 0.6, 0.7])
    final = batch.final.prob_better(y)
    assert final.shape == (3,)
    for i in range(3):
        assert final[i] == pytest.approx(batch[i].final.prob_better(y[i]), abs=1e-12)
    assert batch.cdf(y[:, None]).shape == (3, 19)
    assert batch.final.cdf(y[:, None]).shape == (3, 3)


def test_a_batch_is_indexed_by_curve(model):
    batch = model.extrapolate(RAGGED, 20, mode="max", bounds=(0, 1))
    assert len(batch) == 3
    assert [len(one) for one in batch] == [16, 19, 13]
    np.testing.assert_array_equal(batch[-1].mean(), batch.mean()[2, :13])
    np.testing.assert_array_equal(batch[0].quantile(0.3), batch.quantile(0.3)[0, :16])
    assert batch[1].final.mean() == batch.final.mean()[1] == batch.final[1].mean()
    with pytest.raises(IndexError):
        batch[3]
    with pytest.raises(TypeError):
        batch[0:2]
    with pytest.raises(TypeError, match="one curve"):
        batch[0][0]


def test_representation(model):
    one = model.extrapolate(CURVE, 20, mode="max")
    assert repr(one) == "Forecast(16 steps 5..20, mode='max')"
    batch = model.extrapolate(RAGGED, 20, mode="min")
    assert repr(batch) == "Forecast(3x19 steps 2..20, mode='min')"
    assert repr(one.final) == "Forecast(1 steps 20..20, mode='max')"
