"""Bad input is refused before any number is computed, by a message that helps."""

import numpy as np
import pytest

CURVE = [0.52, 0.61, 0.66]
GOOD = {"curves": CURVE, "horizon": 20, "mode": "max"}


def refuse(model, message, **wrong):
    arguments = GOOD | wrong
    curves, horizon = arguments.pop("curves"), arguments.pop("horizon")
    with pytest.raises(ValueError, match=message):
        model.extrapolate(curves, horizon, **arguments)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ([], "the curve has no observations; .* at least one"),
        (np.empty(0), "the curve has no observations"),
        ([[0.5], []], "curve 1 has no observations"),
        ([[], [0.5]], "curve 0 has no observations"),
        (np.full((2, 3), np.nan), "curve 0 has no observations"),
        (np.empty((2, 0)), "curve 0 has no observations"),
        (np.empty((0, 3)), "no curves"),
        ("0.5 0.6", "a list of them, or a 2-D array, got str"),
        (b"0.5", "got bytes"),
        ({"a": [0.5]}, "got dict"),
        (0.5, "got float"),
        (None, "got NoneType"),
        (np.array(0.5), "one-dimensional"),
        (iter(CURVE), "got list_iterator"),
        (["high", "low"], "the curve must be numbers, got .'high'"),
        ([0.5, [0.6]], "must be numbers"),
        ([[0.5], "ab"], "curve 1 must be numbers"),
        ([[0.5], 0.6], "curve 1 must be one-dimensional"),
        ([0.5, 1j], "must be numbers"),
        ([0.5, 10**400], "must be numbers"),
        ([[[0.5]]], "curve 0 must be one-dimensional, got an array of shape"),
        (np.zeros((2, 2, 2)), "curve 0 must be one-dimensional"),
    ],
)
def test_curves(model, curves, message):
    refuse(model, message, curves=curves)


@pytest.mark.parametrize(
    ("horizon", "message"),
    [
        (2, "horizon .* before its last observed step 3, got 2"),
        (0, "positive number"),
        (-5, "positive number.*got -5"),
        (np.nan, "positive number"),
        (np.inf, "positive number"),
        (None, "positive number.*got None"),
        ("late", "horizon must be numbers"),
        ([20, 30], "one per curve: 1 curves, got 2"),
    ],
)
def test_horizon(model, horizon, message):
    refuse(model, message, horizon=horizon)


def test_a_curve_at_its_horizon_has_the_value_it_has(model):
    batch = model.extrapolate([CURVE, CURVE[:2]], 3, mode="max")
    assert batch.finished.tolist() == [True, False]
    assert batch.final.mean()[0] == CURVE[-1]
    assert batch.final.std()[0] == 0 < batch.final.std()[1]
    assert np.isnan(batch.mean()[0]).all()
    assert batch[0].steps.shape == (0,)
    assert batch[0].final.interval(0.9) == (CURVE[-1], CURVE[-1])


def test_horizon_of_one_curve_of_several_is_named(model):
    refuse(
        model, "horizon of curve 1 .* step 3", curves=[CURVE[:2], CURVE], horizon=[9, 2]
    )
    refuse(model, "2 curves, got 3", curves=[CURVE, CURVE], horizon=[9, 9, 9])


@pytest.mark.parametrize("mode", ["MAX", "maximize", None, 1, "", ["max"]])
def test_mode(model, mode):
    refuse(model, 'mode must be "max" .* or "min"', mode=mode)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((1.0, 0.0), "low < high, got \\(1.0, 0.0\\)"),
        ((1.0, 1.0), "low < high"),
        ((0.0, np.nan), "must not be NaN"),
        ((0.0,), "pair \\(low, high\\)"),
        ((0.0, 0.5, 1.0), "pair \\(low, high\\)"),
        (1.0, "pair \\(low, high\\)"),
        (("a", "b"), "pair \\(low, high\\)"),
        ((0.0, 0.6), "0.61 at position 1"),
        ((0.6, None), "0.52 at position 0"),
    ],
)
def test_bounds(model, bounds, message):
    refuse(model, message, bounds=bounds)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([1, 2], "one per value: 3 values, got shape \\(2,\\)"),
        ([1, 2, 3, 4], "one per value"),
        ([1, 1, 2], "strictly increasing"),
        ([3, 2, 1], "strictly increasing"),
        ([1, np.nan, 3], "finite"),
        ([-1, 2, 3], ">= 0"),
        ("abc", "numbers"),
        (5, "one per value"),
        ([1, 2, 30], "before its last observed step 30"),
    ],
)
def test_steps(model, steps, message):
    refuse(model, f"steps of the curve.*{message}|{message}", steps=steps)


def test_steps_of_several_curves(model):
    two = [CURVE, [0.5]]
    refuse(model, "steps .*2 curves, got 1", curves=two, steps=[[1, 2, 3]])
    refuse(model, "steps of curve 1", curves=two, steps=[1, 2, 3])
    refuse(model, "steps of curve 1", curves=two, steps=[[1, 2, 3], [-1]])


@pytest.mark.parametrize(
    "at",
    [3, [3, 5], [21], [20.5], [5, 5], [6, 5], [], [np.nan], [np.inf], "x", [[[5]]]],
)
def test_at(model, at):
    message = "at of the curve must be (increasing steps after .*3.* and up to|numbers)"
    refuse(model, message, at=at)


def test_at_of_several_curves(model):
    two = [CURVE, [0.5]]
    refuse(model, "at .*2 curves, got 3", curves=two, at=[[5], [5], [5]])
    refuse(model, "at of curve 0", curves=two, at=[2, 5])
    refuse(model, "at of curve 1", curves=two, at=[[5], [1]])


def test_nothing_is_computed_for_bad_input(model, monkeypatch):
    def never(*_):
        raise AssertionError("computed")

    monkeypatch.setattr(type(model), "read", never)
    refuse(model, "curve 1", curves=[CURVE, []])


@pytest.mark.parametrize("q", [-0.1, 1.1, np.nan, [0.1, 2], [[0.5]]])
def test_quantile_levels(model, q):
    forecast = model.extrapolate(CURVE, 8, mode="max")
    with pytest.raises(ValueError, match=r"q must be .* in \[0, 1\]"):
        forecast.quantile(q)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95])
def test_interval_levels(model, level):
    forecast = model.extrapolate(CURVE, 8, mode="max")
    with pytest.raises(ValueError, match=f"between 0 and 1, got {level}"):
        forecast.interval(level)


@pytest.mark.parametrize("n", [0, -1, 2.5, None])
def test_number_of_paths(model, n):
    forecast = model.extrapolate(CURVE, 8, mode="max")
    with pytest.raises(ValueError, match="n must be a positive integer"):
        forecast.paths(n)
