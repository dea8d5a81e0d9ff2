"""Policies with rungs: who goes on, and how far."""

import numpy as np
import pytest

from lcpfn.eval.stopping import halving
from lcpfn.eval.stopping.simulate import TaskRuns, simulate
from tests.eval.stopping.makers import ENDS, lines, recorded, with_wrong_forecast

BEST = np.argsort(ENDS)


def finished(policy, task_runs, order):
    return {run for run, until in policy(task_runs, order) if until == 10}


def lying(count=27):
    """A run that ends well begins well and is worst in between."""
    ends = ENDS[:count]
    runs = (recorded([1 + end, *[1 - end] * 5, *[end] * 4]) for end in ends)
    return TaskRuns("task", "source", tuple(runs))


def test_rungs_end_with_the_whole_run():
    assert halving.rungs(52, 3, 0.05) == [3, 9, 27, 52]
    assert halving.rungs(10, 2, 0.01) == [1, 2, 4, 8, 10]
    assert halving.rungs(1, 3, 0.05) == [1]


def test_halving_finishes_the_best():
    order = np.arange(27)
    found = halving.successive_halving(first=0.2)(lines(ENDS), order)
    ended = [run for run, until in found if until == 10]
    assert ended == sorted(order, key=lambda i: ENDS[i])[:3]


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_paused_runs_go_on_when_they_are_among_the_best(eta):
    order = np.arange(60)
    trace = simulate(lines(ENDS), halving.asha_paused(eta, 0.2), order)
    assert set(trace.trained) == set(range(60))
    ended = {run for run, count in trace.trained.items() if count == 10}
    assert BEST[0] in ended
    assert len(ended) <= 60 // eta
    # The first rung orders these lines as the end does, once all have come.
    assert ended <= set(BEST[: 60 // eta + eta])
    resumed = [run for run, before, _ in trace.moves if before > 0]
    assert resumed


def test_a_growing_search_trains_no_run_in_full_while_the_order_stays():
    order = np.arange(27)
    assert not finished(halving.asha_paused(3, 0.1, grows=True), lines(ENDS), order)
    assert finished(halving.asha_paused(3, 0.1, grows=True), lying(), order)


def test_runs_can_be_ranked_by_their_forecasts():
    order, task_runs = np.arange(27), lying()
    best = int(np.argmin(ENDS[:27]))
    ranked = halving.asha_paused(3, 0.1, halving.forecast_best())
    raw = halving.asha_paused(3, 0.1)
    assert best in finished(ranked, task_runs, order)
    assert best not in finished(raw, task_runs, order)
    wrong = with_wrong_forecast(task_runs, best, 1.0)
    assert best not in finished(ranked, wrong, order)


def test_the_brackets_of_hyperband_begin_at_every_rung():
    trace = simulate(lines(ENDS), halving.hyperband(), np.arange(60))
    begun = [after for _, before, after in trace.moves if before == 0]
    assert begun[:27] == [1] * 27
    assert set(begun) == {1, 3, 10}
    assert set(trace.trained) == set(range(60))
