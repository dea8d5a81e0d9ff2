"""The confidence chosen from recorded runs keeps its promise."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.eval.stopping import risk
from tests.eval.stopping.makers import ENDS, RULE, lines, with_wrong_forecast


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
    found = risk.losses([lines(ENDS)], RULE, orders=5)
    assert len(found) > 5
    assert (found == 0).all()
    assert risk.choose(found, 0.3).confidence == pytest.approx(0.5)


def test_forecasts_that_are_wrong_are_noticed():
    wrong = lines(ENDS)
    for run in range(len(ENDS)):
        wrong = with_wrong_forecast(wrong, run, 5.0)
    found = risk.losses([wrong], RULE, orders=5)
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
    tasks = [replace(lines(ENDS), source=name) for name in "ab"]
    found = risk.promised_and_measured(tasks, RULE, (0.3, 0.5), orders=3)
    assert list(found) == ["0.3", "0.5"]
    rows = found["0.3"]
    assert [row["left_out"] for row in rows] == ["any one task", "a", "b"]
    assert all(row["measured"] == 0 for row in rows)
    assert rows[0]["good"] == rows[1]["good"] + rows[2]["good"]
