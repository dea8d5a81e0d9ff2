"""A rule applied to finished runs: when would it have stopped them?

The decisions that `EarlyStopping` makes one after the other, for all observations at
once. The method "marginal", and any method with a checkpoint that was not trained for
best values, look at the later steps of a `PrefixForecasts`, not at all of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.metric import Metric
from lcpfn.prefixes import PrefixForecasts, forecast_prefixes
from lcpfn.stopping.decision import Evidence, decide_all, spared
from lcpfn.stopping.rule import Rule

if TYPE_CHECKING:
    from lcpfn.model import Model


class RecordedRun(NamedTuple):
    """A finished run with its forecasts.

    Attributes:
        run: its observations.
        losses: its values, lower is better; infinite where not finite `(n,)`.
        own: its best so far `(n,)`.
        forecasts: from its observations.
        horizon: last step of a full run.
    """

    run: Run
    losses: np.ndarray
    own: np.ndarray
    forecasts: PrefixForecasts
    horizon: float

    @property
    def best(self) -> float:
        """Its best value, model space."""
        return float(self.own[-1])


def replay(
    model: "Model", runs: Sequence[Run], horizon: float | None = None
) -> list[RecordedRun]:
    """Finished runs of one metric; args as of `forecast_prefixes`."""
    found = forecast_prefixes(model, runs, horizon)
    return [
        recorded_run(run, part, float(run.steps[-1] if horizon is None else horizon))
        for run, part in zip(runs, found, strict=True)
    ]


def recorded_run(run: Run, forecasts: PrefixForecasts, horizon: float) -> RecordedRun:
    """One finished run and its forecasts."""
    losses = Metric(run.mode).sign * run.values
    losses = np.where(np.isfinite(losses), losses, np.inf)
    return RecordedRun(run, losses, np.minimum.accumulate(losses), forecasts, horizon)


def chances(rule: Rule, past: RecordedRun, threshold: float) -> np.ndarray:
    """Probability of beating the threshold from each forecast of the run `(m,)`.

    Args:
        rule: its `beat`, `horizon` and `plan` are not used.
        past: the run.
        threshold: value to beat, model space, infinite if there is none; the run's own
            best takes its place where that is better.
    """
    seen, best, ahead, _ = past.forecasts
    thresholds = np.minimum(threshold, past.own[seen - 1] - (rule.min_delta or 0.0))
    if rule.method == "ever" and best is not None:
        return best.cdf(thresholds)
    each = ahead.cdf(thresholds[:, None])
    return each.max(axis=1, initial=0.0)


def evidence_of(
    rule: Rule, past: RecordedRun, threshold: float, protected: np.ndarray | None
) -> Evidence:
    """What the decisions on a run are made from, arrays over those `(k,)`.

    A decision is made at every forecast, and at observations that are not finite.
    """
    seen, count = past.forecasts.seen, len(past.losses)
    diverged = ~np.isfinite(past.losses)
    chance, surprise = np.where(diverged, 0.0, np.nan), np.full(count, np.nan)
    chance[seen - 1] = chances(rule, past, threshold)
    surprise[seen - 1] = past.forecasts.surprise
    at = np.flatnonzero(~np.isnan(chance))
    return Evidence(
        chance[at],
        diverged[at],
        past.run.steps[at] / past.horizon,
        at + 1,
        surprise[at],
        False if protected is None else protected[at],
    )


def stop_after(
    rule: Rule, past: RecordedRun, threshold: float, protected: np.ndarray | None = None
) -> int:
    """Observations after which the rule stops a run; all if it never does.

    Args:
        rule: as of `chances`. An observation that is not finite is hopeless.
        past: the run.
        threshold: value to beat, as of `chances`.
        protected: observations at which the run is not to be stopped `(n,)`, unless it
            has diverged.
    """
    evidence = evidence_of(rule, past, threshold, protected)
    stops = decide_all(rule, evidence, in_turn=True).stop
    return int(min(evidence.count[stops], default=len(past.losses)))


def critical(rule: Rule, past: RecordedRun, threshold: float) -> float:
    """The largest probability at which the rule would still not lose a good run.

    For one that goes by cost, of a full run. With `confidence` at most 1 minus this, a
    run that beats the threshold in the end is stopped before it has; above, it is not.

    Args:
        rule: its `confidence` is not used.
        past: the run.
        threshold: value to beat, model space; the run's own best does not count here
            before it beats the threshold.

    Returns:
        0 if it is stopped at any confidence, because it diverged in between; infinite
        if it does not beat the threshold or has before any decision.
    """
    beats = np.flatnonzero(past.losses < threshold)
    if not len(beats):
        return float("inf")
    evidence = evidence_of(rule, past, threshold, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = rule.caution(evidence.count) * rule.cost(evidence.share)
        chance = evidence.chance / weight
    chance = np.where(evidence.diverged, 0.0, chance)
    chance = np.where(spared(rule, evidence), np.inf, chance)
    before = evidence.count <= beats[0]
    chance, count = chance[before], evidence.count[before]
    if len(chance) < rule.patience:
        return float("inf")
    # A run is stopped where all of the newest `patience` chances are small enough.
    highest = np.lib.stride_tricks.sliding_window_view(chance, rule.patience).max(-1)
    enough = count[rule.patience - 1 :] >= rule.min_steps
    return float(highest[enough].min(initial=np.inf))
