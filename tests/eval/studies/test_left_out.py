"""Whether recorded runs help elsewhere: paired differences, clustered by task."""

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.scores import clustered_error
from lcpfn.eval.studies import left_out
from lcpfn.mixture import Mixture
from lcpfn.model import Model

STEPS = np.arange(1.0, 21)


@pytest.fixture
def suite():
    runs = [
        Run((i + 2) / STEPS, STEPS, name=f"{task}{i}", mode="min", task=task)
        for task in "abcd"
        for i in range(4)
    ]
    return CurveSet("one", tuple(runs))


def off_by(share):
    """A method whose median is off by this share of the scale, times the task."""

    def predict(cases):
        truth = np.array([[case.truth] for case in cases])
        scale = np.array([[case.scale] for case in cases])
        task = np.array([[1.0 + "abcd".index(case.task)] for case in cases])
        free = np.full(len(cases), np.inf)
        center = truth + share * task * scale
        return Mixture(np.ones_like(truth), center, 0.01 * scale, -free, free)

    return predict


def test_errors_of_the_gain_are_clustered_by_task(model, suite, monkeypatch):
    before, after = (
        Model(model.params, model.config, {"checksum": name}) for name in ("old", "new")
    )
    methods = {id(before): off_by(0.02), id(after): off_by(0.01)}
    monkeypatch.setattr(left_out, "of_model", lambda model: methods[id(model)])
    found = left_out.compare(before, {"0.5": {"one": after}}, [suite], most=16)
    row = found["shares"]["0.5"]["gain"]["one"]["20"]
    assert row["tasks"] == 4
    last = found["before"]["suites"]["one"]["20"]["last_error"]
    each = np.repeat(0.01 * np.arange(1, 5), 4) / last  # by task, over its four runs
    assert row["error"] == pytest.approx(each.mean(), rel=1e-3)
    clusters = np.repeat(np.arange(4), 4)
    assert row["error_se"] == pytest.approx(clustered_error(each, clusters), rel=1e-3)
    assert row["error_se"] > 1.5 * clustered_error(each)
    table = left_out.to_markdown(found)
    assert "| one |" in table
    assert "| all |" in table
    assert f"{row['error']:+.3f} ± {row['error_se']:.3f}" in table
