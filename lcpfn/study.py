"""All that one search knows: its runs, and forecasts of each that know the others.

    study = lcpfn.Study(horizon=50, mode="max", bounds=(0, 1))
    study.report("trial 7", 0.52, step=1, config={"lr": 3e-4})
    study.decide("trial 7").stop

A report is remembered and no more. A question reads the runs with news, those alone,
and lets the one asked about attend to the others, so that an answer depends on what is
known and not on how it arrived.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from lcpfn.checks import check_count
from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import Config, check_candidates
from lcpfn.metric import Bounds, Metric
from lcpfn.prefixes import AHEAD
from lcpfn.reported_runs import ReportedRuns
from lcpfn.seen_curve import context_of
from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.stopping.decision import Decision, decide
from lcpfn.stopping.finalists import Finalist, finalists, late_spread, seed_spread
from lcpfn.stopping.known_run import reached_by
from lcpfn.stopping.next_step import (
    Choice,
    Prospect,
    Todo,
    next_step,
    prospect_of_any,
    prospect_of_new,
    prospects_of,
    to_come,
)
from lcpfn.stopping.rule import ConfidenceSchedule, Rule
from lcpfn.stopping.search_forecasts import SearchForecasts
from lcpfn.stopping.search_rule import CONFIDENCE, PROTECT, SearchRule, in_a_search
from lcpfn.stopping.threshold import best_of, chance_of, threshold_of

if TYPE_CHECKING:
    from lcpfn.model import Model

# Runs of which one call decides.
PART = 256
# Quantiles of a forecast that stand for it.
LEVELS = 128


class Study(ReportedRuns):
    """The runs of one search.

    Args:
        horizon: last step of a full run.
        mode: "max" or "min".
        bounds: of the metric, or None.
        model: a loaded model, a checkpoint name, or None for the default. Loaded at
            the first question.
        n_startup: finished runs before anything is stopped, at least 1.
        top_k: a run has to beat the `top_k`-th best finished one.
        protect: share of the runs that is never stopped, see
            `lcpfn.stopping.threshold.among_best`.
        confidence: as of `lcpfn.EarlyStopping`; lower and by cost (`Rule.by_cost`), as
            the other runs are there to compare with.
        **rule: further fields of `lcpfn.stopping.rule.Rule`; `beat` is a value to beat
            beside the finished runs.

    Raises:
        ValueError, TypeError: for impossible options.
    """

    def __init__(
        self,
        horizon: float,
        mode: str,
        bounds: Bounds | None = None,
        *,
        model: "Model | str | Path | None" = None,
        n_startup: int = 1,
        top_k: int = 1,
        protect: float = PROTECT,
        confidence: float | ConfidenceSchedule = CONFIDENCE,
        **rule: Any,
    ) -> None:
        options = in_a_search({"bounds": bounds, "confidence": confidence} | rule)
        self.rule = Rule.of(horizon, mode, **options)
        self.search = SearchRule(mode, n_startup, top_k, protect, self.rule.beat)
        metric = Metric(mode, bounds)
        self._forecasts = SearchForecasts(metric, model)
        super().__init__(horizon, metric)

    def incumbent(self) -> float | None:
        """The value to beat; None while too few runs have finished."""
        return self.search.incumbent(reached_by(self.runs.values()))

    def _ask(
        self,
        names: Sequence[Hashable],
        new: Sequence[Config] = (),
        ahead: int | None = None,
    ) -> Forecast:
        """Forecasts of runs, and of new ones of which the configuration is known."""
        metric, horizon = self._forecasts.task.metric, self.rule.horizon
        # No run is named by a tuple.
        configs: dict[Hashable, Config] = {("new", i): x for i, x in enumerate(new)}
        unseen = context_of({}, metric, horizon)
        asked = [(name, self.runs[name].context(metric, horizon)) for name in names]
        asked += [(name, unseen) for name in configs]
        return self._forecasts.ask(self.runs, asked, configs, ahead)

    @property
    def going(self) -> list[Hashable]:
        """Names of the runs that have observations and are not over."""
        runs = self.runs.items()
        return [n for n, run in runs if run.progress.count and not run.finished]

    def forecast(self, run: Hashable) -> Forecast:
        """The rest of a run; every other run is context."""
        self.known(run)
        return self._ask([run])[0]

    def forecast_all(self, runs: Iterable[Hashable] | None = None) -> Forecast:
        """The rest of several runs as one batch, in the order of their names.

        Args:
            runs: names; default: `going`.

        Raises:
            KeyError: if there is no such run.
            ValueError: if there are none to forecast.
        """
        names = self._names(runs)
        if not names:
            raise ValueError("there are no runs to forecast; report some first")
        return self._ask(names)

    def _names(self, runs: Iterable[Hashable] | None) -> list[Hashable]:
        """Names that were asked for, of known runs; None: those that are going on."""
        if isinstance(runs, str):
            raise ValueError(f"runs must be a list of names, got the string {runs!r}")
        names = self.going if runs is None else list(runs)
        for name in names:
            self.known(name)
        return names

    def decide(self, run: Hashable) -> Decision:
        """Whether to stop a run now, and why."""
        return self.decide_all([run])[run]

    def decide_all(
        self, runs: Iterable[Hashable] | None = None
    ) -> dict[Hashable, Decision]:
        """Decisions on several runs, by name; default: `going`."""
        names, incumbent = self._names(runs), self.incumbent()
        for name in names:
            if not self.runs[name].progress.count:
                raise ValueError(f"run {name!r:.80} has no observations to decide on")
        rule, decisions = replace(self.rule, beat=incumbent), {}
        bests = cache(lambda: [run.bests for run in self.runs.values()])  # on demand
        for start in range(0, len(names), PART):
            some = names[start : start + PART]
            forecasts = self._ask(some)
            shown = [self.runs[name].progress for name in some]
            beaten = np.array([threshold_of(rule, run.best) for run in shown])
            least = [rule.least_chance(run.step / rule.horizon) for run in shown]
            chances = chance_of(rule, forecasts, beaten, least).tolist()
            for i, name in enumerate(some):
                known = forecasts[i], chances[i], bests
                decisions[name] = self._decide(rule, name, *known)
        return decisions

    def _decide(
        self,
        rule: Rule,
        name: Hashable,
        forecast: Forecast,
        chance: float,
        bests: Callable[[], Sequence[BestSoFar]],
    ) -> Decision:
        run, incumbent = self.runs[name], rule.beat
        own, progress = run.bests, run.progress
        fresh = run.judged < progress.count
        decision, streak = decide(
            *(rule, progress, forecast, run.streak if fresh else run.before),
            lambda: (
                incumbent is None
                or self.search.spares(
                    own, (x for x in bests() if x is not own), incumbent
                )
            ),
            chance,
        )
        if fresh:
            run.before = run.streak
        run.streak, run.judged = streak, progress.count
        if not run.finished:
            run.stopped = decision.stop
        return decision

    def next(
        self,
        candidates: Iterable[Config] = (),
        *,
        busy: Iterable[Hashable] = (),
        resume_cost: float = 0.0,
    ) -> Todo:
        """What to do next: continue a run, start a candidate, or stop.

        See `lcpfn.stopping.next_step` for how it is chosen.

        Args:
            candidates: configurations that may be started; `{}` is one of which nothing
                is known.
            busy: runs that somebody is training now; with several workers each asks
                with those of the others. A candidate that was started is one no more.
            resume_cost: steps that going on with a paused run costs.
        """
        candidates = check_candidates(candidates)
        if isinstance(busy, str) or not isinstance(busy, Iterable):
            raise ValueError(f"busy must be a list of names, got {busy!r:.80}")
        if not (isinstance(resume_cost, SupportsFloat) and 0 <= resume_cost < math.inf):
            raise ValueError(f"resume_cost must be steps >= 0, got {resume_cost!r:.80}")
        taken = set(busy)
        # What has diverged is over.
        going = [name for name in self.going if name not in taken]
        going = [n for n in going if math.isfinite(self.runs[n].progress.last)]
        choices = [
            *(Choice(n, None, self.runs[n].progress.step, resume_cost) for n in going),
            *(Choice(None, i, 0.0, 0.0) for i in range(len(candidates))),
        ]
        bests = (run.progress.best for run in self.runs.values())
        shown = list(filter(math.isfinite, bests))
        beat = [] if self.rule.beat is None else [self.rule.beat]
        best = best_of([*shown, *beat], self.rule.mode) if shown else None
        if best is not None and choices:
            prospects = self._prospects(going, candidates, best, shown)
            pairs = zip(choices, prospects, strict=True)
            choices = [choice._replace(prospect=each) for choice, each in pairs]
        return next_step(choices, self.rule.horizon, best, len(taken | set(self.runs)))

    def _prospects(
        self,
        going: Sequence[Hashable],
        candidates: Sequence[Config],
        best: float,
        shown: Sequence[float],
    ) -> list[Prospect]:
        """What runs, and candidates behind them, may gain on the best value shown."""
        # A checkpoint that knows no other runs cannot forecast one that is not there.
        new = candidates if self._forecasts.task.model.config.others else ()
        found: list[Prospect] = []
        for start in range(0, len(going) + len(new), PART):
            runs = going[start : start + PART]
            first = max(start - len(going), 0)
            ahead = self._ask(runs, new[first : first + PART - len(runs)], AHEAD)
            found += prospects_of(ahead, best)
        usual = prospect_of_any(shown, best, self.rule.horizon)
        count = len(going)
        found += [usual] * (count + len(candidates) - len(found))
        return found[:count] + [prospect_of_new(each, usual) for each in found[count:]]

    def finalists(self, k: int = 3) -> list[Finalist]:
        """The `k` runs that are likeliest the best of all, and seeds to run again.

        A finished run is worth what it reached, any other one, stopped or not, what its
        forecast says; one that has diverged is left out. How far seeds stray is taken
        from runs with equal configurations, or where there are none, from the noise of
        the curves.

        Args:
            k: how many, at least 1.

        Returns:
            From the likeliest on; fewer if there are not so many.
        """
        check_count(k, "k")
        over = {name: run for name, run in self.runs.items() if reached_by([run])}
        outlooks = {name: np.array([run.reached]) for name, run in over.items()}
        rest = {name: run for name, run in self.runs.items() if name not in over}
        going = [n for n, run in rest.items() if math.isfinite(run.progress.last)]
        levels = (np.arange(LEVELS) + 0.5) / LEVELS
        better = np.maximum if self.rule.mode == "max" else np.minimum
        for start in range(0, len(going), PART):
            some = going[start : start + PART]
            found = self._ask(some)
            # What a run has reached it cannot lose.
            reached = np.array([self.runs[name].progress.best for name in some])
            ahead = better(to_come(found).quantile(levels), reached).T
            outlooks |= dict(zip(some, ahead, strict=True))
        ended = over.values()
        spread = seed_spread(reached_by(ended), [run.config for run in ended])
        if spread is None:
            spread = late_spread([np.array(run.values) for run in ended])
        return finalists(outlooks, spread, self.rule.mode, k, frozenset(over))
