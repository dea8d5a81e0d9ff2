"""The best value of a run by each of its steps, for comparing runs at one step."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from lcpfn.metric import Metric
from lcpfn.stopping.threshold import best_of


class BestSoFar:
    """The best value of a run by each of its steps.

    Args:
        curve: values by step.
        metric: direction and bounds; values outside count as none, like those not
            finite.

    Attributes:
        steps: of the curve, in order.
        values: the best value up to each of them; NaN where there is none yet.
    """

    def __init__(self, curve: Mapping[Any, Any], metric: Metric) -> None:
        self.mode = metric.mode
        low, high = metric.bounds or (None, None)
        self._low = -math.inf if low is None else low
        self._high = math.inf if high is None else high
        self.steps: list[float] = []
        self.values: list[float] = []
        for step in sorted(curve):
            self.add(step, curve[step])

    def add(self, step: float, value: float) -> None:
        """One more observation, behind all others."""
        known = value if self._low <= value <= self._high else math.nan
        self.steps.append(float(step))
        self.values.append(best_of((self.final, known), self.mode))

    @property
    def final(self) -> float:
        """The best value of all; NaN if there is none."""
        return self.values[-1] if self.values else math.nan

    def at(self, step: float) -> float:
        """The best value up to a step; NaN if the run did not get there."""
        if not self.steps or self.steps[-1] < step:
            return math.nan
        count = bisect_right(self.steps, step)
        return self.values[count - 1] if count else math.nan
