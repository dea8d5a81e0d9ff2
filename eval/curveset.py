"""A set of recorded curves from one source: what is evaluated on.

Tasks are what is split by, never runs: configurations recur across tasks, and runs of a
task share its final level.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from lcpfn.curves import Run


@dataclass(frozen=True)
class CurveSet:
    """Runs of one source.

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
