"""Optuna: a pruner that stops trials which will hardly beat the finished ones."""

import math
from collections.abc import Hashable, Sequence
from typing import Any, Literal

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from lcpfn.shared_model import name_of
from lcpfn.stopping.decision import Decision
from lcpfn.stopping.either_direction import EitherDirection
from lcpfn.stopping.known_run import KnownRun
from lcpfn.stopping.rule import ConfidenceSchedule, Rule, is_number
from lcpfn.stopping.search_monitor import SearchMonitor

# What was best on small real searches: see `lcpfn.eval.studies.in_optuna`. Their
# winners look worst after a third of a trial, where it still costs much to go on.
CONFIDENCE = 0.95
DEFAULTS: dict[str, Any] = {"by_cost": False, "cautious": Rule.cautious}
# Options of what the pruner is made of that it names otherwise, or sets itself.
OTHER_NAMES = {
    "n_startup": "n_startup_trials",
    "start_from": "n_warmup_steps",
    "every": "interval_steps",
    "mode": "the direction of the study",
    "beat": "the completed trials",
    "name": "the number of the trial",
    "warn_once": "nothing",
}


class LCPruner(BasePruner):
    """Prunes a trial that will hardly beat the best completed trials.

        study = optuna.create_study(pruner=LCPruner(horizon=50, bounds=(0, 1)))

    A completed trial counts with the value it returned, which is what Optuna ranks by.
    Steps may count from 0 or 1. Free of side effects on the storage, so it works in
    several threads and processes on one; picklable unless `model` is a loaded one that
    was never saved.

    Args:
        horizon: how many steps a full trial takes, or the last one that it reports.
        n_startup_trials: completed trials before anything is pruned; at least one.
        n_warmup_steps: a trial is not pruned before this step.
        interval_steps: decide at the first report of every so many steps; "auto": as
            often as a tenth of the time allows, where steps are shorter than decisions.
        confidence: as of `lcpfn.EarlyStopping`; a lower one makes a study cheaper, and
            loses more of its best trials.
        **rule: `top_k`, `protect` of `SearchMonitor`; `bounds`, `patience`,
            `min_steps`, `nan`, ... of `lcpfn.EarlyStopping`; `dry_run` and `model`.

    Attributes:
        decisions: the newest decision on each trial that this process has made, by its
            number; `pruner.decisions[3].reason` says why trial 3 was pruned or not.

    Raises:
        ValueError, TypeError: for impossible options.
    """

    def __init__(
        self,
        horizon: float,
        *,
        n_startup_trials: int = 2,
        n_warmup_steps: int = 0,
        interval_steps: int | Literal["auto"] = 1,
        confidence: float | ConfidenceSchedule = CONFIDENCE,
        **rule: Any,
    ) -> None:
        for name in OTHER_NAMES.keys() & rule.keys():
            raise TypeError(
                f"LCPruner has no option {name!r}; it is {OTHER_NAMES[name]} here"
            )
        counts = {
            "n_startup_trials": n_startup_trials,
            "n_warmup_steps": n_warmup_steps,
        }
        for name, value in counts.items():
            if not is_number(value, 0):
                raise ValueError(f"{name} must be at least 0, got {value!r}")
        self._options = {
            "horizon": horizon,
            **counts,
            "interval_steps": interval_steps,
            "confidence": confidence,
            **rule,
        }
        self._begin()

    def _begin(self) -> None:
        """Another study: what was said and decided in the last one is forgotten."""
        options = DEFAULTS | self._options
        n_startup = max(options.pop("n_startup_trials"), 1)
        options["start_from"] = options.pop("n_warmup_steps")
        options["every"] = options.pop("interval_steps")
        self._runs = EitherDirection(n_startup=n_startup, **options)
        self.decisions: dict[int, Decision] = {}
        self._study: tuple[int, int] | None = None

    def __repr__(self) -> str:
        options = (f"{name}={value!r}" for name, value in self._options.items())
        return f"LCPruner({', '.join(options)})"

    def _runs_of(self, study: Study) -> SearchMonitor:
        maximize = study.direction == StudyDirection.MAXIMIZE
        return self._runs.of("max" if maximize else "min")

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial now, from what it has reported so far."""
        # The number of a study is one of its storage.
        this = (id(study._storage), study._study_id)
        if self._study not in (None, this):
            self._begin()
        self._study = this
        runs, trials = self._runs_of(study), study.get_trials(deepcopy=False)
        stop, monitor = runs.judge(
            _name(trial), trial.intermediate_values, _known(runs, trials)
        )
        if monitor.decision is not None:
            self.decisions[trial.number] = monitor.decision
        return stop

    def predicted_final(
        self, trial: Trial | FrozenTrial, study: Study | None = None
    ) -> tuple[float, float] | None:
        """Mean and standard deviation of what a trial would have ended with.

            if trial.should_prune():
                trial.set_user_attr("predicted_final", pruner.predicted_final(trial))
                raise optuna.TrialPruned

        Args:
            trial: a running trial, or a finished one from `study.trials`.
            study: needed for a finished one.

        Returns:
            None if it has reported nothing, or no forecast could be made.
        """
        if isinstance(trial, Trial):
            study = trial.study
            trial = study._storage.get_trial(trial._trial_id)
        if study is None:
            raise ValueError("a finished trial does not know its study; give study=")
        runs, trials = self._runs_of(study), study.get_trials(deepcopy=False)
        known = _known(runs, trials)
        return runs.predict(_name(trial), trial.intermediate_values, known)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without what was decided, a loaded model by its path."""
        options = dict(self._options)
        if "model" in options:
            options["model"] = name_of(options["model"])
        return vars(self) | {"decisions": {}, "_study": None, "_options": options}


def _name(trial: FrozenTrial) -> str:
    return f"trial {trial.number}"


def _known(
    runs: SearchMonitor, trials: Sequence[FrozenTrial]
) -> dict[Hashable, KnownRun]:
    """All trials that have reported or completed; failed ones count for nothing."""
    known: dict[Hashable, KnownRun] = {}
    for t in trials:
        name, complete = _name(t), t.state == TrialState.COMPLETE
        if t.state == TrialState.FAIL or not (complete or t.intermediate_values):
            continue
        run, over = runs.known.get(name), t.state.is_finished()
        if run is None or not (over and run.finished):  # else it does not change
            run = runs.hold(name, t.intermediate_values, t.params)
            if over:
                runs.over(run, t.value if complete else math.nan)
        known[name] = run
    return known
