"""What a planned learning rate brings: whose plan is known, and when it is believed."""

import dataclasses

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.curves import of_model
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
    # One goes on from a late step, and has shown a single observation of it.
    late = Run(power_laws(1, 15)[0], 1000 + EPOCHS[:15], mode="min", task="b")
    return scored_cases(CurveSet("lcbench", (*runs, late)), 100)


def test_a_plan_is_believed_as_the_network_believes_it(planning, cases):
    plans = [planned_rate.cosine(case.horizon) for case in cases]
    at_once = dataclasses.replace(planning.config, plan_from=0.0)
    believing = Model(planning.params, at_once, planning.card)
    plain = of_model(planning)(cases)
    told = of_model(believing, plans=plans)(cases)
    expected = of_model(planning, plans=plans)(cases)
    found = planned_rate.believed(cases, plain, told, planning.config.plan_from)
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(
            found.quantile(np.array(level)),
            expected.quantile(np.array(level)),
            rtol=1e-3,
            atol=1e-5,
        )


def test_the_study_chooses_on_the_other_sources(planning, cases):
    second = [
        case._replace(suite="other", cluster=f"o{i % 2}")
        for i, case in enumerate(cases)
    ]
    both = [*cases, *second]
    plans = [planned_rate.cosine(case.horizon) for case in both]
    found = planned_rate.study(planning, both, plans)
    assert set(found["plan_from"]) == {"all", "lcbench", "other"}
    ratios = {float(s): x for s, x in found["crps_by_share"].items()}
    assert found["plan_from"]["other"] == planned_rate.chosen(ratios, "other")
    cell = found["sources"]["lcbench"]["40"]
    gain = cell["without_crps_ratio"] - cell["with_crps_ratio"]
    assert cell["gain_crps"] == pytest.approx(gain)
    table = planned_rate.to_markdown(found)
    assert table.count("\n") == 1 + 3 * 2
