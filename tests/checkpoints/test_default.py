"""The default checkpoint: what ships is what was scored, and it keeps its promises."""

import json

import numpy as np
import pytest

import lcpfn
from docs.tables import RESULTS


def test_it_is_the_default_and_the_one_that_was_scored(default):
    assert lcpfn.load().name == default.name == "default"
    results = json.loads((RESULTS / "suites.json").read_text())
    assert results["checksum"] == default.card["checksum"]


@pytest.mark.parametrize(("factor", "offset"), [(1000.0, 0.0), (1e-3, 5.0)])
def test_it_does_not_know_the_users_units(default, factor, offset):
    curve = np.array([2.3, 1.7, 1.5, 1.42, 1.36, 1.33])
    plain = default.extrapolate(curve, 30, mode="min").final
    moved = default.extrapolate(factor * curve + offset, 30, mode="min").final
    for q in (0.1, 0.5, 0.9):
        wanted = factor * plain.quantile(q) + offset
        assert moved.quantile(q) == pytest.approx(wanted, rel=1e-3)


def test_it_keeps_to_bounds_and_refuses_what_lies_outside(default):
    forecast = default.extrapolate([0.9, 0.97, 0.99], 50, mode="max", bounds=(0, 1))
    assert forecast.quantile(0.999).max() <= 1
    assert forecast.cdf(1.0) == pytest.approx(1)
    with pytest.raises(ValueError, match="bounds"):
        default.extrapolate([90.0, 97.0], 50, mode="max", bounds=(0, 1))


def test_the_best_value_to_come_is_no_worse_than_any_single_one(default):
    curve = [0.52, 0.61, 0.66, 0.69]
    forecast = default.extrapolate(curve, 50, mode="max", bounds=(0, 1))
    assert forecast.best.median() >= forecast.median().max() - 0.02
    bars = np.array([0.7, 0.8, 0.9])
    chance = [forecast.best.prob_better(bar) for bar in bars]
    assert chance == sorted(chance, reverse=True)


def test_a_settled_curve_stays_and_a_falling_one_falls(default):
    t = np.arange(1, 31)
    settled = default.extrapolate(np.exp(-t / 2.0) + 0.3, 60, mode="min").final
    assert settled.median() == pytest.approx(0.3, abs=0.02)
    falling = default.extrapolate(t[:15] ** -0.5, 60, mode="min").final
    assert falling.median() < 15**-0.5
