"""Optuna: a pruner that stops trials which will hardly beat the finished ones."""

from typing import Any

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from lcpfn.study import CONFIDENCE, PROTECT, Population, best_of
from lcpfn.stopping.observations import Once
from lcpfn.stopping.rule import Schedule


class LCPruner(BasePruner):
    """Prunes a trial that will hardly beat the best completed trials.

        study = optuna.create_study(pruner=LCPruner(horizon=50, bounds=(0, 1)))

    Free of side effects, so it works in several threads and processes on one storage;
    picklable unless `model` is a loaded one that was never saved.

    Args:
        horizon: last step that a full trial reports.
        n_startup_trials: completed trials before anything is pruned.
        n_warmup_steps: a trial is not pruned before this step.
        interval_steps: decide at the first report of every so many steps.
        top_k: a trial survives that may beat the `top_k`-th best completed one.
        protect: a trial survives that is among this share of the best at its step.
        confidence: with which it must be hopeless.
        dry_run: prune nothing; log what would have been pruned.
        **rule: `bounds`, `patience`, `min_steps`, ... of `lcpfn.EarlyStopping`, and
            `model`.
    """

    def __init__(
        self,
        horizon: float,
        *,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        top_k: int = 1,
        protect: float = PROTECT,
        confidence: float | Schedule = CONFIDENCE,
        dry_run: bool = False,
        **rule: Any,
    ) -> None:
        self._options = {
            "horizon": horizon,
            "n_startup": n_startup_trials,
            "start_from": n_warmup_steps,
            "every": interval_steps,
            "top_k": top_k,
            "protect": protect,
            "confidence": confidence,
            "dry_run": dry_run,
            "once": Once(),
            **rule,
        }
        Population("max", **self._options)  # refuses impossible options here and now

    def _runs(self, study: Study) -> Population:
        best = study.direction == StudyDirection.MAXIMIZE
        return Population("max" if best else "min", **self._options)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial now, from what it has reported so far."""
        runs = self._runs(study)
        trials = study.get_trials(deepcopy=False)
        finished = [
            best_of(t.intermediate_values.values(), runs.mode)
            for t in trials
            if t.state == TrialState.COMPLETE
        ]
        curve = trial.intermediate_values
        others = [t.intermediate_values for t in trials if t.number != trial.number]
        return runs.judge(f"trial {trial.number}", curve, finished, others)[0]

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
        return self._runs(study).predict(trial.intermediate_values)
