"""The runs of a search: what each reported, and what was decided of it."""

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from lcpfn.checks import check_observation
from lcpfn.hyperparameters import Config, check_config
from lcpfn.metric import Metric
from lcpfn.stopping.known_run import KnownRun
from lcpfn.stopping.observations import plain
from lcpfn.stopping.saved_state import saved_count, saved_curve

STATE_FORMAT = 1
COUNTS = ("streak", "before", "judged")


class StudyRun(KnownRun):
    """One run of a study.

    Attributes:
        stopped: whether the newest decision on it said stop, before a finish or a
            further observation.
        streak: consecutive decisions that found it hopeless, each at more
            observations than the one before.
        before: the same at the observation before.
        judged: observations at the newest of these.
    """

    stopped = False
    streak = before = judged = 0

    def state(self) -> dict[str, Any]:
        """All of it, in plain JSON values."""
        return {
            "curve": self.observations.state(),
            "config": self.config,
            "finished": self.finished,
            "stopped": self.stopped,
            **{name: getattr(self, name) for name in COUNTS},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """What a `state()` says of a run that has the observations already."""
        flags = {"finished": state["finished"], "stopped": state.get("stopped", False)}
        for name, flag in flags.items():
            if type(flag) is not bool:
                raise ValueError(f"{name} must be a bool, got {flag!r:.80}")
        counts = [saved_count(state, name, len(self.values)) for name in COUNTS]
        self.finished, self.stopped = flags.values()
        if self.finished:
            self.over()
        self.streak, self.before, self.judged = counts

    def over(self) -> None:
        """It is finished; what it has reached counts unless it was stopped."""
        self.finish(math.nan if self.stopped else None)


class ReportedRuns:
    """The runs of one search, by name.

    Args:
        horizon: last step of a full run.
        metric: direction and bounds.

    Attributes:
        runs: in the order of their first report.
    """

    def __init__(self, horizon: float, metric: Metric) -> None:
        self.horizon, self._metric = horizon, metric
        self.runs: dict[Hashable, StudyRun] = {}

    def __len__(self) -> int:
        return len(self.runs)

    def __contains__(self, run: Any) -> bool:
        return run in self.runs

    def report(
        self,
        run: Hashable,
        value: float,
        step: float | None = None,
        *,
        config: Config | None = None,
    ) -> None:
        """Takes an observation; a new name is a new run.

        Args:
            run: its name, a string or a number.
            value: the metric, in the user's units; NaN or infinity: the run diverged.
            step: its step; default: the last one plus 1.
            config: hyperparameters of the run by name; once is enough.

        Raises:
            ValueError: a value outside hard bounds, a step not after the last one or
                beyond the horizon, a configuration of other things than numbers,
                strings, bools and None. The study is then as it was before.
        """
        self.extend(run, [value], [step], config=config)

    def extend(
        self,
        run: Hashable,
        values: Iterable[float],
        steps: Iterable[float | None] | None = None,
        *,
        config: Config | None = None,
    ) -> None:
        """Takes several observations of a run; see `report`."""
        if isinstance(run, np.integer):
            run = int(run)
        if not isinstance(run, str | int) or isinstance(run, bool):
            raise ValueError(
                f"the name of a run must be a string or a whole number, got {run!r:.80}"
            )
        known = self.runs.get(run) or StudyRun(self._metric)
        values = list(values)
        steps = [None] * len(values) if steps is None else list(steps)
        if len(steps) != len(values):
            raise ValueError(
                f"steps of run {run!r:.80} must be one per value: {len(values)} "
                f"values, got {len(steps)}"
            )
        last, checked = known.observations.last, []
        try:
            config = check_config(config, "this run")
            for value, step in zip(values, steps, strict=True):
                y, last = check_observation(
                    value, step, last, self.horizon, self._metric
                )
                checked.append((last, y))
        except ValueError as error:
            raise ValueError(f"run {run!r:.80}: {error}") from None
        self.runs[run] = known
        for step, value in checked:
            known.observations.add(value, step, self.horizon)
            known.stopped = False
        if config is not None:
            known.config = config
        if known.finished or last == self.horizon:
            known.over()

    def finish(self, run: Hashable) -> None:
        """A run is over, at its horizon or stopped; what it showed stays context.

        It is one of the finished runs, unless the newest decision has stopped it.
        """
        self.known(run).over()

    def drop(self, run: Hashable) -> None:
        """Forgets a run."""
        self.known(run)
        del self.runs[run]

    def known(self, run: Hashable) -> StudyRun:
        """A run by name; a KeyError that names some if there is none."""
        if run not in self.runs:
            known = ", ".join(map(repr, list(self.runs)[:5])) or "none yet"
            raise KeyError(f"there is no run {run!r:.80}; the study has {known}")
        return self.runs[run]

    def state_dict(self) -> dict[str, Any]:
        """All that is known, in plain JSON values."""
        return {
            "format": STATE_FORMAT,
            "search": self._search(),
            "runs": [{"name": name, **run.state()} for name, run in self.runs.items()],
        }

    def _search(self) -> dict[str, Any]:
        """What all runs have in common, in plain JSON values."""
        metric = self._metric
        bounds = plain(list(metric.bounds or (None, None)))
        horizon = plain(self.horizon)
        return {"horizon": horizon, "mode": metric.mode, "bounds": bounds}

    def load_state_dict(self, state: Any) -> None:
        """Goes on from a `state_dict()`, under this study's own rule.

        Raises:
            ValueError: if it is no such state, or one of another horizon or bounds. The
                study is then as it was before.
        """
        other = ReportedRuns(self.horizon, self._metric)
        try:
            if state["format"] != STATE_FORMAT:
                raise ValueError(f"format {state['format']!r:.80}, not {STATE_FORMAT}")
            search = dict(state["search"])
            for saved in state["runs"] if search == self._search() else ():
                name = saved["name"]
                curve = saved_curve(saved["curve"], self.horizon)
                other.extend(name, curve.values(), curve, config=saved["config"])
                other.runs[name].restore(saved)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"this is no state of a study ({type(error).__name__}: {error}); give "
                "what state_dict() returned"
            ) from error
        if search != self._search():
            raise ValueError(
                f"this is the state of a study with {search}, and this study has "
                f"{self._search()}; give that one's horizon, mode and bounds"
            )
        self.runs = other.runs
