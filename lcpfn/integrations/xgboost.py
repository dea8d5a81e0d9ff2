"""XGBoost: a callback that ends boosting when too little is left to gain."""

from typing import Any

import xgboost

from lcpfn.integrations.boosting import BoostingMonitor


class LCEarlyStopping(BoostingMonitor, xgboost.callback.TrainingCallback):
    """Stops boosting when the metric will hardly beat `beat` or its own best.

        callback = LCEarlyStopping(200, data_name="valid", metric_name="logloss")
        xgboost.train(params, train, 200, evals=[(valid, "valid")],
                      callbacks=[callback])

    Steps are the boosted rounds, those of a continued model included. In `xgboost.cv`
    the mean over the folds counts.

    Args:
        horizon: rounds of a full run.
        metric_name: which of the evaluations; default: the last one.
        data_name: of which data; default: the last one.
        maximize: whether more is better.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
    """

    def __init__(
        self,
        horizon: float,
        *,
        metric_name: str | None = None,
        data_name: str | None = None,
        maximize: bool = False,
        **rule: Any,
    ) -> None:
        mode = "max" if maximize else "min"
        super().__init__(metric_name, data_name, mode, horizon, **rule)

    def before_training(self, model: Any) -> Any:
        """Begins a new curve, or goes on with that of the model."""
        if model.num_boosted_rounds() == 0:
            self.run_monitor.reset()
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: dict) -> bool:
        """Takes the newest value; True stops boosting."""
        scores = []
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                value = values[-1]  # of `xgboost.cv`: mean and standard deviation
                mean = value[0] if isinstance(value, tuple) else value
                scores.append((data, metric, mean))
        return self.take(reversed(scores), model.num_boosted_rounds())
