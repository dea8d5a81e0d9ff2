"""Scores of edges combined, so that trained cells are ranked right.

    s(z) = a.z + b.tanh(W z),   z the standardised scores of the edges of a cell
    loss = 1 - mean over pairs of tanh((s_i - s_j) / h) sign(y_i - y_j) + decay |.|^2

The mean is Kendall's tau with a slope: a differentiable rank agreement. ParZC (Dong et
al. 2024, arXiv 2402.02105) has the loss and the idea that scores of nodes count
unequally; its mixer and its Bayesian network are replaced by this small function and
the mean over folds.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

FOLDS, HIDDEN, STEPS = 5, 8, 300
RATE, DECAY, SLOPE = 0.02, 0.02, 0.5
SEED = 0
Weights = tuple[jax.Array, jax.Array, jax.Array]


def soft_tau(score: jax.Array, outcome: jax.Array, counted: jax.Array) -> jax.Array:
    """Kendall's tau with a slope.

    Args:
        score: of n cells `(n,)`.
        outcome: what they are to be ordered by `(n,)`.
        counted: 1 or 0 `(n,)`; pairs with a 0 do not count.

    Returns:
        In [-1, 1]; 0 without pairs.
    """
    apart = jnp.tanh((score[:, None] - score) / SLOPE)
    pairs = counted[:, None] * counted * (outcome[:, None] != outcome)
    agree = apart * jnp.sign(outcome[:, None] - outcome)
    return (pairs * agree).sum() / jnp.maximum(pairs.sum(), 1)


def _score(weights: Weights, z: jax.Array) -> jax.Array:
    linear, out, into = weights
    return z @ linear + jnp.tanh(z @ into) @ out


@functools.partial(jax.vmap, in_axes=(0, None, None, 0))
def _fit(
    key: jax.Array, z: jax.Array, outcome: jax.Array, counted: jax.Array
) -> Weights:
    """Weights for the cells that count in a fold."""
    width = z.shape[1]
    optimise = optax.adam(RATE)
    into = jax.random.normal(key, (width, HIDDEN)) / width**0.5
    weights = (jnp.zeros(width), jnp.zeros(HIDDEN), into)

    def loss(weights: Weights) -> jax.Array:
        size = sum(jnp.square(w).sum() for w in weights)
        return DECAY * size - soft_tau(_score(weights, z), outcome, counted)

    def step(state: tuple, _: None) -> tuple:
        weights, memory = state
        updates, memory = optimise.update(jax.grad(loss)(weights), memory)
        return (optax.apply_updates(weights, updates), memory), None

    state = weights, optimise.init(weights)
    return jax.lax.scan(step, state, None, STEPS)[0][0]


@jax.jit
def _fit_and_score(
    z: jax.Array, outcome: jax.Array, held_out: jax.Array, other: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Scores of the cells by the fold that held them out, and of others by all."""
    keys = jax.random.split(jax.random.key(SEED), FOLDS)
    weights = _fit(keys, z, outcome, 1.0 - held_out)
    own = jax.vmap(_score, (0, None))(weights, z)
    theirs = jax.vmap(_score, (0, None))(weights, other)
    return (held_out * own).sum(0), theirs.mean(0)


def combined(
    trained: np.ndarray, outcome: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One score, fitted on trained cells.

    Args:
        trained: scores of edges of n trained cells `(n, F)`.
        outcome: how they ended, higher is better `(n,)`.
        other: scores of edges of m cells `(m, F)`.

    Returns:
        Of the trained cells, each from the folds that have not seen it `(n,)`, and of
        the others `(m,)`.
    """
    mean, std = trained.mean(0), trained.std(0)
    known = std > 0
    scaled = [(x[:, known] - mean[known]) / std[known] for x in (trained, other)]
    # An outlier, as of a cell without a path, would decide alone.
    z, there = (np.clip(x, -3, 3) for x in scaled)
    order = np.random.default_rng(SEED).permutation(len(z)) % FOLDS
    held_out = (order == np.arange(FOLDS)[:, None]).astype(np.float32)
    own, theirs = _fit_and_score(z, np.asarray(outcome, float), held_out, there)
    return np.asarray(own), np.asarray(theirs)
