"""A forecast: what one asks of the predicted distribution, in the user's units."""

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcpfn.metric import Metric
from lcpfn.mixture import Mixture

# Paths simulated at least, so that the ranks of few paths still mean something.
LEAST_PATHS = 64


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted distribution of a metric at later steps of one or several curves.

    Shapes below are `(steps,)` for one curve and `(batch, steps)` for several; where
    curves have different numbers of steps, the shorter ones end in NaN. Arguments `y`
    are in the user's units and broadcast against that shape. All arrays are NumPy.

    A curve whose newest record was NaN or infinite has diverged: it counts as the worst
    possible value (the bound, or infinity) with certainty, and is never better.

    Attributes:
        steps: steps predicted.
        diverged: whether each curve has diverged; a bool for one curve.
        metric: direction and bounds.
        mixture: the predicted distribution of curves that have not diverged, in the
            user's units, fields `(..., components)`.
    """

    steps: np.ndarray
    diverged: np.ndarray
    metric: Metric
    mixture: Mixture
    _final: "Forecast | None" = None
    _best: "Forecast | None" = None
    _simulate: Callable[[int, int], np.ndarray] | None = None
    _surprise: Callable[[], np.ndarray] | None = None
    _records: Sequence[Any] = ()

    def __repr__(self) -> str:
        if not self.steps.size:
            return "Forecast(no steps remain)"
        shape = "x".join(map(str, self.steps.shape)) or "1"
        span = f"{np.nanmin(self.steps):g}..{np.nanmax(self.steps):g}"
        return f"Forecast({shape} steps {span}, mode={self.metric.mode!r})"

    def _repr_html_(self) -> str:
        """A small picture, or a table, for notebooks."""
        from lcpfn.plot.html import html_of

        return html_of(self)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> "Forecast":
        """Forecast of one curve of a batch."""
        if np.ndim(self.diverged) == 0:
            raise TypeError(
                "this is the forecast of one curve; only batches are indexed"
            )
        index = operator.index(index)
        keep = ~np.isnan(self.steps[index])
        parts = (part[index] for part in self.mixture)
        if np.ndim(keep):
            parts = (part[keep] if part.ndim else part for part in parts)
        simulate, surprise = self._simulate, self._surprise
        return Forecast(
            self.steps[index][keep] if np.ndim(keep) else self.steps[index],
            self.diverged[index],
            self.metric,
            Mixture(*parts),
            None if self._final is None else self._final[index],
            None if self._best is None else self._best[index],
            None
            if simulate is None
            else lambda n, seed: simulate(n, seed)[:, index][:, keep],
            None if surprise is None else lambda: surprise()[index],
            self._records and (self._records[index],),
        )

    @property
    def observed(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of the finite records of one curve; empty for `final`."""
        if np.ndim(self.diverged):
            raise ValueError("several curves were observed; index first: forecast[i]")
        if not self._records:
            return np.empty(0), np.empty(0)
        known = self._records[0]
        return known.steps, self.metric.sign * known.values

    @property
    def final(self) -> "Forecast":
        """The forecast at the horizon alone: the same without the axis of steps."""
        if self._final is None:
            raise ValueError(
                "there is no forecast at the horizon: no steps remain, or this is it"
            )
        return self._final

    @property
    def has_best(self) -> bool:
        """Whether `best` is known."""
        return self._best is not None

    @property
    def best(self) -> "Forecast":
        """The forecast of the best value still to come, up to the horizon.

        A joint question: `best.prob_better(y)` is the probability that the run ever
        beats y in what remains, `best.mean()` what its best will be.

        Raises:
            ValueError: at the horizon, or if the checkpoint was not trained for it.
        """
        if self._best is None:
            raise ValueError(
                "there is no forecast of the best value: no steps remain, this is one "
                'at a single step, or the checkpoint was not trained for it ("best" in '
                "its card); paths() answers joint questions with any checkpoint"
            )
        return self._best

    @functools.cached_property
    def surprise(self) -> Any:
        """How badly the model forecast the newest records one step ahead.

        1 on average where it is calibrated; 3 and more: it has just mispredicted this
        curve, so do not rely on it. NaN with fewer than two finite records. A float
        for one curve, `(batch,)` for several; see `lcpfn.surprise`. Computed when
        asked for, with one more pass over the curve.
        """
        if self._surprise is None:
            raise ValueError("surprise is known of the forecast over all steps alone")
        value = self._surprise()
        return value if np.ndim(value) else float(value)

    @property
    def worst(self) -> float:
        """The worst possible value: the bound on the bad side, or infinity."""
        return self.metric.sign * self.metric.high

    def _result(self, value: np.ndarray, if_diverged: Any) -> Any:
        lost = np.asarray(self.diverged)
        lost = lost if self.steps.ndim == lost.ndim else lost[..., None]
        value = np.where(lost, if_diverged, value)
        value = np.where(np.isnan(self.steps), np.nan, value)
        return value if value.ndim else float(value)

    def mean(self) -> np.ndarray:
        """Expected value."""
        return self._result(self.mixture.moments()[0], self.worst)

    def std(self) -> np.ndarray:
        """Standard deviation."""
        return self._result(self.mixture.moments()[1], 0.0)

    def median(self) -> np.ndarray:
        """Median."""
        return self.quantile(0.5)

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """Quantiles: q scalar or 1-D in [0, 1]; a 1-D q leads the result's axes.

        Raises:
            ValueError: for q outside [0, 1].
        """
        levels = np.asarray(q, float)
        if levels.ndim > 1 or not np.all((levels >= 0) & (levels <= 1)):
            raise ValueError(
                f"q must be a number or a 1-D sequence in [0, 1], got {q!r:.80}"
            )
        spread = levels.reshape(levels.shape + (1,) * self.steps.ndim)
        shape = levels.shape + self.steps.shape
        values = self.mixture.quantile(np.broadcast_to(spread, shape))
        return self._result(values, self.worst)

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Central interval that holds `level` of the mass: (low, high)."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        low, high = self.quantile(np.array([(1 - level) / 2, (1 + level) / 2]))
        return low, high

    def cdf(self, y: float | np.ndarray) -> np.ndarray:
        """P(value <= y)."""
        y = np.asarray(y, float)
        return self._result(self.mixture.cdf(y), (y >= self.worst) * 1.0)

    def log_prob(self, y: float | np.ndarray) -> np.ndarray:
        """Log-density at y, per unit of the metric; -inf outside hard bounds."""
        y = np.asarray(y, float)
        lost = np.where(y == self.worst, np.inf, -np.inf)
        return self._result(self.mixture.log_prob(y), lost)

    def prob_above(self, y: float | np.ndarray) -> np.ndarray:
        """P(value > y)."""
        return 1.0 - self.cdf(y)

    def prob_better(self, y: float | np.ndarray) -> np.ndarray:
        """P(value is better than y): above it for "max", below it for "min"."""
        if self.metric.mode == "max":
            return self.prob_above(y)
        y = np.asarray(y, float)
        return self._result(self.mixture.cdf(y), 0.0)

    def expected_improvement(self, best: float | np.ndarray) -> np.ndarray:
        """E[max(improvement on `best`, 0)], in the metric's units, never negative."""
        best = np.asarray(best, float)
        if self.metric.mode == "max":
            gain = self.mixture.mirrored().expected_shortfall(-best)
        else:
            gain = self.mixture.expected_shortfall(best)
        return self._result(gain, 0.0)

    def paths(self, n: int, seed: int = 0) -> np.ndarray:
        """Joint sample trajectories, `(n, steps)` or `(n, batch, steps)`.

        Sampled points are fed back through the network, so that a path remembers where
        it has been. The ranks of the simulated values at every step are then filled
        with quantiles of the forecast (ensemble copula coupling, Schefzik et al. 2013),
        so that paths have exactly the marginals that `quantile` and `cdf` report.

        Args:
            n: number of paths.
            seed: the same seed gives the same paths.
        """
        if not isinstance(n, int | np.integer) or n < 1:
            raise ValueError(f"n must be a positive integer, got {n!r}")
        if self._simulate is None:
            raise ValueError("paths need a forecast over steps; this one has none")
        count = max(int(n), LEAST_PATHS)
        count = 1 << (count - 1).bit_length()
        simulated = self._simulate(count, seed)
        rng = np.random.default_rng(seed)
        jitter = rng.random(simulated.shape)
        rank = np.argsort(np.argsort(simulated, axis=0, kind="stable"), axis=0)
        values = self.mixture.quantile((rank + jitter) / count)[:n]
        return self._result(values, self.worst)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draws one curve by `lcpfn.plot.fan`, several by `lcpfn.plot.runs`."""
        from lcpfn.plot import fan, runs

        return (runs if np.ndim(self.diverged) else fan)(self, ax=ax, **options)
