"""CatBoost: a callback that ends boosting when too little is left to gain."""

from typing import Any

from lcpfn.integrations.boosting import BoostingMonitor, Score


class LCEarlyStopping(BoostingMonitor):
    """Stops boosting when the metric will hardly beat `beat` or its own best.

        callback = LCEarlyStopping("Logloss", mode="min", horizon=200)
        CatBoostClassifier(iterations=200).fit(
            X, y, eval_set=(X_valid, y_valid), callbacks=[callback])

    CatBoost itself is not imported here: its callbacks need no base class.

    Args:
        metric: name of the metric.
        data: "validation" or "learn"; with several sets "validation_0", ...
        mode: "max" or "min".
        horizon: iterations of a full run.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
    """

    def __init__(
        self,
        metric: str,
        *,
        mode: str,
        horizon: float,
        data: str = "validation",
        **rule: Any,
    ) -> None:
        super().__init__(metric, data, mode, horizon, **rule)

    def after_iteration(self, info: Any) -> bool:
        """Takes the newest value; True goes on, as CatBoost has it."""
        scores = [
            Score(data, metric, values[-1])
            for data, metrics in info.metrics.items()
            for metric, values in metrics.items()
            if values
        ]
        return not self.take(scores, info.iteration)
