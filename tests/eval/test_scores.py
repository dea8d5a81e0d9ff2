"""Scores against scoringrules and scipy, which know nothing of ours."""

import numpy as np
import pytest
import scoringrules
from scipy import integrate, stats

from lcpfn.eval import scores
from lcpfn.mixture import Mixture
from tests.eval.makers import gaussians

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


def test_crps_of_a_truncated_mixture_is_its_integral():
    forecast = Mixture(
        np.array([[0.3, 0.7]]),
        np.array([[0.1, 0.6]]),
        np.array([[0.2, 0.05]]),
        np.array([0.0]),
        np.array([1.0]),
    )
    y = 0.45
    below = integrate.quad(lambda x: forecast.cdf(x)[0] ** 2, 0, y)[0]
    above = integrate.quad(lambda x: (1 - forecast.cdf(x)[0]) ** 2, y, 1)[0]
    found = scores.crps(forecast, np.array([y]))
    np.testing.assert_allclose(found, below + above, rtol=1e-7)


def test_crps_of_a_point_is_its_error():
    found = scores.crps(gaussians([2.0], 1e-12), np.array([3.5]))
    np.testing.assert_allclose(found, 1.5, rtol=1e-6)


def test_log_density_of_mixtures():
    found = Mixture(WEIGHT, MEAN, STD, -FREE, FREE).log_prob(Y)
    assert found == EXACT(-scoringrules.logs_mixnorm(Y, MEAN, STD, WEIGHT), abs=TINY)


def test_coverage_width_and_pit_of_truncated_normals():
    mean, std = MEAN[:, 0], STD[:, 0]
    low, high = np.full(CASES, -1.0), np.full(CASES, 1.5)
    y = np.clip(Y, low, high)
    forecast = Mixture(np.ones((CASES, 1)), mean[:, None], std[:, None], low, high)
    same = stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std)
    assert forecast.cdf(y) == EXACT(same.cdf(y), abs=TINY)
    assert forecast.log_prob(y) == EXACT(same.logpdf(y), abs=TINY)
    left, right = same.ppf(0.1), same.ppf(0.9)
    found_left, found_right = scores.central(forecast, 0.8)
    assert found_right - found_left == EXACT(right - left, abs=TINY)
    inside = (left <= y) & (y <= right)
    assert 0.3 < inside.mean() < 0.98
    assert (((found_left <= y) & (y <= found_right)) == inside).all()


def test_ranks_of_runs():
    predicted, true = RNG.normal(size=(2, 30))
    found = scores.rank_scores(predicted, true)
    assert found["kendall"] == EXACT(stats.kendalltau(predicted, true).statistic)
    assert found["spearman"] == EXACT(stats.spearmanr(predicted, true).statistic)


def test_rank_scores_of_perfect_and_reversed_orders():
    true = np.array([0.1, 0.4, 0.2, 0.9, 0.5])
    perfect = scores.rank_scores(true, true)
    assert perfect == pytest.approx(
        {"kendall": 1, "spearman": 1, "regret": 0, "ndcg": 1}
    )
    worst = scores.rank_scores(-true, true, k=1)
    assert worst["kendall"] == pytest.approx(-1)
    assert worst["regret"] == pytest.approx(1)
    assert worst["ndcg"] == pytest.approx(0)


# --- standard errors


def test_clustered_error_is_that_of_a_bootstrap_over_clusters():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, size=80)
    cluster = np.repeat(np.arange(80), sizes)
    x = rng.normal(size=80)[cluster] + 0.3 * rng.normal(size=len(cluster))
    sums, rows = np.bincount(cluster, x), np.arange(80)
    means = []
    for _ in range(4000):
        drawn = rng.choice(rows, 80)
        means.append(sums[drawn].sum() / sizes[drawn].sum())
    found = scores.clustered_error(x, cluster)
    assert found == pytest.approx(np.std(means), rel=0.1)
    assert found > 1.5 * scores.clustered_error(x)


def test_without_clusters_it_is_the_usual_one():
    x = np.random.default_rng(1).normal(size=50)
    assert scores.clustered_error(x) == pytest.approx(stats.sem(x))
    assert np.isnan(scores.clustered_error(x, np.zeros(50)))


def test_copies_of_a_case_do_not_make_a_ratio_more_certain():
    rng = np.random.default_rng(2)
    a, b = rng.exponential(size=(2, 40))
    once = scores.ratio_with_error("ratio", a, b)
    thrice = scores.ratio_with_error(
        "ratio", np.repeat(a, 3), np.repeat(b, 3), np.repeat(np.arange(40), 3)
    )
    assert thrice == pytest.approx(once)


def test_ratio_with_error_covers_the_true_ratio():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        b = rng.exponential(size=300)
        a = 0.6 * b * rng.uniform(0.5, 1.5, 300)
        ratio, error = scores.ratio_with_error("ratio", a, b).values()
        hits += abs(ratio - 0.6) < 2 * error
    assert hits > 180


# --- calibration and ranks


def test_histogram_and_calibration_error_by_hand():
    pit = np.array([0.05, 0.15, 0.26, 0.95])
    np.testing.assert_allclose(
        scores.pit_histogram(pit, 4), [0.5, 0.25, 0.0, 0.25], atol=1e-12
    )
    # Shares below 1/4, 1/2, 3/4 are 1/2, 3/4, 3/4.
    assert scores.calibration_error(pit, 4) == pytest.approx((0.25 + 0.25 + 0) / 3)
    uniform = (np.arange(1000) + 0.5) / 1000
    assert max(scores.calibration_error(uniform, b) for b in (5, 10, 20, 50)) < 0.001


def test_crps_of_bent_levels_is_that_of_the_distribution_they_make():
    y = np.array([0.3, 2.0])
    plain = gaussians([0.0, 1.0], 1.0)
    # The maximum of two draws has the squared distribution function.
    rng = np.random.default_rng(3)
    draws = np.array([0.0, 1.0]) + rng.normal(size=(2, 100_000, 2)).max(0)
    apart = np.abs(draws[:50_000] - draws[50_000:]).mean(0)
    expected = np.abs(draws - y).mean(0) - 0.5 * apart
    found = scores.crps(plain, y, bend=lambda u: u**2)
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_all_predicted_alike_is_no_order():
    found = scores.rank_scores(np.ones(6), np.arange(6.0))
    assert found["kendall"] == found["spearman"] == 0
