"""Scores of forecasts, as pure functions. Lower is better unless said otherwise.

n cases, L levels. A forecast is a `Mixture` with fields `(n, K)`, in the units of `y`.
"""

from collections.abc import Callable, Iterable

import numpy as np
from scipy.stats import kendalltau, spearmanr

from lcpfn.mixture import Mixture

NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
# Where the integral is cut, in spreads of every component; beyond them nothing is left.
CUTS = np.array([-8.5, -5.5, -3.5, -2, -1, 0, 1, 2, 3.5, 5.5, 8.5])
# Intervals of all forecasts that are integrated in one call.
TOGETHER = 1024


def crps(
    forecast: Mixture,
    y: np.ndarray,
    bend: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Continuous ranked probability score `(n,)`, in the units of y.

    CRPS = integral of (F(x) - 1[x >= y])^2 dx, by Gauss-Legendre quadrature between
    cuts around every component, at y and at the bounds. For a point forecast it is the
    absolute error. Source: Gneiting & Raftery 2007.

    Args:
        forecast: fields `(n, K)`.
        y: true values `(n,)`.
        bend: an increasing map of [0, 1] onto itself, of values `(m, n)`; then bend(F)
            is scored, not F.
    """
    y = np.asarray(y, float)
    cuts = forecast.mean[..., None] + forecast.std[..., None] * CUTS
    cuts = np.concatenate([cuts.reshape(len(y), -1), y[:, None]], axis=1)
    low, high = (bound[:, None] for bound in (forecast.low, forecast.high))
    # A value outside the bounds is still integrated to.
    low, high = np.minimum(low, y[:, None]), np.maximum(high, y[:, None])
    cuts = np.sort(np.clip(cuts, low, high), axis=1)
    total, wide = np.zeros(len(y)), forecast.at(slice(None), None)
    step = max(TOGETHER // max(len(y), 1), 1)
    for i in range(0, cuts.shape[1] - 1, step):
        ends = cuts[:, i : i + step + 1]
        half = 0.5 * np.diff(ends)[..., None]
        x = ends[:, :-1, None] + half * (1 + NODES)
        below = wide.cdf(x.reshape(len(y), -1))
        below = below if bend is None else bend(below.T).T
        off = (below.reshape(x.shape) - (x >= y[:, None, None])) ** 2
        total += (half * off * WEIGHTS).sum((1, 2))
    return total


def central(forecast: Mixture, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the central interval that should hold a value `level` often `(n,)`."""
    tail = (1 - level) / 2
    return forecast.quantile(np.array(tail)), forecast.quantile(np.array(1 - tail))


def calibration_error(pit: np.ndarray, bins: int = 20) -> float:
    """Mean distance between the share of values F(y) below a level and the level.

    E_b |mean(pit <= b / bins) - b / bins| for b = 1..bins - 1, in [0, 0.5].
    """
    levels = np.arange(1, bins) / bins
    return float(np.abs((pit[:, None] <= levels).mean(0) - levels).mean())


def pit_histogram(pit: np.ndarray, bins: int = 20) -> np.ndarray:
    """Share of PIT values in equal bins of [0, 1] `(bins,)`; 1 / bins if calibrated."""
    counts, _ = np.histogram(pit, bins, (0.0, 1.0))
    return counts / max(len(pit), 1)


def rank_scores(predicted: np.ndarray, true: np.ndarray, k: int = 3) -> dict:
    """How well runs of one task are ranked by their predicted final value.

    Args:
        predicted: final values, lower is better `(n,)`.
        true: likewise `(n,)`.
        k: how many are looked at first.

    Returns:
        "kendall" and "spearman" (tau-b and rho, 1 is best, 0 where all are predicted
        alike); "regret" at k: how much worse
        the best of the first k is than the best, as a share of the range of `true`;
        "ndcg": gain of the first k, discounted by log2(1 + rank), over the largest
        possible one, where the gain of a run is its distance from the worst.
    """
    order, ideal = np.argsort(predicted, kind="stable")[:k], np.sort(true)[:k]
    spread = np.ptp(true) or 1.0
    discount = 1 / np.log2(2 + np.arange(len(order)))
    gain = (true.max() - true[order]) @ discount
    most = (true.max() - ideal) @ discount
    alike = np.ptp(predicted) == 0 or np.ptp(true) == 0
    return {
        "kendall": 0.0 if alike else float(kendalltau(predicted, true).statistic),
        "spearman": 0.0 if alike else float(spearmanr(predicted, true).statistic),
        "regret": float((true[order].min() - true.min()) / spread),
        "ndcg": float(gain / most) if most > 0 else 1.0,
    }


def clustered_error(x: np.ndarray, clusters: np.ndarray | None = None) -> float:
    """Standard error of mean(x) where cases of one cluster are not independent.

        sqrt(G / (G - 1) sum_g (sum_{i in g} (x_i - mean))^2) / n

    With every case its own cluster that is the usual std / sqrt(n). NaN with fewer than
    two clusters; rough with few. Source: Liang & Zeger 1986.

    Args:
        x: scores, or paired differences of scores `(n,)`.
        clusters: what each case belongs to `(n,)`; default: to itself.
    """
    off = x - x.mean()
    if clusters is not None:
        _, member = np.unique(clusters, return_inverse=True)
        off = np.bincount(member, weights=off)
    if len(off) < 2:
        return float("nan")
    return float(np.sqrt(len(off) / (len(off) - 1) * (off**2).sum()) / len(x))


def geometric_mean(ratios: Iterable[float]) -> float:
    """exp(mean(log)) of ratios; 0 if one of them is."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.log([*ratios]))))


def mean_with_error(
    name: str, x: np.ndarray, clusters: np.ndarray | None = None
) -> dict[str, float]:
    """Mean of x as `name`, its standard error (`clustered_error`) as `name`_se."""
    return {name: float(x.mean()), f"{name}_se": clustered_error(x, clusters)}


def ratio_with_error(
    name: str, a: np.ndarray, b: np.ndarray, clusters: np.ndarray | None = None
) -> dict[str, float]:
    """mean(a) / mean(b) of paired scores as `name`, its standard error as `name`_se.

    The error is that of the delta method; `clusters` as for `clustered_error`.
    """
    if b.mean() == 0:
        return {name: float("nan"), f"{name}_se": float("nan")}
    ratio = a.mean() / b.mean()
    error = clustered_error((a - ratio * b) / b.mean(), clusters)
    return {name: float(ratio), f"{name}_se": error}
