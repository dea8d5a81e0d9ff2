"""`lcpfn replay`: what a rule saves on finished runs, and what it risks."""

import json
from dataclasses import fields

import numpy as np
import pytest

from lcpfn.__main__ import main
from lcpfn.eval.stopping import replay
from lcpfn.stopping.rule import Rule
from tests.eval.stopping.makers import ENDS, RULE, lines, with_wrong_forecast


def test_what_is_saved_and_what_is_missed():
    found = replay.under_rule(lines([0.5, 0.7, 0.3, 0.4]), RULE, range(4))
    assert found["until"] == [10, 2, 10, 2]
    assert found["saved"] == pytest.approx(16 / 40)
    assert found["regret"] == 0
    assert found["good"] == 2
    assert found["good_stopped"] == 0
    assert not found["winner_stopped"]


def test_a_wrong_forecast_costs_the_winner():
    task_runs = with_wrong_forecast(lines([0.5, 0.7, 0.3, 0.4]), 2, 9)
    found = replay.under_rule(task_runs, RULE, range(4))
    assert found["until"] == [10, 2, 2, 10]
    assert found["good"] == 3
    assert found["good_stopped"] == 1
    assert found["winner_stopped"]
    assert found["regret"] == pytest.approx(0.1)


def test_a_value_to_beat_is_the_incumbent_of_all():
    task_runs = lines([0.5, 0.7, 0.3, 0.4])
    found = replay.under_rule(task_runs, RULE, range(4), beat=0.45)
    assert found["until"] == [2, 2, 10, 10]


def test_more_confidence_saves_less_and_risks_less():
    rows = replay.trade_off([lines(ENDS[:12])], RULE)
    saved = [row["saved"] for row in rows]
    assert saved == sorted(saved, reverse=True)


def written(path, runs, seed=0, late=0.0):
    """Runs of 30 steps in a table; they gain `late` of their value at step 25."""
    rng = np.random.default_rng(seed)
    lines = ["run,step,accuracy"]
    for i in range(runs):
        top, pace = rng.uniform(0.6, 0.9), rng.uniform(3, 9)
        for step in range(1, 31):
            reached = 1 - late * (step < 25)
            value = top * reached * (1 - np.exp(-step / pace)) + rng.normal(0, 0.004)
            lines.append(f"run{i},{step},{np.clip(value, 0, 1):.4f}")
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def history(tmp_path):
    return written(tmp_path / "history.csv", 30)


def test_command(history, tmp_path, capsys):
    out, picture = tmp_path / "replay.json", tmp_path / "replay.png"
    hints = ["--mode", "max", "--bounds", "0", "1"]
    extra = ["--out", str(out), "--plot", str(picture)]
    assert main(["replay", history, *hints, *extra]) == 0
    table = capsys.readouterr().out
    assert "| good runs stopped |" in table
    results = json.loads(out.read_text())
    (task,) = results["tasks"]
    assert task["runs"] == 30
    assert 0.2 < task["recorded_order"]["saved"] < 0.95
    assert picture.stat().st_size > 10_000
    saved = [row["saved"] for row in results["trade_off"]]
    assert saved[0] > saved[-1]


def test_command_promises_a_rate(history, capsys):
    hints = ["--mode", "max", "--bounds", "0", "1", "--json"]
    assert main(["replay", history, *hints, "--rate", "0.2"]) == 0
    printed = capsys.readouterr()
    results = json.loads(printed.out)
    assert results["risk"]["rate"] == 0.2
    assert results["risk"]["measured"] <= 0.2
    assert results["rule"]["confidence"] == results["risk"]["confidence"]
    assert "promised: at most 20.0%" in printed.err


def test_command_says_whether_the_promise_holds_elsewhere(history, tmp_path, capsys):
    options = ["--mode", "max", "--bounds", "0", "1", "--rate", "0.2", "--json"]
    alike = written(tmp_path / "alike.csv", 12, seed=1)
    other = written(tmp_path / "other.csv", 12, seed=1, late=0.4)
    found = {}
    for path in (alike, other):
        assert main(["replay", history, *options, "--check", path]) == 0
        printed = capsys.readouterr()
        (found[path],) = json.loads(printed.out)["checks"]
        assert f"check: {found[path]['sentence']}" in printed.err
    assert not found[alike]["doubted"]
    assert found[alike]["sentence"].startswith("nothing speaks against")
    assert found[other]["doubted"]
    assert found[other]["stopped"] > 0.2
    assert found[other]["sentence"].startswith("do not trust the promise of 20.0%")
    assert found[alike]["runs"] == found[other]["runs"] == 12


def test_every_option_of_the_rule_is_one_of_the_command(history, capsys):
    saved = {}
    hints = ["--mode", "max", "--bounds", "0", "1", "--json"]
    for cautious in ("1", "25"):
        assert main(["replay", history, *hints, "--cautious", cautious]) == 0
        results = json.loads(capsys.readouterr().out)
        assert results["rule"]["cautious"] == int(cautious)
        saved[cautious] = results["mean"]["saved"]
    assert saved["1"] > saved["25"]
    with pytest.raises(SystemExit):
        main(["replay", "--help"])
    shown = capsys.readouterr().out
    # A plan is of one run; a history has many.
    for name in {field.name for field in fields(Rule)} - {"plan"}:
        assert f"--{name.replace('_', '-')} " in shown, name


def test_command_refuses(history, capsys):
    assert main(["replay", history, "--mode", "max", "--rate", "0.001"]) == 1
    assert "needs 999 good runs" in capsys.readouterr().err
    assert main(["replay", history, "--mode", "max", "--horizon", "20"]) == 1
    assert "beyond the horizon 20" in capsys.readouterr().err
    assert main(["replay", history, "--mode", "max", "--check", history]) == 1
    assert "give --rate" in capsys.readouterr().err
    assert main(["replay", history]) == 1
