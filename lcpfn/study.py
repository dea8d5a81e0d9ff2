"""The runs of one search: a monitor for each, and the incumbent of all."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import DecisionInterval, WarnOnce
from lcpfn.stopping.rule import ConfidenceSchedule
from lcpfn.stopping.threshold import among_best, best_of, incumbent_of

# What was best on the development pools: see `lcpfn.eval.stopping.benchmark`.
PROTECT, CONFIDENCE = 0.05, 0.9


class BestSoFar:
    """The best value of a run by each of its steps.

    Args:
        curve: values by step, at least one.
        mode: "max" or "min".

    Attributes:
        final: the best value of all; NaN if none is finite.
    """

    def __init__(self, curve: Mapping[Any, Any], mode: str) -> None:
        self.steps = np.array(sorted(curve), float)
        values = np.array([curve[step] for step in sorted(curve)], float)
        values[~np.isfinite(values)] = np.nan
        better = np.fmax if mode == "max" else np.fmin
        self.values = better.accumulate(values)
        self.final = float(self.values[-1])

    def at(self, step: float) -> float:
        """The best value up to a step; NaN if the run did not get there."""
        if self.steps[-1] < step:
            return math.nan
        count = int(np.searchsorted(self.steps, step, side="right"))
        return float(self.values[count - 1]) if count else math.nan


class Population:
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
            `lcpfn.stopping.threshold.among_best`; 0: nothing is protected.
        confidence: as of `lcpfn.EarlyStopping`.
        beat: value to beat beside the finished runs; with it runs are also stopped
            before any has finished.
        **monitor: further options of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        runs: monitor by run.
        finished: best value by finished run.
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
        **monitor: Any,
    ) -> None:
        if not 0 <= protect <= 1:
            raise ValueError(f"protect must lie in [0, 1], got {protect!r}")
        for name, value in (("n_startup", n_startup), ("top_k", top_k)):
            if value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.mode, self.horizon, self.protect = mode, horizon, protect
        self.options = {"confidence": confidence, "beat": beat, **monitor}
        self.n_startup, self.top_k = n_startup, top_k
        self.warn_once = self.options.setdefault("warn_once", WarnOnce())
        self.runs: dict[str, RunMonitor] = {}
        self.finished: dict[str, float] = {}
        self._best_so_far: dict[str, BestSoFar] = {}
        self.monitor("any run")  # refuses impossible options here and now

    def monitor(self, run: str) -> RunMonitor:
        """A monitor for one more run."""
        return RunMonitor(self.mode, self.horizon, name=run, **self.options)

    def incumbent(self, finished: Iterable[float] | None = None) -> float | None:
        """The value to beat; None while too few runs have finished.

        Args:
            finished: best values of the finished runs; default: those known here.
        """
        known = self.finished.values() if finished is None else finished
        values = [value for value in known if math.isfinite(value)]
        beat = self.options["beat"]
        if len(values) < max(self.n_startup, self.top_k):
            return beat
        best = incumbent_of(values, self.mode, self.top_k)
        return best if beat is None else best_of([best, beat], self.mode)

    def report(self, run: str, value: Any, step: Any) -> bool:
        """Takes an observation of a run; True: stop that run now."""
        return self.take(run, {"value": value}, "value", step)

    def take(self, run: str, metrics: Any, metric: str, step: Any) -> bool:
        """`report` of one entry of the host's metrics; a missing one is said once.

        A run that reaches the horizon has finished.
        """
        if run not in self.runs:
            self.runs[run] = self.monitor(run)
        monitor = self.runs[run]
        self._best_so_far.pop(run, None)
        stop = monitor.take(
            metrics,
            metric,
            step,
            decide=self.set_incumbent(monitor, self.incumbent()),
            protected=partial(self.protected, others=partial(self._others, run)),
        )
        last = monitor.observations.last
        if last is not None and last >= self.horizon:
            self.finish(run)
        if stop:
            monitor.rest()
        return stop

    def _others(self, run: str) -> list[BestSoFar]:
        """All other runs that have reported anything."""
        for name, monitor in self.runs.items():
            curve = monitor.observations.curve
            if curve and name not in self._best_so_far:
                self._best_so_far[name] = BestSoFar(curve, self.mode)
        return [best for name, best in self._best_so_far.items() if name != run]

    def protected(
        self,
        curve: Mapping[float, float],
        others: Callable[[], Iterable[BestSoFar]],
    ) -> bool:
        """Whether a run is among the best of the others at its newest step.

        Args:
            curve: values by step.
            others: all other runs.
        """
        own, step = best_of(curve.values(), self.mode), max(curve)
        if self.protect == 0 or math.isnan(own):
            return False
        there = [other.at(step) for other in others()]
        return among_best(own, there, self.mode, self.protect)

    def set_incumbent(self, monitor: RunMonitor, incumbent: float | None) -> bool:
        """Whether there is one, and so whether to decide."""
        if incumbent is None:
            return False
        try:
            monitor.beat = incumbent
        except ValueError as error:
            self.warn_once("incumbent", f"no value to beat, runs go on: {error}")
            return False
        return True

    def finish(self, run: str) -> None:
        """The run has ended by itself: its best value may be the incumbent."""
        if run not in self.runs:
            return
        self.runs[run].rest()
        best = best_of(self.runs[run].observations.curve.values(), self.mode)
        if not math.isnan(best):
            self.finished[run] = best

    def drop(self, run: str) -> None:
        """The run has failed or was stopped: it counts for nothing."""
        self.runs.pop(run, None)
        self._best_so_far.pop(run, None)

    def chance(self, run: str) -> float:
        """Probability that the run beats the incumbent; 1 while nothing is known."""
        monitor = self.runs.get(run)
        if monitor is None or monitor.decision is None:
            return 1.0
        return monitor.decision.prob_better

    def most_promising(self, runs: Iterable[str]) -> str | None:
        """Of these runs, the one to go on with; None if there are none."""
        return max(runs, key=self.chance, default=None)

    def judge(
        self,
        run: str,
        curve: Mapping[Any, Any],
        finished: Iterable[float],
        others: Callable[[], Iterable[BestSoFar]],
    ) -> tuple[bool, RunMonitor]:
        """Decides on a whole curve, for hosts that keep the observations themselves.

        Nothing is remembered, so the same question gets the same answer.

        Args:
            run: its name.
            curve: values by step.
            finished: best values of the finished runs.
            others: all other runs, for `protect`; called only if the run looks
                hopeless.

        Returns:
            Whether to stop it, and the monitor that decided.
        """
        monitor = self.monitor(run)
        if not self.set_incumbent(monitor, self.incumbent(finished)):
            return False, monitor
        return monitor.read(curve, partial(self.protected, others=others)), monitor

    def predict(self, curve: Mapping[Any, Any]) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon of such a curve."""
        monitor = self.monitor("a curve")
        monitor.interval = DecisionInterval()
        monitor.read(curve)
        return monitor.predicted_final
