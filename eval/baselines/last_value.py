"""The last value and the best value so far, with the errors they make on other tasks.

Each is a `Method`: the value, and quantiles of (truth - value) / reach, where reach is
the range of the observations shown.
"""

from collections.abc import Callable, Sequence

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.curves import Method
from lcpfn.eval.data import Case, query
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture

ERRORS = 25
# Into how many parts the way to the horizon is cut where errors of a rule are kept.
PARTS = 5


def shown(case: Case) -> tuple[np.ndarray, np.ndarray, float]:
    """Steps and values of the finite observations of a case, and their range."""
    finite = np.isfinite(case.values)
    values = case.values[finite]
    reach = float(np.ptp(values))
    return case.steps[finite], values, reach or 0.1 * abs(float(values[-1])) or 1.0


def last_value(case: Case) -> float:
    """The newest observation."""
    return float(shown(case)[1][-1])


def best_so_far(case: Case) -> float:
    """The best observation."""
    values = shown(case)[1]
    return float(values.max() if case.mode == "max" else values.min())


def quantiles_of_errors(
    point: Callable[[Case], float], history: Sequence[Case], targets: int
) -> dict[int, np.ndarray]:
    """Quantiles of the errors of a point forecast on `history`, by `_kinds`.

    They count from good to bad, so that both directions of a metric share them.
    """
    errors: dict[int, list[float]] = {}
    for case in history:
        start, reach = point(case), shown(case)[2]
        values = query(case, targets)[1]
        for key, value in zip(_kinds(case, targets), values, strict=True):
            off = Metric(case.mode).sign * (value - start) / reach
            errors.setdefault(key, []).append(float(np.clip(off, -1e3, 1e3)))
    levels = (np.arange(ERRORS) + 0.5) / ERRORS
    return {key: np.quantile(e, levels) for key, e in errors.items()}


def _kinds(case: Case, targets: int) -> list[int]:
    """1,000 times the percent shown, plus the part of the way to each query step."""
    last = case.steps[-1]
    way = (query(case, targets)[0] - last) / (case.horizon - last)
    return [1000 * case.percent + int(part) for part in np.ceil(way * PARTS)]


def repeated(cases: Sequence[Case], targets: int) -> list[Case]:
    """Every case as often as it has query steps."""
    return [case for case in cases for _ in query(case, targets)[0]]


def gaussians(
    asked: Sequence[Case | Run], mean: np.ndarray, std: np.ndarray
) -> Mixture:
    """Equal mixtures `(n, K)`, truncated to the bounds of each case or run."""
    limits = [one.bounds or (None, None) for one in asked]
    low = np.array([-np.inf if a is None else a for a, _ in limits])
    high = np.array([np.inf if b is None else b for _, b in limits])
    std = np.broadcast_to(std, mean.shape)
    return Mixture(np.full(mean.shape, 1 / mean.shape[-1]), mean, std, low, high)


def across_tasks(history: Sequence[Case], point: Callable[[Case], float]) -> Method:
    """A point forecast with the errors it made on all other suites, if there are any.

    Errors are kept by the share of the run that was shown and by how far the step to
    predict lies on the way to the horizon.
    """

    def predict(cases: Sequence[Case], targets: int = 1) -> Mixture:
        known = {}
        for suite in dict.fromkeys(case.suite for case in cases):
            others = [case for case in history if case.suite != suite] or history
            known[suite] = quantiles_of_errors(point, others, targets)
        mean, std = [], []
        for case in cases:
            start, reach = point(case), shown(case)[2]
            keys = np.array(list(known[case.suite]))
            for kind in _kinds(case, targets):
                off = known[case.suite][keys[np.argmin(np.abs(keys - kind))]]
                mean.append(start + Metric(case.mode).sign * reach * off)
                # Each error stands for the gap to its neighbours.
                std.append(reach * np.maximum(np.gradient(off), 1e-4))
        return gaussians(repeated(cases, targets), np.stack(mean), np.stack(std))

    return predict
