"""What logs of experiments have in common, whoever wrote them.

A log holds many metrics of many runs and does not say which way any of them is better:
one is chosen, and the caller gives its mode. A run that was resumed from a checkpoint
has logged some steps twice; the later record counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.request import Request, one_of

Records = tuple[list[float], list[float]]


class About(NamedTuple):
    """What a log says of a run besides its records."""

    task: str = ""
    config: Mapping[str, Any] | None = None


class Log:
    """Records as they were logged, by metric and run.

    Attributes:
        curves: metric -> run -> its steps and values.
    """

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted
        self._seen: set[str] = set()
        self.curves: dict[str, dict[str, Records]] = {}

    def wants(self, metric: str) -> bool:
        """Whether records of it are kept; remembers its name, for an error."""
        self._seen.add(metric)
        return self._wanted in (None, metric)

    def add(self, metric: str, run: str, step: float, value: float) -> None:
        """One record."""
        runs = self.curves.setdefault(metric, {})
        steps, values = runs.setdefault(run, ([], []))
        steps.append(step)
        values.append(value)

    def chosen(self) -> tuple[str, dict[str, Records]]:
        """The metric that is meant, and its records by run.

        Raises:
            ValueError: if it is not evident which one, or it has no records.
        """
        metric = one_of(self._seen, self._wanted)
        if not self.curves.get(metric):
            raise ValueError(f"no records of {metric!r}")
        return metric, self.curves[metric]

    def runs(
        self, request: Request, about: Mapping[str, About] | None = None
    ) -> list[Run]:
        """Runs of the chosen metric, in the order in which they were logged."""
        metric, records = self.chosen()
        runs: list[Run] = []
        for name, both in records.items():
            told = (about or {}).get(name, About())
            steps, values = resumed(*both)
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


def resumed(
    steps: Sequence[float], values: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Records of a run that may have gone back to an earlier step, `(n,)` each.

    A record replaces all earlier ones at its step or after it. If a log has one step
    alone, none was given to the logger, and the records are counted 1..n.
    """
    if len(steps) > 1 and len(set(steps)) == 1:
        return np.arange(1.0, len(steps) + 1), np.array(values, np.float64)
    kept: list[tuple[float, float]] = []
    for step, value in zip(steps, values, strict=True):
        while kept and kept[-1][0] >= step:
            kept.pop()
        kept.append((step, value))
    both = np.array(kept, np.float64)
    return both[:, 0], both[:, 1]
