"""One-step-ahead surprise."""

import numpy as np
import pytest

from lcpfn.prefixes import WEIGHT

CURVE = [0.9, 0.7, 0.62, 0.6, 0.55, 0.53]


def test_it_is_what_a_stream_would_have_found(model):
    stream = model.stream(20, mode="min", bounds=(0, 1))
    each, forecast = [], stream.update(CURVE[0])
    for value in CURVE[1:]:
        below = forecast.cdf(value)[0]
        each.append(-np.log(2 * min(below, 1 - below)))
        forecast = stream.update(value)
    weights = (1 - WEIGHT) ** np.arange(len(each))[::-1]
    expected = np.average(each, weights=weights)
    assert forecast.surprise == pytest.approx(expected, rel=1e-3)


def test_batch_is_single(model):
    curves = [CURVE, CURVE[:3], [0.5]]
    batch = model.extrapolate(curves, 20, mode="min")
    assert batch.surprise.shape == (3,)
    for i in range(2):
        single = model.extrapolate(curves[i], 20, mode="min")
        assert batch.surprise[i] == pytest.approx(single.surprise, rel=1e-3)
        assert batch[i].surprise == batch.surprise[i]
    assert np.isnan(batch.surprise[2])


def test_a_jump_surprises(model):
    calm = model.extrapolate([*CURVE, 0.52], 20, mode="min")
    jump = model.extrapolate([*CURVE, 5.2], 20, mode="min")
    assert jump.surprise > calm.surprise + 1


@pytest.mark.parametrize("mode", ["min", "max"])
def test_it_has_no_units(model, mode):
    sign = 1 if mode == "min" else -1
    plain = model.extrapolate(CURVE, 20, mode="min").surprise
    moved = model.extrapolate(
        [sign * (40 * y + 7) for y in CURVE], 20, mode=mode
    ).surprise
    # Without bounds the first scale is that of |y|, which the shift changes.
    assert moved == pytest.approx(plain, abs=0.5)


def test_calibrated_records_surprise_by_one(model):
    rng = np.random.default_rng(0)
    curve, found = [0.9, 0.8], []
    for _ in range(60):
        forecast = model.extrapolate(curve, 100, mode="min")
        curve.append(float(forecast.quantile(rng.random())[0]))
        found.append(curve[-1])
    surprise = model.extrapolate(curve, 100, mode="min").surprise
    assert 0.1 < surprise < 3
