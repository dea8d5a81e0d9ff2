"""XGBoost: a callback that ends boosting when too little is left to gain."""

from typing import Any

import xgboost

from lcpfn.integrations.boosting import BoostingMonitor, Score

# XGBoost's own metrics by which way is better, without "@" and what follows.
MAXIMIZED = {"auc", "aucpr", "pre", "map", "ndcg", "interval-regression-accuracy"}
MINIMIZED = {
    *("rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "merror", "mlogloss"),
    *("poisson-nloglik", "gamma-nloglik", "cox-nloglik", "gamma-deviance"),
    *("tweedie-nloglik", "aft-nloglik", "quantile", "expectile"),
}
# What people call data that they train on; it is watched only if nothing else is there.
TRAINING = {"train", "training", "dtrain", "learn"}


class LCEarlyStopping(BoostingMonitor, xgboost.callback.TrainingCallback):
    """Stops boosting when the metric will hardly beat `beat` or its own best.

        callback = LCEarlyStopping(200, data_name="valid", metric_name="logloss")
        xgboost.train(params, train, 200, evals=[(valid, "valid")],
                      callbacks=[callback])

    Steps are the boosted rounds, those of a continued model included. In `xgboost.cv`
    the mean over the folds counts. As after XGBoost's own early stopping, stopped or
    not, `best_iteration` and `best_score` are those of the best round; a dry run leaves
    them alone.

    Args:
        horizon: rounds of a full run.
        metric_name: which of the evaluations; default: the last one.
        data_name: of which data; default: the last one that is not called "train".
        maximize: whether more is better; default: known for XGBoost's own metrics.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.

    Raises:
        ValueError: before or after the first round, for a metric of unknown direction
            without `maximize`.
    """

    def __init__(
        self,
        horizon: float,
        *,
        metric_name: str | None = None,
        data_name: str | None = None,
        maximize: bool | None = None,
        **rule: Any,
    ) -> None:
        self.maximize = maximize
        mode = "min" if metric_name is None else self._mode_of(metric_name)
        super().__init__(metric_name, data_name, mode, horizon, **rule)

    def _mode_of(self, metric: str) -> str:
        name = metric.split("@")[0].rstrip("-")
        known = name in MAXIMIZED if name in MAXIMIZED | MINIMIZED else None
        maximize = known if self.maximize is None else self.maximize
        if maximize is None:
            raise ValueError(
                f"which way is better for {metric!r}? Give maximize=True or "
                "maximize=False"
            )
        return "max" if maximize else "min"

    def before_training(self, model: Any) -> Any:
        """Begins a new curve, or goes on with that of the model."""
        if model.num_boosted_rounds() == 0:
            self.begin(self.run_monitor.rule.mode)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: dict) -> bool:
        """Takes the newest value; True stops boosting."""
        scores = []
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                value = values[-1]  # of `xgboost.cv`: mean and standard deviation
                mean = value[0] if isinstance(value, tuple | list) else value
                scores.append(Score(data, metric, mean))
        scores = sorted(reversed(scores), key=lambda score: score.data in TRAINING)
        first = self.chosen(scores)
        if first and not self.run_monitor.observations.curve:
            self.begin(self._mode_of(first.metric))
        rounds = model.num_boosted_rounds()
        stop = self.take(scores, rounds)
        if self.best_round == rounds and not self.run_monitor.dry_run:
            model.set_attr(
                best_iteration=str(rounds - 1), best_score=str(self.best_value)
            )
        return stop
