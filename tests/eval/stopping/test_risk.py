"""The confidence chosen from recorded runs keeps its promise."""

import numpy as np
import pytest

from lcpfn.eval.stopping import risk
from lcpfn.stopping.rule import Rule
from tests.eval.stopping.test_simulate import ENDS, a_pool

RULE = Rule(horizon=10, mode="min")


def test_the_rate_is_kept_on_further_runs():
    rng = np.random.default_rng(0)

    def drawn(n):
        # A good run is lost if the level allows more than its critical probability.
        edges = rng.beta(1.5, 6, n)
        return (edges[:, None] <= 1 - risk.LEVELS[None, :]).astype(float)

    for rate in (0.05, 0.2):
        later, confident = [], []
        for _ in range(200):
            found = risk.choose(drawn(60), rate)
            level = np.argmin(np.abs(risk.LEVELS - found.confidence))
            later.append(drawn(500)[:, level].mean())
            confident.append(found.measured)
        assert np.mean(later) <= rate + 3 * np.std(later) / np.sqrt(200)
        # And it is not kept by never stopping.
        assert np.mean(later) > 0.3 * rate
        assert max(confident) <= rate


def test_runs_that_are_foreseen_are_never_lost():
    found = risk.losses([a_pool(ENDS)], RULE, orders=5)
    assert len(found) > 5
    assert (found == 0).all()
    assert risk.choose(found, 0.3).confidence == pytest.approx(0.5)


def test_forecasts_that_are_wrong_are_noticed():
    pool = a_pool(ENDS)
    blind = pool._replace(
        runs=tuple(
            past._replace(
                forecasts=past.forecasts._replace(
                    best=past.forecasts.best._replace(
                        mean=np.full_like(past.forecasts.best.mean, 5.0)
                    )
                )
            )
            for past in pool.runs
        )
    )
    found = risk.losses([blind], RULE, orders=5)
    assert found.mean() == 1
    with pytest.raises(ValueError, match="no confidence up to"):
        risk.choose(found, 0.3)


def test_too_few_runs_promise_nothing():
    with pytest.raises(ValueError, match="needs 19 good runs"):
        risk.choose(np.zeros((18, len(risk.LEVELS))), 0.05)
    assert risk.choose(np.zeros((19, len(risk.LEVELS))), 0.05).measured == 0
    with pytest.raises(ValueError, match="rate must lie"):
        risk.choose(np.zeros((19, len(risk.LEVELS))), 0)


def test_promise_and_measure_by_source():
    pools = [a_pool(ENDS)._replace(source=name, name=name) for name in "ab"]
    rows = risk.promised_and_measured(pools, RULE, 0.3, orders=3)
    assert [row["left_out"] for row in rows] == ["any one task", "a", "b"]
    assert all(row["measured"] == 0 for row in rows)
    assert rows[0]["good"] == rows[1]["good"] + rows[2]["good"]
