"""What the adapters of boosting libraries share; imports none of them."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import number
from lcpfn.stopping.threshold import best_of


class Score(NamedTuple):
    """What one round has come to.

    Attributes:
        data: name of the data set.
        metric: name of the metric.
        value: its value.
        maximize: whether more is better; None: the library does not say.
    """

    data: str
    metric: str
    value: Any
    maximize: bool | None = None


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
        best_round: the best round so far, counted from 1; 0 before the first.
        best_value: its value.
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
        self.horizon, self.options = horizon, rule
        self.begin(mode)

    def begin(self, mode: str) -> None:
        """Begins another curve."""
        self.run_monitor = RunMonitor(mode, self.horizon, **self.options)
        self.best_round, self.best_value = 0, math.nan

    def chosen(self, scores: Iterable[Score]) -> Score | None:
        """The first of the metric and of the data set."""
        for score in scores:
            if self.data in (None, score.data) and self.metric in (None, score.metric):
                return score
        return None

    def take(self, scores: Iterable[Score], step: int) -> bool:
        """Takes what a round has come to; True: stop. The first that fits counts."""
        found = list(scores)
        wanted = f"{self.data or 'a data set'} {self.metric or 'metric'}"
        score = self.chosen(found)
        if score is not None:
            wanted = f"{score.data} {score.metric}"
            value = number(score.value)
            known = math.nan if value is None else value
            best = best_of((self.best_value, known), self.run_monitor.rule.mode)
            if self.best_round == 0 or best not in (self.best_value, math.nan):
                self.best_round, self.best_value = step, known
        values = {f"{score.data} {score.metric}": score.value for score in found}
        return self.run_monitor.take(values, wanted, step)
