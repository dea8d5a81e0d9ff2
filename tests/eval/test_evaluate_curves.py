"""All scores of checkpoints and baselines, and the command."""

import json

import numpy as np
import pytest

import lcpfn
from lcpfn.__main__ import main
from lcpfn.curves import CurveSet
from lcpfn.eval.evaluate_curves import evaluate_curves, more_training
from lcpfn.eval.report_tables import before_and_after
from lcpfn.model import Model
from tests.eval.makers import powers


@pytest.fixture(scope="module")
def named(params, model):
    card = {"metric": {"hard_bounds": True}, "checksum": "sha256:0123456789"}
    return Model(params, model.config, card)


@pytest.fixture(scope="module")
def results(named):
    return evaluate_curves([named], [powers("one"), powers("two", seed=1)])


def test_every_method_has_every_score(results, named):
    assert results["checksum"] == named.card["checksum"]
    fits = {"pow3", "pow4", "mmf4", "ilog2"}
    assert fits < set(results["methods"])
    for method in results["methods"].values():
        row = method["overall"]["all"]
        assert 0 < row["crps_ratio"] < 100
        assert sum(row["pit_histogram"]) == pytest.approx(1, abs=2e-3)
        assert set(method["suites"]) == {"one", "two"}
    ranks = [m["overall"]["all"] for m in results["method_ranks"]["methods"].values()]
    mean = np.mean([row["error_rank"] for row in ranks])
    assert mean == pytest.approx((len(ranks) + 1) / 2)
    assert results["cases"]["constant"] == results["cases"]["diverged"] == 8
    assert len(results["tasks"]) == 6
    rows = [row["40"] for task, row in results["tasks"].items() if "one" in task]
    assert sum(row["cases"] for row in rows) == 18
    power, last = (results["methods"][name] for name in ("pow3", "last value"))
    assert power["overall"]["80"]["error_ratio"] < 2
    assert last["paired_difference"]["one"]["40"]["tasks"] == 3


def test_two_checkpoints_are_shown_by_source_the_older_one_first(results):
    shown = before_and_after(results | {"checksums": {"unsaved": "", "pow3": ""}})
    lines = {line.split(" | ")[0].strip("| "): line for line in shown.splitlines()}
    new, old = (
        "{error_ratio:.2f} / {crps_ratio:.2f}".format(
            **results["methods"][name]["suites"]["one"]["40"]
        )
        for name in ("unsaved", "pow3")
    )
    assert f"| {old} → {new} |" in lines["one"]
    assert {"two", "all", "against", "last value"} <= set(lines)


def test_checkpoints_of_one_name_are_refused(named):
    with pytest.raises(ValueError, match="one name"):
        evaluate_curves([named, named], [powers("one")])


def test_a_suite_without_questions_is_refused(named):
    short = CurveSet("short", powers("x", records=5).runs)
    with pytest.raises(ValueError, match="short has no run"):
        evaluate_curves([named], [short])


def test_the_command_writes_what_it_is_asked_for(named, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lcpfn, "load", lambda name=None: named)
    runs = [
        {"name": run.name, "values": run.values.tolist()}
        for run in powers("x", tasks=1).runs
    ]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    out, text = tmp_path / "deep" / "r.json", tmp_path / "r.md"
    asked = ["evaluate", "curves", str(tmp_path / "runs.json"), "--mode", "min"]
    asked += ["--no-fits", "--out", str(out), "--markdown", str(text)]
    assert main(asked) == 0
    found = json.loads(out.read_text(), parse_constant=pytest.fail)
    # One task says nothing of how sure one can be.
    assert found["methods"]["unsaved"]["suites"]["runs"]["40"]["crps_ratio_se"] is None
    assert "## Calibration and sharpness" in text.read_text()
    assert capsys.readouterr().out.strip() == text.read_text().strip()


@pytest.mark.parametrize("words", [[], ["default"]])
def test_a_protocol_must_be_chosen(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *words])
    assert caught.value.code == 2
    assert "{curves,context,stopping,nas,prior,speed}" in capsys.readouterr().err


def test_a_page_about_a_prior_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "prior", "--html", "page.html"])
    assert caught.value.code == 2
    assert "--html" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["curves", "stopping", "prior", "speed"])
def test_every_protocol_has_a_page_of_help(protocol, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", protocol, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "columns of the" in shown
    assert f"example:\n  lcpfn evaluate {protocol} " in shown
    assert 20 < len(shown.splitlines()) <= 50


def test_a_checkpoint_forecasts_its_own_training(params, model):
    log = [
        {"step": 10 * n} | {f"gap_{cutoff}": n**-0.5 for cutoff in (10, 20, 40, 80)}
        for n in range(1, 21)
    ]
    found = more_training(Model(params, model.config, {"history": log}))
    assert found["steps"] == 400
    assert found["last"] == pytest.approx(20**-0.5)
    assert found["low"] < found["median"] < found["high"]
    assert more_training(Model(params, model.config, {"history": log[:3]})) == {}
