"""Optuna: a pruner that stops trials which will hardly beat the finished ones."""

from typing import Any

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.study import Population


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
        **rule: `top_k`, `protect`, `confidence`, ... of `lcpfn.study.Population`;
            `bounds`, `patience`, `min_steps`, ... of `lcpfn.EarlyStopping`; `dry_run`
            and `model`.
    """

    def __init__(
        self,
        horizon: float,
        *,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        **rule: Any,
    ) -> None:
        rule |= {"start_from": n_warmup_steps, "every": interval_steps}
        self._runs = {
            mode: Population(mode, horizon, n_startup=n_startup_trials, **rule)
            for mode in ("max", "min")
        }
        self._finished: dict[int, tuple[FrozenTrial, BestSoFar]] = {}

    def _runs_of(self, study: Study) -> Population:
        maximize = study.direction == StudyDirection.MAXIMIZE
        return self._runs["max" if maximize else "min"]

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial now, from what it has reported so far."""
        runs = self._runs_of(study)
        trials = [t for t in study.get_trials(deepcopy=False) if t.intermediate_values]
        finished, before = {}, self._finished
        for t in trials:
            if t.state.is_finished():  # it does not change, and is read once
                known = before.get(id(t))
                finished[id(t)] = known or (t, _best_so_far(t, runs))
        self._finished = finished
        complete = [
            best.final
            for t, best in finished.values()
            if t.state == TrialState.COMPLETE
        ]

        def others() -> list[BestSoFar]:
            return [
                finished[id(t)][1] if id(t) in finished else _best_so_far(t, runs)
                for t in trials
                if t.number != trial.number
            ]

        name, curve = f"trial {trial.number}", trial.intermediate_values
        return runs.judge(name, curve, complete, others)[0]

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
        return self._runs_of(study).predict(trial.intermediate_values)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without the trials that were read."""
        return vars(self) | {"_finished": {}}


def _best_so_far(trial: FrozenTrial, runs: Population) -> BestSoFar:
    return BestSoFar(trial.intermediate_values, runs.mode)
