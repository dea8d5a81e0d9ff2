"""Paired differences by suite and cutoff, and the order of runs of a task."""

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval import paired, run_ordering
from lcpfn.eval.data import final_value_cases
from tests.eval.makers import powers


def test_a_paired_difference_is_certain_where_all_tasks_agree():
    cases = final_value_cases(powers("p", tasks=6))
    n = len(cases)
    rng = np.random.default_rng(4)
    last = np.ones(n)
    ours = {"error": rng.random(n), "crps": rng.random(n), "last_error": last}
    other = {
        "error": ours["error"] + 0.1 + 0.01 * rng.random(n),
        "crps": ours["crps"] + rng.normal(size=n),
    }
    found = paired.compare(cases, ours, other)
    row = found["p"]["40"]
    assert row["tasks"] == 6
    assert row["error"] == pytest.approx(0.105, abs=0.005)
    assert row["error_t"] == pytest.approx(2.5706, abs=1e-3)
    told = paired.tally(found)
    assert told["error"]["better"] == told["error"]["cells"] == 4
    swapped = paired.tally(paired.compare(cases, ours | other, ours))
    assert swapped["error"]["worse_at"] == [f"p at {c} %" for c in (10, 20, 40, 80)]
    assert told["crps"]["better"] + told["crps"]["worse"] <= 1


def test_runs_are_ranked_task_by_task_and_in_the_direction_of_the_metric():
    up = CurveSet(
        "up",
        tuple(
            Run(np.linspace(0, end, 12), name=str(i), mode="max", task=task)
            for task, ends in (("a", [0.2, 0.4, 0.6, 0.8, 0.9]), ("b", [0.3, 0.5]))
            for i, end in enumerate(ends)
        ),
    )
    cases = [case for case in final_value_cases(up) if case.percent == 20]
    truth = np.array([case.truth for case in cases])
    right = run_ordering.rank_tasks(cases, {"median": truth})
    wrong = run_ordering.rank_tasks(cases, {"median": -truth})
    assert right["suites"]["up"]["20"]["tasks"] == 1  # "b" has too few runs
    assert right["overall"]["all"] == pytest.approx(
        {"kendall": 1, "spearman": 1, "regret": 0, "ndcg": 1}
    )
    assert wrong["overall"]["all"]["kendall"] == pytest.approx(-1)
    # Of the three worst the best is 0.6, of a range from 0.2 to 0.9.
    assert wrong["overall"]["all"]["regret"] == pytest.approx(0.3 / 0.7)
