"""The context of a forecast: what one curve has shown up to its cutoff.

In float64 and model space (lower is better).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lcpfn.metric import Metric
from lcpfn.plan import Plan, plan_of

MOST_TARGETS = 512


class Context(NamedTuple):
    """One checked curve up to its cutoff, in model space (lower is better).

    Attributes:
        steps, values: the finite observations `(n,)`, float64.
        last_step: of the newest observation, finite or not; 0 before the first.
        last_value: of the newest observation; 0 before the first.
        horizon: last step to predict.
        targets: steps to predict, increasing `(s,)`; None: `default_targets`.
        unit: distance of the default targets.
        plan: of the learning rate; None: unknown.
    """

    steps: np.ndarray
    values: np.ndarray
    last_step: float
    last_value: float
    horizon: float
    targets: np.ndarray | None = None
    unit: float = 1.0
    plan: Plan | None = None

    @property
    def diverged(self) -> bool:
        """Whether the newest observation is not finite."""
        return not math.isfinite(self.last_value)

    @property
    def finished(self) -> bool:
        """Whether no step remains."""
        return self.last_step >= self.horizon

    def wanted(self) -> np.ndarray:
        """The steps to predict."""
        if self.targets is not None:
            return self.targets
        return default_targets(self.last_step, self.unit, self.horizon)


def context_of(
    curve: Mapping[float, float],
    metric: Metric,
    horizon: float,
    plan: Sequence[float] | None = None,
) -> Context:
    """Of values by step, in order of the steps, in the user's units; may be empty."""
    steps = np.fromiter(curve, float, len(curve))
    values = metric.sign * np.fromiter(curve.values(), float, len(curve))
    known = np.isfinite(values)
    last_step, last = (steps[-1], values[-1]) if len(steps) else (0.0, 0.0)
    return Context(
        *(steps[known], values[known], float(last_step), float(last)),
        *(horizon, None, step_unit(steps), plan_of(plan, horizon)),
    )


def step_unit(steps: np.ndarray) -> float:
    """Distance of targets: 1 where all steps are whole numbers, else the median gap."""
    if (steps == np.round(steps)).all():
        return 1.0
    return float(np.median(np.diff(steps))) if len(steps) > 1 else float(steps[0])


def default_targets(
    last: float, unit: float, horizon: float, most: int = MOST_TARGETS
) -> np.ndarray:
    """Every step after the last one up to the horizon, thinned to at most `most`.

    Args:
        last: the newest step.
        unit: distance between steps, see `step_unit`.
        horizon: the last target.
        most: how many at most, evenly spaced.
    """
    count = math.ceil((horizon - last) / unit * (1 - 1e-12))
    if count < 1:
        return np.empty(0)
    ticks = np.linspace(max(count / most, 1), count, min(count, most)).round()
    targets = last + unit * ticks
    targets[-1] = horizon
    return targets
