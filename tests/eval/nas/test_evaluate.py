"""What is asked of forecasts of cells, with one that knows the answers."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.nas import asked, confidence, evaluate, ranks, transfer
from lcpfn.eval.nas.scores import Scores
from lcpfn.eval.nas.space import FIELDS
from tests.eval.makers import gaussians
from tests.eval.nas.makers import EPOCHS, toy, worth

CELLS = toy(160)


def scores_of(cells):
    quality = np.array([worth(cell) for cell in cells.cells])
    rng = np.random.default_rng(0)
    edges = np.stack([quality, rng.normal(size=len(cells))], 1)
    return Scores({"good": quality, "bad": -quality}, edges)


class Knowing:
    """Forecasts that are true, where a curve or the edges tell which cell it is."""

    name, card = "knowing", {}

    def __init__(self, *tables, others=16):
        self.config = SimpleNamespace(others=others)
        self.ends, self.asked = {}, []
        for table in tables:
            for run in table.runs:
                key = tuple(run.config[field] for field in FIELDS)
                self.ends[key] = self.ends[run.values[0]] = run.values[-1]

    def extrapolate(self, curves, horizon, *, mode, bounds, steps, others, config):
        assert set(horizon) == {EPOCHS}
        self.asked.append((len(curves[0]), len(others), set(config[0] or {})))
        keys = [
            curve[0] if len(curve) else tuple((own or {}).get(f) for f in FIELDS)
            for curve, own in zip(curves, config, strict=True)
        ]
        found = gaussians([self.ends.get(key, 0.7) for key in keys], 1e-4)
        return SimpleNamespace(final=SimpleNamespace(mixture=found))


def test_a_draw_does_not_ask_about_what_is_trained():
    drawn = asked.draw(CELLS, scores_of(CELLS), 50, 100, np.random.default_rng(0))
    assert not set(drawn.trained) & set(drawn.asked)
    assert len(drawn.asked) == 100
    assert set(drawn.fields[int(drawn.asked[0])]) == {"good", "bad", "combined"}
    run = asked.shown(drawn, int(drawn.asked[0]), asked.CONFIG, 3)
    assert len(run.values) == 3
    assert set(FIELDS) < set(run.config)
    assert asked.shown(drawn, 0, asked.OTHERS).config is None


@pytest.fixture(scope="module")
def found():
    model = Knowing(CELLS)
    return ranks.rank_agreement(model, CELLS, scores_of(CELLS), draws=2), model


def test_ranks_are_right_where_the_answer_is_known(found):
    found, _ = found
    for given in asked.GIVEN:
        for percent in (5, 40):
            row = found["cutoffs"][given][str(percent)]
            assert row["tau"] == pytest.approx(1)
            assert row["regret"] == 0
            assert row["covered_90"] == 1
    at_0 = {name: at["0"]["tau"] for name, at in found["cutoffs"].items() if "0" in at}
    assert at_0["others"] == at_0["scores"] == 0
    assert at_0["all"] == at_0["configuration"] == pytest.approx(1)
    good = found["scores"]["good"]["tau"]
    assert good > 0.85
    assert found["scores"]["bad"]["tau"] == pytest.approx(-good)
    assert found["scores"]["combined"]["tau"] > 0.7
    newest = [found["cutoffs"]["newest value"][str(p)]["tau"] for p in (5, 40)]
    assert newest[0] < newest[1] < 1


def test_what_is_given_is_what_is_said(found):
    _, model = found
    counts = {count for count, _, _ in model.asked}
    assert counts == {0, 1, 2, 4, 8}
    assert {len(fields) for _, others, fields in model.asked if not others} == {0}
    assert {others for _, others, _ in model.asked} == {0, 5, 10, 20, 50}


def test_tables_of_ranks_have_no_holes(found):
    found, _ = found
    text = ranks.to_markdown(json.loads(json.dumps(found)))
    assert "nan" not in text
    assert "| curve alone | - / - |" in text
    assert "good" in ranks.scores_to_markdown(found)
    assert ranks.sizes_to_markdown(found).count("\n") == 1 + len(ranks.SIZES)


def test_cutoffs_of_equal_agreement_are_between_those_measured():
    alone = {"5": {"tau": 0.2}, "10": {"tau": 0.4}, "20": {"tau": 0.8}}
    assert ranks.percent_of(alone, 0.6) == pytest.approx(15)
    assert ranks.percent_of(alone, 0.1) == pytest.approx(2.5)
    assert ranks.percent_of(alone, 0.9) is None


def test_a_checkpoint_without_others_is_asked_alone():
    model = Knowing(CELLS, others=0)
    found = ranks.rank_agreement(model, CELLS, scores_of(CELLS), draws=1)
    assert not set(found["cutoffs"]) & {"others", "all"}
    assert found["sizes"] == {}
    assert {others for _, others, _ in model.asked} == {0}


def test_runs_are_carried_over_to_the_scale_of_the_target():
    percent, other = toy(50, top=100.0, task="percent"), toy(50, task="other")
    run = percent.runs[0]
    (moved,) = transfer.carried(percent, other, [run])
    np.testing.assert_allclose(moved.values, run.values / 100)
    assert moved.steps[-1] == EPOCHS
    longer = Run(np.ones(40), mode="max", bounds=(0.0, 1.0))
    other = SimpleNamespace(runs=[longer])
    (moved,) = transfer.carried(percent, other, [run])
    assert moved.steps[-1] == 40


def test_transfer_asks_with_and_without_foreign_cells():
    source, target = toy(80, task="source"), toy(90, seed=1, task="target")
    model = Knowing(source, target)
    pair = ((source, scores_of(source)), (target, scores_of(target)))
    found = transfer.transfer(model, *pair, draws=1)
    assert set(found[transfer.NOTHING]) == {"5", "10"}
    assert found[transfer.BOTH]["0"]["tau"] == pytest.approx(1)
    assert {others for _, others, _ in model.asked} == {0, 10, 40, 50}
    # A score that was fitted elsewhere is not compared.
    assert not any("combined" in fields for _, _, fields in model.asked)
    assert "source, target" in transfer.to_markdown({"source, target": found})


def test_calibration_is_by_group():
    found = confidence.of_forecasts(Knowing(CELLS), CELLS, scores_of(CELLS), draws=2)
    assert set(found) == {"10", "40"}
    groups = found["10"]["groups"]
    assert {"best", "middle", "worst"} <= set(groups)
    assert sum(groups[name]["cells"] for name in ("best", "middle", "worst")) == 200
    assert all(row["covered_90"] == 1 for row in groups.values())
    # All at the middle of the forecast: as far as it can be from calibrated.
    assert found["10"]["bins"]["50"] == pytest.approx(0.25, abs=0.01)
    assert "worst" in confidence.to_markdown({"toy": found})


def test_the_protocol_has_the_tables_that_there_are(found):
    found, _ = found
    results = {"cells": {"toy": 160}, "ranks": {"toy": found}, "search": {}}
    text = evaluate.to_markdown(results)
    assert "## ranks\n\ntoy, 160 cells:" in text
    assert "## transfer" not in text
    assert "## searches" not in text
