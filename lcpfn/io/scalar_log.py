"""Curves of logs that name metric, run and step of every value, and their order.

A log holds many metrics of many runs and does not say which way any of them is better:
one is chosen, and the caller gives its mode.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.request import Request, one_of


class Curve(NamedTuple):
    """The observations of one run, in order.

    Attributes:
        run, task: as the log names them, or empty.
        metric: what was measured.
        steps, values: `(n,)` float64.
    """

    run: str
    task: str
    metric: str
    steps: np.ndarray
    values: np.ndarray


class About(NamedTuple):
    """What a log says of a run besides its observations."""

    task: str = ""
    config: Mapping[str, Any] | None = None


class Log:
    """Observations as they were logged, by metric and run.

    Attributes:
        observed: metric -> run -> its steps and values.
    """

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted
        self._seen: set[str] = set()
        self.observed: dict[str, dict[str, tuple[list[float], list[float]]]] = {}

    def wants(self, metric: str) -> bool:
        """Whether observations of it are kept; remembers its name, for an error."""
        self._seen.add(metric)
        return self._wanted in (None, metric)

    def add(self, metric: str, run: str, step: float, value: float) -> None:
        """One observation."""
        runs = self.observed.setdefault(metric, {})
        steps, values = runs.setdefault(run, ([], []))
        steps.append(step)
        values.append(value)

    def curves(self) -> list[Curve]:
        """Curves of the chosen metric, in the order in which they were logged.

        Raises:
            ValueError: if it is not evident which one, or it has no observations.
        """
        metric = one_of(self._seen, self._wanted)
        if not self.observed.get(metric):
            raise ValueError(f"no observations of {metric!r}")
        return [
            Curve(run, "", metric, *in_order(*map(np.array, both)))
            for run, both in self.observed[metric].items()
        ]

    def runs(
        self, request: Request, about: Mapping[str, About] | None = None
    ) -> list[Run]:
        """The same as runs; `about` says more of some, by their names."""
        runs: list[Run] = []
        for name, _, metric, steps, values in self.curves():
            told = (about or {}).get(name, About())
            run = request.run(
                name,
                steps,
                values,
                task=told.task,
                metric=metric,
                config=told.config,
            )
            runs.append(run)
        return runs


def in_order(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observations as they were logged, put in the order of their steps, `(n,)` each.

    One at a new step takes its place, however late it comes. A known step with another
    value means that the run went back to a checkpoint or began again: what was logged
    from that step on no longer counts. If a log has one step alone, none was given to
    the logger, and the observations are counted 1..n.
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    if (np.diff(steps) > 0).all():
        return steps, values
    distinct, first = np.unique(steps, return_index=True)
    if len(distinct) == 1:
        return np.arange(1.0, len(steps) + 1), values
    if len(distinct) == len(steps):
        return distinct, values[first]
    return _replayed(steps.tolist(), values.tolist())


def _replayed(
    steps: Sequence[float], values: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    kept: list[float] = []
    value_at: dict[float, float] = {}
    for step, value in zip(steps, values, strict=True):
        at = len(kept) if not kept or step > kept[-1] else bisect_left(kept, step)
        if at < len(kept) and kept[at] == step:
            old = value_at[step]
            if old == value or (old != old and value != value):
                continue
            for dropped in kept[at + 1 :]:
                del value_at[dropped]
            del kept[at + 1 :]
        else:
            kept.insert(at, step)
        value_at[step] = value
    return np.array(kept), np.array([value_at[step] for step in kept])
