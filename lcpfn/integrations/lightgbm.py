"""LightGBM: a callback that ends boosting when too little is left to gain."""

import math
from typing import Any

from lightgbm import CVBooster
from lightgbm.callback import CallbackEnv, EarlyStopException

from lcpfn.integrations.boosting import BoostingMonitor, Score


class LCEarlyStopping(BoostingMonitor):
    """Stops boosting when the metric will hardly beat `beat` or its own best.

        lightgbm.train(params, train, 200, valid_sets=[valid],
                       callbacks=[LCEarlyStopping(metric="binary_logloss")])

    Which way is better, and the number of rounds, are LightGBM's to say. What is
    trained on is never watched. As after LightGBM's own early stopping, stopped or not,
    `best_iteration`, `best_score` and what `cv` returns are those of the best round; a
    dry run leaves them alone.

    Args:
        metric: name of the metric; default: the first one evaluated.
        data: name of the data set; default: the first one that has the metric and is
            not trained on.
        horizon: rounds of a full run; default: those asked for.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
    """

    before_iteration = False

    def __init__(
        self,
        metric: str | None = None,
        *,
        data: str | None = None,
        horizon: float | None = None,
        **rule: Any,
    ) -> None:
        super().__init__(metric, data, "min", horizon, **rule)
        # Behind all callbacks that log or record a round; LightGBM gives an order of
        # its own to what has none in the instance.
        self.order = math.inf
        self._best_results: list[Any] = []

    def __call__(self, env: CallbackEnv) -> None:
        """Takes the newest value; raises LightGBM's own exception to stop."""
        results = list(env.evaluation_result_list or [])
        trained_on = _name_of_training_set(env)
        scores = [x for x in map(_score, results) if x.data != trained_on]
        first = self.chosen(scores)
        begins = env.iteration == env.begin_iteration == 0
        if first and (begins or not self.run_monitor.observations.curve):
            self.begin("max" if first.maximize else "min")
        self.run_monitor.set_horizon(env.end_iteration)
        if results and (not scores or self.data == trained_on):
            self.run_monitor.warn_once(
                "missing",
                f"{trained_on!r} is the training set, which is never watched; evaluate "
                "a validation set, and give its name if you give data=",
            )
        stop = self.take(scores, env.iteration + 1)
        if self.best_round == env.iteration + 1:
            self._best_results = results
        over = env.iteration + 1 == env.end_iteration and not self.run_monitor.dry_run
        if stop or (over and self.best_round):
            raise EarlyStopException(self.best_round - 1, self._best_results)


def _name_of_training_set(env: CallbackEnv) -> str:
    """Under which name the training set is evaluated, if it is."""
    if isinstance(env.model, CVBooster):
        return "train"
    return str(env.model._train_data_name)


def _score(result: Any) -> Score:
    data, metric, value, maximize, *_ = result
    if data == "cv_agg":  # as older versions name what all folds have come to
        data, metric = metric.split(" ", 1)
    return Score(data, metric, value, maximize)
