"""`lcpfn watch`: logs that appear, grow, break and recover."""

import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from lcpfn.__main__ import main
from lcpfn.cli.board import look
from lcpfn.io.follow import Logs, Observation
from lcpfn.model import Model
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.search_monitor import SearchMonitor
from lcpfn.watch.board import Board
from lcpfn.watch.text import sparkline

RULE = Rule(horizon=20, mode="max", bounds=(0, 1))


def csv_log(path, values, name="accuracy", first=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"epoch,{name}"] + [f"{i},{v}" for i, v in enumerate(values, first)]
    path.write_text("\n".join(lines) + "\n")


def seen(logs):
    return [(r.run, r.step, r.value) for r in logs.poll()]


def test_a_log_is_read_as_it_grows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("epoch,accuracy\n1,0.5\n2,0.")
    logs = Logs(tmp_path)
    assert seen(logs) == [("a", 1, 0.5)]
    with path.open("a") as file:
        file.write("6\n3,0.7\n")
    assert seen(logs) == [("a", 2, 0.6), ("a", 3, 0.7)]
    assert seen(logs) == []
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.jsonl").write_text('{"step": 1, "value": 0.4}\n')
    assert seen(logs) == [("deeper/b", 1, 0.4)]


def test_a_truncated_log_is_read_anew(tmp_path):
    path = tmp_path / "a.csv"
    csv_log(path, [0.5, 0.6, 0.7])
    logs = Logs(tmp_path)
    assert len(seen(logs)) == 3
    csv_log(path, [0.1])
    assert seen(logs) == [("a", 1, 0.1)]


def test_a_log_with_another_header_is_read_anew(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train\n0,1,0.9\n0,2,0.8\n")
    logs = Logs(tmp_path, "val", step="epoch")
    assert seen(logs) == []
    assert "no metric 'val'; there are" in logs.trouble["metrics"]
    path.write_text("epoch,step,train,val\n0,1,0.9,\n0,2,0.8,\n0,2,,0.7\n1,4,,0.")
    assert seen(logs) == [("metrics", 0, 0.7)]
    assert not logs.trouble
    with path.open("a") as file:
        file.write("6\n")
    assert seen(logs) == [("metrics", 1, 0.6)]


def test_rubbish_is_named_and_the_rest_counts(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"value": 0.5}\n\xff\xfe{{{\n{"value": 0.6}\n')
    csv_log(tmp_path / "b.csv", [0.5])
    (tmp_path / "b.csv").open("a").write("1,2,3,4\n")
    csv_log(tmp_path / "c.csv", ["0.3,0.4"], name="loss,accuracy")
    logs = Logs(tmp_path)
    found = seen(logs)
    assert [r[0] for r in found] == ["a", "a", "b"]
    assert [step for run, step, _ in found if run == "a"] == [1, 2]
    for _ in range(2):  # for as long as the lines stand there
        assert "skipped 1 line: line 2: " in logs.trouble["a"]
        assert "skipped 1 line: line 3: it has 4 cells" in logs.trouble["b"]
        assert "which column of values" in logs.trouble["c"]
        assert seen(logs) == []


def test_logs_of_keras_and_lightning(tmp_path):
    (tmp_path / "keras.csv").write_text(
        "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.2,0.4,1.3\n1,0.6,1,0.5,1\n"
    )
    (tmp_path / "version_0").mkdir()
    (tmp_path / "version_0" / "metrics.csv").write_text(
        "epoch,step,train_loss,val_accuracy\n0,9,1.1,\n0,9,,0.45\n1,19,,0.55\n"
    )
    logs = Logs(tmp_path, "val_accuracy")
    assert seen(logs) == [
        ("keras", 0, 0.4),
        ("keras", 1, 0.5),
        ("version_0/metrics", 9, 0.45),
        ("version_0/metrics", 19, 0.55),
    ]
    epochs = Logs(tmp_path / "version_0", "val_accuracy", step="epoch")
    assert [step for _, step, _ in seen(epochs)] == [0, 1]
    unnamed = Logs(tmp_path / "keras.csv")
    assert seen(unnamed) == []
    assert "--metric" in unnamed.trouble["keras"]


def reports(run, values, first=1):
    return [Observation(run, float(i), v) for i, v in enumerate(values, first)]


def curve(top, count=12, pace=3.0):
    steps = np.arange(1, count + 1)
    return (top * steps / (steps + pace)).tolist()


@pytest.fixture(scope="module")
def board():
    board = Board(RULE)
    board.take(reports("good", curve(0.9)) + reports("bad", curve(0.3)))
    board.take(reports("done", curve(0.8, 20)))
    board.take(reports("lost", [*curve(0.5, 5), math.nan]))
    return board


def test_verdicts(board):
    rows = {row.run: row for row in board.rows()}
    assert rows["done"].verdict == "finished"
    assert rows["lost"].verdict == "diverged"
    assert rows["bad"].verdict == "stop"
    assert rows["bad"].saved == 8
    assert rows["good"].verdict == "go on"
    assert rows["good"].rank < rows["bad"].rank
    assert rows["bad"].low <= rows["bad"].final <= rows["bad"].high


def test_it_says_what_the_adapters_do():
    """30 runs: 8 have finished, one diverged, one is protected and one the best."""
    rng = np.random.default_rng(1)
    tops, counts = rng.uniform(0.3, 0.95, 30), rng.integers(3, 16, 30)
    counts[:8] = 20
    curves = {
        f"run {i}": dict(enumerate(curve(top, count, pace), 1))
        for i, (top, count, pace) in enumerate(
            zip(tops, counts, rng.uniform(1, 5, 30), strict=True)
        )
    }
    curves["run 8"] = {step: 0.8 + 1e-4 * step for step in range(1, 5)}
    curves["run 9"] |= {16: math.nan}
    curves["run 10"] = dict(enumerate(curve(0.99, 12, 1.0), 1))
    board, search = (
        Board(RULE, alone=True),
        SearchMonitor(**asdict(RULE), alone=True),
    )
    for run, values in curves.items():
        board.take(Observation(run, float(s), v) for s, v in values.items())
    known = {run: search.hold(run, values) for run, values in curves.items()}
    for i in range(8):
        search.over(known[f"run {i}"])
    rows = {row.run: row for row in board.rows() if row.verdict != "finished"}
    assert len(rows) == 22
    said = set()
    for run, row in rows.items():
        stop, monitor = search.judge(run, curves[run], known)
        said.add(monitor.decision.kind)
        assert (row.saved > 0) == stop
        assert row.reason == monitor.reason
    assert {"promising", "hopeless", "diverged", "protected"} <= said


def test_before_a_run_has_finished_nothing_is_stopped():
    board = Board(RULE)
    board.take(reports("good", curve(0.9)) + reports("bad", curve(0.3)))
    bad = next(row for row in board.rows() if row.run == "bad")
    assert bad.verdict == "go on"
    assert bad.chance < 0.01
    assert bad.reason.endswith("no run has finished yet")
    to_beat = Board(replace(RULE, beat=0.7))
    to_beat.take(reports("good", curve(0.9)) + reports("bad", curve(0.3)))
    assert {r.run: r.verdict for r in to_beat.rows()} == {
        "good": "go on",
        "bad": "stop",
    }


def test_a_run_that_went_back_is_forecast_as_it_is_now():
    board, fresh = Board(RULE), Board(RULE)
    board.take(reports("a", curve(0.9, 10)))
    board.take(reports("a", curve(0.4, 8)[4:], first=5))
    values = curve(0.9, 10)[:4] + curve(0.4, 8)[4:]
    fresh.take(reports("a", values))
    (one,), (two,) = board.rows(), fresh.rows()
    assert one.values == two.values
    assert one.final == pytest.approx(two.final, rel=1e-5)


def test_a_run_that_is_called_otherwise_leaves_no_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("seed,epoch,accuracy\n0,1,0.5\n0,2,0.6\n")
    source, board = Logs(tmp_path), Board(RULE)
    look(source, board)
    assert [row.run for row in board.rows()] == ["a"]
    with path.open("a") as file:
        file.write("1,1,0.4\n1,2,0.5\n")
    look(source, board)
    assert {row.run for row in board.rows()} == {"a:seed 0", "a:seed 1"}
    fresh = Board(RULE)
    look(Logs(tmp_path), fresh)
    for one, two in zip(board.rows(), fresh.rows(), strict=True):
        assert (one.run, one.values) == (two.run, two.values)
        assert one.final == pytest.approx(two.final, rel=1e-5)


def test_a_look_reads_the_runs_with_news_and_forecasts_no_fan(monkeypatch):
    board, read = Board(RULE), []
    board.take(reports("a", curve(0.9)) + reports("b", curve(0.8)))
    board.rows()
    assert not any("mixture" in vars(x.fans._batch) for x in board.outlooks.values())
    read_runs = Model.read_runs

    def counted(self, contexts, *args):
        read.extend(len(context.values) for context in contexts)
        return read_runs(self, contexts, *args)

    monkeypatch.setattr(Model, "read_runs", counted)
    board.take(reports("a", [0.9], first=13))
    board.rows()
    assert read == [13]
    assert np.shape(board.outlooks["b"].quantiles) == (5, 8)


def test_records_that_cannot_be_are_named():
    board = Board(RULE)
    board.take(reports("percent", [55.0]) + reports("late", [0.5], first=30))
    board.take(reports("early", [0.5], first=-1))
    assert "within bounds" in board.trouble["percent"]
    assert "beyond the horizon" in board.trouble["late"]
    assert board.trouble["early"] == "step -1 lies before step 0"
    assert board.rows() == []


def test_sparkline():
    assert sparkline([0, 0.5, 1], 0, 1, 8) == "▁▅█"
    assert sparkline([0, math.nan, 9], 0, 1, 8) == "▁·█"
    assert len(sparkline(range(100), 0, 100, 16)) == 16
    assert sparkline([3, 3], 3, 3, 8) == "▁▁"


def test_once_for_people_and_for_machines(tmp_path, capsys):
    csv_log(tmp_path / "good.csv", curve(0.9))
    csv_log(tmp_path / "bad.csv", curve(0.3))
    csv_log(tmp_path / "done.csv", curve(0.8, 20))
    options = ["--horizon", "20", "--mode", "max", "--bounds", "0", "1", "--once"]
    assert main(["watch", str(tmp_path), *options]) == 0
    shown = capsys.readouterr().out
    assert "3 runs to step 20" in shown
    assert "stop" in shown
    assert main(["watch", str(tmp_path), *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["run"]: row["verdict"] for row in found["runs"]} == {
        "good": "go on",
        "bad": "stop",
        "done": "finished",
    }
    assert found["saved"] == 8
    assert main(["watch", str(tmp_path / "none"), *options]) == 1
    assert "there is no" in capsys.readouterr().err


def test_no_color_and_narrow(tmp_path, capsys, monkeypatch):
    csv_log(tmp_path / "a rather long name of a run.csv", curve(0.9))
    csv_log(tmp_path / "bad.csv", curve(0.3))
    csv_log(tmp_path / "done.csv", curve(0.8, 20))
    options = ["--horizon", "20", "--mode", "max", "--bounds", "0", "1", "--once"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for colour in (True, False):
        if not colour:
            monkeypatch.setenv("NO_COLOR", "1")
        assert main(["watch", str(tmp_path), *options]) == 0
        shown = capsys.readouterr().out
        assert ("\x1b[33m" in shown) == colour
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    (row,) = [line for line in plain.splitlines() if " bad " in line]
    assert len(row) <= 100
    assert "stop" in row


def test_hundreds_of_runs_at_once(tmp_path, capsys):
    for i in range(150):
        csv_log(tmp_path / f"run{i}.csv", curve(0.3 + 0.004 * i))
    options = ["--horizon", "20", "--mode", "max", "--once"]
    assert main(["watch", str(tmp_path), *options]) == 0
    assert "... and 110 more" in capsys.readouterr().out


def test_nothing_read_is_told_by_the_exit_code(tmp_path, capsys):
    options = ["--horizon", "20", "--mode", "max", "--once", "--json"]
    assert main(["watch", str(tmp_path), *options]) == 1
    (tmp_path / "a.csv").write_text("epoch,loss\n1,0.5\n")
    assert main(["watch", str(tmp_path), *options, "--metric", "acc"]) == 1
    out = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert out["trouble"] == {"a": "no metric 'acc'; there are loss"}


@pytest.mark.slow
def test_live_until_interrupted(tmp_path):
    csv_log(tmp_path / "a.csv", curve(0.9, 4))
    command = [sys.executable, "-m", "lcpfn", "watch", str(tmp_path), "--json"]
    options = ["--horizon", "20", "--mode", "max", "--every", "0.2"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        first = json.loads(process.stdout.readline())
        assert first["runs"][0]["last"] == 4
        csv_log(tmp_path / "a.csv", curve(0.9, 9))
        deadline = time.time() + 60
        last = 4
        while last < 9 and time.time() < deadline:
            last = json.loads(process.stdout.readline())["runs"][0]["last"]
        process.terminate()
    assert last == 9
