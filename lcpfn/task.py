"""The runs of a task as the network has read them; only those with news are read."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from lcpfn.among import cutoffs_among, different
from lcpfn.configs import Config, encode_configs
from lcpfn.context import Context
from lcpfn.forecast import Forecast
from lcpfn.metric import Metric
from lcpfn.others import Readings, others_of, span_of

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
        # What was read, and of which context each row is; replaced as one.
        self._known: tuple[Readings, dict[Hashable, tuple[int, Context]]] | None = None

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
        parts = [context for _, context in asked]
        observed = any(len(context.values) for context in contexts.values())
        if not (observed and self.model.config.others):
            return Forecast.of(self.model.read(parts, self.metric))
        span = span_of([*contexts.values(), *parts])
        runs, readings = list(contexts.values()), self._refresh(contexts, span)
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
            fresh = self.model.read_runs(more, self.metric, span)
            readings = _joined([readings, fresh], np.arange(known + len(more)))
            runs += more
        index, where = np.arange(len(runs)), np.array(rows)
        seen = np.array([len(run.values) > 0 for run in runs])
        own = np.array([place.get(name, -1) for name, _ in asked])
        counted = seen & (index < known)
        allowed = counted & (index != own[:, None]) & different(parts, runs)
        encoded = encode_configs([configs.get(name) for name in names])
        as_runs = np.where(own < 0, where, own)
        others = others_of(readings, seen, encoded, where, as_runs, allowed, counted)
        return Forecast.of(
            cutoffs_among(self.model, self.metric, runs, readings, where, others)
        )

    def _refresh(
        self, contexts: Mapping[Hashable, Context], span: np.ndarray
    ) -> Readings:
        """What is known of all runs; those with news are read.

        All of them are read if the task now begins earlier, or ends later.
        """
        before, read = self._known or (None, {})
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
        if before is None or rows != list(range(len(read))):
            parts = [] if before is None else [before]
            if news:
                parts.append(self.model.read_runs(news, self.metric, span))
            before = _joined(parts, np.array(rows))
            read = {name: (i, c) for i, (name, c) in enumerate(contexts.items())}
            self._known = before, read
        return before


def _joined(parts: Sequence[Readings], rows: np.ndarray) -> Readings:
    """Some rows of several readings of one task, one behind the other."""
    known, anchor = jax.tree.map(
        lambda *x: np.concatenate(x)[rows],
        *((part.known, part.anchor) for part in parts),
    )
    return Readings(known, anchor, parts[0].span)
