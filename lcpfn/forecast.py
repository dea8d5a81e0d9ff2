"""A forecast: what one asks of the predicted distribution, in the user's units."""

import functools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.checks import check_count
from lcpfn.mixture import Mixture

if TYPE_CHECKING:
    from lcpfn.cutoffs import Cutoffs


class Forecast:
    """Predicted distribution of a metric at later steps of one or several curves.

    Shapes below are `(steps,)` for one curve and `(batch, steps)` for several; where
    curves have different numbers of steps, the shorter ones end in NaN. Arguments `y`
    are in the user's units and broadcast against that shape. All arrays are NumPy.
    Steps between the cutoff and the horizon are predicted when they are first asked
    for; `final` and `best` are there at once.

    A curve whose newest observation was NaN or infinite has diverged: it counts as the
    worst possible value (the bound, or infinity) with certainty, and is never better.
    A curve at its horizon has the value it has there, with certainty.

    Attributes:
        metric: direction and bounds.
        diverged: whether each curve has diverged; a bool for one curve.
        known: the value of each curve that is certain, NaN for all others.
    """

    def __init__(
        self,
        cutoffs: "Cutoffs",
        row: int | None = None,
        single: Mixture | None = None,
    ) -> None:
        """Of curves that were read.

        Args:
            cutoffs: the curves.
            row: which of them; None: all.
            single: the answer to one question about each, its value at the horizon or
                its best one `(batch,)`; None: the forecast is of all steps.
        """
        some = slice(None) if row is None else row
        self.metric = cutoffs.metric
        self.diverged: Any = cutoffs.diverged[some]
        self.known: Any = cutoffs.known[some]
        self._cutoffs, self._row, self._single = cutoffs, row, single

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """Steps predicted."""
        steps = self._cutoffs.steps if self.over_steps else self._cutoffs.horizons
        if self._row is None:
            return steps
        steps = steps[self._row]
        return steps[~np.isnan(steps)] if self.over_steps else steps

    @functools.cached_property
    def mixture(self) -> Mixture:
        """The predicted distribution of what is not known, the user's units."""
        mixture = self._cutoffs.fan if self._single is None else self._single
        if self._row is None:
            return mixture
        steps = [slice(len(self.steps))] if self.over_steps else []
        return mixture.at(self._row, *steps)

    @property
    def _all(self) -> "Cutoffs":
        if not self.over_steps:
            raise ValueError(
                "this is the forecast of a single step, which has no path, no surprise "
                "and no `final` or `best` of its own"
            )
        return self._cutoffs

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
        return len(self.diverged if np.ndim(self.diverged) else self.steps)

    def __getitem__(self, index: int) -> "Forecast":
        """Forecast of one curve of a batch."""
        if np.ndim(self.diverged) == 0:
            raise TypeError(
                "this is the forecast of one curve; only batches are indexed"
            )
        index = range(len(self))[operator.index(index)]
        return Forecast(self._cutoffs, index, self._single)

    @property
    def observed(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of the finite observations of one curve."""
        if np.ndim(self.diverged):
            raise ValueError("several curves were observed; index first: forecast[i]")
        if self._row is None or not self.over_steps:
            return np.empty(0), np.empty(0)
        context = self._cutoffs.contexts[self._row]
        return context.steps, self.metric.sign * context.values

    @property
    def over_steps(self) -> bool:
        """Whether it is of a curve's later steps, and has `final`; else of one step."""
        return self._single is None

    @property
    def finished(self) -> Any:
        """Whether no step remains: a bool for one curve, `(batch,)` for several."""
        finished = self._all.finished
        return finished if self._row is None else bool(finished[self._row])

    @functools.cached_property
    def final(self) -> "Forecast":
        """The forecast at the horizon alone: the same without the axis of steps."""
        return Forecast(self._all, self._row, self._all.final)

    @property
    def has_best(self) -> bool:
        """Whether `best` is known."""
        return self.over_steps and self._cutoffs.best is not None

    @functools.cached_property
    def best(self) -> "Forecast":
        """The forecast of the best value still to come, up to the horizon.

        A joint question: `best.prob_better(y)` is the probability that the run ever
        beats y in what remains, `best.mean()` what its best will be.

        Raises:
            ValueError: if the checkpoint was not trained for it.
        """
        best = self._all.best
        if best is None:
            raise ValueError(
                "no forecast of the best value: the checkpoint was not trained for it "
                '("best" in its card); paths() answers such queries with any checkpoint'
            )
        return Forecast(self._all, self._row, best)

    @functools.cached_property
    def surprise(self) -> Any:
        """How badly the model forecast the newest observations one step ahead.

        1 on average where it is calibrated; 3 and more: it has just mispredicted this
        curve, so do not rely on it. NaN with fewer than two finite observations. A
        float for one curve, `(batch,)` for several; see `lcpfn.prefixes`. Computed when
        asked for, with one more pass over the curve.
        """
        found = self._all.surprise
        return found if self._row is None else float(found[self._row])

    @functools.cached_property
    def _certain(self) -> np.ndarray:
        """`known` with the axes of `steps`."""
        known = np.asarray(self.known)
        return known if self.steps.ndim == known.ndim else known[..., None]

    def _result(self, value: np.ndarray, if_certain: Any) -> Any:
        """A result of the mixture, where the value is not known for certain."""
        value = np.where(np.isnan(self._certain), value, if_certain)
        value = np.where(np.isnan(self.steps), np.nan, value)
        return value if value.ndim else float(value)

    def _certain_gain(self, y: np.ndarray) -> np.ndarray:
        """Improvement of known values on y, 0 if there is none, as of diverged runs."""
        gain = self.metric.sign * (y - self._certain)
        diverged = np.asarray(self.diverged)
        diverged = diverged if diverged.ndim == self.steps.ndim else diverged[..., None]
        return np.where(~diverged & (gain > 0), gain, 0.0)

    @functools.cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        return self.mixture.moments()

    def mean(self) -> np.ndarray:
        """Expected value."""
        return self._result(self._moments[0], self._certain)

    def std(self) -> np.ndarray:
        """Standard deviation."""
        return self._result(self._moments[1], 0.0)

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
        return self._result(values, self._certain)

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Central interval that holds `level` of the mass: (low, high)."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        low, high = self.quantile(np.array([(1 - level) / 2, (1 + level) / 2]))
        return low, high

    def cdf(self, y: float | np.ndarray) -> np.ndarray:
        """P(value <= y)."""
        y = np.asarray(y, float)
        return self._result(self.mixture.cdf(y), (y >= self._certain) * 1.0)

    def log_prob(self, y: float | np.ndarray) -> np.ndarray:
        """Log-density at y, per unit of the metric; -inf outside hard bounds."""
        y = np.asarray(y, float)
        spike = np.where(y == self._certain, np.inf, -np.inf)
        return self._result(self.mixture.log_prob(y), spike)

    def prob_above(self, y: float | np.ndarray) -> np.ndarray:
        """P(value > y)."""
        return 1.0 - self.cdf(y)

    def prob_better(self, y: float | np.ndarray) -> np.ndarray:
        """P(value is better than y): above it for "max", below it for "min"."""
        y = np.asarray(y, float)
        below = self.mixture.cdf(y)
        better = 1.0 - below if self.metric.mode == "max" else below
        return self._result(better, (self._certain_gain(y) > 0) * 1.0)

    def expected_improvement(self, best: float | np.ndarray) -> np.ndarray:
        """E[max(improvement on `best`, 0)], in the metric's units, never negative."""
        best = np.asarray(best, float)
        if self.metric.mode == "max":
            gain = self.mixture.mirrored().expected_shortfall(-best)
        else:
            gain = self.mixture.expected_shortfall(best)
        return self._result(gain, self._certain_gain(best))

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
        paths = self._all.paths(check_count(n, "n"), seed)
        if self._row is not None:
            paths = paths[:, self._row, : len(self.steps)]
        return self._result(paths, self._certain)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draws one curve by `lcpfn.plot.fan`, several by `lcpfn.plot.runs`."""
        from lcpfn.plot import fan, runs

        return (runs if np.ndim(self.diverged) else fan)(self, ax=ax, **options)
