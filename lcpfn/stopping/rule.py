"""When to stop: the fields of a rule, and the values to beat that it compares with.

A run is worth continuing only for what it has not reached yet, so the bar is the value
to beat or the run's own best, whichever is better.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcpfn.curves import check_horizon
from lcpfn.metric import Bounds, Metric

# From these shares of the horizon on, with these confidences.
Schedule = tuple[tuple[float, float], ...]
METHODS = ("ever", "marginal")


@dataclass(frozen=True)
class Rule:
    """When to stop.

    Attributes:
        horizon: last step of a full run.
        mode: "max" or "min".
        bounds: of the metric, or None.
        beat: value to beat, or None: then the run's own best is the bar, and the run
            stops when it has nothing left to gain.
        confidence: stop when beating the bar has probability at most 1 - confidence;
            or a schedule, pairs (share of the horizon, confidence) of which each holds
            from its share on.
        patience: consecutive decisions that must agree before the run is stopped.
        min_steps: records before which a run is never stopped.
        method: "ever", the probability that the run beats the bar at any step that
            remains; or "marginal", the highest probability at any one of them, which
            is the rule of Domhan et al. 2015 and Adriaensen et al. 2023 (Sec. 4.3).
        max_surprise: never stop while `Forecast.surprise` is above it: the model has
            just mispredicted this curve. None: do not ask.
        min_delta: plateau rule: gains on the run's own best count only above it.
    """

    horizon: float
    mode: str
    bounds: Bounds | None = None
    beat: float | None = None
    confidence: float | Schedule = 0.975
    patience: int = 1
    min_steps: int = 2
    method: str = "ever"
    max_surprise: float | None = None
    min_delta: float | None = None

    def __post_init__(self) -> None:
        check_horizon(self.horizon)
        metric = Metric(self.mode, self.bounds)
        if self.beat is not None:
            if not _is_number(self.beat) or np.isnan(self.beat):
                raise ValueError(f"beat must be a number or None, got {self.beat!r}")
            metric.check(np.array([float(self.beat)]), "beat")
        _check_confidence(self.confidence)
        for name in ("patience", "min_steps"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if self.method not in METHODS:
            raise ValueError(
                f'method must be "ever" or "marginal", got {self.method!r}'
            )
        for name in ("max_surprise", "min_delta"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= 0):
                raise ValueError(f"{name} must be a number >= 0 or None, got {value!r}")

    def confidence_at(self, step: float) -> float:
        """The confidence that holds at a step."""
        return confidence_at(self.confidence, step / self.horizon)


def confidence_at(confidence: float | Schedule, share: float) -> float:
    """The confidence that holds at a share of the horizon."""
    if not isinstance(confidence, tuple):
        return float(confidence)
    begun = [level for start, level in confidence if start <= share]
    return float(begun[-1] if begun else confidence[0][1])


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number)


def _check_confidence(confidence: Any) -> None:
    levels: tuple[Any, ...] = (confidence,)
    if not _is_number(confidence):
        try:
            shares, levels = zip(*confidence, strict=True)
            rising = isinstance(confidence, tuple) and shares == tuple(
                sorted(set(shares))
            )
            fine = rising and 0 <= shares[0] and shares[-1] <= 1
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise ValueError(
                "confidence must be a number such as 0.95, or a tuple of pairs (share "
                "of the horizon, confidence) with increasing shares in [0, 1], got "
                f"{confidence!r:.80}"
            )
    for level in levels:
        if not _is_number(level) or not 0.5 <= level < 1:
            raise ValueError(
                f"confidence must lie in [0.5, 1), for instance 0.95, got {level!r}"
            )


def bar_of(rule: Rule, values: Iterable[float]) -> float:
    """The value to beat: `beat`, or the best finite value so far if that is better.

    With `min_delta`, that best value is raised (for "min": lowered) by it first. NaN if
    there is neither.
    """
    better = max if rule.mode == "max" else min
    seen = list(filter(math.isfinite, values))
    known = [] if rule.beat is None else [float(rule.beat)]
    if seen:
        delta = rule.min_delta or 0.0
        known.append(better(seen) + (delta if rule.mode == "max" else -delta))
    return better(known) if known else float("nan")


def bar_of_population(values: Iterable[float], mode: str, top_k: int = 1) -> float:
    """The value to beat to be among the best `top_k` of a population.

    Args:
        values: the best or final values of the other runs; NaN and infinite ones count
            as no run.
        mode: "max" or "min".
        top_k: 1: the best of all.

    Returns:
        The k-th best value; the worst of all while there are fewer than k; NaN while
        there are none.
    """
    Metric(mode)
    if not isinstance(top_k, int | np.integer) or top_k < 1:
        raise ValueError(f"top_k must be a positive integer, got {top_k!r}")
    known = sorted(filter(math.isfinite, values), reverse=mode == "max")
    return float(known[: int(top_k)][-1]) if known else float("nan")


def among_best(own: float, others: Sequence[float], mode: str, share: float) -> bool:
    """Whether a run belongs to the best share of a population at some step.

    It does if fewer than `share` of the others were better there, and if none was.

    Args:
        own: its best so far.
        others: the other runs' best so far at the same step, the worst value or NaN
            for those that did not get there.
        mode: "max" or "min".
        share: in [0, 1]; 0: nobody does.
    """
    if not others or share == 0 or not math.isfinite(own):
        return False
    better = sum(x > own if mode == "max" else x < own for x in others)
    return better < max(share * len(others), 1)


def in_top_k(value: float, others: Iterable[float], mode: str, top_k: int = 1) -> bool:
    """Whether a run is among the best `top_k` of a population so far.

    Args:
        value: the run's best so far.
        others: the other runs' best, at the same step if they are compared fairly.
        mode: "max" or "min".
        top_k: how many are protected; ties are protected too.
    """
    others = list(filter(math.isfinite, others))
    bar = bar_of_population(others, mode, top_k)
    if not math.isfinite(value):
        return False
    if len(others) < top_k:
        return True
    return value >= bar if mode == "max" else value <= bar
