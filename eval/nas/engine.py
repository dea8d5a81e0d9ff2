"""What the searches ask of the forecasts: stop a cell, and how good it will be.

A `Study` holds the cells of one search, finished or not; every question sees all that
the search has trained so far.
"""

from collections.abc import Sequence

import numpy as np

import lcpfn
from lcpfn.eval.stopping.simulate import TaskRuns
from lcpfn.metric import Metric
from lcpfn.model import Model

# Shares of a run after which a cell is judged.
CHECKS = (0.1, 0.2, 0.4, 0.6, 0.8)


class Engine:
    """Forecasts for one search.

    Args:
        model: a checkpoint.
        task_runs: what is searched; all runs have one length, mode and bounds.
    """

    def __init__(self, model: Model, task_runs: TaskRuns) -> None:
        self.runs = [recorded.run for recorded in task_runs.runs]
        some = self.runs[0]
        horizon = float(some.steps[-1])
        self.study = lcpfn.Study(horizon, some.mode, some.bounds, model=model)
        self.sign = Metric(some.mode).sign

    @property
    def checks(self) -> list[int]:
        """Observations after which a run is judged, before it is complete."""
        count = len(self.runs[0].values)
        found = {max(round(share * count), 1) for share in CHECKS}
        return sorted(n for n in found if n < count)

    def seen(self, i: int) -> int:
        """Observations of run i that were reported."""
        return len(self.study.runs[i].values) if i in self.study else 0

    def report(self, i: int, until: int) -> None:
        """Run i has been trained so far."""
        run, new = self.runs[i], slice(self.seen(i), until)
        self.study.extend(i, run.values[new], run.steps[new], config=run.config)

    def stopped(self, i: int) -> float | None:
        """What a run is expected to reach, lower is better, if it is stopped now.

        None: it goes on.
        """
        if self.study.incumbent() is None:
            return None
        decision = self.study.decide(i)
        if not decision.stop:
            return None
        self.study.finish(i)
        return self.sign * decision.expected_final

    def losses(self, some: Sequence[int]) -> np.ndarray:
        """Medians of the final values, lower is better `(n,)`."""
        return self.sign * self.study.forecast_all(some).final.median()
