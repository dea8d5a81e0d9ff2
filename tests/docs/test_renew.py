"""Results are of the weights that ship, and every one has what makes it anew."""

import json
import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from docs import renew, tables

# Made with the weights, or no matter of them.
OTHERS = {"calibration.json", "left_out.json", "prior.json", "tpe.json", "ray.json"}
OTHERS |= {"bench.json", "crps.json"}


def test_no_result_is_older_than_the_weights():
    assert renew.older() == []


def test_results_of_other_weights_are_older():
    results = json.loads((tables.RESULTS / "context.json").read_text())
    assert renew.is_older(results | {"checksum": "sha256:" + 64 * "0"})
    assert renew.is_older(results | {"checkpoint": "domhan"})


def test_every_table_has_what_makes_its_file_anew():
    files = [file for file, _ in tables.TABLES.values()]
    used = {name for f in files for name in ([f] if isinstance(f, str) else f)}
    assert used == set(renew.COMMANDS) | OTHERS


@pytest.fixture
def curves(tmp_path):
    sources = {
        source for _, names in renew.COMMANDS.values() for source in names.split()
    }
    for source in sources - {"*"}:
        (tmp_path / f"{source}.npz").touch()
    return tmp_path


class Parsed(Exception):
    """Of a command, which is not to go on."""


@pytest.mark.parametrize("name", renew.COMMANDS)
def test_commands_are_understood(name, curves, monkeypatch):
    understood = ArgumentParser.parse_args

    def parse_args(parser, argv):
        raise Parsed(understood(parser, argv))

    monkeypatch.setattr(ArgumentParser, "parse_args", parse_args)
    python, dash, module, *argv = renew.command(name, curves, Path("out"))
    assert (python, dash) == (sys.executable, "-m")
    main = import_module("lcpfn.__main__" if module == "lcpfn" else module).main
    with pytest.raises(Parsed) as parsed:
        main(argv)
    args = parsed.value.args[0]
    assert str(args.out) == "out"
    files = getattr(args, "suite", None) or []
    sources = renew.COMMANDS[name][1].split()
    if module != "lcpfn" and sources:
        assert [Path(file).stem for file in files] == sources


def test_curves_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing: .*lcbench\.npz"):
        renew.command("ftpfn_protocol.json", tmp_path, Path("out"))
    with pytest.raises(FileNotFoundError, match=r"no \.npz file in"):
        renew.command("suites.json", tmp_path / "none", Path("out"))


def test_a_file_is_as_it_was_until_the_new_one_is_whole(curves, tmp_path, monkeypatch):
    for name in ("history.json", "optuna.json"):
        (tmp_path / name).write_text('{"checksum": "old"}')
    monkeypatch.setattr(renew, "RESULTS", tmp_path)
    monkeypatch.setattr(renew, "older", lambda: ["history.json", "optuna.json"])
    broken = iter([False, True])

    def run(words, check, cwd):
        Path(words[words.index("--out") + 1]).write_text('{"checksum": "new"}')
        if next(broken):
            raise CalledProcessError(1, words)

    monkeypatch.setattr(renew.subprocess, "run", run)
    with pytest.raises(CalledProcessError):
        renew.main([str(curves)])
    assert "new" in (tmp_path / "history.json").read_text()
    assert "old" in (tmp_path / "optuna.json").read_text()
    assert "new" in (tmp_path / "optuna.json.part").read_text()


def test_rivals_that_are_missing_are_named_before_anything_is_made(
    curves, monkeypatch, capsys
):
    monkeypatch.setattr(renew, "older", lambda: ["history.json", "context.json"])
    monkeypatch.setattr(renew, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        renew.main([str(curves)])
    assert "pip install '.[rivals]'" in capsys.readouterr().err


def test_results_of_other_weights_of_any_checkpoint_are_older():
    results = json.loads((tables.RESULTS / "suites.json").read_text())
    old = {"checksums": results["checksums"] | {"domhan": "sha256:" + 64 * "0"}}
    assert not renew.is_older(results)
    assert renew.is_older(results | old)
