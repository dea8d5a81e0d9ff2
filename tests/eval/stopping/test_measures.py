"""Figures of policies on tasks made up for them."""

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.stopping import benchmark, measures, policies
from lcpfn.eval.stopping.simulate import TaskRuns
from tests.eval.stopping.makers import ENDS, RULE, lines, recorded


def two_each():
    """Every run to its second observation."""
    return policies.one_by_one(lambda run, past: 2)


def test_what_is_known_to_be_better_ranks_higher():
    found = measures.measure(
        lines(ENDS),
        {
            "no stop": policies.no_stop(),
            "oracle": policies.oracle(),
            "rule": policies.by_rule(RULE),
            "hasty": policies.patience(0),
            "wrong": two_each(),
        },
        orders=20,
    )
    assert found["no stop"]["speed_up"] == 1
    assert found["oracle"]["speed_up"] > 2
    assert 2 < found["rule"]["speed_up"] <= found["oracle"]["speed_up"]
    assert found["rule"]["winner_stopped"] == found["no stop"]["winner_stopped"] == 0
    assert found["wrong"]["winner_stopped"] == 1
    assert not found["wrong"]["reached"]
    assert found["wrong"]["speed_up"] < 1
    areas = [found[name]["regret_area"] for name in ("oracle", "rule", "no stop")]
    assert areas == sorted(areas)
    assert areas[-1] > found["no stop"]["regret"]
    assert found["no stop"]["runs_begun"] == 20
    table = measures.summarise([found, found])
    assert table["oracle"]["speed_up"] == pytest.approx(found["oracle"]["speed_up"])
    assert table["wrong"]["slower_than_no_stop"] == 2


def test_the_first_runs_alone_give_a_cost_and_a_regret():
    task_runs, first = lines(ENDS), np.arange(20)
    full = measures.cost_and_regret(task_runs, policies.no_stop(), first)
    assert full == (1.0, 0.0)
    cost, regret = measures.cost_and_regret(task_runs, policies.by_rule(RULE), first)
    assert 0.2 < cost < 0.6
    assert regret == 0
    cost, regret = measures.cost_and_regret(task_runs, two_each(), first)
    assert cost == pytest.approx(0.2)
    # After two observations of ten the best line has gone a ninth of its way.
    ends = ENDS[:20]
    reached = 1 - (1 - ends.min()) / 9
    assert regret == pytest.approx((reached - ends.min()) / task_runs.regret_unit)


def test_the_front_is_what_nothing_else_beats():
    points = {"a": (0.1, 1.0), "b": (0.5, 0.2), "c": (0.5, 0.3), "d": (1.0, 0.2)}
    assert measures.on_the_front(points) == ["a", "b"]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_improvement_is_relative_to_the_average_run(mode):
    ends = np.linspace(0.2, 0.6, 25)
    runs = tuple(recorded(np.full(10, end), mode=mode) for end in ends)
    task_runs = TaskRuns("t", "s", runs)
    found = measures.measure(task_runs, {"no stop": policies.no_stop()}, 30)["no stop"]
    rng, values = np.random.default_rng(0), []
    for _ in range(30):  # by hand: the best of the 20 runs that the budget is for
        first = ends[rng.permutation(25)[:20]]
        values.append(first.max() if mode == "max" else first.min())
    gain = np.mean(values) - ends.mean()
    gain *= 1 if mode == "max" else -1
    assert found["improvement"] == pytest.approx(gain / ends.mean(), abs=1e-3)
    best = (ends.max() if mode == "max" else ends.min()) - ends.mean()
    assert found["share_of_possible"] == pytest.approx(gain / abs(best), abs=5e-3)


def test_searches_are_tasks_with_enough_runs():
    steps = np.arange(1.0, 13)
    runs = [
        Run(steps, steps, name=f"{task}{i}", mode="min", task=task)
        for task, count in (("a", 25), ("b", 19))
        for i in range(count)
    ]
    runs += [Run(steps[:5], steps[:5], name="short", mode="min", task="a")]
    found = benchmark.competing(CurveSet("set", tuple(runs)), most=22)
    assert {name: len(r) for name, r in found.items()} == {"a": 22}


def test_the_benchmark_has_every_policy_and_says_when_there_is_no_search(
    model, monkeypatch
):
    monkeypatch.setattr(benchmark, "RATES", (0.5,))
    steps, rng = np.arange(1.0, 13), np.random.default_rng(0)
    runs = tuple(
        Run(rng.uniform(0.2, 0.8) + 1 / steps, steps, name=f"{i}", mode="min", task="a")
        for i in range(20)
    )
    suites = [CurveSet(name, runs) for name in ("one", "two")]
    found = benchmark.evaluate_stopping(model, suites, orders=1)
    assert set(found["tasks"]) == {"one/a", "two/a"}
    table = benchmark.to_markdown(found)
    paused = benchmark.paused_to_markdown(found)
    assert table.count("\n") == 31
    # Both have no stop and the oracle; each has a head of two lines.
    assert table.count("\n") + paused.count("\n") == len(found["overall"]) + 2 + 2
    assert not found["stress"]
    assert "| one | two |" in table
    assert "any one task" in benchmark.risk_to_markdown(found)
    assert benchmark.front_to_markdown(found).count("| yes |") >= 1
    with pytest.raises(ValueError, match="20 runs of 10 observations"):
        benchmark.evaluate_stopping(model, [CurveSet("few", runs[:19])])
