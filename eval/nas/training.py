"""Training on scikit-learn's digits, of one cell, of many side by side, of supernets.

8 x 8 images, split at random into 500 to train on, 500 to validate on and 797 to test
on. SGD with Nesterov momentum, a cosine schedule and batches of 100.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lcpfn.eval.nas import network
from lcpfn.eval.nas.calibration import expected_error

EPOCHS, BATCH = 30, 100
TRAIN = VALID = 500
STEPS = TRAIN // BATCH  # of an epoch
RATE, MOMENTUM, DECAY = 0.1, 0.9, 5e-4


class Images(NamedTuple):
    """Images `(n, 8, 8)` in [-1, 1] and what they show `(n,)`."""

    images: Any
    labels: Any


class Parts(NamedTuple):
    """To train on, to choose by, and to test on."""

    train: Images
    valid: Images
    test: Images


class State(NamedTuple):
    """A network amid its training: weights, and what the optimiser remembers."""

    params: network.Params
    memory: Any


@functools.cache
def load() -> Parts:
    """The digits, always split alike. Needs scikit-learn (the extra `checks`)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    images = (found.images[order] / 8 - 1).astype(np.float32)
    labels, cuts = found.target[order], [TRAIN, TRAIN + VALID]
    parts = zip(np.split(images, cuts), np.split(labels, cuts), strict=True)
    return Parts(*(Images(*part) for part in parts))


def _optimiser(epochs: int) -> optax.GradientTransformation:
    """SGD whose rate falls to zero by a cosine over so many epochs."""
    schedule = optax.cosine_decay_schedule(RATE, epochs * STEPS)
    sgd = optax.sgd(schedule, MOMENTUM, nesterov=True)
    return optax.chain(optax.add_decayed_weights(DECAY), sgd)


def begin(params: network.Params, epochs: int = EPOCHS) -> State:
    """A training of so many epochs, before the first."""
    return State(params, _optimiser(epochs).init(params))


def train_epoch(
    state: State, operations: Any, some: Images, key: jax.Array, epochs: int = EPOCHS
) -> State:
    """One more epoch; pure.

    Args:
        state: from `begin` or the epoch before.
        operations: of the cell, one-hot `(E, O)`; or of one a step `(STEPS, E, O)`.
        some: images to train on.
        key: of their order.
        epochs: as `begin` was told.
    """
    optimise = _optimiser(epochs)

    def step(state: State, x: tuple[jax.Array, jax.Array]) -> tuple[State, None]:
        rows, cell = x

        def loss(params: network.Params) -> jax.Array:
            logits = network.apply(params, cell, some.images[rows]).logits
            return network.loss_of(logits, some.labels[rows])

        slopes = jax.grad(loss)(state.params)
        updates, memory = optimise.update(slopes, state.memory, state.params)
        return State(optax.apply_updates(state.params, updates), memory), None

    rows = jax.random.permutation(key, TRAIN).reshape(STEPS, BATCH)
    cells = jnp.broadcast_to(operations, (STEPS, *operations.shape[-2:]))
    return jax.lax.scan(step, state, (rows, cells))[0]


def accuracy(params: network.Params, operations: Any, some: Images) -> jax.Array:
    """Share of images that a cell gets right."""
    logits = network.apply(params, operations, some.images).logits
    return (logits.argmax(-1) == some.labels).mean()


@jax.jit
def train_cells(
    keys: jax.Array, operations: jax.Array, parts: Parts
) -> dict[str, jax.Array]:
    """Trains cells side by side.

    Args:
        keys: of weights and order of images, one a cell `(A,)`.
        operations: of the cells, one-hot `(A, E, O)`.
        parts: from `load`.

    Returns:
        "valid_accuracy" and "valid_ece" after every epoch `(A, EPOCHS)`; "valid" and
        "test", logits in the end `(A, n, classes)`.
    """

    def one(key: jax.Array, cell: jax.Array) -> dict[str, jax.Array]:
        first, rest = jax.random.split(key)

        def epoch(state: State, key: jax.Array) -> tuple[State, Any]:
            state = train_epoch(state, cell, parts.train, key)
            logits = network.apply(state.params, cell, parts.valid.images).logits
            right = (logits.argmax(-1) == parts.valid.labels).mean()
            return state, (right, expected_error(logits, parts.valid.labels))

        state = begin(network.init(first))
        state, curves = jax.lax.scan(epoch, state, jax.random.split(rest, EPOCHS))
        says = lambda part: network.apply(state.params, cell, part.images).logits
        named = dict(zip(("valid_accuracy", "valid_ece"), curves, strict=True))
        return named | {"valid": says(parts.valid), "test": says(parts.test)}

    return jax.vmap(one)(keys, operations)
