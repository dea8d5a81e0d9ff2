"""A stream forecasts what a fresh call would, after every record."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("strict_jax")

CURVE = [0.52, 0.61, 0.58, 0.66, 0.69, 0.69, 0.7]


def fresh(model, values, steps, horizon, **metric):
    return model.extrapolate(values, horizon, steps=steps, **metric)


@pytest.mark.parametrize(
    "metric",
    [{"mode": "max", "bounds": (0.0, 1.0)}, {"mode": "min"}],
    ids=["bounded", "free"],
)
@pytest.mark.parametrize(
    "steps", [range(1, 8), [2, 5, 6, 11, 12, 13, 19], [0, 1, 2, 3, 4, 5, 6]]
)
def test_every_update_is_a_fresh_forecast(model, same, metric, steps):
    stream = model.stream(20, **metric)
    for i, (value, step) in enumerate(zip(CURVE, steps, strict=True), start=1):
        forecast = stream.update(value, step)
        same(forecast, fresh(model, CURVE[:i], steps[:i], 20, **metric))


def test_fractional_steps(model, same):
    steps = [0.5, 1.0, 1.5, 2.5]
    stream = model.stream(5, mode="max")
    for i, step in enumerate(steps, start=1):
        forecast = stream.update(CURVE[i - 1], step)
        same(forecast, fresh(model, CURVE[:i], steps[:i], 5, mode="max"))


@settings(max_examples=8)
@given(
    values=st.lists(
        st.sampled_from([0.1, 0.5, 0.6, 0.6, np.nan, np.inf]), min_size=1, max_size=7
    )
)
def test_records_that_were_not_finite(model, same, values):
    stream = model.stream(20, mode="max", bounds=(0.0, 1.0))
    for i, value in enumerate(values, start=1):
        forecast = stream.update(value)
        assert forecast.diverged == (not np.isfinite(value))
        same(forecast, fresh(model, values[:i], None, 20, mode="max", bounds=(0, 1)))


def test_long_streams_are_pooled_alike(model, same):
    """Around the lengths at which pooling starts, doubles and fills a block."""
    values = 1 - np.arange(1, 301) ** -0.5 + 0.01 * np.sin(np.arange(300))
    stream = model.stream(400, mode="max", bounds=(0.0, None))
    ends = {1, 128, 129, 130, 131, 200, 256, 257, 258, 260, 261, 299, 300}
    for i, value in enumerate(values, start=1):
        if i not in ends:
            stream.extend([value], [i])
            continue
        forecast = stream.update(value)
        same(
            forecast, fresh(model, values[:i], None, 400, mode="max", bounds=(0, None))
        )


def test_extend_is_many_updates(model, same):
    one, two = (model.stream(20, mode="max") for _ in range(2))
    one.extend(CURVE, range(1, 8))
    for value in CURVE:
        forecast = two.update(value)
    same(one.forecast(), forecast)
    assert one.steps == two.steps == [1, 2, 3, 4, 5, 6, 7]
    assert one.values == two.values == CURVE


def test_paths_of_a_stream(model):
    stream = model.stream(12, mode="max", bounds=(0.0, 0.75))
    stream.extend(CURVE, range(1, 8))
    forecast = stream.forecast()
    other = fresh(model, CURVE, None, 12, mode="max", bounds=(0.0, 0.75))
    np.testing.assert_allclose(forecast.paths(3), other.paths(3), atol=1e-3)


def test_earlier_forecasts_do_not_change(model):
    stream = model.stream(20, mode="max")
    early = stream.update(0.5)
    mean, paths = early.mean(), early.paths(2)
    stream.extend(CURVE * 2, range(2, 16))
    np.testing.assert_array_equal(early.mean(), mean)
    np.testing.assert_array_equal(early.paths(2), paths)


@pytest.mark.parametrize(
    ("value", "step", "message"),
    [
        (0.6, 3, "must increase: the last was 3, got 3"),
        (0.6, 1, "must increase"),
        (0.6, np.nan, "step must be a finite number"),
        (0.6, -1, "step must be a finite number >= 0"),
        (0.6, 21, "step 21 lies beyond the horizon 20"),
        (61.0, 4, "bounds.*61.0.*percentage"),
        ("high", 4, "a number, and so is its step, got 'high'"),
        (None, 4, "a number, and so is its step"),
        ([0.5, 0.6], 4, "a number, and so is its step"),
        (0.5, "four", "a number, and so is its step"),
        (10**400, 4, "a number, and so is its step"),
    ],
)
def test_refused_records_leave_no_trace(model, same, value, step, message):
    stream = model.stream(20, mode="max", bounds=(0.0, 1.0))
    stream.extend(CURVE[:3], [1, 2, 3])
    with pytest.raises(ValueError, match=message):
        stream.update(value, step)
    forecast = stream.update(CURVE[3])
    same(forecast, fresh(model, CURVE[:4], None, 20, mode="max", bounds=(0.0, 1.0)))


@pytest.mark.parametrize("values", [CURVE[:3], [np.nan] * 3, [0.5, 0.6, np.nan]])
def test_the_horizon_ends_a_stream(model, values):
    stream = model.stream(3, mode="max", bounds=(0.0, 1.0))
    stream.extend(values[:2], [1, 2])
    forecast = stream.update(values[2])
    assert forecast.steps.shape == forecast.mean().shape == (0,)
    assert forecast.quantile([0.1, 0.9]).shape == (2, 0)
    assert forecast.diverged == np.isnan(values[2])
    assert repr(forecast) == "Forecast(no steps remain)"
    certain = 0.0 if np.isnan(values[2]) else values[2]
    assert forecast.final.mean() == forecast.final.quantile(0.1) == certain
    assert forecast.final.std() == 0
    assert forecast.final.prob_better(certain - 0.1) == (not np.isnan(values[2]))
    assert forecast.final.cdf([certain - 0.1, certain]).tolist() == [0, 1]
    with pytest.raises(ValueError, match="beyond the horizon 3"):
        stream.update(0.7)
    assert stream.values[:2] == values[:2]


def test_a_stream_without_records_has_no_forecast(model):
    stream = model.stream(20, mode="max")
    with pytest.raises(ValueError, match="no observations yet"):
        stream.forecast()


@pytest.mark.parametrize(
    ("horizon", "metric", "message"),
    [
        (0, {"mode": "max"}, "positive number"),
        (None, {"mode": "max"}, "positive number"),
        (20, {"mode": "up"}, "mode must be"),
        (20, {"mode": "max", "bounds": (1, 0)}, "low < high"),
    ],
)
def test_impossible_streams_are_refused(model, horizon, metric, message):
    with pytest.raises(ValueError, match=message):
        model.stream(horizon, **metric)


def test_soft_streams_take_values_outside_their_bounds(soft_model, same):
    metric = {"mode": "max", "bounds": (0.0, 1.0)}
    stream = soft_model.stream(20, **metric)
    for value in (0.98, 1.02, 1.01):
        forecast = stream.update(value)
    same(forecast, fresh(soft_model, [0.98, 1.02, 1.01], None, 20, **metric))
