"""Policies whose forecasts know the other runs of the search."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.stopping import amid
from lcpfn.eval.stopping.simulate import simulate, with_forecasts
from lcpfn.eval.studies import decisions_amid_others
from lcpfn.model import Model
from lcpfn.stopping.rule import Rule
from tests.conftest import CONFIG, rough_params
from tests.makers import power_laws

RUNS = [
    Run(curve, np.arange(1.0, 16), mode="min", config={"rate": float(i)})
    for i, curve in enumerate(power_laws(6, 15, seed=2))
]
RULE = Rule(horizon=1, mode="min", confidence=0.6)


@pytest.fixture(scope="module")
def model():
    config = replace(CONFIG, best=True, others=16)
    return Model(rough_params(config, 3, 4), config, {"checksum": "none"})


def competing(model, mode):
    runs = [replace(run, mode=mode) for run in RUNS]
    if mode == "max":
        runs = [replace(run, values=-run.values) for run in runs]
    return with_forecasts(model, "source", {"task": runs})[0]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("configs", [True, False])
def test_forecasts_are_those_of_extrapolate(model, mode, configs):
    task = competing(model, mode)
    trained = {0: 15, 3: 4, 2: 7}
    found = amid.Amid.of(model, task, configs).best(trained, [(2, 7), (2, 3), (5, 0)])
    runs = [part.run for part in task.runs]
    cut = lambda i, n: replace(
        runs[i],
        steps=runs[i].steps[:n],
        values=runs[i].values[:n],
        config=runs[i].config if configs else None,
    )
    sign = 1 if mode == "min" else -1
    for row, (i, count) in enumerate([(2, 7), (2, 3), (5, 0)]):
        forecast = model.extrapolate(
            *(runs[i].values[:count], 15),
            mode=mode,
            steps=runs[i].steps[:count],
            others=[cut(k, n) for k, n in trained.items() if k != i],
            config=runs[i].config if configs else None,
        )
        expected = sign * forecast.best.median()
        assert found.quantile(np.array(0.5))[row] == pytest.approx(expected, rel=1e-4)


def test_searches_amid_others_are_searches(model):
    task, order = competing(model, "min"), np.array([2, 0, 5, 1, 3, 4])
    first = simulate(task, amid.by_rule(model, RULE, 0.05), order)
    assert list(first.trained) == order.tolist()
    # Without a value to beat nothing is stopped.
    assert first.trained[2] == 15
    protected = simulate(task, amid.by_rule(model, RULE, 1.0), order)
    assert first.spent < protected.spent < 90
    for policy in (amid.asha(model), amid.study(model), amid.study(model, 3)):
        trace = simulate(task, policy, order)
        assert np.all(np.diff(trace.best_after[1:]) <= 0)
        assert trace.spent <= 90
    assert max(simulate(task, amid.study(model), order).trained.values()) == 15


def test_what_is_decided_are_evenly_spaced_observations(model, monkeypatch):
    monkeypatch.setattr(amid, "MOST_DECISIONS", 4)
    thinned = amid.thinned(competing(model, "min").runs[0].forecasts)
    assert thinned.seen.tolist() == [1, 5, 10, 14]
    assert thinned.ahead.mean.shape[0] == len(thinned.surprise) == 4


def test_the_study_goes_on_where_it_was_interrupted(model, monkeypatch, tmp_path):
    several = [replace(run, values=run.values + i) for run in RUNS for i in range(4)]
    made = tmp_path / "made.npz"
    np.savez(made, curves=np.stack([run.values for run in several]), mode=["min"] * 24)
    monkeypatch.setattr("lcpfn.load", lambda name: model)
    few = decisions_amid_others.compared(model)
    few = {name: few[name] for name in ("no stop", "amid others")}
    monkeypatch.setattr(decisions_amid_others, "compared", lambda model: few)
    out = tmp_path / "out.json"
    command = ["--suite", str(made), "--orders", "1", "--out", str(out)]
    decisions_amid_others.main(command)
    before = out.read_text()
    # Nothing is left to measure.
    monkeypatch.setattr(decisions_amid_others, "measure", None)
    decisions_amid_others.main(command)
    assert out.read_text() == before
    assert "| amid others |" in decisions_amid_others.to_markdown(json.loads(before))
