"""Who may be the best of a search, and how often to run it again."""

import numpy as np
import pytest
from scipy.stats import norm

from lcpfn.stopping.finalists import finalists, late_spread, seed_spread


def test_chances_are_those_of_the_laws():
    levels = norm.ppf((np.arange(500) + 0.5) / 500)
    found = finalists({"a": levels, "b": 1 + levels}, 0.0, "max", 2)
    assert [f.run for f in found] == ["b", "a"]
    exact = norm.cdf(1 / np.sqrt(2))  # b - a is normal with mean 1 and variance 2
    assert found[0].chance == pytest.approx(exact, abs=0.04)
    assert sum(f.chance for f in found) == pytest.approx(1)
    lower = finalists({"a": -levels, "b": -1 - levels}, 0.0, "min", 1)
    assert lower[0].run == "b"
    assert lower[0].chance == pytest.approx(exact, abs=0.04)


def test_what_is_known_needs_no_seed_where_seeds_do_not_differ():
    reached = {"a": np.array([0.9]), "b": np.array([0.8])}
    first, second = finalists(reached, 0.0, "max", 5, frozenset("ab"))
    assert (first.chance, first.seeds, second.chance, second.seeds) == (1, 0, 0, 0)
    assert "reached 0.9 and is the best with probability 100.0%" in first.reason


@pytest.mark.parametrize(("gap", "seeds"), [(0.02, 1), (0.0125, 5), (0.001, 10)])
def test_seeds_are_those_that_tell_two_runs_apart(gap, seeds):
    reached = {"a": np.array([0.9]), "b": np.array([0.9 - gap])}
    first, _ = finalists(reached, 0.01, "max", 2, frozenset("ab"))
    # 8 (spread / gap)^2 runs of each, one of which is there.
    assert first.seeds == seeds


def test_the_spread_of_seeds():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 3)
    values = groups + 0.1 * rng.standard_normal(len(groups))
    configs = [{"lr": int(group), "missing": None} for group in groups]
    assert seed_spread(values.tolist(), configs) == pytest.approx(0.1, rel=0.1)
    assert seed_spread([1.0, 2.0], [{"lr": 1}, {"lr": 2}]) is None
    for nothing in (None, {}, {"lr": None}):
        assert seed_spread([1.0, 2.0], [nothing, nothing]) is None
    curves = [0.5 + 0.2 * rng.standard_normal(400) for _ in range(20)]
    assert late_spread(curves) == pytest.approx(0.2, rel=0.1)
    assert late_spread([np.array([1.0])]) == 0


def test_no_runs():
    assert finalists({}, 0.1, "max", 3) == []
