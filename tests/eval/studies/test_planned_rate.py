"""What a planned learning rate brings: whose plan is known, and when it is believed."""

import dataclasses

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.data import scored_cases
from lcpfn.eval.studies import planned_rate
from lcpfn.model import Model
from tests.makers import power_laws

EPOCHS = np.arange(1.0, 101)
VALUES = power_laws(1, 100)[0]


def run_with(**config):
    return Run(VALUES, EPOCHS, config=config, mode="min")


def at(plan, epoch):
    return plan[int(epoch * 10) - 1]


def test_model_zoos_name_warm_up_cosine_and_drops():
    cosine = planned_rate.plan_of(
        "gluon_logs", run_with(**{"lr-mode": "cosine", "warmup-epochs": "20"}), None
    )
    assert at(cosine, 10) == pytest.approx(0.5, abs=0.01)
    assert at(cosine, 20.1) == pytest.approx(1, abs=0.01)
    assert at(cosine, 60) == pytest.approx(0.5, abs=0.01)
    assert at(cosine, 100) < 1e-3
    drops = planned_rate.plan_of(
        "gluon_logs", run_with(**{"lr-decay-epoch": "30,60", "lr-decay": "0.2"}), None
    )
    assert [at(drops, e) for e in (29, 31, 61)] == pytest.approx([1, 0.2, 0.04])


def test_whole_sources_and_recorded_rates():
    assert at(planned_rate.plan_of("lcbench", run_with(), None), 50) == pytest.approx(
        0.5, abs=0.01
    )
    recorded = planned_rate.plan_of("any", run_with(), np.linspace(1, 0.01, 100))
    assert [at(recorded, e) for e in (1, 50, 100)] == pytest.approx(
        [1, 0.505, 0.01], abs=0.01
    )
    assert planned_rate.plan_of("any", run_with(lr=0.1), None) is None


@pytest.fixture(scope="module")
def cases():
    runs = [
        Run(y[:n], EPOCHS[:n] * 5, name=f"{task}{i}", mode="min", task=task)
        for task in "ab"
        for i, (y, n) in enumerate(zip(power_laws(3, 100), (12, 60, 100), strict=True))
    ]
    return scored_cases(CurveSet("lcbench", tuple(runs)), 100)


def test_a_plan_is_believed_by_the_square_of_what_is_gone(planning):
    at_once = dataclasses.replace(planning.config, plan_from=0.0)
    believing = Model(planning.params, at_once, planning.card)
    plan = 1 - np.arange(100) / 100

    def chance(model, seen, plan):
        given = {"mode": "min", "steps": EPOCHS[:seen], "plan": plan}
        return model.extrapolate(VALUES[:seen], 100, **given).final.cdf(VALUES[-1])

    for seen in (12, 30, 60):
        trust = min(seen / 100 / planning.config.plan_from, 1) ** 2
        plain, told = chance(planning, seen, None), chance(believing, seen, plan)
        expected = (1 - trust) * plain + trust * told
        assert abs(told - plain) > 1e-3
        assert chance(planning, seen, plan) == pytest.approx(expected, rel=1e-4)


def test_the_study_chooses_on_the_other_sources(planning, cases, monkeypatch):
    # Every share is another program to compile.
    monkeypatch.setattr(planned_rate, "SHARES", (0.0, 0.5, 1.0))
    second = [
        case._replace(suite="other", cluster=f"o{i % 2}")
        for i, case in enumerate(cases)
    ]
    both = [*cases, *second]
    plans = [1 - np.arange(100) / 100 for _ in both]
    found = planned_rate.study(planning, both, plans)
    assert set(found["plan_from"]) == {"all", "lcbench", "other"}
    ratios = {float(s): x for s, x in found["crps_by_share"].items()}
    assert found["plan_from"]["other"] == planned_rate.chosen(ratios, "other")
    cell = found["sources"]["lcbench"]["40"]
    gain = cell["without_crps_ratio"] - cell["with_crps_ratio"]
    assert cell["gain_crps"] == pytest.approx(gain)
    table = planned_rate.to_markdown(found)
    assert table.count("\n") == 1 + 3 * 2
