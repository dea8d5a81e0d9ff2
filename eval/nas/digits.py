"""Cells trained on scikit-learn's digits: a small benchmark that anyone can make again.

    lcpfn evaluate nas --train cells.npz --cells 300

8 x 8 images, split at random into 500 to train on, 500 to validate on and 797 to test
on. SGD with Nesterov momentum, a cosine schedule and batches of 100; many cells are one
program. The file is one of `lcpfn.io.arrays`: accuracy and calibration error on the
validation images after every epoch, and the cells as configurations. Beside the curves,
in arrays of their own with one row per training: counts and training-free scores, and
accuracy and calibration error on the test images, after temperature scaling too.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from lcpfn.eval.nas import network
from lcpfn.eval.nas.calibration import BINS, expected_error, temperature
from lcpfn.eval.nas.scores import score_cells
from lcpfn.eval.nas.space import Cell, by_number, canonical, config_of, number_of

EPOCHS, BATCH = 30, 100
TRAIN = VALID = 500
RATE, MOMENTUM, DECAY = 0.1, 0.9, 5e-4
TOGETHER = 10  # cells in one program
REPEATED = 0.1  # share of the cells that are trained once more, with other weights


class Images(NamedTuple):
    """Images `(n, 8, 8)` in [-1, 1] and what they show `(n,)`."""

    images: np.ndarray
    labels: np.ndarray


class Parts(NamedTuple):
    """To train on, to choose by, and to test on."""

    train: Images
    valid: Images
    test: Images


@functools.cache
def load() -> Parts:
    """The digits, always split alike. Needs scikit-learn (the extra `checks`)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    images = (found.images[order] / 8 - 1).astype(np.float32)
    cuts = [TRAIN, TRAIN + VALID]
    parts = zip(
        np.split(images, cuts), np.split(found.target[order], cuts), strict=True
    )
    return Parts(*(Images(*part) for part in parts))


def optimiser(epochs: int, rate: float = RATE) -> optax.GradientTransformation:
    """SGD whose rate falls to zero by a cosine over so many epochs."""
    schedule = optax.cosine_decay_schedule(rate, epochs * (TRAIN // BATCH))
    sgd = optax.sgd(schedule, MOMENTUM, nesterov=True)
    return optax.chain(optax.add_decayed_weights(DECAY), sgd)


def batches(key: jax.Array) -> jax.Array:
    """Numbers of the training images of one epoch, in random order `(steps, BATCH)`."""
    return jax.random.permutation(key, TRAIN).reshape(-1, BATCH)


def step(
    optimise: optax.GradientTransformation, state: Any, operations: Any, some: Images
) -> Any:
    """One step of training: (weights, state of the optimiser), after a batch."""
    params, memory = state
    images, labels = some

    def loss(params: network.Params) -> jax.Array:
        return network.loss_of(network.apply(params, operations, images).logits, labels)

    updates, memory = optimise.update(jax.grad(loss)(params), memory, params)
    return optax.apply_updates(params, updates), memory


@functools.partial(jax.jit, static_argnames="epochs")
def train_cells(
    keys: jax.Array, operations: jax.Array, parts: Parts, epochs: int = EPOCHS
) -> dict[str, jax.Array]:
    """Trains cells side by side.

    Args:
        keys: of weights and order of images, one a cell `(A,)`.
        operations: of the cells, one-hot `(A, E, O)`.
        parts: from `load`.
        epochs: how many.

    Returns:
        "valid_accuracy" and "valid_ece" after every epoch `(A, epochs)`; "valid" and
        "test", logits in the end `(A, n, classes)`.
    """
    optimise = optimiser(epochs)

    def one(key: jax.Array, operations: jax.Array) -> dict[str, jax.Array]:
        begin, *rest = jax.random.split(key, epochs + 1)
        params = network.init(begin)
        says = lambda params, part: (
            network.apply(params, operations, part.images).logits
        )

        def epoch(state: Any, key: jax.Array) -> Any:
            def take(state: Any, rows: jax.Array) -> Any:
                some = jax.tree.map(lambda x: x[rows], parts.train)
                return step(optimise, state, operations, some), None

            state, _ = jax.lax.scan(take, state, batches(key))
            logits = says(state[0], parts.valid)
            right = (logits.argmax(-1) == parts.valid.labels).mean()
            return state, (right, expected_error(logits, parts.valid.labels))

        begun = params, optimise.init(params)
        (params, _), (right, error) = jax.lax.scan(epoch, begun, jnp.stack(rest))
        return {
            "valid_accuracy": right,
            "valid_ece": error,
            "valid": says(params, parts.valid),
            "test": says(params, parts.test),
        }

    return jax.vmap(one)(keys, operations)


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
        **{f"test_ece_{n}": float(expected_error(test, labels, n)) for n in BINS},
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
        **{f"score_{name}": column.astype(np.float32) for name, column in scores.items()},
    }


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes the file, replacing one that is there."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
