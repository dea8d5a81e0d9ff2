"""Recorded curves: runs, and sets of them."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lcpfn.metric import Bounds


@dataclass(frozen=True)
class Run:
    """One run: what it recorded, and what is known of it.

    Attributes:
        values: the metric `(n,)`, the user's units.
        steps: of the values, strictly increasing `(n,)`; default 1..n.
        config: its hyperparameters by name, where they are known.
        name: identity of the run.
        mode: "max" or "min"; empty where whoever is given the run is told.
        bounds: of the metric, or None.
        task: what was learned; runs of one task can be compared.
        metric: what was measured.
    """

    values: Any
    steps: Any = None
    config: Mapping[str, Any] | None = None
    name: str = ""
    mode: str = ""
    bounds: Bounds | None = None
    task: str = ""
    metric: str = ""

    def __post_init__(self) -> None:
        # What is no number is refused by name where runs are checked.
        with contextlib.suppress(TypeError, ValueError):
            object.__setattr__(self, "values", np.asarray(self.values, float))
        if self.steps is None:
            object.__setattr__(self, "steps", np.arange(1.0, np.size(self.values) + 1))


@dataclass(frozen=True)
class CurveSet:
    """Recorded runs of one source.

    Tasks are what is split by, never runs: configurations recur across tasks, and runs
    of a task share its final level.

    Attributes:
        name: of the source, one row in every table.
        runs: its runs, in a fixed order.
    """

    name: str
    runs: tuple[Run, ...]

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in it, sorted."""
        return tuple(sorted({run.task for run in self.runs}))

    def of_tasks(self, tasks: Iterable[str]) -> "CurveSet":
        """The runs of these tasks."""
        wanted = set(tasks)
        return replace(self, runs=tuple(r for r in self.runs if r.task in wanted))

    def sample(self, most: int, seed: int = 0) -> "CurveSet":
        """At most `most` runs, about as many of every task, in their order."""
        if len(self) <= most:
            return self
        rng = np.random.default_rng(seed)
        rank = np.empty(len(self))
        for task in self.tasks:
            rows = np.flatnonzero([run.task == task for run in self.runs])
            rank[rng.permutation(rows)] = np.arange(len(rows)) + rng.random()
        keep = np.sort(np.argsort(rank, kind="stable")[:most])
        return replace(self, runs=tuple(self.runs[i] for i in keep))
