"""The runs of one search: a guard for each, and the bar that finished runs set."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lcpfn.guard import Guard
from lcpfn.reports import Once, Schedule
from lcpfn.rule import bar_of_population


def best_of(values: Iterable[float], mode: str) -> float | None:
    """The best finite one; None if there is none."""
    finite = filter(math.isfinite, values)
    return max(finite, default=None) if mode == "max" else min(finite, default=None)


class Population:
    """Watches concurrent runs of one search.

    A run is stopped when it will hardly beat the bar, which is the value of the
    `top_k`-th best finished run. Before `n_startup` runs have finished there is no bar,
    and nothing is stopped.

    Args:
        mode: "max" or "min".
        horizon: last step of a full run.
        n_startup: finished runs before the first decision, at least 1.
        top_k: how many of the best runs are looked for.
        **guard: further options of `lcpfn.guard.Guard`.

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
        **guard: Any,
    ) -> None:
        for name, value in (("n_startup", n_startup), ("top_k", top_k)):
            if value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.mode, self.horizon, self.options = mode, horizon, guard
        self.n_startup, self.top_k = n_startup, top_k
        self.once = guard.setdefault("once", Once())
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
        stop = guard.take(metrics, monitor, step, decide=ready)
        if guard.reports.last is not None and guard.reports.last >= self.horizon:
            self.finish(run)
        if stop:
            guard.rest()
        return stop

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
        self, run: str, curve: Mapping[Any, Any], finished: Iterable[Any]
    ) -> tuple[bool, Guard]:
        """Decides on a whole curve, for hosts that keep the records themselves.

        Nothing is remembered, so the same question gets the same answer.

        Args:
            run: its name.
            curve: values by step.
            finished: values of the finished runs.

        Returns:
            Whether to stop it, and the guard that decided.
        """
        guard = self.guard(run)
        if not self._raise_bar(guard, self.bar(finished)):
            return False, guard
        stop = guard.read(curve)
        return stop, guard

    def predict(self, curve: Mapping[Any, Any]) -> tuple[float, float] | None:
        """Mean and standard deviation at the horizon of such a curve."""
        guard = self.guard("a curve")
        guard.schedule = Schedule()
        guard.read(curve)
        return guard.predicted_final
