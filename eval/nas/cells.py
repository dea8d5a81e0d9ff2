"""Recorded cells: the runs of one data set, one full run a cell, and what is known.

From any file of `lcpfn.io` whose configurations hold cells: `lcpfn.eval.nas.digits`,
NATS-Bench and NAS-Bench-201, SpikeNAS-Bench.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.data import task_of
from lcpfn.eval.nas.network import parameter_count
from lcpfn.eval.nas.space import Cell, cell_of, config_of
from lcpfn.metric import Metric

FEWEST = 40


@dataclass(frozen=True)
class Recorded:
    """Cells of one data set, trained by one schedule.

    Attributes:
        name: data set and metric.
        cells: each once.
        runs: of the cells, all of one length; configurations are the cells' and the
            number of parameters.
    """

    name: str
    cells: tuple[Cell, ...]
    runs: tuple[Run, ...]

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def values(self) -> np.ndarray:
        """Metric of every cell after every epoch `(n, epochs)`."""
        return np.stack([run.values for run in self.runs])

    @property
    def final(self) -> np.ndarray:
        """The last value of every cell `(n,)`."""
        return self.values[:, -1]

    @property
    def sign(self) -> float:
        """What makes lower values the better ones."""
        return Metric(self.runs[0].mode).sign

    @cached_property
    def codes(self) -> np.ndarray:
        """Operations as numbers `(n, edges)`."""
        names = {name: i for i, name in enumerate(self.operations)}
        return np.array([[names[name] for name in cell] for cell in self.cells])

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """Operations that occur."""
        return tuple(sorted({name for cell in self.cells for name in cell}))

    def some(self, rows: Iterable[int]) -> "Recorded":
        """A part of the cells."""
        chosen = [int(row) for row in rows]
        cells = tuple(self.cells[i] for i in chosen)
        return replace(self, cells=cells, runs=tuple(self.runs[i] for i in chosen))


def recorded_cells(runs: Sequence[Run]) -> list[Recorded]:
    """Runs by data set and metric; those without a cell are left out.

    Of several runs of a cell the first counts. Longer runs are cut to the length of the
    shortest one; all but one in a hundred have to be as long. Where higher is better
    and nothing else is known, the metric is a share or a percentage, by its values.

    Raises:
        ValueError: if no data set has cells enough.
    """
    groups: dict[str, dict[Cell, Run]] = {}
    for run in runs:
        cell = cell_of(run.config)
        if cell is not None and np.isfinite(run.values).all():
            groups.setdefault(task_of(run), {}).setdefault(cell, run)
    found = [_of_group(name, some) for name, some in groups.items()]
    enough = [part for part in found if len(part) >= FEWEST]
    if not enough:
        raise ValueError(
            f"no data set has {FEWEST} cells or more: give runs whose configurations "
            "hold cells of NAS-Bench-201, as lcpfn evaluate nas --train writes them"
        )
    return enough


def _of_group(name: str, some: dict[Cell, Run]) -> Recorded:
    count = int(np.quantile([len(run.values) for run in some.values()], 0.01))
    kept = {cell: run for cell, run in some.items() if len(run.values) >= count}
    highest = max(float(run.values[:count].max()) for run in kept.values())
    lowest = min(float(run.values[:count].min()) for run in kept.values())
    runs = []
    for cell, run in kept.items():
        bounds = run.bounds
        if bounds is None and run.mode == "max" and 0 <= lowest and highest <= 100:
            bounds = (0.0, 1.0 if highest <= 1 else 100.0)
        parameters = (run.config or {}).get("params", parameter_count(cell))
        config = config_of(cell) | {"parameters": parameters}
        runs.append(
            replace(
                run,
                values=run.values[:count],
                steps=run.steps[:count],
                config=config,
                bounds=bounds,
            )
        )
    return Recorded(name, tuple(kept), tuple(runs))
