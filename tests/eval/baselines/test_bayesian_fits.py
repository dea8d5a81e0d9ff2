"""Bayesian fits of parametric curves as baselines."""

import numpy as np
import pytest

from lcpfn.eval.baselines import bayesian_fits
from lcpfn.eval.baselines.bayesian_fits import COMPONENTS, FITS, bayesian
from lcpfn.eval.data import Case

STEPS = np.arange(1.0, 13)


def a_case(values, mode="max", bounds=(0.0, 1.0), horizon=30.0):
    values = np.asarray(values, float)
    return Case(
        *("s", "t", "normal", 40, STEPS[: len(values)], values, horizon, 0.0),
        *(mode, bounds, 0.5, "s/t", np.array([horizon]), np.zeros(1)),
    )


def saturating(steps, noise=0.003):
    rng = np.random.default_rng(0)
    return 0.8 - 0.5 / steps + noise * rng.normal(size=len(steps))


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_a_fit_finds_where_a_saturating_curve_ends(name, monkeypatch):
    monkeypatch.setattr(bayesian_fits, "BATCH", 2)
    truth = 0.8 - 0.5 / 30
    up = a_case(saturating(STEPS))
    down = a_case(1 - saturating(STEPS), mode="min")
    forecast = bayesian(name)([up, down])
    assert forecast.mean.shape == (2, COMPONENTS)
    middle = forecast.quantile(np.array(0.5))
    assert abs(middle[0] - truth) < 0.04
    assert abs(middle[1] - (1 - truth)) < 0.04
    low, high = (forecast.quantile(np.array(q)) for q in (0.01, 0.99))
    assert ((high - low) < 0.6).all()
    assert low[0] < truth < high[0]


def test_too_few_records_give_the_last_value_and_its_reach():
    forecast = bayesian("NUTS, mmf4")([a_case([0.2, 0.5])])
    assert forecast.mean[0] == pytest.approx(0.5)
    assert forecast.std[0] == pytest.approx(0.3)
