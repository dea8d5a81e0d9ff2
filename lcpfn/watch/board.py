"""What is known of every run that is watched: forecast, rank, decision; no display."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import default_targets
from lcpfn.forecast import Forecast
from lcpfn.io.tail import Report
from lcpfn.jax_setup import shared_model
from lcpfn.study import best_of
from lcpfn.stopping.observations import News, Once, Reports
from lcpfn.stopping.rule import Rule, bar_of

# Quantiles of an outlook, and how many steps it has.
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
        chance: probability that it ever beats the best of the other runs; NaN when it
            has finished or diverged.
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


class Outlook(NamedTuple):
    """The rest of one run.

    Attributes:
        steps: later ones, the horizon last `(s,)`.
        quantiles: of the value there, by `LEVELS` `(5, s)`.
        final: mean and 90 % interval at the horizon.
        bound: what has to beat a bar: the best value still to come if the checkpoint
            knows it, else the value at the horizon.
    """

    steps: list[float]
    quantiles: list[list[float]]
    final: tuple[float, float, float]
    bound: Forecast


class Board:
    """Takes reports, answers with rows.

    Args:
        rule: horizon, direction, bounds and confidence; its `beat` is a value to beat
            beside the other runs.
        model: a loaded model, a checkpoint name, or None for the default. Loaded at
            the first report.

    Attributes:
        reports: records by run.
        outlooks: of the runs that go on; only runs with news are forecast anew.
        trouble: why records were left out, by run.
    """

    def __init__(self, rule: Rule, model: Any = None) -> None:
        self.rule, self._model = rule, model
        self.reports: dict[str, Reports] = {}
        self.outlooks: dict[str, Outlook] = {}
        self.trouble: dict[str, str] = {}

    def take(self, reports: Iterable[Report]) -> None:
        """Puts new records in their place and forecasts the runs that have any."""
        news = {report.run for report in reports if self._add(report)}
        if news:
            self._look_ahead(sorted(news))

    def _add(self, report: Report) -> bool:
        run, step, value = report
        self._model = shared_model(self._model)
        metric = self._model.metric(self.rule.mode, self.rule.bounds)
        try:
            metric.check(np.array([value]), f"run {run}")
        except ValueError as error:
            self.trouble[run] = str(error)
            return False
        at = None if math.isnan(step) else step
        if at is not None and at > self.rule.horizon:
            self.trouble[run] = (
                f"step {at:g} lies beyond the horizon {self.rule.horizon:g}"
            )
            return False
        curve = self.reports.setdefault(run, Reports(Once()))
        news = curve.add(value, at, self.rule.horizon)
        return news not in (News.REPEATED, News.NOTHING)

    def _look_ahead(self, runs: list[str]) -> None:
        horizon = self.rule.horizon
        curves = {run: self.reports[run].curve for run in runs}
        for run in runs:
            self.outlooks.pop(run, None)
        going = [run for run in runs if max(curves[run]) < horizon]
        if not going:
            return
        steps = [np.array(list(curves[run])) for run in going]
        forecast = self._model.extrapolate(
            [list(curves[run].values()) for run in going],
            horizon,
            mode=self.rule.mode,
            bounds=self.rule.bounds,
            steps=steps,
            at=[default_targets(known, horizon, POINTS) for known in steps],
        )
        bound = forecast.best if forecast.has_best else forecast.final
        quantiles = np.moveaxis(forecast.quantile(np.array(LEVELS)), 0, 1)
        final = np.stack([forecast.final.mean(), *forecast.final.interval(0.9)], -1)
        for i, run in enumerate(going):
            there = np.isfinite(forecast.steps[i])
            mean, low, high = final[i].tolist()
            self.outlooks[run] = Outlook(
                forecast.steps[i, there].tolist(),
                quantiles[i][:, there].tolist(),
                (mean, low, high),
                bound[i],
            )

    def rows(self, ended: Mapping[str, str] | None = None) -> list[Row]:
        """All runs, best expected final value first.

        Args:
            ended: how runs ended of which no more records will come.
        """
        bests = np.array([self._best(run) for run in self.reports])
        rows = [
            self._row(run, (ended or {}).get(run), float(best), float(bar))
            for run, best, bar in zip(
                self.reports, bests, self._bars(bests), strict=True
            )
        ]
        sign = -1 if self.rule.mode == "max" else 1
        rows.sort(key=lambda x: math.inf if math.isnan(x.final) else sign * x.final)
        return [replace(row, rank=i) for i, row in enumerate(rows, 1)]

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

    def _row(self, run: str, ended: str | None, best: float, bar: float) -> Row:
        curve, ahead = self.reports[run].curve, self.outlooks.get(run)
        steps, values = list(curve), list(curve.values())
        left, chance, saved = self.rule.horizon - steps[-1], math.nan, 0.0
        if ended or ahead is None:
            final = (values[-1],) * 3
            how = "" if ended is None else f"{ended} "
            verdict, reason = "finished", f"{how}at {values[-1]:.4g}"
        elif not math.isfinite(values[-1]):
            final, saved = ahead.final, left
            verdict, reason = "diverged", f"its last value is {values[-1]:g}"
        elif math.isnan(bar):
            final, chance = ahead.final, 1.0
            verdict, reason = "go on", "there is nothing to beat yet"
        else:
            final, chance = ahead.final, float(ahead.bound.prob_better(bar))
            what = "its own best, the best of all," if best == bar else "the best"
            verdict = "go on"
            reason = f"beats {what} {bar:.4g} with probability {chance:.1%}"
            least = 1 - self.rule.confidence_at(steps[-1])
            hopeless = chance <= least and len(values) >= self.rule.min_steps
            if hopeless and best != bar:
                verdict, saved = "stop", left
        return Row(
            *(run, steps, values, steps[-1], best, *final),
            *(chance, 0, verdict, reason, saved),
        )
