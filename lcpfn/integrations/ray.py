"""Ray Tune: a stopper, and a scheduler that pauses runs for more promising ones."""

import json
import logging
from typing import Any

from ray.air.constants import EXPR_RESULT_FILE
from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from lcpfn.checks import check_count
from lcpfn.stopping.either_direction import EitherDirection
from lcpfn.stopping.search_monitor import SearchMonitor

TIME = "training_iteration"
log = logging.getLogger(__name__)


class LCStopper(Stopper):
    """Stops a trial that will hardly beat the best finished ones.

        stop = LCStopper("accuracy", "max", horizon=50, bounds=(0, 1))
        tune.Tuner(train, run_config=tune.RunConfig(stop=stop))

    Args:
        metric: name of the result to watch.
        mode: "max" or "min".
        horizon: last step of a full trial, in units of `time_attr`.
        time_attr: name of the result that counts steps.
        n_startup: finished trials before anything is stopped.
        **rule: `bounds`, `confidence`, `top_k`, `dry_run`, ... of
            `lcpfn.EarlyStopping` and of `SearchMonitor`; `model`.
    """

    def __init__(
        self,
        metric: str,
        mode: str,
        horizon: float,
        *,
        time_attr: str = TIME,
        n_startup: int = 1,
        **rule: Any,
    ) -> None:
        self.metric, self.time_attr = metric, time_attr
        self.runs = SearchMonitor(mode, horizon, n_startup=n_startup, **rule)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Takes a result; True: stop this trial."""
        step = result.get(self.time_attr)
        self.runs.configure(trial_id, result.get("config"))
        stop = self.runs.take(trial_id, result, self.metric, step)
        if result.get("done") and not stop:
            self.runs.finish(trial_id)
        return stop

    def stop_all(self) -> bool:
        """Never stops the whole experiment."""
        return False


class LCScheduler(FIFOScheduler):
    """Stops hopeless trials and, with `turn`, pauses some for more promising ones.

        scheduler = LCScheduler("accuracy", "max", horizon=50, bounds=(0, 1), turn=5)
        tune.Tuner(train, tune_config=tune.TuneConfig(scheduler=scheduler))

    A paused trial goes on from its checkpoint, so with `turn` a trainable has to save
    one with its results and to start from `tune.get_checkpoint()`. After
    `Tuner.restore` the scheduler reads what the trials have reported before.

    Args:
        metric: as of `LCStopper`; default: that of `TuneConfig`.
        mode: likewise.
        horizon: last step of a full trial, in units of `time_attr`.
        time_attr: name of the result that counts steps.
        n_startup: finished trials before anything is stopped.
        turn: results after which a trial makes room if another one that waits is more
            likely to beat the best; a trial that has not begun is always more likely.
            None: nothing is paused.
        **rule: as of `LCStopper`.
    """

    def __init__(
        self,
        metric: str | None = None,
        mode: str | None = None,
        *,
        horizon: float,
        time_attr: str = TIME,
        n_startup: int = 1,
        turn: int | None = None,
        **rule: Any,
    ) -> None:
        super().__init__()
        if turn is not None:
            check_count(turn, "turn (or None)")
        self._metric, self._mode, self.time_attr = metric, mode, time_attr
        self.turn, self._since = turn, dict[str, int]()
        self._options = {"horizon": horizon, "n_startup": n_startup, **rule}
        # Refuses impossible options here and now.
        options = self._options
        self.runs = (
            SearchMonitor(mode, **options) if mode else EitherDirection(**options).any
        )

    def set_search_properties(
        self, metric: str | None, mode: str | None, **spec: Any
    ) -> bool:
        """Takes metric and mode of the experiment; False: they contradict ours."""
        if (self._metric and metric) or (self._mode and mode):
            return False
        self._metric, self._mode = self._metric or metric, self._mode or mode
        if self._metric and self._mode:
            self.runs = SearchMonitor(self._mode, **self._options)
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A trial of an experiment that goes on is known with what it has reported."""
        for result in _reported(trial):
            name = trial.trial_id
            self.runs.configure(name, trial.config)
            step = result.get(self.time_attr)
            self.runs.take(name, result, self._metric or "", step, decide=False)

    def on_trial_result(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Stop, pause or continue."""
        if self._metric is None or self._mode is None:
            raise ValueError("LCScheduler needs metric and mode, here or in TuneConfig")
        name = trial.trial_id
        step = result.get(self.time_attr)
        self.runs.configure(name, trial.config)
        if self.runs.take(name, result, self._metric, step):
            return str(TrialScheduler.STOP)
        self._since[name] = self._since.get(name, 0) + 1
        if self.turn is not None and self._since[name] >= self.turn:
            self._since[name] = 0
            others = [t.trial_id for t in _waiting(tune_controller)]
            first = self.runs.most_promising(others)
            if first is not None and self.runs.chance(first) > self.runs.chance(name):
                return str(TrialScheduler.PAUSE)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> None:
        """A trial that was not stopped by us may be the incumbent."""
        monitor = self.runs.runs.get(trial.trial_id)
        if monitor is None or monitor.stopped_at is None or monitor.dry_run:
            self.runs.finish(trial.trial_id)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A failed trial counts for nothing."""
        self.runs.drop(trial.trial_id)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The most promising of those that wait."""
        waiting = {trial.trial_id: trial for trial in _waiting(tune_controller)}
        first = self.runs.most_promising(waiting)
        return None if first is None else waiting[first]

    def debug_string(self) -> str:
        """One line for Ray's log."""
        best = self.runs.incumbent()
        return f"LCScheduler: {len(self.runs.runs)} trials, incumbent {best}"


def _reported(trial: Trial) -> list[dict[str, Any]]:
    """Results of a trial from before the driver was started again."""
    if not trial.has_reported_at_least_once or trial.storage is None:
        return []
    path = f"{trial.storage.trial_fs_path}/{EXPR_RESULT_FILE}"
    try:
        with trial.storage.storage_filesystem.open_input_stream(path) as stream:
            lines = stream.read().decode().splitlines()
        return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:  # no reason not to go on with the others
        log.warning("what trial %s had reported was not read: %s", trial, error)
        return []


def _waiting(tune_controller: Any) -> list[Trial]:
    return [
        trial
        for trial in tune_controller.get_trials()
        if trial.status in (Trial.PENDING, Trial.PAUSED)
    ]
