"""The value that a run has to beat, and the probability that it does.

The threshold is the value to beat (`Rule.beat`; in a search the incumbent, the best of
the finished runs) or the run's own best, whichever is better.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.checks import check_count
from lcpfn.metric import Metric

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast
    from lcpfn.stopping.rule import Rule

# Joint paths that are simulated for one probability.
FEWEST_PATHS, MOST_PATHS = 256, 4096


def best_of(values: Iterable[float], mode: str) -> float:
    """The best finite value; NaN if there is none."""
    better = max if mode == "max" else min
    return better(filter(math.isfinite, values), default=math.nan)


def threshold_of(rule: "Rule", best: float) -> float:
    """The value to beat: `rule.beat`, or the run's own best if that is better.

    With `rule.min_delta`, the run's best is raised (for "min": lowered) by it first.
    NaN if there is neither.

    Args:
        rule: with `beat`, or None.
        best: the run's best finite value; NaN while there is none.
    """
    gain = rule.min_delta or 0.0
    own = best + (gain if rule.mode == "max" else -gain)
    if rule.beat is None or math.isnan(own):
        return own if rule.beat is None else float(rule.beat)
    return max(own, rule.beat) if rule.mode == "max" else min(own, rule.beat)


def incumbent_of(values: Iterable[float], mode: str, top_k: int = 1) -> float:
    """The value to beat to be among the best `top_k` runs of a search.

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
    k = check_count(top_k, "top_k")
    known = sorted(filter(math.isfinite, values), reverse=mode == "max")
    return float(known[:k][-1]) if known else math.nan


def among_best(own: float, others: Sequence[float], mode: str, share: float) -> bool:
    """Whether a run belongs to the best share of the runs of a search at some step.

    It does if fewer than `share` of the others were better there, or if none was.

    Args:
        own: its best so far.
        others: the other runs' best so far at the same step, the worst value or NaN
            for those that did not get there.
        mode: "max" or "min".
        share: in [0, 1]; 0: no run does.
    """
    if not others or share == 0 or not math.isfinite(own):
        return False
    better = sum(x > own if mode == "max" else x < own for x in others)
    return better < max(share * len(others), 1)


def chance_of(rule: "Rule", forecast: "Forecast", threshold: Any, least: Any) -> Any:
    """Probability that runs beat a threshold in what remains.

    Args:
        rule: says by which method.
        forecast: of one curve, or of a batch.
        threshold: value to beat, NaN: there is none; for a batch one each `(batch,)`.
        least: the probability that decides, likewise. Joint paths, which answer for
            checkpoints without `Forecast.best`, are not simulated where that cannot
            change on which side of it the result lies: the result is then the bound
            that says so, the highest or the sum of the probabilities at single steps.

    Returns:
        A float; for a batch `(batch,)`.
    """
    if rule.method == "ever" and forecast.has_best:
        none = np.isnan(threshold)
        chance = forecast.best.prob_better(np.where(none, 0.0, threshold))
        chance = np.where(none | forecast.diverged, 0.0, chance)
        return chance if chance.ndim else float(chance)
    if not np.ndim(forecast.diverged):
        return _from_steps(rule, forecast, threshold, least)
    each = enumerate(zip(threshold, least, strict=True))
    return np.array([_from_steps(rule, forecast[i], *args) for i, args in each])


def _from_steps(
    rule: "Rule", forecast: "Forecast", threshold: float, least: float
) -> float:
    """`chance_of` one run from the probabilities at its later steps."""
    if math.isnan(threshold) or forecast.diverged or not len(forecast.steps):
        return 0.0
    each = forecast.prob_better(threshold)
    highest, total = float(np.max(each)), float(np.sum(each))
    if rule.method == "marginal" or highest > least:
        return highest
    if total <= least:
        return total
    count = np.clip(4 / least, FEWEST_PATHS, MOST_PATHS)
    paths = forecast.paths(int(count))
    best = paths.max(1) if rule.mode == "max" else paths.min(1)
    beaten = best > threshold if rule.mode == "max" else best < threshold
    # A joint probability lies between these bounds, whatever the sample says.
    return float(np.clip(beaten.mean(), highest, total))
