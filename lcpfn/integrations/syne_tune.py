"""Syne Tune: a stopping rule around any scheduler."""

from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.scheduler import (
    SchedulerDecision,
    TrialScheduler,
    TrialSuggestion,
)

from lcpfn.stopping.search_monitor import SearchMonitor


class LCStoppingRule(TrialScheduler):
    """Stops a trial that will hardly beat the best finished ones.

        scheduler = LCStoppingRule(
            RandomSearch(space, metrics=["accuracy"], do_minimize=False),
            metric="accuracy", horizon=50, do_minimize=False, bounds=(0, 1))

    What is suggested, and any other reason to stop, is left to the scheduler inside.

    Args:
        scheduler: the one to wrap.
        metric: name of the result to watch.
        horizon: last step of a full trial, in units of `time_attr`.
        do_minimize: whether a lower value is better.
        time_attr: name of the result that counts steps.
        n_startup: finished trials before anything is stopped.
        random_seed: of the base class.
        **rule: `bounds`, `confidence`, `top_k`, `dry_run`, ... of
            `lcpfn.EarlyStopping` and of `SearchMonitor`; `model`.
    """

    def __init__(
        self,
        scheduler: TrialScheduler,
        metric: str,
        horizon: float,
        *,
        do_minimize: bool = True,
        time_attr: str = "epoch",
        n_startup: int = 1,
        random_seed: int | None = None,
        **rule: Any,
    ) -> None:
        super().__init__(random_seed=random_seed)
        self.scheduler, self.metric, self.time_attr = scheduler, metric, time_attr
        self.do_minimize = do_minimize
        mode = "min" if do_minimize else "max"
        self.runs = SearchMonitor(mode, horizon, n_startup=n_startup, **rule)

    def suggest(self) -> TrialSuggestion | None:
        """What the scheduler inside suggests."""
        return self.scheduler.suggest()

    def on_trial_add(self, trial: Trial) -> None:
        """Handed on."""
        self.scheduler.on_trial_add(trial)

    def on_trial_error(self, trial: Trial) -> None:
        """A failed trial counts for nothing."""
        self.runs.drop(str(trial.trial_id))
        self.scheduler.on_trial_error(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """STOP, or what the scheduler inside decides."""
        decision = str(self.scheduler.on_trial_result(trial, result))
        step = result.get(self.time_attr)
        self.runs.configure(str(trial.trial_id), trial.config)
        stop = self.runs.take(str(trial.trial_id), result, self.metric, step)
        if stop and decision != SchedulerDecision.STOP:
            self.scheduler.on_trial_remove(trial)
            return str(SchedulerDecision.STOP)
        return decision

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """A trial that came to its end may be the incumbent."""
        self.runs.finish(str(trial.trial_id))
        self.scheduler.on_trial_complete(trial, result)

    def on_trial_remove(self, trial: Trial) -> None:
        """Handed on."""
        self.scheduler.on_trial_remove(trial)

    def metadata(self) -> dict[str, Any]:
        """Of both."""
        return self.scheduler.metadata() | super().metadata()

    def metric_names(self) -> list[str]:
        """The metric that is watched."""
        return [self.metric]

    def metric_mode(self) -> str:
        """Either "min" or "max"."""
        return "min" if self.do_minimize else "max"
