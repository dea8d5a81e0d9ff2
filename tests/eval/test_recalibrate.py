"""Corrections of the spread, on what they have not seen."""

import numpy as np
import pytest

from lcpfn.eval import recalibrate
from lcpfn.eval.data import final_value_cases
from tests.eval.makers import gaussians, powers


def test_a_spread_that_is_too_wide_everywhere_is_found_out_of_source():
    cases = [
        case
        for name in ("a", "b", "c")
        for case in final_value_cases(powers(name, tasks=4, runs=20, seed=ord(name)))
    ]
    rng = np.random.default_rng(5)
    truth = np.array([case.truth for case in cases])
    scale = np.array([case.scale for case in cases])
    off = 0.1 * scale * rng.normal(size=len(truth))
    forecast = gaussians(truth + off, 1.0)
    wide = forecast._replace(std=0.17 * scale[:, None])
    study = recalibrate.study(cases, wide, np.ones(len(cases)))
    before = study["scores"]["as it is"]["all"]
    for name in ("spread", "levels"):
        after = study["scores"][f"{name}, left-out source"]["all"]
        assert after["calibration_error"] < 0.5 * before["calibration_error"]
        assert after["covered_90"] == pytest.approx(0.9, abs=0.04)
        assert after["log_prob"] > before["log_prob"] + 0.05
        assert after["gain"] > 2 * after["gain_se"]
    for low, high in study["factors"]["source"].values():
        assert 0.45 < low <= high < 0.75


def test_nothing_is_left_out_that_is_also_held_in():
    cases = [c for n in ("a", "b") for c in final_value_cases(powers(n))]
    for by in ("source", "task"):
        for held_in, held_out in recalibrate.splits(cases, by):
            name = (lambda c: c.suite) if by == "source" else (lambda c: c.cluster)
            left = {name(cases[i]) for i in held_out}
            assert len(left) == 1
            assert not left & {name(cases[i]) for i in held_in}
            assert len({cases[i].percent for i in (*held_in, *held_out)}) == 1
