"""Statistics of searches see what they are named after."""

import matplotlib
import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.studies.search_check import (
    as_runs,
    picture,
    real_searches,
    statistics,
    summary,
    to_markdown,
)
from lcpfn.priors.configurations import CATEGORY
from lcpfn.priors.searches import Search

RNG = np.random.default_rng(0)
COUNT, LENGTH = 24, 20
SHARE = np.linspace(0, 1, LENGTH)
ENDS = RNG.permutation(COUNT) / COUNT


def search(values, configs=None, mode="min", task="task"):
    steps = np.arange(1.0, LENGTH + 1)
    configs = configs or [None] * COUNT
    return [
        Run(
            np.asarray(row, float),
            steps,
            config=config,
            name=f"run {i}",
            mode=mode,
            task=task,
        )
        for i, (row, config) in enumerate(zip(values, configs, strict=True))
    ]


FAN = 2 - SHARE * (2 - ENDS[:, None])


def test_a_fan_begins_at_one_point_and_never_crosses():
    found = statistics(search(FAN))
    assert np.isnan(found["order at 0 %"])
    assert found["order at 10 %"] == found["order at 50 %"] == pytest.approx(1)
    assert found["starts / ends"] == found["crossing"] == found["diverged"] == 0
    assert found["ends / gain"] == pytest.approx(0.8 / 1.5, rel=0.1)
    assert np.isnan(found["configuration"])


def test_direction_and_unit_change_nothing():
    plain, other = statistics(search(FAN)), statistics(search(5 - 3 * FAN, mode="max"))
    assert other == pytest.approx(plain, nan_ok=True)


def test_curves_that_change_places_late_cross():
    values = np.where(SHARE < 0.6, ENDS[:, None], -ENDS[:, None])
    found = statistics(search(values))
    assert found["order at 50 %"] == pytest.approx(-1)
    assert found["crossing"] == 1
    assert found["starts / ends"] == pytest.approx(1)


def test_runs_that_are_not_finite_at_the_end_diverged():
    values = FAN.copy()
    values[:6, 12:] = np.nan
    assert statistics(search(values))["diverged"] == pytest.approx(0.25)


def test_the_hyperparameter_that_matters_is_found():
    noise = RNG.normal(size=COUNT)
    configs = [
        {"lr": 10**-end, "seed": x, "name": "one" if end < 0.5 else "other"}
        for end, x in zip(ENDS, noise, strict=True)
    ]
    assert statistics(search(FAN, configs))["configuration"] == pytest.approx(1)
    alone = [{"name": config["name"]} for config in configs]
    assert 0.8 < statistics(search(FAN, alone))["configuration"] < 0.95
    useless = [{"seed": config["seed"]} for config in configs]
    assert statistics(search(FAN, useless))["configuration"] < 0.6


def test_real_searches_are_of_one_task():
    runs = [*search(FAN, task="a"), *search(FAN, task="b")[:5]]
    (found,) = real_searches(CurveSet("mine", tuple(runs)))
    assert {run.task for run in found} == {"a"}
    assert len(found) == COUNT


def test_a_drawn_search_as_runs_a_table_and_a_picture():
    drawn = Search(
        y=FAN,
        steps=np.arange(1.0, LENGTH + 1) + np.zeros((COUNT, 1)),
        length=np.full(COUNT, 15),
        finite=np.full(COUNT, 10),
        low=np.array(0.0),
        high=np.array(np.inf),
        config=np.array([[1.0, 0.5, np.nan]] * COUNT),
        kind=np.array([CATEGORY, 0, 0]),
        family=np.zeros(COUNT, int),
        diverged=np.ones(COUNT, bool),
        accepted=np.ones(COUNT, bool),
    )
    runs = as_runs(drawn, "min")
    assert len(runs[0].values) == len(runs[0].steps) == 15
    assert np.isnan(runs[0].values[10:]).all()
    assert runs[0].config == {"h0": "level 1", "h1": 0.5}
    sources = {"drawn": [runs], "real": [search(FAN)]}
    result = {
        name: {"searches": 1, "statistics": summary(found)}
        for name, found in sources.items()
    }
    table = to_markdown({"sources": result})
    assert table.startswith("|  | drawn | real |")
    assert "| diverged | 1.00 (1.00, 1.00) | 0.00 (0.00, 0.00) |" in table
    matplotlib.use("Agg")
    assert len(picture(sources).axes) == 4 * 8
