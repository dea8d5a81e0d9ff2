"""A rule applied to finished runs: when would it have stopped them?

The decisions that `EarlyStopping` makes record by record, for all records at once. The
method "marginal", and any method with a checkpoint that was not trained for best
values, look at the later steps of a `Foresight`, not at all of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.metric import Metric
from lcpfn.prefixes import Foresight, foresee
from lcpfn.stopping.rule import Rule, confidence_at

if TYPE_CHECKING:
    from lcpfn.model import Model


class Replayed(NamedTuple):
    """A finished run with its forecasts.

    Attributes:
        run: its records.
        losses: its values, lower is better; infinite where not finite `(n,)`.
        own: its best so far `(n,)`.
        foresight: its forecasts.
        horizon: last step of a full run.
    """

    run: Run
    losses: np.ndarray
    own: np.ndarray
    foresight: Foresight
    horizon: float

    @property
    def best(self) -> float:
        """Its best value, model space."""
        return float(self.own[-1])


def replay(
    model: "Model", runs: Sequence[Run], horizon: float | None = None
) -> list[Replayed]:
    """Finished runs of one metric, ready for any rule; args as of `foresee`."""
    found = foresee(model, runs, horizon)
    return [
        replayed(run, part, float(run.steps[-1] if horizon is None else horizon))
        for run, part in zip(runs, found, strict=True)
    ]


def replayed(run: Run, foresight: Foresight, horizon: float) -> Replayed:
    """One finished run and its forecasts."""
    losses = Metric(run.mode).sign * run.values
    losses = np.where(np.isfinite(losses), losses, np.inf)
    return Replayed(run, losses, np.minimum.accumulate(losses), foresight, horizon)


def chances(rule: Rule, past: Replayed, bar: float) -> np.ndarray:
    """Probability of beating the bar from each cutoff of the run `(m,)`.

    Args:
        rule: its `beat` and `horizon` are not looked at.
        past: the run.
        bar: value to beat, model space, infinite if there is none; the run's own best
            is the bar where that is better.
    """
    seen, best, ahead, _ = past.foresight
    bars = np.minimum(bar, past.own[seen - 1] - (rule.min_delta or 0.0))
    if rule.method == "ever" and best is not None:
        return best.cdf(bars)
    each = ahead.cdf(bars[:, None])
    return each.max(axis=1, initial=0.0)


def stop_after(
    rule: Rule, past: Replayed, bar: float, protected: np.ndarray | None = None
) -> int:
    """Records after which the rule stops a run; all of them if it never does.

    Args:
        rule: as of `chances`. A record that is not finite is hopeless.
        past: the run.
        bar: value to beat, as of `chances`.
        protected: records at which the run is not to be stopped `(n,)`, unless it has
            diverged.
    """
    count = len(past.losses)
    hopeless = ~np.isfinite(past.losses)
    decided = hopeless.copy()
    seen = past.foresight.seen
    if len(seen):
        shares = past.run.steps[seen - 1] / past.horizon
        least = 1 - np.array([confidence_at(rule.confidence, x) for x in shares])
        low = chances(rule, past, bar) <= least
        if rule.max_surprise is not None:
            low &= ~(past.foresight.surprise > rule.max_surprise)
        if protected is not None:
            low &= ~protected[seen - 1]
        decided[seen - 1], hopeless[seen - 1] = True, low
    streak = 0
    for at in np.flatnonzero(decided[:-1]):
        streak = streak + 1 if hopeless[at] else 0
        if streak >= rule.patience and at + 1 >= rule.min_steps:
            return int(at) + 1
    return count


def critical(rule: Rule, past: Replayed, bar: float) -> float:
    """The largest probability at which the rule would still not lose a good run.

    With `confidence` at most 1 minus this, a run that beats the bar in the end is
    stopped before it has; above, it is not.

    Args:
        rule: its `confidence` is not looked at.
        past: the run.
        bar: value to beat, model space; the run's own best does not count here before
            it beats the bar.

    Returns:
        0 if it is stopped at any confidence, because it diverged in between; infinite
        if it does not beat the bar or has before any decision.
    """
    beats = np.flatnonzero(past.losses < bar)
    if not len(beats):
        return float("inf")
    chance = np.full(len(past.losses), np.nan)
    chance[~np.isfinite(past.losses)] = 0.0
    seen = past.foresight.seen
    known = chances(rule, past, bar)
    if rule.max_surprise is not None:
        known = np.where(past.foresight.surprise > rule.max_surprise, np.inf, known)
    chance[seen - 1] = known
    decided = np.flatnonzero(~np.isnan(chance[: beats[0]]))
    least = float("inf")
    for i in range(rule.patience - 1, len(decided)):
        if decided[i] + 1 >= rule.min_steps:
            window = chance[decided[i + 1 - rule.patience : i + 1]]
            least = min(least, float(window.max()))
    return least
