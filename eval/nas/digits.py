"""Cells trained on scikit-learn's digits: a small benchmark that anyone can make again.

    lcpfn evaluate nas --train cells.npz --cells 300

The file is one of `lcpfn.io.arrays`: accuracy and calibration error on the validation
images after every epoch, and the cells as configurations. Beside the curves, in arrays
of their own with one row per training: counts and training-free scores, and accuracy
and calibration error on the test images, after temperature scaling too.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from lcpfn.eval.nas import network
from lcpfn.eval.nas.calibration import ECE_BINS, expected_error, temperature
from lcpfn.eval.nas.scores import score_cells
from lcpfn.eval.nas.space import Cell, by_number, canonical, config_of, number_of
from lcpfn.eval.nas.training import Parts, load, train_cells

TOGETHER = 10  # cells in one program
REPEATED = 0.1  # share of the cells that are trained once more, with other weights


def different_cells(count: int, seed: int = 0) -> list[Cell]:
    """Random cells, of those that compute the same one alone.

    Raises:
        ValueError: if the space has not so many.
    """
    order = np.random.default_rng(seed).permutation(len(by_number()))
    found: dict[str, Cell] = {}
    for number in order:
        cell = by_number()[number]
        found.setdefault(canonical(cell), cell)
    if not 0 < count <= len(found):
        raise ValueError(f"cells must lie in 1..{len(found)}, got {count}")
    return list(found.values())[:count]


def train_benchmark(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Trains random cells, some of them twice; seconds a cell on a core.

    Args:
        count: cells.
        seed: which cells, and with which weights they begin.

    Returns:
        The arrays of the file.
    """
    cells = different_cells(count, seed)
    again = cells[: round(REPEATED * count)]
    trained = [(cell, 0) for cell in cells] + [(cell, 1) for cell in again]
    key, parts = jax.random.key(seed), load()
    found = []
    for start in tqdm(range(0, len(trained), TOGETHER), desc="cells", disable=None):
        some = trained[start : start + TOGETHER]
        filled = some + some[:1] * (TOGETHER - len(some))
        numbers = np.array([2 * number_of(cell) + k for cell, k in filled])
        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
        batch = network.one_hot([cell for cell, _ in filled])
        found.append(jax.tree.map(np.asarray, train_cells(keys, batch, parts)))
    joined = jax.tree.map(lambda *x: np.concatenate(x)[: len(trained)], *found)
    ended = [
        _in_the_end(valid, test, parts)
        for valid, test in zip(joined["valid"], joined["test"], strict=True)
    ]
    return _as_arrays(trained, joined) | {
        name: np.array([row[name] for row in ended], np.float32) for name in ended[0]
    }


def _in_the_end(valid: np.ndarray, test: np.ndarray, parts: Parts) -> dict[str, float]:
    """Figures on the test images, of logits `(n, classes)`."""
    labels, heat = parts.test.labels, temperature(valid, parts.valid.labels)
    return {
        "test_accuracy": float((test.argmax(-1) == labels).mean()),
        **{f"test_ece_{n}": float(expected_error(test, labels, n)) for n in ECE_BINS},
        "test_ece_scaled": float(expected_error(test / heat, labels)),
        "temperature": heat,
    }


def _as_arrays(
    trained: Sequence[tuple[Cell, int]], found: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Curves as `lcpfn.io.arrays` has them, and what is known before training."""
    cells = [cell for cell, _ in trained]
    config = [json.dumps(config_of(cell) | {"seed": seed}) for cell, seed in trained]
    names = [f"cell {number_of(cell)} seed {seed}" for cell, seed in trained]
    metrics = {"valid_accuracy": "max", "valid_ece": "min"}
    scores = score_cells(cells, *load().train).whole
    return {
        "curves": np.concatenate([found[name] for name in metrics]).astype(np.float32),
        "metric": np.repeat(list(metrics), len(trained)),
        "mode": np.repeat(list(metrics.values()), len(trained)),
        "task": np.repeat("digits", 2 * len(trained)),
        "config": np.array(config * 2),
        "run_id": np.array(names * 2),
        **{
            f"score_{name}": column.astype(np.float32)
            for name, column in scores.items()
        },
    }


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes the file, replacing one that is there."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
