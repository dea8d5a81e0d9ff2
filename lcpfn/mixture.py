"""The predicted distribution: a mixture of Gaussians, truncated to hard bounds.

    p(y) = sum_k w_k N(y; m_k, s_k) / Z   for low <= y <= high,
    Z    = sum_k w_k (Phi(b_k) - Phi(a_k)),  a_k = (low - m_k) / s_k,  b_k likewise

Everything is closed form but the quantile, which is found by safeguarded Newton steps.
NumPy in float64: arrays `(..., K)` for components, `(...)` for values.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

LOG_2PI = 1.8378770664093453
AT_ONCE = 1 << 13  # quantiles that are searched for together
# Spreads a component may lie outside the bounds; one farther off is moved there. It
# counts only if all do, and still farther out float64 has no digits for its mass.
FARTHEST = 30.0


class Mixture(NamedTuple):
    """Truncated Gaussian mixtures, in any one unit.

    Attributes:
        weight: `(..., K)`, sums to one.
        mean, std: `(..., K)`, of the components before truncation.
        low, high: hard bounds `(...)`, infinite where there is none.
    """

    weight: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, *index: Any) -> "Mixture":
        """Those at some places of the leading axes."""
        return Mixture(*(part[index] for part in self))

    def _free(self) -> bool:
        """Whether there are no bounds, so that nothing is truncated."""
        return bool(np.isneginf(self.low).all() and np.isposinf(self.high).all())

    def _standard(self, y: np.ndarray, center: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return (np.asarray(y)[..., None] - center) / self.std

    def _parts(self) -> tuple[np.ndarray, ...]:
        """The mixture with its bounds worked in.

        Returns:
            Means of the components, at most `FARTHEST` spreads outside `(..., K)`; a
            and b, the standardised bounds, likewise, or infinite numbers where there
            are none; masses inside the bounds, times the weights, likewise; their sum
            `(...)`.
        """
        if self._free():
            ends = np.array([-np.inf, np.inf])
            return self.mean, ends[0], ends[1], self.weight, self.weight.sum(-1)
        reach, low, high = FARTHEST * self.std, self.low, self.high
        center = np.clip(self.mean, low[..., None] - reach, high[..., None] + reach)
        a, b = self._standard(self.low, center), self._standard(self.high, center)
        masses = self.weight * _mass(a, b)
        return center, a, b, masses, masses.sum(-1)

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Log-density at y, -inf outside the bounds; y broadcasts against `(...)`."""
        center, *_, total = self._parts()
        z = self._standard(y, center)
        with np.errstate(divide="ignore", over="ignore"):
            parts = np.log(self.weight) - np.log(self.std) - 0.5 * (z**2 + LOG_2PI)
            top = parts.max(-1, keepdims=True)
            top = np.where(np.isfinite(top), top, 0)
            log_density = top[..., 0] + np.log(np.exp(parts - top).sum(-1))
        inside = (y >= self.low) & (y <= self.high)
        return np.where(inside, log_density - np.log(total), -np.inf)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """P(Y <= y); y broadcasts against `(...)`."""
        center, a, _, _, total = self._parts()
        z = np.maximum(self._standard(y, center), a)
        inside = _mass(a, z) if np.ndim(a) else ndtr(z)
        below = (self.weight * inside).sum(-1) / total
        below = np.where(y >= self.high, 1.0, np.clip(below, 0.0, 1.0))
        return np.where(y < self.low, 0.0, below)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation `(...)`."""
        center, a, b, parts, total = self._parts()
        at_a, at_b = _pdf(a), _pdf(b)
        share = parts / total[..., None]
        # First two moments of each truncated component, times its mass.
        shift = self.weight * (at_a - at_b) / total[..., None]
        with np.errstate(invalid="ignore"):
            edge = np.where(np.isfinite(a), a, 0) * at_a
            edge = edge - np.where(np.isfinite(b), b, 0) * at_b
        mean = (share * center + self.std * shift).sum(-1)
        mean = np.clip(mean, self.low, self.high)
        off = center - mean[..., None]
        second = share * (off**2 + self.std**2) + self.std * (
            2 * off * shift + self.std * self.weight * edge / total[..., None]
        )
        return mean, np.sqrt(np.maximum(second.sum(-1), 0))

    def mirrored(self) -> "Mixture":
        """Distribution of -Y."""
        return Mixture(self.weight, -self.mean, self.std, -self.high, -self.low)

    def expected_shortfall(self, y: np.ndarray) -> np.ndarray:
        """E[max(y - Y, 0)]: expected improvement on y when lower is better."""
        center, a, b, _, total = self._parts()
        z = np.clip(self._standard(y, center), a, b)
        inside = _mass(a, z)
        with np.errstate(invalid="ignore"):
            gain = (np.asarray(y)[..., None] - center) * inside
        gain = np.where(inside > 0, gain, 0)
        gain = gain + self.std * (_pdf(z) - _pdf(a))
        return np.maximum((self.weight * gain).sum(-1) / total, 0)

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Inverse of `cdf`; q in [0, 1] broadcasts against `(...)`."""
        q = np.asarray(q, float)
        shape = np.broadcast_shapes(q.shape, self.mean.shape[:-1])
        # Views: a copy for every level would be many times as large as the mixtures.
        some = shape or (1,)
        q, low, high = (np.broadcast_to(x, some) for x in (q, self.low, self.high))
        parts = [np.broadcast_to(x, (*some, x.shape[-1])) for x in self[:3]]
        y = np.where(q <= 0, low, high).astype(float)
        inner = np.flatnonzero((q > 0) & (q < 1))
        for start in range(0, len(inner), AT_ONCE):
            at = np.unravel_index(inner[start : start + AT_ONCE], some)
            mixture = Mixture(*(x[at] for x in (*parts, low, high)))
            y[at] = mixture._invert(q[at])
        return y.reshape(shape)[()]

    def _invert(self, q: np.ndarray) -> np.ndarray:
        """Solves cdf(y) = q for flat arrays, dropping those that are solved."""
        center, a, b, _, _ = self._parts()
        # The quantile of a mixture lies between those of its components.
        level = np.clip(q, 1e-300, 1 - 1e-16)[..., None]
        ends = center + self.std * np.clip(_truncated_ndtri(level, a, b), a, b)
        low = np.clip(ends.min(-1), self.low, self.high)
        high = np.clip(ends.max(-1), self.low, self.high)
        result = y = 0.5 * (low + high)
        live, part = np.arange(len(q)), self
        for _ in range(200):
            missing = part.cdf(y) - q
            low, high = np.where(missing < 0, y, low), np.where(missing < 0, high, y)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                newton = y - missing / np.exp(part.log_prob(y))
            good = (newton > low) & (newton < high)
            step = np.where(good, newton, 0.5 * (low + high))
            settled = np.abs(missing) <= 1e-15 * q
            settled |= np.abs(step - y) <= 4e-16 * np.abs(step) + 1e-300
            result[live] = np.where(settled, y, step)
            left = ~settled
            if not left.any():
                break
            part = part.at(left)
            live, q, y = live[left], q[left], step[left]
            low, high = low[left], high[left]
        return result


def _mass(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Phi(b) - Phi(a) for a <= b, exact in both tails `(..., K)`."""
    flip = a > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    return ndtr(b) - ndtr(a)


def _pdf(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (z**2 + LOG_2PI))


def _truncated_ndtri(q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quantile of the standard normal truncated to [a, b]."""
    flip = a > 0
    low, high = np.where(flip, -b, a), np.where(flip, -a, b)
    q = np.where(flip, 1 - q, q)
    z = ndtri(ndtr(low) + q * (ndtr(high) - ndtr(low)))
    return np.where(flip, -z, z)
