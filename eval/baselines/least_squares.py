"""Least-squares fits of parametric curves, each as a `Method`.

A family of curves is fitted to what is shown: level and size are solved for, the shape
is the best of a grid that is made finer about its best point. The forecast is Gaussian:
residual variance times 1 + g' (J'J)^-1 g, the error of prediction of a regression. With
no more observations than parameters there is no residual, and the forecast is the last
value give or take the range of what is shown.

    pow3   c - a t^-b            pow4   c - (d + a t)^-b
    mmf4   c - (c - a) / (1 + (t / b)^d)      ilog2  c - a / log(t + 1)

Sources: Domhan et al. 2015; Mohr et al. 2022 (LCDB) for the choice of pow4 and mmf4.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from lcpfn.eval.baselines.last_value import gaussians, repeated, shown
from lcpfn.eval.curves import Method
from lcpfn.eval.data import Case, query
from lcpfn.mixture import Mixture

# A fit halves the grid about its best shape so often, with these neighbours.
ROUNDS = 10
FINER = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])


class Curve(NamedTuple):
    """A family for least squares: level + size * shape(t), t > 0.

    Attributes:
        shape: `(t, q) -> shape`; q `(parameters, ...)` broadcasts against t.
        axes: values of each of its parameters to begin with, evenly spaced.
    """

    shape: Callable[[np.ndarray, np.ndarray], np.ndarray]
    axes: tuple[np.ndarray, ...] = ()

    def value(self, t: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The curve with parameters (level, size, *q)."""
        return p[0] + p[1] * self.shape(t, p[2:])

    def best_of(self, t: np.ndarray, y: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """The best of shapes `(parameters, starts)`, as (level, size, *q).

        Level and size are solved for, so only the shape is searched.
        """
        shapes = self.shape(t, grid[..., None])
        middle = shapes.mean(1)
        off = shapes - middle[:, None]
        size = (off @ (y - y.mean())) / np.maximum((off**2).sum(1), 1e-12)
        missed = ((y - y.mean() - size[:, None] * off) ** 2).sum(1)
        i = np.argmin(missed)
        level = y.mean() - size[i] * middle[i]
        return np.array([level, size[i], *grid[:, i]])


def _exp(x: np.ndarray) -> np.ndarray:
    return np.exp(np.clip(x, -50, 50))


def _pow3(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    return _exp(-_exp(q[0]) * np.log(t))


def _pow4(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    return _exp(-_exp(q[0]) * np.log(t + _exp(q[1])))


def _mmf4(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    return 1 / (1 + _exp(_exp(q[1]) * (np.log(t) - q[0])))


def _ilog2(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.broadcast_to(1 / np.log(t + 1), (*q.shape[1:-1], len(t)))


# Parameters are logarithms. Wider grids are worse on recorded curves.
CURVES = {
    "pow3": Curve(_pow3, (np.linspace(-3, 1.6, 16),)),
    "pow4": Curve(_pow4, (np.linspace(-1.6, 1.1, 9), np.linspace(-2, 3, 6))),
    "mmf4": Curve(_mmf4, (np.linspace(-0.5, 2, 6), np.linspace(-0.7, 0.7, 5))),
    "ilog2": Curve(_ilog2),
}


def _grid(axes: Sequence[np.ndarray]) -> np.ndarray:
    """All combinations `(parameters, starts)`; the empty one of no parameters."""
    if not axes:
        return np.empty((0, 1))
    return np.stack([x.ravel() for x in np.meshgrid(*axes)])


def best_fit(curve: Curve, t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Parameters (level, size, *q) of the least-squares fit."""
    best = curve.best_of(t, y, _grid(curve.axes))
    step = np.array([axis[1] - axis[0] for axis in curve.axes])
    for _ in range(ROUNDS if curve.axes else 0):
        near = [q + d * FINER for q, d in zip(best[2:], step, strict=True)]
        best = curve.best_of(t, y, _grid(near))
        step = step / 2
    return best


def least_squares_fit(
    curve: Curve, t: np.ndarray, y: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and their standard errors at `target` `(s,)`, in the units of y."""
    best = best_fit(curve, t, y)
    shift = np.diag(1e-5 * np.maximum(np.abs(best), 1e-3))
    jacobian, slope = (
        np.stack(
            [
                (curve.value(x, best + d) - curve.value(x, best - d)) / (2 * d.max())
                for d in shift
            ],
            axis=1,
        )
        for x in (t, target)
    )
    missed = ((curve.value(t, best) - y) ** 2).sum()
    variance = missed / max(len(y) - len(best), 1)
    spread = np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-10)
    leverage = np.clip(((slope @ spread) * slope).sum(1), 0, 1e6)
    return curve.value(target, best), np.sqrt(variance * (1 + leverage))


def fit_case(curve: Curve, case: Case, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares on what is shown: means and spreads at steps `at` `(s,)`."""
    steps, values, reach = shown(case)
    if len(values) <= 2 + len(curve.axes):
        return np.full(len(at), values[-1]), np.full(len(at), reach)
    # Steps count from 1 in units of their gap; values from 0 to 1.
    gap = (steps[-1] - steps[0]) / (len(steps) - 1)
    t, target = (1 + (x - steps[0]) / gap for x in (steps, at))
    low = values.min()
    mean, std = least_squares_fit(curve, t, (values - low) / reach, target)
    mean = low + reach * np.clip(mean, -1e3, 1e3)
    return mean, np.maximum(reach * std, 1e-6 * case.scale)


def fitted(name: str) -> Method:
    """Least squares with one of `CURVES`."""
    curve = CURVES[name]

    def predict(cases: Sequence[Case], targets: int = 1) -> Mixture:
        rows = [
            fit_case(curve, case, query(case, targets)[0])
            for case in tqdm(cases, desc=name, disable=None)
        ]
        mean, std = (np.concatenate(x)[:, None] for x in zip(*rows, strict=True))
        return gaussians(repeated(cases, targets), mean, std)

    return predict
