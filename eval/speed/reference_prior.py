"""LC-PFN's prior curve by curve in NumPy: what sampling is measured against.

    y(t) = sum_k w_k f_k(t) + sigma * eps_t,      w_k ~ U(0, 1),  log sigma ~ N(-4, 1)

f_k of pow3, ilog2, janoschek; redrawn until the noiseless curve ends above its start
and stays in [0, 1]; then noise. The same prior as `lcpfn.priors.LCPFN_PRIOR`.

Source: Adriaensen et al., NeurIPS 2023 (arXiv 2310.20447), Sec. 3 and Table 1.
"""

import numpy as np


def _pow3(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    c, a = rng.uniform(0, 1.25), rng.uniform(-0.6, 0.6)
    return c - a * t ** -np.exp(rng.normal(0, 2))


def _ilog2(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    c, a = rng.uniform(0, 1), rng.uniform(-0.5, 0.5)
    return c - a / np.log(t + 1)


def _janoschek(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    a, b = rng.uniform(0, 1), rng.uniform(0, 2)
    k, d = np.exp(rng.normal(-2, 1)), np.exp(rng.normal(0, 0.5))
    return a - (a - b) * np.exp(-k * t**d)


def candidate(rng: np.random.Generator, t: np.ndarray) -> np.ndarray | None:
    """One noiseless curve, or None if it is rejected."""
    curve = np.zeros(len(t))
    for family in (_pow3, _ilog2, _janoschek):
        curve += rng.uniform() * family(rng, t)
    fine = curve[-1] > curve[0] and (curve >= 0).all() and (curve <= 1).all()
    return curve if fine else None


def draw(rng: np.random.Generator, n: int, length: int = 100) -> np.ndarray:
    """Accepted curves with noise, drawn one after another `(n, length)`."""
    t, y = np.arange(1.0, length + 1), np.empty((n, length))
    for i in range(n):
        curve = None
        while curve is None:
            curve = candidate(rng, t)
        y[i] = curve + np.exp(rng.normal(-4, 1)) * rng.normal(size=length)
    return y


def example_curves(n: int) -> np.ndarray:
    """Curves of the prior, kept within [0, 1] `(n, 100)`."""
    return np.clip(draw(np.random.default_rng(0), n), 0, 1)


def draw_only(seed: int, n: int) -> None:
    """Draws `n` curves and keeps none: what several processes can do at a time."""
    draw(np.random.default_rng(seed), n)
