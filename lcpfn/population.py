"""The runs of one search: a guard for each, and the bar that finished runs set."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from lcpfn.stopping.monitor import Guard
from lcpfn.stopping.observations import Once, Schedule
from lcpfn.stopping.rule import Schedule as Levels
from lcpfn.stopping.rule import among_best, bar_of_population

# What was best on the development pools: see `lcpfn.eval.stopping.benchmark`.
PROTECT, CONFIDENCE = 0.05, 0.9


def best_of(values: Iterable[float], mode: str) -> float | None:
    """The best finite one; None if there is none."""
    finite = filter(math.isfinite, values)
    return max(finite, default=None) if mode == "max" else min(finite, default=None)


def best_until(curve: Mapping[Any, Any], step: float, mode: str) -> float:
    """The best value of a curve up to a step; NaN if it did not get there."""
    if not curve or max(curve) < step:
        return math.nan
    best = best_of((float(y) for s, y in curve.items() if s <= step), mode)
    return math.nan if best is None else best


class Population:
    """Watches concurrent runs of one search.

    A run is stopped when it will hardly beat the bar, which is the value of the
    `top_k`-th best finished run. Before `n_startup` runs have finished there is no bar,
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
            `lcpfn.stopping.rule.among_best`; 0: nothing is protected.
        confidence: as of `lcpfn.EarlyStopping`.
        **guard: further options of `lcpfn.stopping.monitor.Guard`.

    Attributes:
        runs: guard by run.
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
        confidence: float | Levels = CONFIDENCE,
        **guard: Any,
    ) -> None:
        if not 0 <= protect <= 1:
            raise ValueError(f"protect must lie in [0, 1], got {protect!r}")
        for name, value in (("n_startup", n_startup), ("top_k", top_k)):
            if value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.mode, self.horizon, self.protect = mode, horizon, protect
        self.options = {"confidence": confidence, **guard}
        self.n_startup, self.top_k = n_startup, top_k
        self.once = self.options.setdefault("once", Once())
        self.runs: dict[str, Guard] = {}
        self.finished: dict[str, float] = {}
        self.guard("none")

    def guard(self, run: str) -> Guard:
        """A guard for one more run."""
        return Guard(self.mode, self.horizon, name=run, **self.options)

    def bar(self, finished: Iterable[Any] | None = None) -> float | None:
        """The value to beat; None while too few runs have finished.

        Args:
            finished: values of the finished runs; default: those known here.
        """
        known = self.finished.values() if finished is None else finished
        values = [float(v) for v in known if v is not None and math.isfinite(v)]
        if len(values) < max(self.n_startup, self.top_k):
            return None
        return bar_of_population(values, self.mode, self.top_k)

    def report(self, run: str, value: Any, step: Any) -> bool:
        """Takes a record of a run; True: stop that run now."""
        return self.take(run, {"value": value}, "value", step)

    def take(self, run: str, metrics: Any, monitor: str, step: Any) -> bool:
        """`report` of one entry of the host's metrics; a missing one is said once.

        A run that reaches the horizon has finished.
        """
        if run not in self.runs:
            self.runs[run] = self.guard(run)
        guard = self.runs[run]
        ready = self._raise_bar(guard, self.bar())
        others = [r.reports.curve for name, r in self.runs.items() if name != run]
        stop = guard.take(
            metrics,
            monitor,
            step,
            decide=ready,
            protected=partial(self._protected, guard, others),
        )
        if guard.reports.last is not None and guard.reports.last >= self.horizon:
            self.finish(run)
        if stop:
            guard.rest()
        return stop

    def _protected(self, guard: Guard, others: Sequence[Mapping[Any, Any]]) -> bool:
        curve = guard.reports.curve
        own = best_of(curve.values(), self.mode)
        if own is None:
            return False
        there = [best_until(other, max(curve), self.mode) for other in others]
        return among_best(own, there, self.mode, self.protect)

    def _raise_bar(self, guard: Guard, bar: float | None) -> bool:
        if bar is None:
            return False
        try:
            guard.beat = bar
        except ValueError as error:
            self.once("bar", f"no bar, runs go on: {error}")
            return False
        return True

    def finish(self, run: str) -> None:
        """The run has ended by itself: its best value counts for the bar."""
        if run not in self.runs:
            return
        self.runs[run].rest()
        best = best_of(self.runs[run].reports.curve.values(), self.mode)
        if best is not None:
            self.finished[run] = best

    def drop(self, run: str) -> None:
        """The run has failed or was stopped: it counts for nothing."""
        self.runs.pop(run, None)

    def chance(self, run: str) -> float:
        """Probability that the run beats the bar; 1 while nothing is known of it."""
        guard = self.runs.get(run)
        if guard is None or guard.decision is None:
            return 1.0
        return guard.decision.prob_better

    def most_promising(self, runs: Iterable[str]) -> str | None:
        """Of these runs, the one to go on with; None if there are none."""
        return max(runs, key=self.chance, default=None)

    def judge(
        self,
        run: str,
        curve: Mapping[Any, Any],
        finished: Iterable[Any],
        others: Iterable[Mapping[Any, Any]] = (),
    ) -> tuple[bool, Guard]:
        """Decides on a whole curve, for hosts that keep the records themselves.

        Nothing is remembered, so the same question gets the same answer.

        Args:
            run: its name.
            curve: values by step.
            finished: values of the finished runs.
            others: curves of all other runs, for `protect`.

        Returns:
            Whether to stop it, and the guard that decided.
        """
        guard = self.guard(run)
        if not self._raise_bar(guard, self.bar(finished)):
            return False, guard
        known = [dict(other) for other in others]
        stop = guard.read(curve, partial(self._protected, guard, known))
        return stop, guard

    def predict(self, curve: Mapping[Any, Any]) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon of such a curve."""
        guard = self.guard("a curve")
        guard.schedule = Schedule()
        guard.read(curve)
        return guard.predicted_final
