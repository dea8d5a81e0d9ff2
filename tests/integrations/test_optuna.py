"""The pruner in the real Optuna: what people meet in use."""

import logging
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import lcpfn
from lcpfn.stopping.observations import MonitorWarning
from lcpfn.stopping.search_monitor import SearchMonitor

optuna = pytest.importorskip("optuna", reason="needs optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)
from lcpfn.integrations.optuna import LCPruner  # noqa: E402 - needs Optuna

STEPS = 12


def rising(trial, step):
    """An accuracy that rises to a level of its own, the first trials to the highest."""
    return (0.9 - 0.08 * (trial % 6)) * (1 - 0.5 / (1 + step))


def search(
    pruner,
    trials=14,
    first=1,
    stride=1,
    value=rising,
    returned=None,
    steps=STEPS,
    direction="maximize",
):
    """A study whose trials report at `first`, `first` + `stride`, ..."""

    def objective(trial):
        for i in range(1, steps + 1, stride):
            trial.report(value(trial.number, i), i - 1 + first)
            if trial.should_prune():
                raise optuna.TrialPruned
        return (returned or value)(trial.number, steps)

    study = optuna.create_study(direction=direction, pruner=pruner)
    study.optimize(objective, n_trials=trials)
    return study


def pruned(study):
    return [t for t in study.trials if t.state == optuna.trial.TrialState.PRUNED]


def pruner_of(**options):
    usual = {"horizon": STEPS, "n_startup_trials": 3, "bounds": (0, 1)}
    return LCPruner(**usual | options)


def test_optunahub_package_is_ready():
    hub = pytest.importorskip("optunahub", reason="needs optunahub")
    root = Path(__file__).parents[2] / "examples" / "optunahub" / "package"
    module = hub.load_local_module("pruners/lcpfn", registry_root=str(root))
    assert module.LCPruner is LCPruner
    front = (root / "pruners" / "lcpfn" / "README.md").read_text().split("---")[1]
    keys = {line.split(":")[0] for line in front.strip().splitlines()}
    wanted = {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert wanted <= keys


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_it_prunes_what_cannot_win_and_keeps_the_winner(direction):
    sign = 1 if direction == "maximize" else -1
    pruner = LCPruner(STEPS, n_startup_trials=5)
    study = search(
        pruner, value=lambda *args: sign * rising(*args), direction=direction
    )
    found = pruned(study)
    assert found
    assert all(trial.number >= 5 for trial in found)
    assert study.best_trial.number % 6 == 0
    # Free of side effects: the same question, the same answer.
    assert [pruner.prune(study, found[0]) for _ in range(2)] == [True, True]
    mean, std = pruner.predicted_final(found[0], study)
    assert sign * mean < sign * study.best_value
    assert std > 0
    with pytest.raises(ValueError, match="give study="):
        pruner.predicted_final(found[0])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("first", [0, 1])
def test_steps_count_from_0_or_1(first, stride):
    # At this confidence a trial that cannot win is pruned at every chance.
    pruner = pruner_of(confidence=0.5, protect=0, n_warmup_steps=STEPS - 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MonitorWarning)
        study = search(pruner, first=first, stride=stride)
    ends = max(study.trials[0].intermediate_values)
    assert pruned(study)
    assert all(t.last_step < ends for t in pruned(study))


@pytest.mark.parametrize(("horizon", "steps"), [(30, STEPS), (8, STEPS), (1000, 3)])
def test_a_horizon_that_completed_trials_contradict_is_said_once(horizon, steps):
    pruner = pruner_of(horizon=horizon, protect=0, confidence=0.5)
    with pytest.warns(MonitorWarning) as told:
        study = search(pruner, steps=steps)
    about = [str(w.message) for w in told if "finished run" in str(w.message)]
    (warning,) = about
    assert f"the horizon is {horizon}" in warning
    assert f"ended at step {steps}" in warning
    assert all(t.last_step < steps for t in pruned(study))


def test_one_completed_trial_out_of_bounds_does_not_end_pruning():
    def percent_once(trial, step):
        return rising(trial, step) * (100 if trial == 1 else 1)

    with pytest.warns(MonitorWarning, match="a finished run was left out"):
        study = search(pruner_of(), value=percent_once)
    assert study.trials[1].state == optuna.trial.TrialState.COMPLETE
    assert pruned(study)
    assert study.trials[0] not in pruned(study)


@pytest.mark.parametrize(
    "name", ["n_startup", "every", "start_from", "beat", "mode", "name", "warn_once"]
)
def test_internal_options_do_not_pass_through(name):
    with pytest.raises(TypeError, match=f"LCPruner has no option '{name}'"):
        LCPruner(9, **{name: 1})


@pytest.mark.parametrize("name", ["n_startup_trials", "n_warmup_steps"])
def test_impossible_options_are_named_as_the_user_does(name):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        LCPruner(9, **{name: -1})
    with pytest.raises(ValueError, match=f"{name} must be at least .*, got '2'"):
        LCPruner(9, **{name: "2"})


@pytest.mark.parametrize("steps", [0, "often", None])
def test_an_interval_is_steps_or_chosen_by_itself(steps):
    with pytest.raises(ValueError, match="number of steps or 'auto'"):
        LCPruner(9, interval_steps=steps)
    assert "interval_steps='auto'" in repr(LCPruner(9, interval_steps="auto"))


def test_it_begins_with_runs_that_say_their_direction(default):
    runs = [lcpfn.Run([rising(0, i) for i in range(1, STEPS + 1)], mode="max")]
    pruner = LCPruner(STEPS, bounds=(0, 1), others=runs, model=default)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MonitorWarning)
        study = search(pruner, trials=5)
    assert pruner.decisions.keys() >= {4}
    assert len(study.trials) == 5


def test_it_shows_its_options():
    pruner = LCPruner(50, bounds=(0, 1), protect=0.1)
    assert repr(pruner) == (
        "LCPruner(horizon=50, n_startup_trials=2, n_warmup_steps=0, interval_steps=1, "
        "confidence=0.95, bounds=(0, 1), protect=0.1)"
    )


def test_each_decision_has_a_reason():
    pruner = pruner_of()
    study = search(pruner)
    for trial in pruned(study):
        decision = pruner.decisions[trial.number]
        assert decision.stop
        assert decision.kind == "hopeless"
        assert "with probability" in decision.reason
    going = set(range(3, 14)) - {trial.number for trial in pruned(study)}
    assert going
    assert not any(pruner.decisions[number].stop for number in going)
    copy = pickle.loads(pickle.dumps(pruner))
    assert copy.prune(study, pruned(study)[0])
    assert repr(copy) == repr(pruner)


def test_a_pruner_with_a_loaded_model_goes_to_another_process_by_its_path():
    pruner = pruner_of(model=lcpfn.load())
    copy = pickle.loads(pickle.dumps(pruner))
    assert f"model={lcpfn.load().path!r}" in repr(copy)
    study = optuna.create_study(pruner=copy)
    trial = study.ask()
    trial.report(0.5, 1)
    assert not trial.should_prune()


def test_a_dry_run_says_one_line_per_trial(caplog):
    pruner = pruner_of(dry_run=True)
    with caplog.at_level(logging.WARNING, logger="lcpfn"):
        for _ in range(2):  # one study after another
            caplog.clear()
            study = search(pruner)
            lines = [r.getMessage() for r in caplog.records]
            assert not pruned(study)
            assert lines
            assert all(line.startswith("dry run, would stop trial ") for line in lines)
            trials = [line.split()[5] for line in lines]
            assert len(set(trials)) == len(trials)


def test_the_incumbent_is_what_trials_return():
    def falls(trial, step):
        """The first three end far below their best value."""
        return rising(0, step) if trial < 3 else 0.6 * (1 - 0.5 / (1 + step))

    def value(trial, step):
        return 0.3 if trial < 3 else falls(trial, step)

    best_seen = pruned(search(pruner_of(), 6, value=falls))
    assert [t.number for t in best_seen] == [3, 4, 5]
    assert not pruned(search(pruner_of(), 6, value=falls, returned=value))


def test_a_trial_that_beats_the_incumbent_is_not_pruned_on_its_plateau():
    def flat(trial, step):
        return 0.5 + 0.02 * trial

    assert not pruned(search(pruner_of(protect=0, confidence=0.5), value=flat))


def test_forecasts_know_the_other_trials(asked):
    def objective(trial):
        top = trial.suggest_float("top", 0.2, 0.9)
        for step in range(1, STEPS + 1):
            trial.report(rising(0, step) * top, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return rising(0, STEPS) * top

    for alone in (False, True):
        asked.clear()
        sampler = optuna.samplers.RandomSampler(seed=0)
        pruner = pruner_of(alone=alone)
        study = optuna.create_study(
            direction="maximize", sampler=sampler, pruner=pruner
        )
        study.optimize(objective, n_trials=6)
        known = {f"trial {t.number}": t.params for t in study.trials}
        assert not asked if alone else asked[-1] == known


def test_what_a_trial_would_have_ended_with_knows_the_other_trials(monkeypatch):
    pruner = pruner_of()
    study = optuna.create_study(direction="maximize", pruner=pruner)
    states = optuna.trial.TrialState
    for value, state in ((0.7, states.COMPLETE), (0.1, states.FAIL)):
        steps = {1: value / 2, 2: value}
        done = state is states.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                state=state, value=value if done else None, intermediate_values=steps
            )
        )
    trial = study.ask()
    trial.report(0.3, 1)
    asked = {}

    def predict(self, run, curve, known):
        asked.update(known)
        return 0.5, 0.1

    monkeypatch.setattr(SearchMonitor, "predict", predict)
    assert pruner.predicted_final(trial) == (0.5, 0.1)
    assert list(asked) == ["trial 0", "trial 2"]


# What one of several processes on a storage runs.
WORKER = """
import os, sys
import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from lcpfn.integrations.optuna import LCPruner

kind, path = sys.argv[1:]
journal = lambda: JournalStorage(JournalFileBackend(path))
storage = journal() if kind == "journal" else RDBStorage(f"sqlite:///{path}")
pruner = LCPruner(horizon=12, n_startup_trials=3, bounds=(0, 1))
study = optuna.load_study(study_name="s", storage=storage, pruner=pruner)

def objective(trial):
    trial.set_user_attr("process", os.getpid())
    for step in range(1, 13):
        value = (0.9 - 0.08 * (trial.number % 6)) * (1 - 0.5 / (1 + step))
        trial.report(value, step)
        if trial.should_prune():
            why = pruner.decisions[trial.number].reason
            trial.set_user_attr("why", why)
            raise optuna.TrialPruned
    return value

study.optimize(objective, n_trials=9)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_several_processes_search_together(kind, tmp_path):
    path = str(tmp_path / kind)
    storage = f"sqlite:///{path}"
    if kind == "journal":
        backend = optuna.storages.journal.JournalFileBackend(path)
        storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    command = [sys.executable, "-c", WORKER, kind, path]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait(timeout=900) for worker in workers] == [0, 0]
    assert len(study.trials) == 18
    assert len({trial.user_attrs["process"] for trial in study.trials}) == 2
    assert pruned(study)
    assert all("beats" in trial.user_attrs["why"] for trial in pruned(study))
    best = [trial for trial in study.trials if trial.number % 6 == 0]
    assert {trial.state.name for trial in best} == {"COMPLETE"}
