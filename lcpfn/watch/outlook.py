"""The forecasts of watched runs, of which only what is shown is computed."""

import functools
from typing import NamedTuple

import numpy as np

from lcpfn.forecast import Forecast
from lcpfn.stopping.whole_curves import CurveForecasts

# Quantiles that are shown.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class Fans:
    """The later steps of several runs; forecast when they are first looked at."""

    def __init__(self, batch: Forecast) -> None:
        self._batch = batch

    @functools.cached_property
    def quantiles(self) -> np.ndarray:
        """Of the values, by `LEVELS` `(runs, 5, s)`."""
        return np.moveaxis(self._batch.quantile(np.array(LEVELS)), 0, 1)

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """Later steps `(runs, s)`, the horizon last; NaN behind that."""
        return np.asarray(self._batch.steps)


class Outlook(NamedTuple):
    """The rest of one run.

    Attributes:
        final: median and 90 % interval at the horizon.
        known: its curve, and the forecasts that a decision needs.
        fans, row: the later steps of runs, and which one is this.
    """

    final: tuple[float, float, float]
    known: CurveForecasts
    fans: Fans
    row: int

    @property
    def steps(self) -> list[float]:
        """Later ones, the horizon last `(s,)`."""
        steps = self.fans.steps[self.row]
        return list(steps[np.isfinite(steps)].tolist())

    @property
    def quantiles(self) -> list[list[float]]:
        """Of the value there, by `LEVELS` `(5, s)`."""
        there = np.isfinite(self.fans.steps[self.row])
        return list(self.fans.quantiles[self.row][:, there].tolist())
