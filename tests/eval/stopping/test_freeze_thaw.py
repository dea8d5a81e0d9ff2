"""The search that always takes what gains most for its price."""

from dataclasses import replace

import numpy as np

from lcpfn.eval.stopping.freeze_thaw import freeze_thaw
from lcpfn.eval.stopping.simulate import simulate
from tests.eval.stopping.makers import lines, recorded, with_wrong_forecast

RUNS = lines([0.5, 0.7, 0.3, 0.4])


def test_runs_that_will_not_be_better_are_left_after_the_first_rung():
    trace = simulate(RUNS, freeze_thaw(), np.arange(4))
    assert trace.trained == {0: 1, 1: 1, 2: 10, 3: 1}


def test_a_wrong_forecast_leaves_the_winner():
    wrong = with_wrong_forecast(RUNS, 2, 0.9)
    trace = simulate(wrong, freeze_thaw(), np.arange(4))
    assert trace.trained == {0: 10, 1: 1, 2: 1, 3: 10}


def test_a_run_that_is_paused_can_go_on_later():
    trace = simulate(lines([0.5, 0.45, 0.3]), freeze_thaw(), np.array([0, 1, 2]))
    assert trace.trained[2] == 10


def test_a_diverged_run_is_over():
    diverged = recorded([1.0] + [np.inf] * 9, end=0.1)
    task_runs = replace(RUNS, runs=(RUNS.runs[0], diverged, RUNS.runs[2]))
    trace = simulate(task_runs, freeze_thaw(), np.arange(3))
    assert trace.trained[1] == 2
    assert trace.trained[2] == 10
