"""What is known of every run that is watched: forecast, rank, decision; no display."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcpfn.reports import News, Once, Reports
from lcpfn.rule import Rule
from lcpfn.search import RunPool
from lcpfn.watching.logs import Report


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
                self._fed[run] = self._fed.get(run, 0) + 1
                left.pop(0)

    def rows(self) -> list[Row]:
        """All runs, best expected final value first."""
        if not len(self.pool):
            return []
        names, forecast = self.pool.runs, self.pool.forecast()
        sign = self.pool.metric.sign
        bests = np.array([self._best(run) for run in names])
        bars = np.array([self._bar(i, bests) for i in range(len(names))])
        bound = forecast.best if forecast.has_best else forecast.final
        final = forecast.final
        known = np.where(np.isnan(bars), 0.0, bars)
        chance = np.where(np.isnan(bars), 1.0, bound.prob_better(known))
        mean, (low, high) = final.mean(), final.interval(0.9)
        order = np.argsort(np.argsort(sign * mean, kind="stable"), kind="stable")
        rows = [
            self._row(run, i, chance, (mean, low, high), bests, bars, int(order[i]) + 1)
            for i, run in enumerate(names)
        ]
        return sorted(rows, key=lambda row: row.rank)

    def _best(self, run: str) -> float:
        finite = [v for v in self.reports[run].curve.values() if math.isfinite(v)]
        better = min if self.rule.mode == "min" else max
        return better(finite) if finite else math.nan

    def _bar(self, i: int, bests: np.ndarray) -> float:
        others = np.delete(bests, i)
        known = [*others[~np.isnan(others)]]
        if self.rule.beat is not None:
            known.append(self.rule.beat)
        if not known:
            return math.nan
        better = min if self.rule.mode == "min" else max
        # What the run has reached itself need not be reached again.
        return better([*known, bests[i]] if not math.isnan(bests[i]) else known)

    def _row(
        self,
        run: str,
        i: int,
        chance: np.ndarray,
        final: tuple[np.ndarray, np.ndarray, np.ndarray],
        bests: np.ndarray,
        bars: np.ndarray,
        rank: int,
    ) -> Row:
        curve = self.reports[run].curve
        steps, values = list(curve), list(curve.values())
        mean, low, high = (float(x[i]) for x in final)
        p = float(chance[i])
        left = self.rule.horizon - steps[-1]
        least = 1 - self.rule.confidence_at(steps[-1])
        leads = not math.isnan(bests[i]) and bests[i] == bars[i]
        if not left:
            mean = low = high = values[-1]
            verdict, reason = "finished", f"at {values[-1]:.4g}"
        elif not math.isfinite(values[-1]):
            verdict, reason = "diverged", f"its last value is {values[-1]:g}"
        elif math.isnan(bars[i]):
            verdict, reason = "go on", "there is nothing to beat yet"
        else:
            what = "its own best, the best of all," if leads else "the best"
            reason = f"beats {what} {bars[i]:.4g} with probability {p:.1%}"
            hopeless = p <= least and len(values) >= self.rule.min_steps
            verdict = "stop" if hopeless and not leads else "go on"
        stops = verdict in ("stop", "diverged")
        return Row(
            *(run, steps, values, steps[-1], float(bests[i]), mean, low, high),
            *(p, rank, verdict, reason, left if stops else 0.0),
        )
