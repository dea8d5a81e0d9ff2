"""The runs of one search: a monitor for each, and the incumbent of all."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import usable_config
from lcpfn.metric import Metric
from lcpfn.seen_curve import Context
from lcpfn.shared_model import name_of
from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.stopping.given_runs import take_given
from lcpfn.stopping.interval import DecisionInterval
from lcpfn.stopping.known_run import KnownRun, reached_by
from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import Observations, WarnOnce, number
from lcpfn.stopping.rule import ConfidenceSchedule
from lcpfn.stopping.search_forecasts import SearchForecasts
from lcpfn.stopping.search_rule import CONFIDENCE, PROTECT, SearchRule, in_a_search

KnownRuns = Mapping[Hashable, KnownRun]


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
        confidence: as of `lcpfn.EarlyStopping`, but by cost, see `Rule.by_cost`.
        beat: value to beat beside the finished runs; with it runs are also stopped
            before any has finished.
        alone: forecast every run from its own curve alone; by default checkpoints
            that were trained for it see the other runs and configurations too.
        **monitor: further options of `lcpfn.stopping.monitor.RunMonitor`; `others` are
            runs that were before the search.

    Attributes:
        runs: monitor by run.
        known: what is known of each run that has been watched or held here.
        forecasts: what the network makes of them.
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
        if alone and monitor.get("others") is not None:
            raise ValueError("others cannot be seen by runs that are forecast alone")
        self.mode, self.horizon, self.alone = mode, horizon, bool(alone)
        self.options = in_a_search({"confidence": confidence, "beat": beat} | monitor)
        self.warn_once = self.options.setdefault("warn_once", WarnOnce())
        start_from = self.options.pop("start_from", 0)
        # One for all runs, which share the time that decisions may take.
        self.interval = DecisionInterval.of(start_from, self.options.pop("every", 1))
        self.runs: dict[str, RunMonitor] = {}
        self.known: dict[Hashable, KnownRun] = {}
        self._said: set[str] = set()
        bounds, model = (self.options.get(name) for name in ("bounds", "model"))
        given, _ = take_given(self.options, mode, bounds)
        self.metric = Metric(mode, bounds)
        self.forecasts = SearchForecasts(self.metric, model, given)
        self.monitor("any run", self.known)  # refuses impossible options here and now

    def monitor(
        self, run: str, known: KnownRuns, horizon: float | None = None
    ) -> RunMonitor:
        """A monitor for one more run, whose forecasts know these runs."""
        found = RunMonitor(self.mode, horizon or self.horizon, name=run, **self.options)
        found.interval = self.interval
        if not self.alone:
            found.reader.among = partial(self.forecasts.ask, known)
        return found

    def _ask_whole(
        self, known: KnownRuns, asked: Sequence[tuple[Hashable, Context]]
    ) -> Forecast:
        """Forecasts of whole curves; alone only what is new of them is read."""
        forecasts = self.forecasts
        if self.alone or not forecasts.task.model.config.others:
            return forecasts.ask_alone(asked)
        return forecasts.ask(known, asked)

    def incumbent(self, known: KnownRuns | None = None) -> float | None:
        """The value to beat; None while too few runs have finished.

        Args:
            known: all runs; default: those known here.
        """
        known = self.known if known is None else known
        return self.rule.incumbent(reached_by(known.values()))

    def configure(self, run: str, config: Any) -> None:
        """Hyperparameters of a run; what cannot be compared is left out, said once."""
        self._watched(run)
        self.known[run].config = usable_config(config, self.warn_once)

    def _watched(self, run: str) -> RunMonitor:
        """The monitor of a run, which is known from here on."""
        if run not in self.runs:
            self.runs[run] = self.monitor(run, self.known)
            self.known[run] = KnownRun(self.metric, self.runs[run].observations)
        return self.runs[run]

    def hold(self, run: str, curve: Mapping[Any, Any], config: Any = None) -> KnownRun:
        """What is known of a run whose host keeps the observations itself.

        The same object as before if nothing is new.
        """
        known = self.known.get(run)
        if known is None or known.observations.curve != curve:
            observations = Observations(self.warn_once)
            observations.restore({float(s): float(curve[s]) for s in sorted(curve)})
            known = self.known[run] = KnownRun(self.metric, observations)
        known.config = usable_config(config, self.warn_once)
        return known

    def over(self, known: KnownRun, reached: float | None = None) -> None:
        """A run is over; what it reached out of bounds does not count, said once.

        Args:
            known: the run.
            reached: what it counts with; default: its best value. NaN: it was stopped,
                and does not count.
        """
        value = known.bests.final if reached is None else reached
        try:
            self.metric.check(np.array([value]), "what a run has reached")
        except ValueError as error:
            self.warn_once("finished", f"a finished run was left out: {error}")
            value = math.nan
        known.finish(value)

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
        monitor, at, incumbent = self._watched(run), number(step), self.incumbent()
        if incumbent is not None:
            monitor.beat = incumbent
        decide = decide and incumbent is not None
        decide = decide and (at is None or at < self.end(self.known))
        stop = monitor.take(
            metrics,
            metric,
            step,
            decide=decide,
            protected=lambda curve: self.rule.spares(
                self.known[run].bests,
                (other.bests for name, other in self.known.items() if name != run),
                incumbent,
            ),
        )
        last = monitor.observations.last
        if last is not None and last >= self.horizon:
            self.finish(run)
        if stop:
            monitor.rest()
        return stop

    def end(self, known: KnownRuns) -> float:
        """Where a run ends, by the horizon and by the longest finished run that counts.

        If that ended one report before the horizon, steps count from 0 or are sparse;
        if it ended elsewhere, that is said once.
        """
        counted = (run for run in known.values() if math.isfinite(run.reached))
        longest = max(counted, key=lambda run: run.observations.last or 0, default=None)
        steps = [] if longest is None else longest.bests.steps[-2:]
        if not steps:
            return self.horizon
        last, gap = steps[-1], steps[-1] - steps[0] if len(steps) > 1 else math.inf
        if not last <= self.horizon <= last + gap:
            self.warn_once(
                "length",
                f"the horizon is {self.horizon:g}, but the longest finished run ended "
                f"at step {last:g}; if that is a full run, give horizon={last:g}",
            )
        return min(last, self.horizon)

    def finish(self, run: str) -> None:
        """The run has ended by itself: its best value may be the incumbent."""
        if run in self.runs:
            self.runs[run].rest()
            self.over(self.known[run])

    def drop(self, run: str) -> None:
        """The run has failed or was stopped: it counts for nothing."""
        self.runs.pop(run, None)
        self.known.pop(run, None)
        self.forecasts.drop(run)

    def chance(self, run: str) -> float:
        """Probability that the run beats the incumbent; 1 while nothing is known."""
        decision = self.runs[run].decision if run in self.runs else None
        return 1.0 if decision is None else decision.prob_better

    def most_promising(self, runs: Iterable[str]) -> str | None:
        """Of these runs, the one to go on with; None if there are none."""
        return max(runs, key=self.chance, default=None)

    def judge(
        self, run: str, curve: Mapping[Any, Any], known: KnownRuns
    ) -> tuple[bool, RunMonitor]:
        """Decides on a whole curve, for hosts that keep the observations themselves.

        Of a run nothing is remembered but that a stop has been logged, so the same
        question gets the same answer.

        Args:
            run: its name.
            curve: values by step.
            known: all runs, as `hold` gives them; what is known of this one under its
                name does not count.

        Returns:
            Whether to stop it, and the monitor that decided.
        """
        others = {name: x for name, x in known.items() if name != run}
        incumbent = self.incumbent(others)
        end = self.horizon if incumbent is None else self.end(others)
        monitor = self.monitor(run, known, end)
        monitor.reader.among = partial(self._ask_whole, known)
        if incumbent is None or max(curve, default=0) >= end:
            return False, monitor
        monitor.beat, monitor.quiet = incumbent, run in self._said
        stop = monitor.read(
            curve,
            lambda seen: self.rule.spares(
                BestSoFar(seen, self.metric),
                (other.bests for other in others.values()),
                incumbent,
            ),
        )
        if monitor.stopped_at is not None:
            self._said.add(run)
        return stop, monitor

    def predict(
        self, run: str, curve: Mapping[Any, Any], known: KnownRuns
    ) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon of a curve; args as of `judge`."""
        monitor = self.monitor(run, known)
        monitor.reader.among = partial(self._ask_whole, known)
        monitor.interval = DecisionInterval()
        monitor.read(curve)
        return monitor.predicted_final

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies: a loaded model by its path."""
        model = name_of(self.options.get("model"))
        return vars(self) | {"options": self.options | {"model": model}}
