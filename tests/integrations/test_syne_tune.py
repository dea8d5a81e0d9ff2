"""Syne Tune, for real: its local backend trains scripts in processes of their own."""

import sys

import pytest

pytest.importorskip("syne_tune", reason="needs syne-tune")
pytestmark = pytest.mark.slow

HORIZON = 12
SCRIPT = """
import argparse
from syne_tune import Reporter
parser = argparse.ArgumentParser()
parser.add_argument("--top", type=float)
parser.add_argument("--st_checkpoint_dir")
top, report = parser.parse_known_args()[0].top, Reporter()
for epoch in range(1, 13):
    report(epoch=epoch, accuracy=top * (1 - 0.5 / (1 + epoch)))
"""


def search(tmp_path, **rule):
    """Records of each trial, by the level it rises to."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.baselines import RandomSearch

    from lcpfn.integrations.syne_tune import LCStoppingRule

    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    tops = [0.9, 0.6, 0.4, 0.5, 0.95]
    inner = RandomSearch(
        {"top": uniform(0.1, 1.0)},
        metrics=["accuracy"],
        do_minimize=False,
        random_seed=0,
        points_to_evaluate=[{"top": top} for top in tops],
    )
    rule = LCStoppingRule(
        inner, "accuracy", HORIZON, do_minimize=False, bounds=(0, 1), **rule
    )
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(script)),
        scheduler=rule,
        stop_criterion=StoppingCriterion(
            max_num_trials_completed=None, max_num_trials_finished=len(tops)
        ),
        n_workers=1,
        sleep_time=0.1,
        save_tuner=False,
    )
    tuner.run()
    return {
        top: len(rule.runs.runs[str(i)].observations.curve)
        for i, top in enumerate(tops)
    }


def test_it_stops_what_cannot_win(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "runs"))
    monkeypatch.setattr(sys, "argv", sys.argv[:1])
    found = search(tmp_path)
    assert found[0.9] == found[0.95] == HORIZON
    assert max(found[0.4], found[0.5]) < HORIZON


def test_forecasts_know_the_other_trials(tmp_path, monkeypatch, asked):
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "runs"))
    tops = list(search(tmp_path))
    known = {str(i): {"top": top} for i, top in enumerate(tops)}
    assert known == {name: asked[-1][name] for name in known}


def test_dry_run_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "runs"))
    assert set(search(tmp_path, dry_run=True).values()) == {HORIZON}
