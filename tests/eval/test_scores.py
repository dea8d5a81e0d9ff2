"""Scores against scoringrules and scipy, which know nothing of ours."""

import numpy as np
import pytest
import scoringrules
from scipy import stats

from lcpfn.eval import scores
from lcpfn.mixture import Mixture

RNG = np.random.default_rng(0)
CASES = 200
MEAN = RNG.normal(size=(CASES, 4))
STD = np.exp(RNG.normal(-1, 1, size=(CASES, 4)))
WEIGHT = RNG.dirichlet(np.ones(4), size=CASES)
Y = RNG.normal(size=CASES)
FREE = np.full(CASES, np.inf)
EXACT = pytest.approx
TINY = 1e-6


def test_crps_of_mixtures():
    found = scores.crps(Mixture(WEIGHT, MEAN, STD, -FREE, FREE), Y)
    assert found == EXACT(scoringrules.crps_mixnorm(Y, MEAN, STD, WEIGHT), abs=TINY)


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (-0.5, np.inf)])
def test_crps_of_truncated_normals(low, high):
    mean, std = MEAN[:, :1], STD[:, :1]
    limits = np.full(CASES, low), np.full(CASES, high)
    y = np.clip(Y, *limits)
    found = scores.crps(Mixture(np.ones((CASES, 1)), mean, std, *limits), y)
    wanted = scoringrules.crps_tnormal(y, mean[:, 0], std[:, 0], low, high)
    # Its formula loses its digits where nearly all mass is cut off.
    a, b = ((x - mean[:, 0]) / std[:, 0] for x in limits)
    kept = stats.norm.cdf(b) - stats.norm.cdf(a) > 1e-4
    assert kept.sum() > CASES / 2
    assert found[kept] == EXACT(wanted[kept], abs=TINY)


def test_log_density_of_mixtures():
    found = Mixture(WEIGHT, MEAN, STD, -FREE, FREE).log_prob(Y)
    assert found == EXACT(-scoringrules.logs_mixnorm(Y, MEAN, STD, WEIGHT), abs=TINY)


def test_coverage_width_and_pit_of_truncated_normals():
    mean, std = MEAN[:, 0], STD[:, 0]
    low, high = np.full(CASES, -1.0), np.full(CASES, 1.5)
    y = np.clip(Y, low, high)
    forecast = Mixture(np.ones((CASES, 1)), mean[:, None], std[:, None], low, high)
    same = stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std)
    assert scores.pit(forecast, y) == EXACT(same.cdf(y), abs=TINY)
    assert forecast.log_prob(y) == EXACT(same.logpdf(y), abs=TINY)
    left, right = same.ppf(0.1), same.ppf(0.9)
    assert scores.width(forecast, 0.8) == EXACT(right - left, abs=TINY)
    inside = (left <= y) & (y <= right)
    assert 0.3 < inside.mean() < 0.98
    assert (scores.coverage(forecast, y, 0.8) == inside).all()


def test_ranks_of_runs():
    predicted, true = RNG.normal(size=(2, 30))
    found = scores.rank_scores(predicted, true)
    assert found["kendall"] == EXACT(stats.kendalltau(predicted, true).statistic)
    assert found["spearman"] == EXACT(stats.spearmanr(predicted, true).statistic)
