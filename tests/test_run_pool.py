"""Many runs at once are the same runs one by one."""

import numpy as np
import pytest

from lcpfn.run_pool import GROUP, RunPool
from tests.makers import power_laws


def curves(count, length, seed=0):
    return dict(enumerate(power_laws(count, length, noise=0.01, seed=seed)))


def streams(model, known, horizon, mode="min", bounds=None):
    made = {}
    for run, values in known.items():
        made[run] = model.stream(horizon, mode=mode, bounds=bounds)
        made[run].extend(values, range(1, len(values) + 1))
    return made


@pytest.mark.parametrize(("mode", "bounds"), [("min", None), ("max", (0, 2))])
def test_runs_are_forecast_as_streams(asking, mode, bounds):
    known = curves(GROUP + 3, 20)
    pool = RunPool(30, mode, bounds, model=asking)
    for i in range(20):
        # Runs start at different times, and some lag behind.
        rows = {r: v[i] for r, v in known.items() if r % 3 or i < 7}
        pool.update(rows)
    known = {r: v if r % 3 else v[:7] for r, v in known.items()}
    found = pool.forecast()
    alone = streams(asking, known, 30, mode, bounds)
    for i, run in enumerate(pool.runs):
        one = alone[run].forecast()
        assert found.final.mean()[i] == pytest.approx(one.final.mean(), rel=1e-3)
        assert found.best.std()[i] == pytest.approx(one.best.std(), rel=1e-3)


def test_long_runs_are_pooled_as_streams(asking):
    length = 2 * asking.config.context + 5
    known = curves(2, length)
    pool = RunPool(length + 20, "min", model=asking)
    for i in range(length):
        pool.update({r: v[i] for r, v in known.items()})
    alone = streams(asking, known, length + 20)
    for i, run in enumerate(pool.runs):
        expected = alone[run].forecast().final.mean()
        assert pool.forecast().final.mean()[i] == pytest.approx(expected, rel=1e-3)


def test_dropped_rows_are_used_again(asking):
    known = curves(4, 12)
    pool = RunPool(30, "min", model=asking)
    for i in range(12):
        pool.update({r: known[r][i] for r in (0, 1)})
    pool.drop(0)
    assert 0 not in pool
    assert len(pool) == 1
    for i in range(5):
        pool.update({r: known[r][i] for r in (2, 3)})
    assert len(pool._groups) == 1
    alone = streams(asking, {2: known[2][:5]}, 30)[2].forecast()
    found = pool.forecast([2])
    assert found.final.mean()[0] == pytest.approx(alone.final.mean(), rel=1e-3)


def test_bad_input_changes_nothing(asking):
    pool = RunPool(5, "min", (0, 1), model=asking)
    pool.update({"a": 0.5, "b": 0.4})
    before = pool.forecast().final.mean()
    for values, steps, message in (
        ({"a": 0.4, "b": 1.5}, None, "within bounds"),
        ({"a": 0.4, "b": 0.3}, {"a": 2, "b": 1}, "increase"),
        ({"a": 0.4}, {"a": 6}, "beyond the horizon 5"),
        ({"a": 0.4}, {"b": 2}, "no step"),
        ({"a": "x"}, None, "is a number"),
    ):
        with pytest.raises(ValueError, match=message):
            pool.update(values, steps)
    np.testing.assert_array_equal(pool.forecast().final.mean(), before)
    with pytest.raises(ValueError, match="no runs"):
        RunPool(5, "min", model=asking).forecast()


def test_a_diverged_run_is_never_promising(asking):
    pool = RunPool(10, "min", model=asking)
    for a, b in ((0.5, 0.5), (0.4, 0.4), (0.35, np.nan)):
        pool.update({"a": a, "b": b})
    pool.update({"new": np.inf})
    chance = pool.prob_better()
    assert chance["b"] == chance["new"] == 0
    assert chance["a"] > 0
    assert pool.most_promising(chance) == ["a"]
    assert pool.best() == 0.35


@pytest.mark.parametrize("mode", ["min", "max"])
def test_scores_are_those_of_the_forecast(asking, mode):
    sign = 1 if mode == "min" else -1
    pool = RunPool(10, mode, model=asking)
    known = curves(5, 6)
    for i in range(6):
        pool.update({r: sign * v[i] for r, v in known.items()})
    best = sign * min(v.min() for v in known.values())
    assert pool.best() == best
    found = pool.forecast()
    for run in known:
        expected = found.final.expected_improvement(best)[run]
        assert pool.expected_improvement()[run] == pytest.approx(expected)
        assert pool.prob_better()[run] == found.best.prob_better(best)[run]
        assert pool.prob_better(ever=False)[run] == found.final.prob_better(best)[run]
    random = [pool.mfpi_random(seed) for seed in range(4)]
    assert random[0] == pool.mfpi_random(0)
    assert len({tuple(r.values()) for r in random}) == 4
    assert all(0 <= p <= 1 for r in random for p in r.values())


def test_a_finished_run_is_not_continued(asking):
    pool = RunPool(3, "min", model=asking)
    for i in range(3):
        pool.update({"done": 0.5 - 0.1 * i})
    pool.update({"open": 0.6})
    assert pool.prob_better(threshold=9.0)["done"] == 0
    assert pool.most_promising(pool.expected_improvement(threshold=9.0)) == ["open"]
