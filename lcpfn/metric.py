"""The metric: which way is better, and its range. The one place that converts.

Model space is "lower is better": user values are multiplied by `sign`, and the bounds
change places when the metric is to be maximised.
"""

from dataclasses import dataclass

import numpy as np

from lcpfn.mixture import Mixture

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Metric:
    """Direction and range of a metric.

    Attributes:
        mode: "max" or "min": which way is better.
        bounds: lowest and highest possible value in the user's units; None where there
            is none.
        hard: whether nothing can lie outside the bounds. Soft bounds are hints to the
            network; nothing is refused or truncated.
    """

    mode: str
    bounds: Bounds | None = None
    hard: bool = True

    def __post_init__(self) -> None:
        if self.mode not in ("max", "min"):
            raise ValueError(
                f'mode must be "max" (higher is better) or "min" (lower is better), '
                f"got {self.mode!r}"
            )
        if self.bounds is None:
            return
        try:
            low, high = self.bounds
            ends = [None if end is None else float(end) for end in (low, high)]
        except (TypeError, ValueError):
            raise ValueError(
                "bounds must be a pair (low, high) of numbers, either of which may be "
                f"None, got {self.bounds!r}"
            ) from None
        if any(end is not None and np.isnan(end) for end in ends):
            raise ValueError(f"bounds must not be NaN, got {self.bounds!r}")
        if ends[0] is not None and ends[1] is not None and ends[0] >= ends[1]:
            raise ValueError(
                f"bounds must be (low, high) with low < high, got {self.bounds!r}"
            )

    @property
    def sign(self) -> float:
        """Factor from the user's units to model space."""
        return 1.0 if self.mode == "min" else -1.0

    @property
    def _ends(self) -> tuple[float, float]:
        low, high = (None, None) if self.bounds is None else self.bounds
        return (
            -np.inf if low is None else float(low),
            np.inf if high is None else float(high),
        )

    @property
    def low(self) -> float:
        """Lower bound in model space, -inf where unknown."""
        return self._ends[0] if self.mode == "min" else -self._ends[1]

    @property
    def high(self) -> float:
        """Upper bound in model space, +inf where unknown."""
        return self._ends[1] if self.mode == "min" else -self._ends[0]

    def bounded(self, mixture: Mixture) -> Mixture:
        """Distributions in model space, with hard bounds if there are any."""
        if not self.hard:
            return mixture
        shape = mixture.mean.shape[:-1]
        low, high = np.full(shape, self.low), np.full(shape, self.high)
        return mixture._replace(low=low, high=high)

    def in_user_units(self, mixture: Mixture) -> Mixture:
        """The same in the user's units and direction."""
        bounded = self.bounded(mixture)
        return bounded if self.mode == "min" else bounded.mirrored()

    def outside(self, values: np.ndarray) -> np.ndarray:
        """Which values are finite and lie outside hard bounds, the user's units."""
        low, high = self._ends
        beyond = (values < low) | (values > high)
        return np.isfinite(values) & beyond & self.hard

    def check(self, values: np.ndarray, what: str) -> None:
        """Refuses finite values outside hard bounds.

        Raises:
            ValueError: naming the first such value.
        """
        outside = self.outside(values)
        if outside.any():
            raise ValueError(
                f"{what} must lie within bounds={self.bounds}, got "
                f"{float(values[outside][0])} at position {int(outside.argmax())}; is "
                "it a percentage given for a fraction? Rescale the values or widen the "
                "bounds"
            )
