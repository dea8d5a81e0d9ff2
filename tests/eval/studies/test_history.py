"""What a history of finished runs brings: how it is split and scored."""

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.curves import measure
from lcpfn.eval.data import scored_cases
from lcpfn.eval.studies import history
from lcpfn.mixture import Mixture

STEPS = np.arange(1.0, 21)


def a_set():
    runs = [
        Run((i + 1) / STEPS, STEPS, name=f"{task}{i}", mode="min", task=task)
        for task in "abcd"
        for i in range(6)
    ]
    runs.append(Run(STEPS, STEPS, name="other", mode="max", task="a"))
    return CurveSet("set", tuple(runs))


def test_past_and_future_share_no_task_and_have_one_metric():
    past, future = history.split(a_set())
    assert past.tasks == ("a", "c")
    assert future.tasks == ("b", "d")
    assert {run.mode for run in (*past.runs, *future.runs)} == {"min"}
    assert len(past) == len(future) == 12


def forecasts(cases, off):
    truth = np.array([[case.truth] for case in cases])
    free = np.full(len(cases), np.inf)
    scale = np.array([[case.scale] for case in cases])
    return Mixture(np.ones_like(truth), truth + off * scale, 0.01 * scale, -free, free)


def test_the_gain_is_that_of_tasks_in_units_of_the_last_values_error():
    _, future = history.split(a_set())
    cases = scored_cases(future, 12)
    before, after = (measure(cases, forecasts(cases, off)) for off in (0.2, 0.1))
    found = history.figures(cases, before, after)
    last = before["last_error"].mean()
    assert found["gain"] == pytest.approx(0.1 / last, rel=1e-3)
    assert found["gain_se"] == pytest.approx(0, abs=1e-6)
    assert found["tasks"] == 2
    table = history.to_markdown({"sources": {"set": {"0": found, "20": found}}})
    assert table.count("\n") == 3
