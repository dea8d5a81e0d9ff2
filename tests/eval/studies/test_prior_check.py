"""Checks of a prior: they see what is there, and nothing where nothing is."""

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.studies import prior_check
from lcpfn.eval.studies.prior_check import (
    as_table,
    neighbours,
    statistics,
    two_sample,
    usable,
)

RNG = np.random.default_rng(0)
T = np.arange(1.0, 41.0)


def run(values, mode="min"):
    values = np.asarray(values, float)
    return Run(values, np.arange(1.0, len(values) + 1), name="r", mode=mode)


def decays(n, noise, seed=0):
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.3, 1.5, n)
    return [run(T**-r + noise * rng.normal(size=len(T))) for r in rate]


def test_statistics_of_a_straight_line():
    found = statistics(run(np.linspace(1, 0, 41)))
    assert found["noise"] == pytest.approx(-6, abs=0.01)
    assert found["early_gain"] == pytest.approx(0.1)
    assert found["late_gain"] == pytest.approx(0.2)
    assert found["first_step"] == pytest.approx(1 / 40)
    assert found["curvature"] == pytest.approx(0, abs=1e-9)
    assert found["best_at"] == 1
    assert found["regret"] == found["rising"] == found["repeated"] == 0


def test_statistics_see_what_they_are_named_after():
    overfit = statistics(run([*np.linspace(1, 0, 20), *np.linspace(0, 0.5, 20)]))
    assert overfit["regret"] == pytest.approx(0.5)
    assert overfit["best_at"] == pytest.approx(0.5, abs=0.03)
    assert overfit["rising"] == pytest.approx(0.5, abs=0.03)
    assert statistics(run(T**-1.0))["curvature"] < -0.2
    settling = statistics(run(RNG.normal(size=40) * np.repeat([1, 0.1], 20)))
    assert settling["noise_trend"] == pytest.approx(-1, abs=0.5)
    assert statistics(run(np.repeat(np.arange(20, 0, -1), 2)))["repeated"] > 0.5


def test_units_and_direction_change_nothing():
    values = T**-0.7 + 0.01 * RNG.normal(size=40)
    plain = statistics(run(values))
    for other in (run(7 + 1000 * values), run(3 - values, "max")):
        for name, value in statistics(other).items():
            assert value == pytest.approx(plain[name], abs=1e-6)


def test_constant_and_short_runs_have_no_statistics():
    runs = [run(np.ones(40)), run(np.arange(5)), run([np.nan] * 40), run(T)]
    assert usable(runs) == [runs[3]]


def test_the_two_sample_score_tells_kinds_of_curves_apart():
    quiet, again, noisy = (
        as_table(decays(150, noise, seed))
        for noise, seed in ((0.01, 0), (0.01, 1), (0.1, 2))
    )
    assert two_sample(quiet, again) < 0.65
    assert two_sample(quiet, noisy) > 0.95


def test_the_nearest_neighbour_of_a_curve_in_the_bank_is_itself():
    bank = decays(30, 0.02)
    nearest, gap = neighbours(bank[:3], bank, 2)
    assert list(nearest[:, 0]) == [0, 1, 2]
    assert np.allclose(gap[:, 0], 0)
    assert (gap[:, 1] > 0).all()


def test_a_report_has_a_column_for_every_suite():
    result = prior_check.check(
        "lcpfn", [CurveSet("mine", tuple(decays(40, 0.02)))], n=64
    )
    assert 0.4 < result["suites"]["mine"]["two_sample"] <= 1
    table = prior_check.to_markdown(result)
    assert table.startswith("|  | lcpfn | mine |")
    assert "two-sample score" in table


def test_strata_are_told_apart_one_by_one():
    settled = [run(np.minimum(T, 5 + i % 3) * -1.0) for i in range(60)]
    found = {
        name: prior_check.check_stratum(
            name, decays(90, 0.01), settled + decays(60, 0.1)
        )
        for name in ("moving", "rest")
    }
    assert found["rest"]["recorded"] == pytest.approx(0.5, abs=0.05)
    assert found["rest"]["two_sample"] is None
    assert found["moving"]["runs"] == 60
    assert found["moving"]["two_sample"] > 0.9
