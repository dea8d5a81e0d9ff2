"""Recorded runs as trials of real Optuna studies."""

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.stopping.simulate import without_forecasts
from tests.makers import power_laws

optuna = pytest.importorskip("optuna", reason="needs optuna")
from lcpfn.eval.studies import in_optuna, pruners_shown  # noqa: E402 - needs Optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
RUNS = [
    Run(curve, mode="min", config={"lr": 0.1 * (i + 1), "kind": "ab"[i % 2]})
    for i, curve in enumerate(power_laws(8, 12, seed=3))
]
TASK = without_forecasts("source", {"task": RUNS})[0]
ORDERS = [np.random.default_rng(i).permutation(len(RUNS)) for i in range(3)]


def test_without_pruning_every_run_is_trained_with_its_configuration(monkeypatch):
    seen, suggest = [], in_optuna.suggest

    def watched(trial, run, space):
        suggest(trial, run, space)
        seen.append((trial.params, run.config))

    monkeypatch.setattr(in_optuna, "suggest", watched)
    found = in_optuna.measure(TASK, ORDERS[:1], in_optuna.PRUNERS[in_optuna.NONE], None)
    assert found == {"epochs": 1, "regret": 0, "lost": 0}
    assert len(seen) == len(RUNS)
    for params, config in seen:
        assert params["kind"] == config["kind"]
        assert params["lr"] == pytest.approx(config["lr"])


@pytest.mark.parametrize("at", [2, 12])
def test_who_prunes_everything_finds_nothing(at):
    # Whatever is below infinity is pruned after so many reports, the last one too.
    everything = lambda *_: optuna.pruners.ThresholdPruner(lower=1e9, n_warmup_steps=at)
    found = in_optuna.measure(TASK, ORDERS, everything, None)
    assert found["epochs"] == pytest.approx(at / 12)
    assert found["lost"] == 1
    assert found["regret"] == 10  # the most that counts


def test_pruners_are_compared_on_the_same_orders(model):
    pruners = {n: in_optuna.PRUNERS[n] for n in (in_optuna.NONE, "LCPruner", "median")}
    found = {n: in_optuna.study([TASK], model, make, 2) for n, make in pruners.items()}
    assert set(found) == set(pruners)
    assert found[in_optuna.NONE]["epochs"] == 1
    assert 0 < found["LCPruner"]["epochs"] <= 1
    assert found["median"]["tasks"]["task"]["regret"] >= 0
    table = pruners_shown.settings_to_markdown({"pruners": found})
    assert table.count("\n") == 4
    assert "| no pruning | 100% | 0.0% ± " in table
