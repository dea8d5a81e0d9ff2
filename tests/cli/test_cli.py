"""The command line and the files it reads, in this process and through its door."""

import io
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from lcpfn import checkpoint
from lcpfn.__main__ import COMMANDS, main
from lcpfn.eval.tables import report
from lcpfn.train.config import TrainConfig
from tests.makers import FALLING

EXAMPLE = Path(__file__).parents[2] / "lcpfn" / "examples" / "digits_mlp.csv"
FORECAST = ["--horizon", "60", "--mode", "max", "--bounds", "0", "1"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LCPFN_CACHE", "")


@pytest.fixture(scope="module")
def saved(saved):
    """Its path as it is typed."""
    return str(saved)


def write(tmp_path, text, name="curve.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


FINISHED = "run,epoch,acc\n" + "".join(
    f"{run},{i},{v}\n"
    for run, values in (("a", [0.5, 0.6, 0.65]), ("b", [0.4, 0.45, 0.47, 0.48]))
    for i, v in enumerate(values, 1)
)


def test_forecast_goes_on_where_a_run_is_finished(saved, capsys, tmp_path):
    path = str(write(tmp_path, FINISHED))
    options = ["--horizon", "4", "--mode", "max", "--checkpoint", saved]
    assert main(["forecast", path, *options, "--json"]) == 0
    going, ended = json.loads(capsys.readouterr().out)
    assert going["steps"] == [4]
    assert (ended["steps"], ended["mean"]) == ([], [])
    assert ended["final"]["mean"] == ended["final"]["quantiles"]["0.05"] == 0.48
    assert ended["decision"] == {
        "stop": False,
        "reason": "finished at 0.48",
        "prob_better": None,
        "threshold": None,
    }
    assert main(["forecast", path, *options]) == 0
    assert "finished at 0.48" in capsys.readouterr().out


def test_forecast_knows_the_other_runs_of_the_file(knowing, capsys, tmp_path):
    """A hyperparameter that cannot be compared is left out, not an error."""
    checkpoint.save(tmp_path / "knowing", knowing.params, knowing.config, {})
    curves = np.array([[0.5, 0.6, 0.65, np.nan], [0.4, 0.45, 0.47, 0.48]])
    texts = np.array(['{"lr": 0.1, "layers": [1, 2]}', '{"lr": 0.2, "layers": [3]}'])
    np.savez(tmp_path / "runs.npz", curves=curves, config=texts)
    command = ["forecast", str(tmp_path / "runs.npz"), "--horizon", "6", "--json"]
    command += ["--mode", "max", "--checkpoint", str(tmp_path / "knowing")]
    found = {}
    for options in ((), ("--alone",)):
        assert main([*command, *options]) == 0
        found[options] = json.loads(capsys.readouterr().out)
    for one, alone in zip(*found.values(), strict=True):
        assert (one["others"], alone["others"]) == (1, 0)
        assert one["final"]["mean"] != alone["final"]["mean"]


def test_forecast_shows_the_bounds_that_a_file_implies(saved, capsys, tmp_path):
    path, about = str(tmp_path / "runs.npz"), {"metric": ["loss"], "mode": ["min"]}
    np.savez(path, curves=[[0.5, 0.4, 0.3]], **about)
    command = ["forecast", path, "--horizon", "6", "--mode", "min"]
    command += ["--checkpoint", saved]
    assert main(command) == 0
    assert ", --bounds 0 none\n" in capsys.readouterr().out
    assert main([*command, "--bounds", "none", "none"]) == 0
    assert "--bounds none none" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bounds"] == [0, None]


def test_forecast_says_what_lies_beyond_the_horizon(saved, capsys, tmp_path):
    path = str(write(tmp_path, FINISHED))
    options = ["--mode", "max", "--checkpoint", saved, "--json", "--horizon"]
    assert main(["forecast", path, *options, "3"]) == 0
    done, beyond = json.loads(capsys.readouterr().out)
    assert done["final"]["mean"] == 0.65
    assert beyond["final"] is None
    assert "beyond the horizon 3" in beyond["decision"]["reason"]
    assert main(["forecast", path, *options, "2"]) == 1


def test_programs_are_told_of_the_lines_that_were_left_out(saved, capsys, tmp_path):
    path = write(tmp_path, "epoch,acc\n1,0.5\n2,oops\n3,0.6\n")
    options = ["--horizon", "9", "--mode", "max", "--checkpoint", saved, "--json"]
    assert main(["forecast", str(path), *options]) == 0
    captured = capsys.readouterr()
    sentence = f"{path}: skipped 1 line: line 3: 'oops' is not a number"
    assert json.loads(captured.out)["skipped"] == [sentence]
    assert sentence in captured.err
    assert main(["replay", str(path), *options[2:]]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == [sentence]


def test_forecast_reads_standard_input(saved, capsys, monkeypatch):
    text = io.TextIOWrapper(io.BytesIO(b"epoch;loss\n1;0,5\n2;0,25\n"))
    monkeypatch.setattr("sys.stdin", text)
    options = ["--horizon", "9", "--mode", "min", "--checkpoint", saved, "--json"]
    assert main(["forecast", "-", *options]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0] == 3


SEVERAL = "run,epoch,step,train_loss,val_loss\n" + "".join(
    f"{run},{i},{10 * i},{2 / i + shift},{2.5 / i + shift}\n"
    for run, shift in (("a", 0.0), ("b", 0.1), ("c", 0.2))
    for i in range(1, 9)
)


def test_every_command_chooses_metric_and_steps(saved, capsys, tmp_path):
    path = str(write(tmp_path, SEVERAL))
    chosen = ["--mode", "min", "--metric", "val_loss", "--step", "epoch"]
    options = [*chosen, "--checkpoint", saved]
    assert main(["forecast", path, "--mode", "min", "--horizon", "90"]) == 1
    assert "train_loss, val_loss" in capsys.readouterr().err
    assert main(["forecast", path, *options, "--horizon", "9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["steps"] == [9]
    assert main(["replay", path, *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"][0]["runs"] == 3
    watched = ["--horizon", "20", "--once", "--json"]
    assert main(["watch", path, *options, *watched]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert {row["last"] for row in rows} == {8}
    out = ["--out", str(tmp_path / "report.html")]
    assert main(["report", path, *options, "--horizon", "20", *out]) == 0


def test_forecast_prints_one_json_object(saved, capsys):
    assert (
        main(["forecast", str(EXAMPLE), *FORECAST, "--json", "--checkpoint", saved])
        == 0
    )
    out = json.loads(capsys.readouterr().out)
    assert out["steps"] == list(range(13, 61))
    assert len(out["mean"]) == len(out["quantiles"]["0.95"]) == 48
    assert out["final"]["step"] == 60
    assert out["final"]["quantiles"]["0.05"] < out["final"]["quantiles"]["0.95"]
    assert isinstance(out["decision"]["stop"], bool)


def test_forecast_prints_a_table_and_writes_a_plot(saved, capsys, tmp_path):
    picture = tmp_path / "fan.png"
    options = ["--beat", "0.97", "--plot", str(picture), "--checkpoint", saved]
    assert main(["forecast", str(EXAMPLE), *FORECAST, *options]) == 0
    out = capsys.readouterr().out
    assert "95%" in out
    assert "0.97" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_diverged_curve_is_valid_json(saved, capsys, tmp_path):
    path = write(tmp_path, "0.5\n0.4\nnan\n")
    options = ["--horizon", "5", "--mode", "min", "--json", "--checkpoint", saved]
    assert main(["forecast", str(path), *options]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["diverged"] is True
    assert out["mean"] == [None, None]
    assert "diverged" in out["decision"]["reason"]


def test_errors_go_to_stderr_with_exit_code_one(saved, capsys, tmp_path):
    path = write(tmp_path, "52\n61\n")
    assert main(["forecast", str(path), *FORECAST, "--checkpoint", saved]) == 1
    captured = capsys.readouterr()
    assert not captured.out
    assert "percentage" in captured.err
    assert main(["info", str(tmp_path / "nothing")]) == 1
    assert main(["pretrain", "nothing"]) == 1
    assert main(["pretrain", "tiny", "--set", "stepz=3"]) == 1
    with pytest.raises(SystemExit) as usage:
        main(["forecast", str(path)])
    assert usage.value.code == 2


def test_info_shows_the_card(saved, capsys):
    assert main(["info", saved, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["width"] == 32


def test_module_is_a_door():
    done = subprocess.run(
        [sys.executable, "-m", "lcpfn", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "forecast" in done.stdout


def test_pretrain_and_from_there_on(tmp_path, capsys, cheap):
    small = ["steps=4", "save_every=2", "log_every=2", "batch=4", "validation=16"]
    out = tmp_path / "run"
    assert main(["pretrain", "tiny", "--out", str(out), "--set", *small]) == 0
    release = capsys.readouterr().out.strip()
    onward = ["pretrain", "tiny", "--out", str(tmp_path / "on"), "--start", release]
    assert main([*onward, "--set", *small, "lengths=32"]) == 0
    further = checkpoint.read_card(Path(capsys.readouterr().out.strip()))["training"]
    checksum = checkpoint.read_card(Path(release))["checksum"]
    assert checksum[:23] in further["origin"]
    assert further["lengths"] == [32]


def test_finetune(model, tmp_path, capsys):
    trained = TrainConfig(prior=FALLING, lengths=(32,), model=model.config)
    given, out = str(tmp_path / "given"), str(tmp_path / "tuned")
    checkpoint.save(given, model.params, model.config, {"training": asdict(trained)})
    rng = np.random.default_rng(0)
    runs = [list(1 / np.arange(1, 31) + 0.02 * rng.random(30)) for _ in range(10)]
    history = write(tmp_path, json.dumps(runs), "history.json")
    options = ["--mode", "min", "--out", out, "--steps", "4", "--checkpoint", given]
    assert main(["finetune", str(history), *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["held_out_runs"] == 2
    assert np.isfinite([report["log_prob_before"], report["log_prob_after"]]).all()
    card = checkpoint.read_card(Path(report["checkpoint"]))
    assert "10 runs" in card["training"]["origin"]


def test_tables_and_paths_control_no_terminal(capsys, tmp_path):
    report({}, "| a\x1b[31m | \u202eb\x9b |\n| c | d |", None)
    assert capsys.readouterr().out == "| a\\x1b[31m | \\u202eb\\x9b |\n| c | d |\n"
    assert main(["info", str(tmp_path / "a\x1b[31m")]) == 1
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_a_screen_and_shows_an_example(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as done:
        main([command, "--help"] if command else ["--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert f"lcpfn {command or 'forecast'} " in shown.split("\n\n", 1)[1]
    assert len(shown.splitlines()) <= 40


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in COMMANDS:
        assert command in script
    assert "--max-surprise" in script


def test_completion_completes_in_bash(capsys, tmp_path):
    pytest.importorskip("shtab")
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    main(["completion", "bash"])
    script = write(tmp_path, capsys.readouterr().out, "lcpfn.bash")
    code = f"""source {script}; COMP_WORDS=(lcpfn replay --ma); COMP_CWORD=2
        _shtab_lcpfn lcpfn --ma replay; echo "${{COMPREPLY[@]}}" """
    done = subprocess.run([bash, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["--max-surprise"], done.stderr


def test_completion_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "pip install 'lcpfn-jax[completion]'" in capsys.readouterr().err
