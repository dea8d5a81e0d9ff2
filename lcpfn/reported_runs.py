"""The runs of a search: what each reported, and what was decided of it."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lcpfn.checks import check_observation
from lcpfn.configs import Config, check_config
from lcpfn.context import Context, context_of
from lcpfn.metric import Metric
from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.stopping.observations import plain
from lcpfn.stopping.saved_state import saved_curve

STATE_FORMAT = 1
COUNTS = ("streak", "before", "judged")


@dataclass
class StudyRun:
    """One run of a study.

    Attributes:
        steps, values: its observations, the user's units.
        config: its hyperparameters, or None.
        finished: whether nothing more will come.
        streak: consecutive decisions that found it hopeless, each at more
            observations than the one before.
        before: the same at the observation before.
        judged: observations at the newest of these.
        context: its observations as the network takes them; None: some are new.
        bests: its best values so far.
    """

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    config: Config | None = None
    finished: bool = False
    streak: int = 0
    before: int = 0
    judged: int = 0
    context: Context | None = None
    bests: BestSoFar = field(default_factory=lambda: BestSoFar({}, "min"))

    def as_context(self, metric: Metric, horizon: float) -> Context:
        """Its observations as the network takes them."""
        curve = dict(zip(self.steps, self.values, strict=True))
        return context_of(curve, metric, horizon)

    def state(self) -> dict[str, Any]:
        """All of it, in plain JSON values."""
        return {
            "curve": plain(list(zip(self.steps, self.values, strict=True))),
            "config": self.config,
            "finished": self.finished,
            **{name: getattr(self, name) for name in COUNTS},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """What a `state()` says of a run that has the observations already."""
        if type(state["finished"]) is not bool:
            raise ValueError(f"finished must be a bool, got {state['finished']!r:.80}")
        for count in COUNTS:
            value = state[count]
            if type(value) is not int or not 0 <= value <= len(self.steps):
                raise ValueError(
                    f"{count} must be a whole number up to {len(self.steps)}, the "
                    f"number of observations, got {value!r:.80}"
                )
        self.finished = state["finished"]
        self.streak, self.before, self.judged = (state[name] for name in COUNTS)


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
        if not isinstance(run, str | int):
            raise ValueError(
                f"the name of a run must be a string or a whole number, got {run!r:.80}"
            )
        known = self.runs.get(run)
        if known is None:
            bests = BestSoFar({}, self._metric.mode, self._metric.bounds)
            known = StudyRun(bests=bests)
        values = list(values)
        steps = [None] * len(values) if steps is None else list(steps)
        if len(steps) != len(values):
            raise ValueError(
                f"steps of run {run!r:.80} must be one per value: {len(values)} "
                f"values, got {len(steps)}"
            )
        last, checked = known.steps[-1] if known.steps else None, []
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
        known.steps += [step for step, _ in checked]
        known.values += [value for _, value in checked]
        for step, value in checked:
            known.bests.add(step, value)
        if config is not None:
            known.config = config
        known.context = None
        known.finished |= last == self.horizon

    def finish(self, run: Hashable) -> None:
        """A run is over, at its horizon or stopped; what it showed stays context."""
        self.known(run).finished = True

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
        return {"horizon": self.horizon, "mode": metric.mode, "bounds": bounds}

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
