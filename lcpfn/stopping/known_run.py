"""One run of a search, and what follows from its observations."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lcpfn.hyperparameters import Config
from lcpfn.metric import Metric
from lcpfn.seen_curve import Context, context_of, default_targets
from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.stopping.decision import Progress
from lcpfn.stopping.observations import Observations, WarnOnce


class KnownRun:
    """A run; what follows from its observations is made once, when it is asked for.

    Args:
        metric: direction and bounds.
        observations: its curve, which may grow and change; default: none yet.
        points: most steps to forecast; default: as many as `Model.extrapolate` does.

    Attributes:
        config: its hyperparameters, or None.
        finished: whether nothing more will come.
        reached: what it counts with among the finished runs; NaN: it does not count.
    """

    def __init__(
        self,
        metric: Metric,
        observations: Observations | None = None,
        points: int | None = None,
    ) -> None:
        self.metric, self.points = metric, points
        self.observations = observations or Observations(WarnOnce())
        self.config: Config | None = None
        self.finished, self.reached = False, math.nan
        self._bests: tuple[Any, BestSoFar] | None = None
        self._context: tuple[Any, Context] | None = None

    @property
    def steps(self) -> list[float]:
        """Steps of its observations."""
        return list(self.observations.curve)

    @property
    def values(self) -> list[float]:
        """Its observations, the user's units."""
        return list(self.observations.curve.values())

    @property
    def progress(self) -> Progress:
        """What it has shown so far; before the first observation nothing but NaN."""
        curve, last = self.observations.curve, self.observations.last
        if last is None:
            return Progress(0, math.nan, math.nan, math.nan)
        return Progress(len(curve), last, curve[last], self.bests.final)

    def finish(self, reached: float | None = None) -> None:
        """Nothing more will come.

        Args:
            reached: what it counts with; default: its best value.
        """
        self.finished = True
        self.reached = self.bests.final if reached is None else reached

    @property
    def bests(self) -> BestSoFar:
        """Its best values so far; only observations that are new are looked at."""
        of, best = self.observations.changes, None
        if self._bests is not None and self._bests[0] == of:
            best = self._bests[1]
        best = best or BestSoFar({}, self.metric)
        last = best.steps[-1] if best.steps else None
        if last is None or last != self.observations.last:
            curve = self.observations.curve
            for step in self.observations.after(last):
                best.add(step, curve[step])
            self._bests = of, best
        return best

    def context(self, metric: Metric, horizon: float) -> Context:
        """Its observations as the network takes them, without those out of bounds.

        The same object while nothing is new.

        Args:
            metric: as of the checkpoint, which may know that bounds are soft.
            horizon: last step of a full run.
        """
        seen = self.observations
        of = (seen.changes, seen.last, horizon)
        if self._context is None or self._context[0] != of:
            curve = seen.curve
            outside = metric.outside(np.fromiter(curve.values(), float, len(curve)))
            if outside.any():
                kept = zip(curve.items(), outside, strict=True)
                curve = dict(pair for pair, out in kept if not out)
            self._context = of, self.beginning(curve, metric, horizon)
        return self._context[1]

    def beginning(
        self, curve: Mapping[float, float], metric: Metric, horizon: float
    ) -> Context:
        """Its first observations as the network takes them; args as of `context`."""
        found = context_of(curve, metric, horizon)
        if self.points is None:
            return found
        ahead = (found.last_step, found.unit, horizon, self.points)
        return found._replace(targets=default_targets(*ahead))


def reached_by(runs: Iterable[KnownRun]) -> list[float]:
    """What finished runs have reached, of those that count."""
    return [run.reached for run in runs if run.finished and math.isfinite(run.reached)]
