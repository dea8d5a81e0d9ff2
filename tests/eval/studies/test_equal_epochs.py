"""Optuna's pruners and ours under one budget of epochs."""

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.stopping.simulate import without_forecasts
from tests.makers import power_laws

optuna = pytest.importorskip("optuna", reason="needs optuna")
from lcpfn.eval.studies import equal_epochs, pruners_shown  # noqa: E402 - needs Optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
STEPS = 12


@pytest.fixture
def recorded():
    runs = [
        Run(
            *(curve, None, {"lr": 0.1 * (i + 1)}),
            name=f"run {i}",
            mode="min",
            task="task",
            metric="validation loss",
        )
        for i, curve in enumerate(power_laws(24, STEPS, seed=3))
    ]
    (task_runs,) = without_forecasts("source", {"task": runs})
    return equal_epochs.Recorded(task_runs, np.full((24, STEPS), 0.5))


def test_without_pruning_the_budget_is_so_many_full_trials(recorded):
    order = np.arange(24)
    found = equal_epochs.search(recorded, order, optuna.pruners.NopPruner(), 3 * STEPS)
    assert found.epochs == 3 * STEPS
    assert found.training == 0.5 * found.epochs
    bests = recorded.task_runs.bests[:3]
    np.testing.assert_allclose(found.ended[:, 2], bests)
    np.testing.assert_array_equal(found.ended[:, 0], STEPS * np.arange(1, 4))
    assert (found.ended[:, 1] >= 0.5 * found.ended[:, 0]).all()


def test_who_prunes_tries_more_for_as_many_epochs(recorded):
    pruner = optuna.pruners.ThresholdPruner(lower=1e9, n_warmup_steps=2)
    found = equal_epochs.search(recorded, np.arange(24), pruner, 2 * STEPS)
    assert found.epochs == 2 * STEPS
    assert found.trials >= STEPS
    assert not len(found.ended)


def test_regret_falls_with_what_is_spent(recorded):
    order = np.argsort(-recorded.task_runs.bests)
    found = equal_epochs.search(recorded, order, optuna.pruners.NopPruner(), 24 * STEPS)
    spent = np.linspace(0, 24 * STEPS, 25)
    regret = equal_epochs.regret_at(recorded.task_runs, found, spent, 0)
    assert regret[0] == 1
    assert regret[-1] == 0
    assert (np.diff(regret) <= 0).all()
    seconds = found.training + found.deciding + 1
    (last,) = equal_epochs.regret_at(recorded.task_runs, found, np.array([seconds]), 1)
    assert last == 0


def test_the_comparison_makes_a_table_and_a_picture(recorded, model, monkeypatch):
    kept = ("no pruning", "LCPruner", "median")
    pruners = {name: equal_epochs.COMPARED[name] for name in kept}
    monkeypatch.setattr(equal_epochs, "COMPARED", pruners)
    monkeypatch.setattr(equal_epochs, "BUDGET", 4)
    results = {}
    equal_epochs.compare(recorded, 2, model, results, None)
    task = results["tasks"]["task"]
    assert list(task["pruners"]) == list(kept)
    assert task["pruners"]["no pruning"]["trials"] == 4
    assert task["pruners"]["LCPruner"]["epochs"] == 4 * STEPS
    table = pruners_shown.to_markdown(results)
    assert table.startswith("| pruner | task, loss | mean regret | trials |")
    assert table.count("\n") == 4
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    figure = pruners_shown.draw({"budget": 4, "tasks": {"a": task, "b": task}}, kept)
    assert len(figure.axes) == 4


def test_trainings_are_read_with_their_seconds(tmp_path):
    names = np.array([f"t {i}" for i in range(20)])
    seconds = np.random.default_rng(0).random((20, STEPS)).astype(np.float32)
    np.savez(
        tmp_path / "t.npz",
        curves=power_laws(20, STEPS, seed=1),
        seconds=seconds,
        task=np.full(20, "t"),
        metric=np.full(20, "loss"),
        mode=np.full(20, "min"),
        run_id=names,
    )
    (found,) = equal_epochs.load_trainings(tmp_path / "t.npz")
    assert found.task_runs.runs[0].run.task == "t"
    np.testing.assert_array_equal(found.seconds, seconds)
