"""LightGBM: a callback that ends boosting when too little is left to gain."""

from typing import Any

from lightgbm.callback import CallbackEnv, EarlyStopException

from lcpfn.integrations.boosting import BoostingMonitor
from lcpfn.stopping.monitor import RunMonitor


class LCEarlyStopping(BoostingMonitor):
    """Stops boosting when the metric will hardly beat `beat` or its own best.

        lightgbm.train(params, train, 200, valid_sets=[valid],
                       callbacks=[LCEarlyStopping(metric="binary_logloss")])

    Which way is better, and the number of rounds, are LightGBM's to say.

    Args:
        metric: name of the metric; default: the first one evaluated.
        data: name of the data set; default: the first one that has the metric.
        horizon: rounds of a full run; default: those asked for.
        **rule: `beat`, `bounds`, `confidence`, ... of `lcpfn.EarlyStopping`; `model`,
            `dry_run`, `start_from`, ... of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
    """

    order, before_iteration = 30, False

    def __init__(
        self,
        metric: str | None = None,
        *,
        data: str | None = None,
        horizon: float | None = None,
        **rule: Any,
    ) -> None:
        self.horizon, self.options = horizon, rule
        super().__init__(metric, data, "min", horizon, **self.options)

    def __call__(self, env: CallbackEnv) -> None:
        """Takes the newest value; raises LightGBM's own exception to stop."""
        results = list(env.evaluation_result_list or [])
        scores = [(data, metric, value) for data, metric, value, *_ in results]
        fitting = [result[3] for result in results if self.fits(result)]
        begins = env.iteration == env.begin_iteration == 0
        if fitting and (begins or not self.run_monitor.observations.curve):
            mode = "max" if fitting[0] else "min"
            self.run_monitor = RunMonitor(mode, self.horizon, **self.options)
        self.run_monitor.set_horizon(env.end_iteration)
        if self.take(scores, env.iteration + 1):
            raise EarlyStopException(env.iteration, results)
