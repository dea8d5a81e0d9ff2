"""Decisions on whole curves, for hosts that keep the observations themselves.

Nothing is remembered between calls, so the same curve gets the same decision. They are
those of a stream that decides at every observation: `Rule.patience` counts the newest
ones, each from its own part of the curve.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from lcpfn.forecast import Forecast
from lcpfn.seen_curve import Context
from lcpfn.stopping.decision import Decision, Progress, decide
from lcpfn.stopping.interval import DecisionInterval
from lcpfn.stopping.rule import Rule

# Forecasts of runs, each from a part of what is known of it; by their names.
Ask = Callable[[Sequence[tuple[Hashable, Context]]], Forecast]
# The context of a run, of which these are the first observations by step.
AsContext = Callable[[Hashable, Mapping[float, float]], Context]
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
    context: AsContext,
    rule: Rule,
    curves: Mapping[Hashable, Mapping[float, float]],
    interval: DecisionInterval,
) -> tuple[list[CurveForecasts], Forecast | None]:
    """Forecasts several curves in one call.

    Args:
        ask: gives the forecasts.
        context: makes a context of a curve or its beginning, or gives one that there
            is.
        rule: says how many cutoffs are needed.
        curves: values by step, in order, within hard bounds, before the horizon; by
            the names of their runs.
        interval: at which observations to decide.

    Returns:
        One entry per curve; and the batch of all forecasts, curve by curve and cutoff
        by cutoff, or None if no decision is due.
    """
    parts: list[tuple[Hashable, Context]] = []
    due: list[list[int]] = []
    for name, curve in curves.items():
        steps = list(curve)
        due.append(interval.cutoffs(steps, rule.patience))
        for n in due[-1]:
            seen = curve if n == len(steps) else dict(islice(curve.items(), n))
            parts.append((name, context(name, seen)))
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
    pairs, values = list(known.curve.items()), list(known.curve.values())
    for n, forecast in zip(known.cutoffs, known.forecasts, strict=True):
        run = Progress.of(values[:n], rule.mode, pairs[n - 1][0])
        spared = lambda n=n: protected(dict(pairs[:n]))
        decision, streak = decide(rule, run, forecast, streak, spared)
    return decision
