"""Searches of made-up cells: they find good ones, and forecasts save epochs."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lcpfn.eval.nas import algorithms, search
from lcpfn.eval.nas.engine import Engine
from lcpfn.eval.nas.space import OPERATIONS
from lcpfn.eval.stopping.simulate import simulate
from lcpfn.model import Model
from tests.conftest import CONFIG, rough_params
from tests.eval.nas.makers import EPOCHS, toy

CELLS = toy(729, operations=OPERATIONS[:3])  # all there are
TASK_RUNS = search.as_task_runs(CELLS)
BUDGET = 40 * EPOCHS


class Oracle:
    """An engine that knows how runs end."""

    checks = (2, 5)

    def __init__(self, task_runs):
        self.ends = [run.losses[-1] for run in task_runs.runs]
        self.best, self.reported = np.inf, {}

    def report(self, i, until):
        self.reported[i] = until
        if until == EPOCHS:
            self.best = min(self.best, self.ends[i])

    def stopped(self, i):
        return self.ends[i] if self.ends[i] > self.best else None

    def losses(self, some):
        return np.array([self.ends[i] for i in some])


def NONE(task_runs):
    """No engine."""


def regrets(name, start, seeds=5):
    if name in algorithms.ALGORITHMS:
        policy = search.one_by_one(algorithms.ALGORITHMS[name], CELLS, start)
    else:
        policy = search.brackets(name == "BOHB-style", CELLS, start)
    found = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(CELLS))
        trace = simulate(TASK_RUNS, policy, order, BUDGET).within(BUDGET)
        assert trace.spent <= BUDGET
        found.append(float(TASK_RUNS.regret(trace.best_after[-1])))
    return np.mean(found)


NAMES = list(search.policies(CELLS, None))


def test_all_searches_are_there():
    assert {"random search", "REINFORCE", "BOHB-style"} <= set(NAMES)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "random search"])
def test_searches_are_better_than_random(name):
    assert regrets(name, NONE) < regrets("random search", NONE)


# Optuna takes seconds for as many trials as an oracle allows.
@pytest.mark.parametrize("name", [n for n in NAMES if n != "TPE"])
def test_a_search_that_knows_the_end_is_better(name):
    assert regrets(name, Oracle) <= regrets(name, NONE)


def test_every_cell_is_trained_once_and_paid_for_once():
    few = CELLS.some(range(20))
    for name, policy in search.policies(few, None).items():
        trace = simulate(search.as_task_runs(few), policy, np.arange(20))
        assert sorted(trace.trained) == list(range(20)), name
        assert trace.spent <= 20 * EPOCHS


def test_a_stopped_cell_is_worth_its_forecast():
    told = []

    def watching(cells, rng):
        for i in range(3):
            told.append((yield i))

    policy = search.one_by_one(watching, CELLS, Oracle)
    trace = simulate(TASK_RUNS, policy, np.arange(len(CELLS)))
    np.testing.assert_allclose(told[:2], [TASK_RUNS.runs[i].losses[-1] for i in (0, 1)])
    ends = [TASK_RUNS.runs[i].losses[-1] for i in range(3)]
    for i, count in trace.trained.items():
        assert count == (2 if i and ends[i] > min(ends[:i]) else EPOCHS)


def test_brackets_let_a_third_go_on():
    moves = search.brackets(False, CELLS, NONE)(TASK_RUNS, np.arange(len(CELLS)))
    first = list(itertools.islice(moves, 27 + 9 + 3 + 1))
    assert [until for _, until in first] == [1] * 27 + [2] * 9 + [7] * 3 + [EPOCHS]
    values = CELLS.values[:27, 0]
    assert {i for i, _ in first[27:36]} == set(np.argsort(-values)[:9])


def test_neighbours_differ_as_little_as_possible():
    i = 7
    found = algorithms.neighbours(CELLS, i)
    apart = (CELLS.codes != CELLS.codes[i]).sum(1)
    assert i not in found
    assert set(apart[found]) == {np.sort(apart)[1]}
    assert algorithms.nearest(CELLS, CELLS.codes[i], np.random.default_rng(0)) == i


def test_likely_cells_are_like_good_ones():
    rng = np.random.default_rng(0)
    looked_at = rng.permutation(len(CELLS))[:150]
    losses = {int(i): -CELLS.final[i] for i in looked_at}
    found = [algorithms.likely(CELLS, losses, losses, rng) for _ in range(30)]
    assert not set(found) & set(losses)
    rest = np.setdiff1d(np.arange(len(CELLS)), looked_at)
    assert CELLS.final[found].mean() > np.quantile(CELLS.final[rest], 0.75)


@pytest.fixture(scope="module")
def among():
    config = replace(CONFIG, layers=1, best=True, others=16)
    return Model(rough_params(config, 0, 0), config, {"metric": {"hard_bounds": True}})


def test_the_engine_forecasts_what_a_study_does(among):
    engine = Engine(among, TASK_RUNS)
    assert engine.checks == [2, 4, 8, 12, 16]
    engine.report(1, 3)
    assert engine.stopped(1) is None  # there is nothing to beat
    for i, until in ((0, EPOCHS), (2, 3)):
        engine.report(i, until)
    expected = -engine.study.forecast_all([1, 2]).final.median()
    np.testing.assert_allclose(engine.losses([1, 2]), expected)
    engine.report(1, 5)
    assert len(engine.study.runs[1].values) == 5
    assert engine.study.runs[1].config == {
        k: float(v) if isinstance(v, int) else v
        for k, v in CELLS.runs[1].config.items()
    }


@pytest.mark.slow
def test_the_comparison_has_both_sides(among, monkeypatch):
    some = CELLS.some(range(8))
    only = {"random search": algorithms.random_search}
    monkeypatch.setattr(search, "ALGORITHMS", only)
    names = list(search.policies(some, among))
    assert names == [
        search.RANDOM,
        "BOHB-style",
        "successive halving",
        "freeze-thaw",
    ]
    found = {name: search.compare(among, some, name, seeds=2, full=3) for name in names}
    assert found[search.PAUSED]["regret"] == found[search.RANDOM]["regret"]
    row = found["random search"]
    assert row["cells"] == 3
    assert row["cells_forecast"] >= 3
    assert row["gain"] == pytest.approx(row["regret"] - row["regret_forecast"])
    text = search.to_markdown(found)
    assert text.count("\n") == 5
    assert "nan" not in text
