"""The planned learning rate of a run, and what the network is told of it.

A plan is a list of learning rates, evenly over the whole run: of n rates the first
holds up to step horizon / n, the last up to the horizon. Only their ratios count. With
r(t) as a share of the highest rate and A(t) its integral from step 0 on, a query
(cutoff t, target s) is told r(t), r(s) and r(end), means of r before t and before s,
what A gains between them over A(t), and both as shares of A(end).

The integral is the training time that a schedule leaves, and a loss falls with the rate
itself (Schaipp et al. 2025, arXiv 2501.18965; Luo et al. 2025, arXiv 2503.12811).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lcpfn.statistics import Array

if TYPE_CHECKING:
    from lcpfn.config import ModelConfig
    from lcpfn.seen_curve import Context

PLAN_FEATURES = 11
MOST_RATES = 100_000
# Shares of the highest rate below it look like none.
LEAST = 1e-4
# Steps are compared up to rounding.
ROUNDING = 1e-9


def check_plan(plan: Any, name: str = "the curve") -> np.ndarray | None:
    """The rates `(n,)`, a float64 copy.

    Raises:
        ValueError: if they are no one-dimensional finite numbers, one is negative or
            all are zero.
    """
    if plan is None:
        return None
    try:
        rates = np.array(plan, dtype=np.float64)
        if any(isinstance(rate, bool | np.bool_) for rate in plan):
            rates = np.empty(0)  # flags, not numbers
    except (TypeError, ValueError, OverflowError):
        rates = np.empty(0)
    fine = rates.ndim == 1 and 0 < len(rates) <= MOST_RATES and np.isfinite(rates).all()
    if not fine or rates.min() < 0 or rates.max() == 0:
        raise ValueError(
            f"plan of {name} must be the learning rates of the whole run, such as one "
            "per epoch up to the horizon: numbers >= 0, not all of them 0, got "
            f"{plan!r:.80}"
        )
    return rates


def check_can_plan(config: "ModelConfig") -> None:
    """Refuses a plan for a network that knows none.

    Raises:
        ValueError: saying what to leave out.
    """
    if not config.plan:
        raise ValueError(
            "this checkpoint was not trained to know a planned learning rate; leave "
            "out plan=, or load one that was, such as the default"
        )


def refuse_plan(plan: Any) -> None:
    """Refuses a plan where a run is forecast among others.

    Raises:
        ValueError: saying what to leave out.
    """
    if plan is not None:
        raise ValueError(
            "plan is of a run that is forecast alone; a forecast knows the planned "
            "learning rate or other runs, not both, since their curves show what the "
            "schedule does: leave out plan="
        )


class Plan(NamedTuple):
    """A plan whose rates are shares of the highest.

    Attributes:
        steps: between which each rate holds, from 0 on `(1 + P,)`.
        share: `(P,)`.
        areas: integral of the shares from 0 up to each of the steps `(1 + P,)`.
    """

    steps: Array
    share: Array
    areas: Array

    def area(self, step: Array) -> Array:
        """Training time up to steps."""
        xp: Any = self.share.__array_namespace__()
        return xp.interp(step, self.steps, self.areas)

    def rate(self, step: Array) -> Array:
        """The rate that leads to steps."""
        xp: Any = self.share.__array_namespace__()
        at = xp.searchsorted(self.steps[1:], step * (1 - ROUNDING))
        return self.share[xp.clip(at, 0, len(self.share) - 1)]

    def mean(self, start: Array, stop: Array) -> Array:
        """The mean rate between steps."""
        xp: Any = self.share.__array_namespace__()
        some = stop > start
        gained = self.area(stop) - self.area(start)
        return xp.where(some, gained / xp.where(some, stop - start, 1), self.rate(stop))


def make_plan(ends: Array, rates: Array) -> Plan:
    """The plan of rates `(P,)`, each up to its step of `ends` `(P,)`, increasing."""
    xp: Any = rates.__array_namespace__()
    share, nothing = rates / xp.max(rates), xp.zeros_like(rates[:1])
    gains = share * xp.diff(ends, prepend=nothing)
    from_0 = lambda x: xp.concatenate([nothing, x])
    return Plan(from_0(ends), share, from_0(xp.cumsum(gains)))


def plan_of(rates: Sequence[float] | np.ndarray | None, horizon: float) -> Plan | None:
    """The plan of rates, evenly from step 0 to the horizon; None: there are none."""
    if rates is None:
        return None
    ends = horizon * np.arange(1, len(rates) + 1) / len(rates)
    return make_plan(ends, np.asarray(rates))


def plan_features(plan: Plan, cutoff: Array, targets: Array) -> Array:
    """What queries are told of a plan.

    Args:
        plan: of one run.
        cutoff: steps `(N,)`.
        targets: steps `(N, Q)`.

    Returns:
        `(N, Q, PLAN_FEATURES)`; NumPy's if all are NumPy's, else JAX's.
    """
    xp: Any = plan.share.__array_namespace__()
    here, total = cutoff[:, None] + 0 * targets, plan.areas[-1]
    gone, until = plan.area(here), plan.area(targets)
    logs = [
        plan.rate(here),
        plan.rate(targets),
        plan.share[-1] + 0 * here,
        plan.mean(0 * here, here),
        plan.mean(here / 2, here),
        plan.mean(7 * here / 8, here),
        plan.mean(here, targets),
        plan.mean(targets - (targets - here) / 4, targets),
    ]
    ratio = (until - gone) / xp.maximum(gone, LEAST * total)
    columns = [
        *xp.log(xp.maximum(xp.stack(logs), LEAST)),
        xp.log(xp.clip(ratio, LEAST, 1 / LEAST)),
        4 * gone / total,
        4 * until / total,
    ]
    return xp.stack(columns, axis=-1) / 2


def features_of(contexts: Sequence["Context"], targets: np.ndarray) -> Any:
    """What queries of curves are told of their plans.

    Args:
        contexts: B curves.
        targets: steps `(B, Q)`.

    Returns:
        `(B, Q, PLAN_FEATURES)` float32, NaN for curves without a plan; None where none
        of them has one.
    """
    if all(context.plan is None for context in contexts):
        return None
    told = np.full((*targets.shape, PLAN_FEATURES), np.nan, np.float32)
    for row, context, steps in zip(told, contexts, targets, strict=True):
        if context.plan is not None and len(context.steps):
            row[:] = plan_features(context.plan, context.steps[-1:], steps[None])[0]
    return told
