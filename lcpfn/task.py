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
        configs: Mapping[Hashable, Config | None],
        asked: Sequence[tuple[Hashable, Context]],
    ) -> Forecast:
        """Forecasts that know the other runs, if the checkpoint was trained for that.

        Args:
            contexts: all runs by name. One that has been read is not read again.
            configs: of each.
            asked: whose run, and how much of it is known: what `contexts` has of it, or
                an earlier part, or nothing. It sees all other runs.
        """
        if not (contexts and self.model.config.others):
            return Forecast.of(self.model.read([c for _, c in asked], self.metric))
        runs, readings = list(contexts.values()), self._refresh(contexts)
        names, place = list(contexts), {name: i for i, name in enumerate(contexts)}
        known, rows, more = len(runs), list[int](), list[Context]()
        for name, context in asked:
            if contexts.get(name) is context:
                rows.append(place[name])
            else:
                rows.append(known + len(more))
                more.append(context)
                names.append(name)
        if more:
            fresh = self.model.read_runs(more, self.metric, readings.span)
            readings = _joined([readings, fresh], np.arange(known + len(more)))
            runs += more
        index = np.arange(len(runs))
        seen = np.array([len(run.values) > 0 for run in runs]) & (index < known)
        own = np.array([place.get(name, -1) for name, _ in asked])
        encoded = encode_configs([configs.get(name) for name in names])
        return Forecast.of(
            cutoffs_among(
                *(self.model, self.metric, runs, encoded, readings),
                *(np.array(rows), seen & (index != own[:, None]), seen),
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
        rows: list[int] = []
        news: list[Context] = []
        for name, context in contexts.items():
            row, known = read.get(name, (0, None))
            if known is not context:
                row = len(read) + len(news)
                news.append(context)
            rows.append(row)
        if news or before is None or len(rows) != len(read):
            parts = [] if before is None else [before]
            if news:
                parts.append(self.model.read_runs(news, self.metric, span))
            before = self._readings = _joined(parts, np.array(rows))
            self._read = {
                name: (i, context) for i, (name, context) in enumerate(contexts.items())
            }
        return before


def _joined(parts: Sequence[Readings], rows: np.ndarray) -> Readings:
    """Some rows of several readings of one task, one behind the other."""
    known, anchor = jax.tree.map(
        lambda *x: np.concatenate(x)[rows],
        *((part.known, part.anchor) for part in parts),
    )
    return Readings(known, anchor, parts[0].span)
