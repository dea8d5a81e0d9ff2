"""Recorded cells made up for tests: every operation adds to what a cell reaches."""

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.nas.cells import recorded_cells
from lcpfn.eval.nas.space import OPERATIONS, by_number, config_of

EPOCHS = 20
WORTH = np.random.default_rng(1).normal(size=(6, len(OPERATIONS)))


def worth(cell):
    """What a cell reaches, before scaling."""
    return sum(WORTH[e, OPERATIONS.index(name)] for e, name in enumerate(cell))


def toy(count=200, seed=0, top=1.0, task="toy", operations=OPERATIONS):
    """Cells whose accuracies rise to `worth`, from where says nothing of it."""
    every = [cell for cell in by_number() if set(cell) <= set(operations)]
    rng = np.random.default_rng(seed)
    steps = np.arange(1, EPOCHS + 1)
    runs = []
    for number in rng.permutation(len(every))[:count]:
        cell = every[number]
        end = 0.7 + 0.02 * worth(cell)
        values = end - rng.uniform(0.2, 0.6) / steps
        runs.append(
            Run(
                np.clip(top * values, 0, top),
                config=config_of(cell),
                name=f"cell {number}",
                mode="max",
                task=task,
                metric="accuracy",
            )
        )
    return recorded_cells(runs)[0]
