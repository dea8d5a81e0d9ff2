"""Decisions on whole curves, for hosts that keep the observations themselves.

Nothing is remembered between calls, so the same curve gets the same decision. They are
those of a stream that decides at every observation: `Rule.patience` counts the newest
ones, each from its own part of the curve.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from lcpfn.context import Context, context_of, default_targets
from lcpfn.forecast import Forecast
from lcpfn.metric import Metric
from lcpfn.stopping.decision import Decision, Progress, decide
from lcpfn.stopping.observations import DecisionInterval
from lcpfn.stopping.rule import Rule

# Forecasts of runs, each from a part of what is known of it; by their names.
Ask = Callable[[Sequence[tuple[Hashable, Context]]], Forecast]
# Whether the run with this curve so far is not to be stopped.
Protected = Callable[[Mapping[float, float]], bool]


def never(curve: Mapping[float, float]) -> bool:
    """No run is protected."""
    return False


class CurveForecasts(NamedTuple):
    """One curve, and the forecasts that a decision at its end needs.

    Attributes:
        curve: values by step, in order of the steps.
        cutoffs: numbers of observations that the forecasts have seen, increasing; the
            last one is that of the whole curve. Empty if no decision is due there.
        forecasts: one per cutoff.
    """

    curve: Mapping[float, float]
    cutoffs: list[int]
    forecasts: list[Forecast]


def forecast_curves(
    ask: Ask,
    metric: Metric,
    rule: Rule,
    curves: Mapping[Hashable, Mapping[float, float]],
    interval: DecisionInterval,
    points: int | None = None,
) -> tuple[list[CurveForecasts], Forecast | None]:
    """Forecasts several curves in one call.

    Args:
        ask: gives the forecasts.
        metric: direction and bounds.
        rule: says how many cutoffs are needed.
        curves: values by step, in order, within hard bounds, before the horizon; by
            the names of their runs.
        interval: at which observations to decide.
        points: most steps to forecast; default: as many as `Model.extrapolate` does.

    Returns:
        One entry per curve; and the batch of all forecasts, curve by curve and cutoff
        by cutoff, or None if no decision is due.
    """
    parts: list[tuple[Hashable, Context]] = []
    due: list[list[int]] = []
    for name, curve in curves.items():
        steps = list(curve)
        cutoffs = interval.cutoffs(steps)
        at_the_end = cutoffs[-1:] == [len(steps)]
        due.append(cutoffs[-rule.patience :] if at_the_end else [])
        for n in due[-1]:
            part = context_of(dict(islice(curve.items(), n)), metric, rule.horizon)
            if points is not None:
                ahead = (part.last_step, part.unit, rule.horizon, points)
                part = part._replace(targets=default_targets(*ahead))
            parts.append((name, part))
    if not parts:
        return [CurveForecasts(curve, [], []) for curve in curves.values()], None
    batch = ask(parts)
    rows = iter(range(len(parts)))
    return [
        CurveForecasts(curve, cutoffs, [batch[next(rows)] for _ in cutoffs])
        for curve, cutoffs in zip(curves.values(), due, strict=True)
    ], batch


def decide_on_curve(
    rule: Rule, known: CurveForecasts, protected: Protected = never
) -> Decision | None:
    """The decision at the end of a curve; None if none is due there.

    Args:
        rule: when to stop.
        known: from `forecast_curves`.
        protected: called only where the run looks hopeless.
    """
    decision, streak = None, 0
    steps, values = list(known.curve), list(known.curve.values())
    for n, forecast in zip(known.cutoffs, known.forecasts, strict=True):
        seen = dict(zip(steps[:n], values[:n], strict=True))
        run = Progress.of(values[:n], rule.mode, steps[n - 1])
        decision, streak = decide(rule, run, forecast, streak, partial(protected, seen))
    return decision
