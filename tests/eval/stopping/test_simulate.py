"""Searches on runs made up for them: what traces are, and what is read from them."""

import numpy as np
import pytest

from lcpfn.eval.stopping import policies, simulate
from lcpfn.eval.stopping.measures import FULL, GRID, LATEST, SHARES
from tests.eval.stopping.makers import lines, recorded


def scripted(*moves):
    """A policy that makes these moves whatever happens."""
    return lambda task_runs, order: iter(moves)


def test_regret_falls_observation_by_observation():
    task_runs = lines([0.6, 0.2])
    trace = simulate.simulate(task_runs, policies.no_stop(), np.array([0, 1]))
    regret = trace.regret(SHARES * FULL * task_runs.length)
    assert (np.diff(regret) <= 0).all()
    share = GRID / LATEST / FULL  # grid points of one run
    assert regret[int(1.05 * share)] == pytest.approx(0.4 / task_runs.regret_unit)
    assert regret[-1] == 0
    assert trace.regret(np.array([0.5])) == simulate.MOST_REGRET


def test_a_run_that_is_left_and_taken_up_again_is_paid_for_once():
    task_runs = lines([0.6, 0.2])
    trace = simulate.simulate(task_runs, scripted((0, 3), (1, 2), (0, 10)), [])
    assert trace.moves == ((0, 0, 3), (1, 0, 2), (0, 3, 10))
    assert trace.trained == {0: 10, 1: 2}
    assert trace.spent == 12
    assert len(trace.best_after) == 13
    first, second = (run.losses for run in task_runs.runs)
    assert trace.best_after[3] == first[2]
    assert trace.best_after[5] == min(first[2], second[1])
    assert trace.best_after[-1] == first[-1]


def test_a_budget_ends_a_search_amid_a_move():
    task_runs = lines([0.6, 0.2])
    trace = simulate.simulate(task_runs, policies.no_stop(), np.array([0, 1]), 4)
    assert trace.moves == ((0, 0, 10),)  # what was begun is finished
    whole = simulate.simulate(task_runs, policies.no_stop(), np.array([0, 1]))
    assert whole.within(14).moves == ((0, 0, 10), (1, 0, 4))
    assert whole.within(14).cut_off
    assert whole.within(99).moves == whole.moves
    assert not whole.within(99).cut_off


def test_the_winner_is_stopped_if_the_search_has_a_regret():
    task_runs = lines([0.5, 0.1, 0.3])
    for until, winner_stopped, early in ((10, False, 0), (9, True, 1), (5, True, 1)):
        moves = scripted((0, 10), (1, until), (2, 10))
        trace = simulate.simulate(task_runs, moves, [])
        found = simulate.stopped_early(trace)
        assert found == (winner_stopped, pytest.approx(early / 3))
    cut_off = simulate.simulate(task_runs, scripted((0, 10), (1, 10)), []).within(15)
    assert simulate.stopped_early(cut_off) == (False, 0)


def test_good_runs_beat_the_incumbent_that_they_met():
    task_runs = lines([0.5, 0.7, 0.3, 0.4])
    trace = simulate.simulate(task_runs, policies.no_stop(), np.arange(4))
    assert simulate.good_runs(trace) == {0: np.inf, 2: 0.5}
    assert simulate.good_runs(trace, beat=0.45) == {2: 0.45, 3: 0.45}
    stopped = simulate.simulate(
        task_runs, scripted((0, 2), (1, 10), (2, 3), (3, 10)), []
    )
    first = task_runs.runs[0].losses[1]
    assert simulate.good_runs(stopped) == {
        0: np.inf,
        1: first,
        2: pytest.approx(0.7),
        3: pytest.approx(0.7),
    }


def test_diverged_runs_have_the_most_regret():
    runs = (recorded([np.nan, 1.0, np.nan]), recorded([1.0, 0.5, 0.1]))
    task_runs = simulate.TaskRuns("t", "s", runs)
    trace = simulate.simulate(task_runs, scripted((0, 1)), [])
    assert trace.regret(np.array([1.0])) == simulate.MOST_REGRET
