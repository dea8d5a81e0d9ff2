"""All that one search knows: its runs, and forecasts of each that know the others.

    study = lcpfn.Study(horizon=50, mode="max", bounds=(0, 1))
    study.report("trial 7", 0.52, step=1, config={"lr": 3e-4})
    study.decide("trial 7").stop

A report is remembered and no more. A question reads the runs with news, those alone,
and lets the one asked about attend to the others, so that an answer depends on what is
known and not on how it arrived.
"""

import functools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.checks import check_observation
from lcpfn.configs import Config, check_config
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process, shared_model
from lcpfn.metric import Bounds, Metric
from lcpfn.stopping.decision import Decision, Progress, decide
from lcpfn.stopping.rule import ConfidenceSchedule, Rule
from lcpfn.stopping.saved_state import saved_curve
from lcpfn.stopping.threshold import among_best, best_of, incumbent_of
from lcpfn.study_run import StudyRun
from lcpfn.task import Task

if TYPE_CHECKING:
    from lcpfn.model import Model

STATE_FORMAT = 1
# What was best on the development pools: see `lcpfn.eval.stopping.benchmark`.
PROTECT, CONFIDENCE = 0.05, 0.9
# Runs of which one call decides.
PART = 256


class Study:
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
        confidence: as of `lcpfn.EarlyStopping`; lower, because the other runs are
            there to compare with.
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
        if not 0 <= protect <= 1:
            raise ValueError(f"protect must lie in [0, 1], got {protect!r}")
        for name, value in (("n_startup", n_startup), ("top_k", top_k)):
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.rule = Rule(horizon, mode, bounds, confidence=confidence, **rule)
        self.n_startup, self.top_k, self.protect = n_startup, top_k, protect
        self._model = model
        self._runs: dict[Hashable, StudyRun] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: Any) -> bool:
        return run in self._runs

    @property
    def runs(self) -> Mapping[Hashable, StudyRun]:
        """All runs by name, in the order of their first report; not to be changed."""
        return self._runs

    @functools.cached_property
    def task(self) -> Task:
        """The runs as the network has read them; loads it."""
        model = shared_model(self._model)
        return Task(model, model.metric(self.rule.mode, self.rule.bounds))

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
        if not isinstance(run, str | int):
            raise ValueError(
                f"the name of a run must be a string or a whole number, got {run!r:.80}"
            )
        known, values = self._runs.get(run, StudyRun()), list(values)
        steps = [None] * len(values) if steps is None else list(steps)
        if len(steps) != len(values):
            raise ValueError(
                f"steps of run {run!r:.80} must be one per value: {len(values)} "
                f"values, got {len(steps)}"
            )
        last, checked = known.steps[-1] if known.steps else None, []
        metric = Metric(self.rule.mode, self.rule.bounds)
        try:
            config = check_config(config, "this run")
            for value, step in zip(values, steps, strict=True):
                y, last = check_observation(
                    value, step, last, self.rule.horizon, metric
                )
                checked.append((last, y))
        except ValueError as error:
            raise ValueError(f"run {run!r:.80}: {error}") from None
        self._runs[run] = known
        known.steps += [step for step, _ in checked]
        known.values += [value for _, value in checked]
        if config is not None:
            known.config = dict(config)
        known.context = None
        known.finished |= last == self.rule.horizon

    def finish(self, run: Hashable) -> None:
        """A run is over, at its horizon or stopped; what it showed stays context."""
        self._known(run).finished = True

    def drop(self, run: Hashable) -> None:
        """Forgets a run."""
        self._known(run)
        del self._runs[run]

    def _known(self, run: Hashable) -> StudyRun:
        if run not in self._runs:
            known = ", ".join(map(repr, list(self._runs)[:5])) or "none yet"
            raise KeyError(f"there is no run {run!r:.80}; the study has {known}")
        return self._runs[run]

    def incumbent(self) -> float | None:
        """The value to beat; None while too few runs have finished."""
        mode, beat = self.rule.mode, self.rule.beat
        ended = [run.best(mode) for run in self._runs.values() if run.finished]
        ended = [value for value in ended if math.isfinite(value)]
        if len(ended) < max(self.n_startup, self.top_k):
            return beat
        best = incumbent_of(ended, mode, self.top_k)
        return best if beat is None else best_of([best, beat], mode)

    def _ask(self, names: Sequence[Hashable]) -> Forecast:
        """Forecasts of runs, each of which sees all others."""
        check_process()
        if not any(np.isfinite(run.values).any() for run in self._runs.values()):
            raise ValueError("nothing has been observed yet; report something first")
        contexts, horizon = {}, self.rule.horizon
        for name, run in self._runs.items():
            run.context = run.context or run.as_context(self.task.metric, horizon)
            contexts[name] = run.context
        configs = {name: run.config for name, run in self._runs.items()}
        asked = [(name, contexts[name]) for name in names]
        return self.task.ask(contexts, configs, asked)

    def forecast(self, run: Hashable) -> Forecast:
        """The rest of a run; every other run is context."""
        self._known(run)
        return self._ask([run])[0]

    def decide(self, run: Hashable) -> Decision:
        """Whether to stop a run now, and why."""
        return self.decide_all([run])[run]

    def decide_all(
        self, runs: Iterable[Hashable] | None = None
    ) -> dict[Hashable, Decision]:
        """Decisions on several runs, by name; default: all that have not finished."""
        if runs is None:
            going = (name for name, run in self._runs.items() if not run.finished)
            runs = [name for name in going if self._runs[name].values]
        names, incumbent = list(runs), self.incumbent()
        for name in names:
            if not self._known(name).values:
                raise ValueError(f"run {name!r:.80} has no observations to decide on")
        rule, decisions = replace(self.rule, beat=incumbent), {}
        for start in range(0, len(names), PART):
            some = names[start : start + PART]
            forecasts = self._ask(some)
            for i, name in enumerate(some):
                decisions[name] = self._decide(rule, name, forecasts[i], incumbent)
        return decisions

    def _decide(
        self, rule: Rule, name: Hashable, forecast: Forecast, incumbent: float | None
    ) -> Decision:
        run = self._runs[name]
        progress = Progress.of(run.values, rule.mode, run.steps[-1])
        fresh = run.judged < len(run.values)
        decision, streak = decide(
            *(rule, progress, forecast, run.streak if fresh else run.streak - 1),
            lambda: incumbent is None or self._protected(name, progress, incumbent),
        )
        run.streak, run.judged = max(streak, 0), len(run.values)
        return decision

    def _protected(self, name: Hashable, run: Progress, incumbent: float) -> bool:
        """Whether it is better than the incumbent, or among the best at its step."""
        mode = self.rule.mode
        if (
            math.isfinite(run.best)
            and best_of((run.best, incumbent), mode) != incumbent
        ):
            return True
        others = (other for key, other in self._runs.items() if key != name)
        there = [other.best(mode, run.step) for other in others if other.steps]
        return among_best(run.best, there, mode, self.protect)

    def state_dict(self) -> dict[str, Any]:
        """All that is known, in plain JSON values."""
        return {
            "format": STATE_FORMAT,
            "runs": [{"name": name, **run.state()} for name, run in self._runs.items()],
        }

    def load_state_dict(self, state: Any) -> None:
        """Goes on from a `state_dict()`, under this study's own rule.

        Raises:
            ValueError: if it is no such state, or one of another horizon or bounds. The
                study is then as it was before.
        """
        other = Study(self.rule.horizon, self.rule.mode, self.rule.bounds)
        try:
            if state["format"] != STATE_FORMAT:
                raise ValueError(f"format {state['format']!r:.80}, not {STATE_FORMAT}")
            for saved in state["runs"]:
                name = saved["name"]
                curve = saved_curve(saved["curve"], self.rule.horizon)
                other.extend(name, curve.values(), curve, config=saved["config"])
                other._runs[name].restore(saved)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"this is no state of a study ({type(error).__name__}: {error}); give "
                "what state_dict() returned"
            ) from error
        self._runs = other._runs
