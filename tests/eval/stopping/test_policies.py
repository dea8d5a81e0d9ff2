"""Policies: how far they train which run."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.eval.stopping import halving, policies
from lcpfn.eval.stopping.simulate import TaskRuns
from tests.eval.stopping.makers import ENDS, RULE, lines, recorded


def trained(policy, task_runs, count=6):
    return dict(policy(task_runs, np.arange(count)))


def test_no_stop_trains_all_and_the_oracle_only_winners():
    task_runs = lines([0.5, 0.7, 0.3, 0.4])
    assert trained(policies.no_stop(), task_runs, 4) == {0: 10, 1: 10, 2: 10, 3: 10}
    assert trained(policies.oracle(), task_runs, 4) == {0: 10, 1: 1, 2: 10, 3: 1}


def test_a_rule_that_knows_stops_as_early_as_it_may():
    task_runs = lines([0.5, 0.7, 0.3, 0.4])
    assert trained(policies.by_rule(RULE), task_runs, 4) == {0: 10, 1: 2, 2: 10, 3: 2}
    fixed = policies.by_rule(RULE, beat=0.45)
    assert trained(fixed, task_runs, 4) == {0: 2, 1: 2, 2: 10, 3: 10}


def test_a_run_among_the_best_is_protected_until_it_is_not():
    falling, late = np.linspace(1, 0.5, 10), np.linspace(0.9, 0.7, 10)
    runs = (recorded(falling), recorded(late))
    task_runs = TaskRuns("t", "s", runs)
    assert trained(policies.by_rule(RULE), task_runs, 2)[1] == 2
    # It leads the first run until that falls below it.
    behind = int(np.argmax(falling < late)) + 1
    assert trained(policies.by_rule(RULE, protect=0.1), task_runs, 2)[1] == behind
    # Who was stopped before counts as worse.
    never = policies.by_rule(replace(RULE, confidence=0.5), protect=1.0)
    assert trained(never, task_runs, 2)[1] == behind


def test_patience_counts_observations_without_a_new_best():
    run = recorded([5.0, 4, 4, 4.5, 3, 3.1, 3.2, 3.3, 2, 1])
    task_runs = TaskRuns("t", "s", (run,))
    assert trained(policies.patience(0), task_runs, 1) == {0: 4}
    assert trained(policies.patience(2), task_runs, 1) == {0: 8}
    assert trained(policies.patience(3), task_runs, 1) == {0: 10}


def test_the_best_of_a_batch_goes_on_alone():
    task_runs = lines(ENDS)
    moves = list(halving.i_epoch(1)(task_runs, np.arange(20)))
    # The lines start at the same value, so nothing is known after one observation.
    assert moves[-1] == (0, 10)
    moves = list(halving.i_epoch(0.2)(task_runs, np.arange(20)))
    assert moves[-1] == (min(range(20), key=lambda i: ENDS[i]), 10)


@pytest.mark.parametrize("policy", [halving.asha(), policies.median()])
def test_asha_and_the_median_rule_stop_the_worse_half(policy):
    found = trained(policy, lines(ENDS), 60)
    early = [run for run, until in found.items() if until < 10]
    late = [run for run, until in found.items() if until == 10]
    assert len(early) >= 10
    assert ENDS[early].mean() > ENDS[late].mean() + 0.2


def test_the_last_value_learns_its_errors_from_other_tasks():
    policy = policies.last_value([lines(np.linspace(0.1, 0.9, 30))])
    found = trained(policy, lines([0.1, 0.9, 0.85]), 3)
    assert found[0] == 10
    assert found[1] < 10
    assert found[2] < 10
