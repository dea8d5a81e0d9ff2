"""What is known of every run that is watched: forecast, rank, decision; no display."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lcpfn.io.follow import Observation
from lcpfn.metric import Metric
from lcpfn.plan import refuse_plan
from lcpfn.seen_curve import Context
from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.stopping.interval import DecisionInterval
from lcpfn.stopping.known_run import KnownRun
from lcpfn.stopping.observations import ReportKind
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.search_forecasts import SearchForecasts
from lcpfn.stopping.search_rule import SearchRule
from lcpfn.stopping.threshold import best_of, chance_of
from lcpfn.stopping.whole_curves import CurveForecasts, decide_on_curve, forecast_curves
from lcpfn.watch.outlook import Fans, Outlook

# Steps of an outlook.
POINTS = 24


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        run: its name.
        steps, values: its observations, the user's units.
        last: its newest step.
        best: its best value; NaN if it has none.
        final: median value at the horizon.
        low, high: 90 % interval of that.
        chance: probability that it ever beats the incumbent; before a run has finished,
            the best value of any run. NaN when it has finished or diverged.
        rank: by the median of the final value, 1 is best.
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

    The decisions are those of `SearchMonitor`, and so of the adapters of
    search tools: on the same runs both say the same. For checkpoints that were not
    trained for the best value to come, the `POINTS` steps stand for all later ones.

    Args:
        rule: horizon, direction, bounds and confidence; its `beat` is a value to beat
            beside the finished runs.
        model: a loaded model, a checkpoint name, or None for the default. Loaded at
            the first report.
        alone: forecast each run from its own curve; by default checkpoints that were
            trained for it see the other runs.

    Attributes:
        known: the runs by name.
        outlooks: of the runs that go on; only runs with news are forecast anew.
        trouble: why observations were left out, by run.
    """

    def __init__(self, rule: Rule, model: Any = None, *, alone: bool = False) -> None:
        refuse_plan(rule.plan)
        self.rule, self.alone = rule, alone
        self.search = SearchRule(rule.mode, beat=rule.beat)
        self.forecasts = SearchForecasts(Metric(rule.mode, rule.bounds), model)
        self.known: dict[str, KnownRun] = {}
        self.outlooks: dict[str, Outlook] = {}
        self.trouble: dict[str, str] = {}

    def take(self, reports: Iterable[Observation], gone: Collection[str] = ()) -> None:
        """Puts new observations in their place and forecasts the runs with any.

        Args:
            reports: the new observations.
            gone: runs that are no more.
        """
        for run in gone:
            self._drop(run)
            self.trouble.pop(run, None)
        news = {report.run for report in reports if self._add(report)}
        if (news or gone) and self._see_others():
            # What one run shows is news to all of them.
            news = set(self.known)
        if news:
            self._look_ahead(sorted(news))

    def _see_others(self) -> bool:
        return not self.alone and self.forecasts.task.model.config.others > 0

    def _drop(self, run: str) -> None:
        self.known.pop(run, None)
        self.outlooks.pop(run, None)

    def _context(self, run: Any, curve: Mapping[float, float]) -> Context:
        """A run, or its beginning; the same object where nothing is new."""
        known, metric = self.known[run], self.forecasts.task.metric
        if curve is known.observations.curve:
            return known.context(metric, self.rule.horizon)
        return known.beginning(curve, metric, self.rule.horizon)

    def _add(self, report: Observation) -> bool:
        run, step, value, anew = report
        if anew:
            self._drop(run)
        try:
            self.forecasts.task.metric.check(np.array([value]), f"run {run}")
        except ValueError as error:
            self.trouble[run] = str(error)
            return False
        at = None if math.isnan(step) else step
        if at is not None and not 0 <= at <= self.rule.horizon:
            end = f"beyond the horizon {self.rule.horizon:g}"
            self.trouble[run] = f"step {at:g} lies {end if at > 0 else 'before step 0'}"
            return False
        known = self.known.get(run) or KnownRun(self.forecasts.metric, points=POINTS)
        kind = known.observations.add(value, at, self.rule.horizon)
        if known.observations.curve:
            self.known[run] = known
        return kind not in (ReportKind.REPEATED, ReportKind.NOTHING)

    def _look_ahead(self, runs: list[str]) -> None:
        for run in runs:
            self.outlooks.pop(run, None)
        end = self.rule.horizon
        going = [run for run in runs if self.known[run].progress.step < end]
        found, batch = forecast_curves(
            partial(self.forecasts.ask, {} if self.alone else self.known),
            self._context,
            self.rule,
            {run: self.known[run].observations.curve for run in going},
            DecisionInterval(),
        )
        if batch is None:
            return
        final = np.stack([batch.final.median(), *batch.final.interval(0.9)], -1)
        newest = np.cumsum([len(forecasts.cutoffs) for forecasts in found]) - 1
        fans = Fans(batch)
        for i, run, forecasts in zip(newest.tolist(), going, found, strict=True):
            median, low, high = final[i].tolist()
            self.outlooks[run] = Outlook((median, low, high), forecasts, fans, i)

    def rows(self, ended: Mapping[str, str] | None = None) -> list[Row]:
        """All runs, best predicted final value first.

        Args:
            ended: how runs ended of which no more observations will come; "complete"
                ones have finished as those at the horizon have.
        """
        ended, mode = ended or {}, self.rule.mode
        bests = {run: known.bests for run, known in self.known.items()}
        finished = [
            best.final
            for run, best in bests.items()
            if ended.get(run) == "complete" or best.steps[-1] >= self.rule.horizon
        ]
        incumbent = self.search.incumbent(finished)
        rule = None if incumbent is None else replace(self.rule, beat=incumbent)
        rows = [self._row(run, bests, rule, ended.get(run)) for run in bests]
        sign = -1 if mode == "max" else 1
        rows.sort(key=lambda x: math.inf if math.isnan(x.final) else sign * x.final)
        return [replace(row, rank=i) for i, row in enumerate(rows, 1)]

    def _row(
        self,
        run: str,
        bests: Mapping[str, BestSoFar],
        rule: Rule | None,
        ended: str | None,
    ) -> Row:
        known, ahead = self.known[run], self.outlooks.get(run)
        steps, values = known.steps, known.values
        chance, saved = math.nan, 0.0
        if ended or ahead is None:
            final = (values[-1],) * 3
            how = "" if ended is None else f"{ended} "
            verdict, reason = "finished", f"{how}at {values[-1]:.4g}"
        else:
            final, diverged = ahead.final, not math.isfinite(values[-1])
            stop, chance, reason = self._decision(run, ahead.known, bests, rule)
            verdict = "diverged" if diverged else "stop" if stop else "go on"
            chance = math.nan if diverged else chance
            saved = self.rule.horizon - steps[-1] if stop else 0.0
        return Row(
            *(run, steps, values, steps[-1], bests[run].final, *final),
            *(chance, 0, verdict, reason, saved),
        )

    def _decision(
        self,
        run: str,
        known: CurveForecasts,
        bests: Mapping[str, BestSoFar],
        rule: Rule | None,
    ) -> tuple[bool, float, str]:
        """Whether a run is to be stopped, its chance, and why.

        Args:
            run: its name.
            known: its forecasts.
            bests: of all runs.
            rule: with the incumbent; None while there is none.
        """
        others = [best for name, best in bests.items() if name != run]
        if rule is not None:
            spares, metric = self.search.spares, self.forecasts.metric
            beat = rule.beat
            decision = decide_on_curve(
                rule, known, lambda part: spares(BestSoFar(part, metric), others, beat)
            )
            assert decision is not None  # one is due at every observation
            return decision.stop, decision.prob_better, decision.reason
        if known.forecasts[-1].diverged:
            return False, 0.0, "it diverged; no run has finished yet"
        best = best_of((x.final for x in bests.values()), self.rule.mode)
        if not any(math.isfinite(other.final) for other in others):
            return False, 1.0, "there is nothing to beat yet"
        chance = chance_of(self.rule, known.forecasts[-1], best, 0.0)
        reason = f"beats the best so far, {best:.4g}, with probability {chance:.1%}"
        return False, chance, f"{reason}; no run has finished yet"
