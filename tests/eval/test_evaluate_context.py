"""The protocol of forecasts that know other runs, on small searches."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval import evaluate_context
from lcpfn.eval.searches import FEWEST, Setting, given, searches
from lcpfn.model import Model
from tests.conftest import CONFIG, rough_params
from tests.eval.makers import powers
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


@pytest.fixture(scope="module")
def suite():
    return powers("one", tasks=2, runs=24)


@pytest.fixture(scope="module")
def search(suite):
    return next(searches([suite]))


def test_what_is_asked_is_not_given(search):
    assert len(search.asked) == 12
    names = {run.name for run in search.asked}
    assert not names & {run.name for run in search.others}
    assert {run.task for run in search.foreign} == {"task 1"}


def test_settings_say_what_is_given(search):
    rng = lambda: np.random.default_rng(0)
    lengths = lambda s: [len(r.values) for r in given(search, s, rng())]
    assert lengths(Setting(others=0)) == []
    assert lengths(Setting(others=5, partial=0.0)) == [20] * 5
    assert min(lengths(Setting(others=10, partial=1.0))) < 20
    assert sorted(set(lengths(Setting(others=9, halved=True)))) == [2, 6, 20]
    assert len(lengths(Setting(others=5, foreign=3))) == 8


def test_a_method_that_knows_the_end_has_no_error(search):
    def oracle(asked, horizons, others):
        ends = {run.name: run.values[-1] for run in search.asked}
        mean = np.array([[ends[run.name]] for run in asked])
        infinite = np.full(len(mean), np.inf)
        return evaluate_context.Mixture(
            np.ones_like(mean), mean, np.full_like(mean, 1e-4), -infinite, infinite
        )

    found = evaluate_context.over_searches(oracle, [search], Setting())
    assert set(found["overall"]) >= {"0", "10", "20", "40", "80"}
    for row in found["suites"]["one"].values():
        assert row["error_ratio"] < 1e-2
        assert row["covered_90"] == 1
        assert row["kendall"] == pytest.approx(1.0)


def test_the_protocol_has_all_settings_and_rivals(suite):
    config = replace(CONFIG, best=True, others=16)
    model = Model(rough_params(config, 0, 0), config, {})
    results = evaluate_context.evaluate_context(model, [suite])
    assert set(results["settings"]) == set(evaluate_context.SETTINGS)
    assert results["searches"] == 2
    assert "0" not in results["settings"][evaluate_context.ALONE]["suites"]["one"]
    text = evaluate_context.to_markdown(results)
    assert "kernel regression, 20 others" in text
    assert "nan" not in text
