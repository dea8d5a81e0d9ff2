"""Going on against starting anew: what a run is worth for its price."""

from dataclasses import replace

import numpy as np

from lcpfn.eval.stopping.index_rule import EVER, by_index
from lcpfn.eval.stopping.simulate import TaskRuns
from tests.eval.stopping.makers import lines, recorded, unsure

RASH = replace(EVER, cautious=1)


def trained(policy, task_runs):
    return dict(policy(task_runs, np.arange(len(task_runs.runs))))


def test_what_cannot_win_is_worth_less_than_any_fresh_run():
    task_runs = lines([0.5, 0.7, 0.3, 0.4])
    found = trained(by_index(protect=0), task_runs)
    assert found[0] == found[2] == 10
    # One run has finished, which says nothing of gains: a fresh one is worth nothing.
    assert found[1] == 10
    # A run as good as all others is spared until one of them is better at its step.
    assert found[3] < 10
    assert trained(by_index(gains=False, protect=0), task_runs)[1] == 2


def after_one(chance):
    """A run to 0.5, and one to 0.6 that was to reach 0 with some probability."""
    runs = recorded(np.linspace(1, 0.5, 10)), unsure(0.6, chance, hoped=0.0)
    return TaskRuns("t", "s", runs)


def test_the_nearer_the_end_the_smaller_a_chance_that_is_worth_its_price():
    # A fresh run is the best of two with probability 1/2.
    found = {}
    for chance in (0.05, 0.39, 0.41, 0.6):
        rash = by_index(gains=False, protect=0, rule=RASH)
        found[chance] = trained(rash, after_one(chance))[1]
    # At the first observation both are alike; at the second 8/10 of the price are left.
    assert found == {0.05: 2, 0.39: 2, 0.41: 10, 0.6: 10}
    half = by_index(0.5, gains=False, protect=0, rule=RASH)
    assert trained(half, after_one(0.24))[1] == 10  # 0.24 / 0.8 > 0.5 / 2


def test_few_observations_stop_only_what_is_worth_far_less():
    def until(chance, cautious):
        rule = replace(EVER, cautious=cautious)
        policy = by_index(gains=False, protect=0, rule=rule)
        return trained(policy, after_one(chance))[1]

    # After n observations the fresh run's 1/2 counts ((n - 1) / 4)^2 of itself, and the
    # run is worth its chance over the tenths that are left.
    assert until(0.05, 5) == 3  # 0.05 / 0.7 < 0.5 / 4, not below 0.5 / 16 before
    assert until(0.1, 5) == 4  # 0.1 / 0.6 < 0.5 * 9 / 16
    assert until(0.05, 1) == until(0.1, 1) == 2
    assert until(0.0, 5) == 2  # without any chance nothing has to be waited for


def test_a_run_that_diverges_ends_there():
    bad = recorded([1.0, 0.9, np.nan, 0.7, 0.6], end=0.0)
    task_runs = TaskRuns("t", "s", (recorded(np.linspace(1, 0.5, 5)), bad))
    assert trained(by_index(gains=False), task_runs)[1] == 3
