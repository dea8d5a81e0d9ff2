"""Policies and their race, on pools made up for it."""

import numpy as np
import pytest

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.stopping import policies, simulate
from lcpfn.eval.stopping.simulate import Pool
from lcpfn.mixture import Mixture
from lcpfn.prefixes import AHEAD, PrefixForecasts
from lcpfn.stopping.offline import recorded_run
from lcpfn.stopping.rule import Rule

RULE = Rule(horizon=10, mode="min", confidence=0.9)


def a_pool(ends, length=10, knows=True):
    """Straight lines from 1 to these values, and forecasts that know where they end."""
    runs = []
    for end in ends:
        values = np.linspace(1, end, length)
        run = Run("r", np.arange(1.0, length + 1), values, "min")
        seen = np.arange(1, length)
        center = np.full(length - 1, end if knows else 0.0)
        free = np.full(length - 1, np.inf)
        one = np.ones((length - 1, 1))
        best = Mixture(one, center[:, None], 1e-6 * one, -free, free)
        ahead = Mixture(*(np.repeat(x[:, None], AHEAD, 1) for x in best))
        foresight = PrefixForecasts(seen, best, ahead, np.zeros(length - 1))
        runs.append(recorded_run(run, foresight, float(length)))
    return Pool("pool", "source", tuple(runs))


ENDS = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 60))


def trained(policy, pool, count=6):
    moves = policy(pool, np.arange(count))
    return dict(moves)


def test_no_stop_trains_all_and_the_oracle_only_winners():
    pool = a_pool([0.5, 0.7, 0.3, 0.4])
    assert trained(policies.no_stop(), pool, 4) == {0: 10, 1: 10, 2: 10, 3: 10}
    assert trained(policies.oracle(), pool, 4) == {0: 10, 1: 1, 2: 10, 3: 1}


def test_a_rule_that_knows_stops_as_early_as_it_may():
    pool = a_pool([0.5, 0.7, 0.3, 0.4])
    assert trained(policies.by_rule(RULE), pool, 4) == {0: 10, 1: 2, 2: 10, 3: 2}


def test_patience_counts_records_without_a_new_best():
    pool = a_pool([0.5])
    run = pool.runs[0]
    losses = np.array([5.0, 4, 4, 4.5, 3, 3.1, 3.2, 3.3, 2, 1])
    past = run._replace(losses=losses, own=np.minimum.accumulate(losses))
    pool = pool._replace(runs=(past,))
    assert trained(policies.patience(0), pool, 1) == {0: 4}
    assert trained(policies.patience(2), pool, 1) == {0: 8}
    assert trained(policies.patience(3), pool, 1) == {0: 10}


def test_halving_finishes_the_best():
    pool = a_pool(ENDS)
    order = np.arange(27)
    moves = policies.successive_halving(first=0.2)(pool, order)
    finished = [run for run, until in moves if until == 10]
    assert finished == sorted(order, key=lambda i: ENDS[i])[:3]
    moves = list(policies.i_epoch(1)(pool, np.arange(20)))
    # The lines start at the same value, so nothing is known after one record.
    assert moves[-1] == (0, 10)
    moves = list(policies.i_epoch(0.2)(pool, np.arange(20)))
    assert moves[-1] == (min(range(20), key=lambda i: ENDS[i]), 10)


@pytest.mark.parametrize("policy", [policies.asha(), policies.median()])
def test_asha_and_the_median_rule_stop_the_worse_half(policy):
    pool = a_pool(ENDS)
    found = trained(policy, pool, 60)
    early = [run for run, until in found.items() if until < 10]
    late = [run for run, until in found.items() if until == 10]
    assert len(early) >= 10
    assert ENDS[early].mean() > ENDS[late].mean() + 0.2


def test_the_last_value_learns_its_errors_from_other_pools():
    others = [a_pool(np.linspace(0.1, 0.9, 30))]
    policy = policies.last_value(others)
    found = trained(policy, a_pool([0.1, 0.9, 0.85]), 3)
    assert found[0] == 10
    assert found[1] < 10
    assert found[2] < 10


def test_a_race_ranks_what_is_known_to_be_better():
    pool = a_pool(ENDS)
    found = simulate.measure(
        pool,
        {
            "no stop": policies.no_stop(),
            "oracle": policies.oracle(),
            "rule": policies.by_rule(RULE),
            "hasty": policies.patience(0),
            "wrong": policies.one_by_one(lambda past, bar: 2),
        },
        orders=20,
    )
    assert found["no stop"]["speed_up"] == 1
    assert found["oracle"]["speed_up"] > 2
    assert 2 < found["rule"]["speed_up"] <= found["oracle"]["speed_up"]
    assert found["rule"]["lost"] == found["no stop"]["lost"] == 0
    assert found["wrong"]["lost"] == 1
    assert not found["wrong"]["reached"]
    assert found["wrong"]["speed_up"] < 1
    assert found["no stop"]["begun"] == 20
    table = simulate.summarise([found, found])
    assert table["oracle"]["speed_up"] == pytest.approx(found["oracle"]["speed_up"])
    assert table["wrong"]["slower"] == 2


def test_the_first_runs_alone_give_a_cost_and_a_loss():
    pool = a_pool(ENDS)
    order = np.arange(40)
    assert simulate.on_the_first(pool, policies.no_stop(), order) == (1.0, 0.0)
    cost, regret = simulate.on_the_first(pool, policies.by_rule(RULE), order)
    assert 0.2 < cost < 0.6
    assert regret == 0
    cost, regret = simulate.on_the_first(
        pool, policies.one_by_one(lambda past, bar: 2), order
    )
    assert cost == pytest.approx(0.2)
    # After two records of ten the best line has gone a ninth of its way.
    ends = ENDS[:20]
    reached = 1 - (1 - ends.min()) / 9
    assert regret == pytest.approx((reached - ends.min()) / pool.reach)


def test_the_front_is_what_nothing_else_beats():
    points = {"a": (0.1, 1.0), "b": (0.5, 0.2), "c": (0.5, 0.3), "d": (1.0, 0.2)}
    assert simulate.on_the_front(points) == ["a", "b"]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_improvement_is_relative_to_the_average_run(mode):
    ends = np.linspace(0.2, 0.6, 25)
    some = a_pool([0.5]).runs[0]  # its forecasts are not looked at
    runs = [Run("r", some.run.steps, np.full(10, end), mode) for end in ends]
    pool = Pool("p", "s", tuple(recorded_run(r, some.forecasts, 10.0) for r in runs))
    found = simulate.measure(pool, {"no stop": policies.no_stop()}, 30)["no stop"]
    rng, values = np.random.default_rng(0), []
    for _ in range(30):  # by hand: the best of the 20 runs that the budget is for
        first = ends[rng.permutation(25)[:20]]
        values.append(first.max() if mode == "max" else first.min())
    gain = np.mean(values) - ends.mean()
    gain *= 1 if mode == "max" else -1
    assert found["improvement"] == pytest.approx(gain / ends.mean(), abs=1e-3)
    best = (ends.max() if mode == "max" else ends.min()) - ends.mean()
    assert found["way"] == pytest.approx(gain / abs(best), abs=5e-3)


def test_regret_falls_record_by_record():
    pool = a_pool([0.6, 0.2])
    trace = simulate.race(pool, policies.no_stop(), np.array([0, 1]))
    assert (np.diff(trace.regret) <= 0).all()
    share = simulate.GRID / simulate.LATEST / simulate.FULL  # grid points of one run
    assert trace.regret[int(1.05 * share)] == pytest.approx(0.4 / pool.reach)
    assert trace.regret[-1] == 0


def test_pools_are_tasks_with_enough_runs():
    steps = np.arange(1.0, 13)
    runs = [
        Run(f"{task}{i}", steps, steps, "min", task=task)
        for task, count in (("a", 25), ("b", 19))
        for i in range(count)
    ]
    runs += [Run("short", steps[:5], steps[:5], "min", task="a")]
    found = simulate.groups(CurveSet("set", tuple(runs)), most=22)
    assert {name: len(r) for name, r in found.items()} == {"a": 22}
