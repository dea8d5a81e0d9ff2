"""What the adapters of boosting libraries share; imports none of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from lcpfn.stopping.monitor import RunMonitor

# Data set, metric, value.
Score = tuple[str, str, Any]


class BoostingMonitor:
    """Decides on one of the metrics that are evaluated after each round.

    Args:
        metric: name of the metric; None: any.
        data: name of the data set; None: any.
        mode: "max" or "min".
        horizon: rounds of a full run; None: the host tells it.
        **rule: options of `lcpfn.stopping.monitor.RunMonitor`.

    Attributes:
        run_monitor: its decisions, reason and predicted final value.
    """

    def __init__(
        self,
        metric: str | None,
        data: str | None,
        mode: str,
        horizon: float | None,
        **rule: Any,
    ) -> None:
        self.metric, self.data = metric, data
        self.run_monitor = RunMonitor(mode, horizon, **rule)

    def fits(self, score: Sequence[Any]) -> bool:
        """Whether this is of the metric and of the data set."""
        return self.data in (None, score[0]) and self.metric in (None, score[1])

    def take(self, scores: Iterable[Score], step: int) -> bool:
        """Takes what a round has come to; True: stop. The first that fits counts."""
        found = list(scores)
        wanted = f"{self.data or 'a data set'} {self.metric or 'metric'}"
        for score in filter(self.fits, found):
            wanted = f"{score[0]} {score[1]}"
            break
        values = {f"{data} {metric}": value for data, metric, value in found}
        return self.run_monitor.take(values, wanted, step)
