"""From a forecast to a decision; pure.

kind          stop   the run ...
promising     no     may still beat the bar
hopeless      yes    will not beat `beat`
plateau       yes    will not beat its own best
diverged      yes    ended in NaN or infinity
surprised     no     looks hopeless, but the model mispredicts it
protected     no     looks hopeless, but is among the best so far
too early     no     looks hopeless or diverged, with fewer than `min_steps` records
patience      no     looks hopeless or diverged, not often enough in a row
finished      no     is at its horizon
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lcpfn.forecast import Forecast
from lcpfn.stopping.rule import Rule, bar_of

KINDS = (
    *("promising", "hopeless", "plateau", "diverged", "surprised"),
    *("protected", "too early", "patience", "finished"),
)
FEWEST_PATHS, MOST_PATHS = 256, 4096


@dataclass(frozen=True)
class Decision:
    """What to do with a run, and why.

    Attributes:
        stop: whether to stop it now.
        reason: one sentence for people, with the probability.
        prob_better: probability of beating the bar, as the rule's method has it.
        expected_final: expected value at the horizon, the user's units.
        forecast: the forecast behind it.
        bar: the value to beat; NaN while there is none.
        final_std: standard deviation of the value at the horizon.
        kind: one of `KINDS`, for programs.
    """

    stop: bool
    reason: str
    prob_better: float
    expected_final: float
    forecast: Forecast
    bar: float
    final_std: float = 0.0
    kind: str = "promising"


def chance_of(rule: Rule, forecast: Forecast, bar: float, least: float) -> float:
    """Probability that one run beats a bar in what remains.

    Args:
        rule: says by which method.
        forecast: of one curve.
        bar: value to beat.
        least: the probability that decides. Joint paths, which answer for checkpoints
            without `Forecast.best`, are not simulated where that cannot change on
            which side of it the result lies: the result is then the bound that says
            so, the highest or the sum of the probabilities at single steps.
    """
    if np.isnan(bar) or forecast.diverged:
        return 0.0
    if rule.method == "ever" and forecast.has_best:
        return float(forecast.best.prob_better(bar))
    each = forecast.prob_better(bar)
    highest, total = float(np.max(each)), float(np.sum(each))
    if rule.method == "marginal" or highest > least:
        return highest
    if total <= least:
        return total
    count = np.clip(4 / least, FEWEST_PATHS, MOST_PATHS)
    paths = forecast.paths(int(count))
    best = paths.max(1) if rule.mode == "max" else paths.min(1)
    beaten = best > bar if rule.mode == "max" else best < bar
    # A joint probability lies between these bounds, whatever the sample says.
    return float(np.clip(beaten.mean(), highest, total))


def judge(
    rule: Rule,
    values: Sequence[float],
    forecast: Forecast,
    streak: int,
    step: float | None = None,
    protected: bool | Callable[[], bool] = False,
) -> tuple[Decision, int]:
    """Decides on one run.

    Args:
        rule: when to stop.
        values: the run so far, the user's units.
        forecast: from its newest record.
        streak: consecutive earlier decisions that found it hopeless.
        step: of the newest record; default: the number of records.
        protected: whether it is among the runs that are not to be stopped; a function
            is asked only if it looks hopeless.

    Returns:
        The decision, and the streak after it.
    """
    bar = bar_of(rule, values)
    if not forecast.steps.size:
        done = f"The run has reached its horizon of {rule.horizon:g} steps."
        beaten = rule.beat is not None and not np.isnan(bar) and bar != rule.beat
        return (
            Decision(
                False, done, float(beaten), values[-1], forecast, bar, 0.0, "finished"
            ),
            0,
        )
    confidence = rule.confidence_at(len(values) if step is None else step)
    least = 1 - confidence
    chance = chance_of(rule, forecast, bar, least)
    diverged = bool(forecast.diverged)
    hopeless = diverged or chance <= least
    kind, note = "promising", "going on"
    if (
        hopeless
        and not diverged
        and (protected() if callable(protected) else protected)
    ):
        kind, note = "protected", "protected, it is among the best so far"
    elif hopeless and not diverged and _surprised(rule, forecast):
        kind = "surprised"
        note = (
            f"not stopped, the model mispredicts it (surprise {forecast.surprise:.2g})"
        )
    streak = streak + 1 if hopeless and kind == "promising" else 0
    stop = False
    if streak and len(values) < rule.min_steps:
        kind = "too early"
        note = f"too early to stop, {len(values)} of {rule.min_steps} records"
    elif streak and streak < rule.patience:
        kind, note = "patience", f"{streak} of {rule.patience} agreeing decisions"
    elif streak:
        stop, note = True, f"stopped at confidence {confidence:g}"
        others = rule.beat is not None and bar == rule.beat
        kind = "diverged" if diverged else "hopeless" if others else "plateau"
    reason = f"{_why(rule, values, forecast, bar, chance)}; {note}."
    final = forecast.final
    decision = Decision(
        stop,
        reason,
        chance,
        float(final.mean()),
        forecast,
        bar,
        float(final.std()),
        kind,
    )
    return decision, streak


def _surprised(rule: Rule, forecast: Forecast) -> bool:
    # NaN, too few records to tell, is no surprise.
    return rule.max_surprise is not None and forecast.surprise > rule.max_surprise


def _why(
    rule: Rule,
    values: Sequence[float],
    forecast: Forecast,
    bar: float,
    chance: float,
) -> str:
    if forecast.diverged:
        return f"The run diverged: its last value is {values[-1]:g}"
    what = f"{bar:g}"
    if rule.beat is None or bar != rule.beat:
        gain = f" by {rule.min_delta:g}" if rule.min_delta else ""
        best = max if rule.mode == "max" else min
        own = best(v for v in values if np.isfinite(v))
        what = f"its own best, {own:g},{gain}"
    when = " at any one step" if rule.method == "marginal" else ""
    return (
        f"The run beats {what} by step {rule.horizon:g} with probability "
        f"{chance:.1%}{when} (expected final value {float(forecast.final.mean()):.4g})"
    )
