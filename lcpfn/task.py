"""The runs of a task as the network has read them; only those with news are read."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from lcpfn.among import cutoffs_among
from lcpfn.configs import Config, encode_configs
from lcpfn.context import Context
from lcpfn.forecast import Forecast
from lcpfn.metric import Metric
from lcpfn.others import Readings, span_of

if TYPE_CHECKING:
    from lcpfn.model import Model


class Task:
    """The runs of one task.

    Args:
        model: a loaded checkpoint.
        metric: direction and bounds.
    """

    def __init__(self, model: "Model", metric: Metric) -> None:
        self.model, self.metric = model, metric
        self._read: dict[Hashable, tuple[int, Context]] = {}
        self._readings: Readings | None = None

    def ask(
        self,
        contexts: Mapping[Hashable, Context],
        configs: Sequence[Config | None],
        names: Sequence[Hashable],
    ) -> Forecast:
        """Forecasts of some of the runs, each of which sees all others.

        Args:
            contexts: all runs by name. One that has been read is not read again.
            configs: of each.
            names: of the runs asked about; one without observations is unseen.
        """
        if not self.model.config.others:
            wanted = [contexts[name] for name in names]
            return Forecast.of(self.model.read(wanted, self.metric))
        runs = list(contexts.values())
        place = {name: i for i, name in enumerate(contexts)}
        asked = np.array([place[name] for name in names])
        seen = np.array([len(run.values) > 0 for run in runs])
        allowed = seen & (np.arange(len(runs)) != asked[:, None])
        return Forecast.of(
            cutoffs_among(
                *(self.model, self.metric, runs, encode_configs(configs)),
                *(self._refresh(contexts), asked, allowed, seen),
            )
        )

    def _refresh(self, contexts: Mapping[Hashable, Context]) -> Readings:
        """What is known of all runs; those with news are read.

        All of them are read if the task now begins earlier, or ends later.
        """
        span = span_of(list(contexts.values()))
        before, read = self._readings, self._read
        if before is None or not np.array_equal(before.span, span):
            before, read = None, {}
        rows, news = [], []
        for name, context in contexts.items():
            row, known = read.get(name, (0, None))
            if known is not context:
                row = len(read) + len(news)
                news.append(context)
            rows.append(row)
        if news or before is None or len(rows) != len(read):
            parts = [] if before is None else [before[:2]]
            if news:
                parts.append(self.model.read_runs(news, self.metric, span)[:2])
            where = np.array(rows)
            known, anchor = jax.tree.map(lambda *x: np.concatenate(x)[where], *parts)
            before = self._readings = Readings(known, anchor, span)
            self._read = {
                name: (i, context) for i, (name, context) in enumerate(contexts.items())
            }
        return before
