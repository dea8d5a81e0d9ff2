"""Scores of forecasts that know other runs: what is asked, and what is given."""

import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.evaluate_context import FEWEST, Setting, given, searches
from tests.makers import power_laws


def test_searches_have_configurations_that_can_be_compared():
    runs = tuple(
        Run(values, config={"lr": 0.1, "layers": [1, 2]}, mode="min", task="a")
        for values in power_laws(2 * FEWEST, 40)
    )
    (search,) = searches([CurveSet("set", runs)])
    assert {len(run.config) for run in (*search.asked, *search.others)} == {1}
    assert len(search.asked) + len(search.others) == len(runs)
    for run in given(search, Setting(others=3), np.random.default_rng(0)):
        assert run.config == {"lr": 0.1}
