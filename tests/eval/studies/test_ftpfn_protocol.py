"""Observations shared out among the runs of a task, and what is asked then."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.studies.ftpfn_protocol import (
    ALONE,
    CONFIGS,
    OTHERS,
    score,
    shared_out,
    study,
    to_markdown,
    unit,
)
from lcpfn.model import Model
from tests.conftest import CONFIG, rough_params
from tests.makers import power_laws

RUNS = [
    Run(curve, mode="min", config={"rate": float(i)})
    for i, curve in enumerate(power_laws(12, 15, seed=2))
]


@pytest.fixture(scope="module")
def related():
    config = replace(CONFIG, best=True, others=16)
    return Model(rough_params(config, 3, 4), config, {})


@pytest.mark.parametrize("total", [5, 60, 1000])
def test_observations_are_shared_out_to_the_last(total):
    lengths = np.arange(3, 15)
    for seed in range(5):
        known = shared_out(lengths, total, np.random.default_rng(seed))
        assert known.sum() == min(total, lengths.sum())
        assert (known <= lengths).all()


def test_few_runs_have_most_observations():
    known = shared_out(np.full(100, 50), 300, np.random.default_rng(0))
    assert np.sort(known)[-10:].sum() > 200


def test_the_unit_is_the_range_of_a_task():
    runs = [Run([4.0, 2.0], mode="min"), Run([6.0, 1.0], mode="min")]
    assert unit(runs) == 5 - 1
    turned = [Run(-run.values, mode="max") for run in runs]
    assert unit(turned) == unit(runs)


def test_figures_have_no_unit(related):
    scaled = [Run(1000 * r.values, r.steps, r.config, mode="min") for r in RUNS]
    draws = [
        score(related, runs, 60, np.random.default_rng(1)) for runs in (RUNS, scaled)
    ]
    assert set(draws[0]) == {ALONE, OTHERS, CONFIGS}
    for name, found in draws[0].items():
        for key, value in found.items():
            assert value == pytest.approx(draws[1][name][key], rel=1e-3)
    assert draws[0][ALONE] != draws[0][OTHERS] != draws[0][CONFIGS]


def test_a_draw_that_leaves_nothing_to_ask_counts_for_nothing(related):
    assert score(related, RUNS, 12 * 15, np.random.default_rng(0)) == {}
    found = study(related, [RUNS], 1)  # all budgets are beyond the task
    assert found == {"400": {}, "1000": {}, "1800": {}}


def test_the_table_has_a_line_for_all_that_may_be_known(related, monkeypatch):
    monkeypatch.setattr("lcpfn.eval.studies.ftpfn_protocol.OBSERVATIONS", (50,))
    found = study(related, [RUNS], 2)
    text = to_markdown({"sources": {"here": found}})
    assert text.count("| here | 50 |") == 3
