"""The runs of one search: a monitor for each, and the incumbent of all."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lcpfn.context import Context
from lcpfn.forecast import Forecast
from lcpfn.metric import Metric
from lcpfn.stopping.best_so_far import BestSoFar, last_step
from lcpfn.stopping.given_runs import take_given
from lcpfn.stopping.known_runs import Around, KnownRuns
from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import DecisionInterval, Observations, WarnOnce, number
from lcpfn.stopping.rule import ConfidenceSchedule
from lcpfn.stopping.search_rule import CONFIDENCE, PROTECT, SearchRule
from lcpfn.stopping.whole_curves import Ask


class SearchMonitor:
    """Watches concurrent runs of one search.

    A run is stopped when it will hardly beat the incumbent, which is the value of the
    `top_k`-th best finished run. Before `n_startup` runs have finished there is none,
    and nothing is stopped. A run whose best so far is among those of the best runs at
    the same step is never stopped, whatever the forecast says: because the others
    are there to compare with, the confidence may be lower than for a run alone
    (`eval/results/stopping.json`).

    Args:
        mode: "max" or "min".
        horizon: last step of a full run.
        n_startup: finished runs before the first decision, at least 1.
        top_k: how many of the best runs are looked for.
        protect: share of the runs that is not stopped, see
            `lcpfn.stopping.threshold.among_best`; 0: none is for that. A run that is
            better than the incumbent never is: what it has reached counts only if it
            finishes.
        confidence: as of `lcpfn.EarlyStopping`.
        beat: value to beat beside the finished runs; with it runs are also stopped
            before any has finished.
        alone: forecast every run from its own curve alone; by default checkpoints
            that were trained for it see the other runs and configurations too.
        **monitor: further options of `lcpfn.stopping.monitor.RunMonitor`; `others` are
            runs that were before the search.

    Attributes:
        runs: monitor by run.
        finished: best value by finished run.
        known: the runs as a forecast sees them, and their hyperparameters.
    """

    def __init__(
        self,
        mode: str,
        horizon: float,
        *,
        n_startup: int = 1,
        top_k: int = 1,
        protect: float = PROTECT,
        confidence: float | ConfidenceSchedule = CONFIDENCE,
        beat: float | None = None,
        alone: bool = False,
        **monitor: Any,
    ) -> None:
        if "config" in monitor:
            raise TypeError(
                "config is of one run; those of a search's runs come with the runs"
            )
        self.rule = SearchRule(mode, n_startup, top_k, protect, beat)
        self.mode, self.horizon, self.alone = mode, horizon, alone
        self.options = {"confidence": confidence, "beat": beat, **monitor}
        self.warn_once = self.options.setdefault("warn_once", WarnOnce())
        self.runs: dict[str, RunMonitor] = {}
        self.finished: dict[str, float] = {}
        self._longest: list[BestSoFar] = []  # of the finished runs, at most one
        self._best_so_far: dict[str, tuple[Observations, int, BestSoFar]] = {}
        self._said: set[str] = set()
        bounds, model = (self.options.get(name) for name in ("bounds", "model"))
        given = take_given(self.options, mode, bounds)
        self.known = KnownRuns(mode, horizon, bounds, model, self.warn_once, given)
        self.monitor("any run")  # refuses impossible options here and now

    def monitor(
        self, run: str, horizon: float | None = None, ask: Ask | None = None
    ) -> RunMonitor:
        """A monitor for one more run; `ask` gives forecasts in place of `known`."""
        found = RunMonitor(self.mode, horizon or self.horizon, name=run, **self.options)
        if not self.alone:
            found.reader.among = ask or self._ask
        return found

    def _ask(self, asked: Sequence[tuple[Hashable, Context]]) -> Forecast:
        """Forecasts that know the runs that are watched here."""

        def around() -> dict[Hashable, Context]:
            curves = {run: x.observations.curve for run, x in self.runs.items()}
            return {run: self.known.context(run, c) for run, c in curves.items()}

        return self.known.ask(asked, around)

    def best_so_far(self, curve: Mapping[Any, Any]) -> BestSoFar:
        """The best values of a run, under the bounds of this search."""
        return BestSoFar(curve, self.mode, self.options.get("bounds"))

    def incumbent(self, finished: Iterable[float] | None = None) -> float | None:
        """The value to beat; None while too few runs have finished.

        Args:
            finished: best values of the finished runs; default: those known here.
        """
        known = list(self.finished.values() if finished is None else finished)
        metric = Metric(self.mode, self.options.get("bounds"))
        return self.rule.incumbent(self._possible(known, metric))

    def _possible(self, values: Sequence[float], metric: Metric) -> list[float]:
        """Of what runs have reached, what is inside the bounds."""
        try:
            metric.check(np.array(values, float), "what a run has reached")
        except ValueError as error:
            if len(values) == 1:
                self.warn_once("finished", f"a finished run was left out: {error}")
                return []
            return [x for value in values for x in self._possible([value], metric)]
        return list(values)

    def report(self, run: str, value: Any, step: Any) -> bool:
        """Takes an observation of a run; True: stop that run now."""
        return self.take(run, {"value": value}, "value", step)

    def take(
        self, run: str, metrics: Any, metric: str, step: Any, decide: bool = True
    ) -> bool:
        """`report` of one entry of the host's metrics; a missing one is said once.

        A run that reaches the horizon has finished. With `decide` False the observation
        is only remembered.
        """
        if run not in self.runs:
            self.runs[run] = self.monitor(run)
        monitor, at = self.runs[run], number(step)
        incumbent = self.incumbent()
        decide = (
            decide
            and self.set_incumbent(monitor, incumbent)
            and (
                at is None
                or at < last_step(self._longest, self.horizon, self.warn_once)
            )
        )
        stop = monitor.take(
            metrics,
            metric,
            step,
            decide=decide,
            protected=lambda curve: self.rule.spares(
                self._best_of_run(run), partial(self._others, run), incumbent
            ),
        )
        last = monitor.observations.last
        if last is not None and last >= self.horizon:
            self.finish(run)
        if stop:
            monitor.rest()
        return stop

    def _best_of_run(self, run: str) -> BestSoFar:
        return self.best_of(run, self.runs[run].observations)

    def best_of(self, run: str, observations: Observations) -> BestSoFar:
        """The best values of a run; only its new observations are looked at."""
        known, changes, best = self._best_so_far.get(run, (None, 0, None))
        if best is None or known is not observations or changes != observations.changes:
            best = self.best_so_far({})
        for step in observations.after(best.steps[-1] if best.steps else None):
            best.add(step, observations.curve[step])
        self._best_so_far[run] = (observations, observations.changes, best)
        return best

    def _others(self, run: str) -> list[BestSoFar]:
        """All other runs."""
        return [self._best_of_run(name) for name in self.runs if name != run]

    def protected(
        self,
        curve: Mapping[float, float],
        others: Callable[[], Iterable[BestSoFar]],
        incumbent: float | None = None,
    ) -> bool:
        """Whether a run is among the best of the others at its newest step.

        Args:
            curve: values by step.
            others: all other runs.
            incumbent: the value to beat; a run that is better is protected as well.
        """
        return self.rule.spares(self.best_so_far(curve), others, incumbent)

    def set_incumbent(self, monitor: RunMonitor, incumbent: float | None) -> bool:
        """Whether there is one, and so whether to decide."""
        if incumbent is not None:
            monitor.beat = incumbent
        return incumbent is not None

    def finish(self, run: str) -> None:
        """The run has ended by itself: its best value may be the incumbent."""
        if run not in self.runs:
            return
        self.runs[run].rest()
        best = self._best_of_run(run)
        longest = [*self._longest, best]
        self._longest = [max(longest, key=lambda known: known.steps[-1:])]
        if not math.isnan(best.final):
            self.finished[run] = best.final

    def drop(self, run: str) -> None:
        """The run has failed or was stopped: it counts for nothing."""
        self.runs.pop(run, None)
        self._best_so_far.pop(run, None)
        self.known.drop(run)

    def chance(self, run: str) -> float:
        """Probability that the run beats the incumbent; 1 while nothing is known."""
        decision = self.runs[run].decision if run in self.runs else None
        return 1.0 if decision is None else decision.prob_better

    def most_promising(self, runs: Iterable[str]) -> str | None:
        """Of these runs, the one to go on with; None if there are none."""
        return max(runs, key=self.chance, default=None)

    def judge(
        self,
        run: str,
        curve: Mapping[Any, Any],
        finished: Iterable[float],
        others: Callable[[], Iterable[BestSoFar]],
        ended: Iterable[BestSoFar] = (),
        around: Around | None = None,
    ) -> tuple[bool, RunMonitor]:
        """Decides on a whole curve, for hosts that keep the observations themselves.

        Of a run nothing is remembered but that a stop has been logged, so the same
        question gets the same answer.

        Args:
            run: its name.
            curve: values by step.
            finished: best values of the finished runs.
            others: all other runs, for `protect`; called only if the run looks
                hopeless.
            ended: the curves of finished runs, which show where a run ends.
            around: gives all runs by name; called only if a forecast can know them.

        Returns:
            Whether to stop it, and the monitor that decided.
        """
        incumbent = self.incumbent(finished)
        if incumbent is None:
            return False, self.monitor(run)
        last = last_step(ended, self.horizon, self.warn_once)
        self.known.end_at(last)
        monitor = self.monitor(run, last, partial(self.known.ask, around=around))
        monitor.beat = incumbent
        if max(curve, default=0) >= last:
            return False, monitor
        spared = partial(self.protected, others=others, incumbent=incumbent)
        monitor.quiet = run in self._said
        stop = monitor.read(curve, spared)
        if monitor.stopped_at is not None:
            self._said.add(run)
        return stop, monitor

    def predict(
        self, run: str, curve: Mapping[Any, Any], around: Around | None = None
    ) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon of a curve; args as of `judge`."""
        monitor = self.monitor(run, ask=partial(self.known.ask, around=around))
        monitor.interval = DecisionInterval()
        monitor.read(curve)
        return monitor.predicted_final

    def __setstate__(self, state: dict[str, Any]) -> None:
        """From pickle: the runs know each other again."""
        vars(self).update(state)
        for monitor in self.runs.values():
            monitor.reader.among = None if self.alone else self._ask
