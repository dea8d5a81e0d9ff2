"""What is known of every run that is watched: forecast, rank, decision; no display."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lcpfn.population import best_of
from lcpfn.reports import News, Once, Reports
from lcpfn.rule import Rule, bar_of
from lcpfn.search import RunPool
from lcpfn.watching.logs import Report

# Quantiles of a fan, and the steps at which they are known.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
POINTS = 24


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        run: its name.
        steps, values: its records, the user's units.
        last: its newest step.
        best: its best value; NaN if it has none.
        final: expected value at the horizon.
        low, high: 90 % interval of that.
        chance: probability that it ever beats the best of the other runs.
        rank: by the expected final value, 1 is best.
        verdict: "go on", "stop", "diverged" or "finished".
        reason: one sentence.
        saved: steps that are left if it is stopped now, else 0.
    """

    run: str
    steps: list[float]
    values: list[float]
    last: float
    best: float
    final: float
    low: float
    high: float
    chance: float
    rank: int
    verdict: str
    reason: str
    saved: float


class Fan(NamedTuple):
    """The rest of one run.

    Attributes:
        steps: later ones, the horizon last `(s,)`.
        quantiles: of the value there, by `LEVELS` `(5, s)`.
    """

    steps: list[float]
    quantiles: list[list[float]]


class Board:
    """Takes reports, answers with rows.

    Args:
        rule: horizon, direction, bounds and confidence; its `beat` is a value to beat
            beside the other runs.
        model: as of `lcpfn.search.RunPool`.
    """

    def __init__(self, rule: Rule, model: Any = None) -> None:
        self.rule = rule
        self.pool = RunPool(rule.horizon, rule.mode, rule.bounds, model=model)
        self.reports: dict[str, Reports] = {}
        self.trouble: dict[str, str] = {}
        self._fed: dict[str, int] = {}
        self._fans: dict[str, Fan] = {}

    def take(self, reports: Iterable[Report]) -> None:
        """Puts new records in their place and advances the forecasts."""
        for run, step, value in reports:
            curve = self.reports.setdefault(run, Reports(Once()))
            at = None if math.isnan(step) else step
            try:
                self.pool.metric.check(np.array([value]), f"run {run}")
            except ValueError as error:
                self.trouble[run] = str(error)
                continue
            if at is not None and at > self.rule.horizon:
                self.trouble[run] = (
                    f"step {at:g} lies beyond the horizon {self.rule.horizon:g}"
                )
                continue
            news = curve.add(value, at, self.rule.horizon)
            if news in (News.BACK, News.RESTART, News.LATE):
                self._forget(run)
        self._feed()

    def _forget(self, run: str) -> None:
        self._fed.pop(run, None)
        self._fans.pop(run, None)
        if run in self.pool:
            self.pool.drop(run)

    def _feed(self) -> None:
        waiting = {
            run: list(reports.curve.items())[self._fed.get(run, 0) :]
            for run, reports in self.reports.items()
        }
        while waiting := {run: left for run, left in waiting.items() if left}:
            newest = {run: left[0] for run, left in waiting.items()}
            self.pool.update(
                {run: value for run, (_, value) in newest.items()},
                {run: step for run, (step, _) in newest.items()},
            )
            for run, left in waiting.items():
                self._fans.pop(run, None)
                self._fed[run] = self._fed.get(run, 0) + 1
                left.pop(0)

    def rows(self, ended: Mapping[str, str] | None = None) -> list[Row]:
        """All runs, best expected final value first.

        Args:
            ended: how runs ended of which no more records will come.
        """
        if not len(self.pool):
            return []
        names, forecast = self.pool.runs, self.pool.forecast()
        bests = np.array([self._best(run) for run in names])
        bars = self._bars(bests)
        bound = forecast.best if forecast.has_best else forecast.final
        known = np.where(np.isnan(bars), 0.0, bars)
        chance = np.where(np.isnan(bars), 1.0, bound.prob_better(known))
        mean, (low, high) = forecast.final.mean(), forecast.final.interval(0.9)
        rows = [
            self._row(run, (ended or {}).get(run), *map(float, numbers))
            for run, *numbers in zip(
                names, chance, mean, low, high, bests, bars, strict=True
            )
        ]
        sign = self.pool.metric.sign
        rows.sort(
            key=lambda row: math.inf if row.final != row.final else sign * row.final
        )
        return [replace(row, rank=i) for i, row in enumerate(rows, 1)]

    def fans(self) -> dict[str, Fan]:
        """What is expected of every run that goes on, up to the horizon.

        Only runs with news are asked for anew.
        """
        stale = [
            run
            for run in self.pool.runs
            if run not in self._fans
            and max(self.reports[run].curve) < self.rule.horizon
        ]
        if stale:
            forecast = self.pool.forecast(stale, most=POINTS)
            quantiles = np.moveaxis(forecast.quantile(np.array(LEVELS)), 0, 1)
            for run, at, rows in zip(stale, forecast.steps, quantiles, strict=True):
                there = np.isfinite(at)
                self._fans[run] = Fan(at[there].tolist(), rows[:, there].tolist())
        return self._fans

    def _best(self, run: str) -> float:
        best = best_of(self.reports[run].curve.values(), self.rule.mode)
        return math.nan if best is None else best

    def _bars(self, bests: np.ndarray) -> np.ndarray:
        """What each run has to beat; NaN where there is nothing but itself."""
        bars = np.full(len(bests), bar_of(self.rule, bests))
        if self.rule.beat is None:
            known = np.isfinite(bests)
            bars[known.sum() - known == 0] = math.nan
        return bars

    def _row(
        self,
        run: str,
        ended: str | None,
        p: float,
        *numbers: float,
    ) -> Row:
        mean, low, high, best, bar = numbers
        curve = self.reports[run].curve
        steps, values = list(curve), list(curve.values())
        left = self.rule.horizon - steps[-1]
        least = 1 - self.rule.confidence_at(steps[-1])
        if not left or ended:
            mean = low = high = values[-1]
            verdict, reason = "finished", f"at {values[-1]:.4g}"
            if ended:
                reason = f"{ended} {reason}"
        elif not math.isfinite(values[-1]):
            verdict, reason = "diverged", f"its last value is {values[-1]:g}"
        elif math.isnan(bar):
            verdict, reason = "go on", "there is nothing to beat yet"
        else:
            what = "its own best, the best of all," if best == bar else "the best"
            reason = f"beats {what} {bar:.4g} with probability {p:.1%}"
            hopeless = p <= least and len(values) >= self.rule.min_steps
            verdict = "stop" if hopeless and best != bar else "go on"
        saved = left if verdict in ("stop", "diverged") else 0.0
        return Row(
            *(run, steps, values, steps[-1], best, mean, low, high, p, 0),
            *(verdict, reason, saved),
        )
