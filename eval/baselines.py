"""What a forecast has to beat: simple rules, each as a `Method` of `final_value`.

last value, best so far
    The value itself, with the errors that it made on other tasks: quantiles of
    (truth - value) / reach, where reach is the range of the records shown.
least squares
    A family of curves fitted to the records by Levenberg-Marquardt from several starts.
    The forecast is Gaussian: residual variance times 1 + g' (J'J)^-1 g, the error of
    prediction of a regression. With no more records than parameters there is no
    residual, and the forecast is the last value give or take the reach.

    pow3   c - a t^-b            pow4   c - (d + a t)^-b
    mmf4   c - (c - a) / (1 + (t / b)^d)      ilog2  c - a / log(t + 1)

Sources: Domhan et al. 2015; Mohr et al. 2022 (LCDB) for the choice of pow4 and mmf4.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from tqdm import tqdm

from lcpfn.eval.cases import Case
from lcpfn.eval.final_value import Method
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture

ERRORS = 51
STARTS = 6


def shown(case: Case) -> tuple[np.ndarray, np.ndarray, float]:
    """Steps and values of the finite records of a case, and their range."""
    finite = np.isfinite(case.values)
    values = case.values[finite]
    reach = float(np.ptp(values))
    return case.steps[finite], values, reach or 0.1 * abs(float(values[-1])) or 1.0


def last_value(case: Case) -> float:
    """The newest record."""
    return float(shown(case)[1][-1])


def best_so_far(case: Case) -> float:
    """The best record."""
    values = shown(case)[1]
    return float(values.max() if case.mode == "max" else values.min())


def with_errors(point: Callable[[Case], float], history: Sequence[Case]) -> Method:
    """A point forecast with the errors it made on `history`, at the nearest share shown.

    Errors count from good to bad, so that both directions of a metric share them.
    """
    errors: dict[int, list[float]] = {}
    for case in history:
        off = Metric(case.mode).sign * (case.truth - point(case)) / shown(case)[2]
        errors.setdefault(case.percent, []).append(float(np.clip(off, -1e3, 1e3)))
    levels = (np.arange(ERRORS) + 0.5) / ERRORS
    known = {percent: np.quantile(e, levels) for percent, e in errors.items()}

    def predict(cases: Sequence[Case]) -> Mixture:
        rows = []
        for case in cases:
            nearest = min(known, key=lambda percent: abs(percent - case.percent))
            off, reach = known[nearest], shown(case)[2]
            mean = point(case) + Metric(case.mode).sign * reach * off
            # Each error stands for the gap to its neighbours.
            std = reach * np.maximum(np.gradient(off), 1e-4)
            rows.append((mean, std))
        return gaussians(cases, *(np.stack(x) for x in zip(*rows, strict=True)))

    return predict


def gaussians(cases: Sequence[Case], mean: np.ndarray, std: np.ndarray) -> Mixture:
    """Equal mixtures `(n, K)`, truncated to the bounds of each case."""
    limits = [case.bounds or (None, None) for case in cases]
    low = np.array([-np.inf if a is None else a for a, _ in limits])
    high = np.array([np.inf if b is None else b for _, b in limits])
    return Mixture(np.full(mean.shape, 1 / mean.shape[-1]), mean, std, low, high)


class Curve(NamedTuple):
    """A family for least squares, on t > 0 and values scaled to about [0, 1].

    Attributes:
        value: `(t, parameters) -> values`.
        starts: typical parameters, varied for several starts.
    """

    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    starts: np.ndarray


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    return np.exp(np.clip(exponent * np.log(np.maximum(x, 1e-12)), -50, 50))


CURVES = {
    "pow3": Curve(lambda t, p: p[0] - p[1] * _power(t, -p[2]), np.array([0, -1, 0.7])),
    "pow4": Curve(
        lambda t, p: p[0] + p[1] * _power(t + np.exp(p[3]), -p[2]),
        np.array([0, 1, 0.7, 0.0]),
    ),
    "mmf4": Curve(
        lambda t, p: (
            p[0] + (p[1] - p[0]) / (1 + _power(t * np.exp(-p[2]), np.exp(p[3])))
        ),
        np.array([0, 1, 1.0, 0.0]),
    ),
    "ilog2": Curve(lambda t, p: p[0] + p[1] / np.log(t + 1), np.array([0, 1.0])),
}


def least_squares_fit(
    curve: Curve, t: np.ndarray, y: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and their standard errors at `target` `(s,)`, in the units of y."""
    rng = np.random.default_rng(len(y))
    count = len(curve.starts)

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.clip(curve.value(t, p) - y, -1e6, 1e6)

    with np.errstate(over="ignore"):  # starts that lead nowhere
        fits = [
            least_squares(residuals, start, method="lm", max_nfev=200)
            for start in curve.starts + 0.5 * rng.normal(size=(STARTS, count))
        ]
        best = min(fits, key=lambda fit: fit.cost)
        shift = 1e-5 * np.maximum(np.abs(best.x), 1e-3)
        slope = np.stack(
            [
                (curve.value(target, best.x + d) - curve.value(target, best.x - d))
                / (2 * d.max())
                for d in np.diag(shift)
            ],
            axis=1,
        )
        mean = curve.value(target, best.x)
    variance = 2 * best.cost / max(len(y) - count, 1)
    spread = np.linalg.pinv(best.jac.T @ best.jac, rcond=1e-10)
    leverage = np.clip(((slope @ spread) * slope).sum(1), 0, 1e6)
    return mean, np.sqrt(variance * (1 + leverage))


def fit_case(curve: Curve, case: Case, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares on the records shown: means and spreads at steps `at` `(s,)`."""
    steps, values, reach = shown(case)
    if len(values) <= len(curve.starts):
        return np.full(len(at), values[-1]), np.full(len(at), reach)
    # Steps count from 1 in units of their gap; values from 0 to 1.
    gap = (steps[-1] - steps[0]) / (len(steps) - 1)
    t, target = (1 + (x - steps[0]) / gap for x in (steps, at))
    low = values.min()
    mean, std = least_squares_fit(curve, t, (values - low) / reach, target)
    mean = low + reach * np.clip(mean, -1e3, 1e3)
    return mean, np.maximum(reach * std, 1e-6 * case.scale)


def fitted(name: str, progress: bool = True) -> Method:
    """Least squares with one of `CURVES`."""
    curve = CURVES[name]

    def predict(cases: Sequence[Case]) -> Mixture:
        rows = [
            fit_case(curve, case, np.array([case.horizon]))
            for case in tqdm(cases, desc=name, disable=None if progress else True)
        ]
        return gaussians(cases, *(np.stack(x) for x in zip(*rows, strict=True)))

    return predict


def across_tasks(cases: Sequence[Case], point: Callable[[Case], float]) -> Method:
    """`with_errors`, each suite with the errors made in all others, if there are any."""

    def predict(asked: Sequence[Case]) -> Mixture:
        parts: list = [None] * len(asked)
        for suite in {case.suite for case in asked}:
            rows = [i for i, case in enumerate(asked) if case.suite == suite]
            others = [case for case in cases if case.suite != suite] or list(cases)
            found = with_errors(point, others)([asked[i] for i in rows])
            for i, *row in zip(rows, *found, strict=True):
                parts[i] = row
        return Mixture(*(np.stack(column) for column in zip(*parts, strict=True)))

    return predict
