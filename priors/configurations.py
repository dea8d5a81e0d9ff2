"""Configurations that a search tries, and smooth random functions of them.

A hyperparameter is a number, an integer or a category. Searches draw at random, from a
grid or near a good place; some try a configuration again with another seed; a
hyperparameter may have no effect, apply only where another one is high, or not be
written down.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

NUMBER, INTEGER, CATEGORY = range(3)
MOST_LEVELS = 12
WAVES = 16


class Configurations(NamedTuple):
    """What the runs of one search were configured with.

    Attributes:
        shown: as written down `(runs, dims)`; numbers in [0, 1], others the index of
            a level; NaN where missing, everywhere in a dimension that is not there.
        place: where that lies in [0, 1] `(runs, dims)`, for `waves`; never missing.
            Categories have no order: their places are random.
        kind: `NUMBER`, `INTEGER` or `CATEGORY` `(dims,)`.
        used: whether the dimension exists `(dims,)`.
    """

    shown: Array
    place: Array
    kind: Array
    used: Array


class SearchHabits(NamedTuple):
    """Probability that a search shows a habit.

    `repeats`: configurations are tried again; `grid`: numbers take few values;
    `local`: all are near one place; `conditional`: some hyperparameters apply only
    sometimes; `gaps`: some were not written down; `unknown`: none was.
    """

    repeats: float = 0.25
    grid: float = 0.2
    local: float = 0.2
    conditional: float = 0.2
    gaps: float = 0.15
    unknown: float = 0.2


def draw_configurations(
    key: Array, runs: int, dims: int, replicas: Array, habits: SearchHabits
) -> Configurations:
    """Configurations of one search, of one to `dims` hyperparameters.

    Args:
        key: PRNG key.
        runs: how many.
        dims: hyperparameters at most.
        replicas: whether all runs have the same one, scalar.
        habits: how often searches do what.
    """
    keys = iter(jax.random.split(key, 20))

    def has(probability: float) -> Array:
        return jax.random.bernoulli(next(keys), probability)

    def each(shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Array:
        return jax.random.uniform(next(keys), shape, minval=low, maxval=high)

    used = jnp.arange(dims) < jax.random.randint(next(keys), (), 1, dims + 1)
    odds = jnp.log(jnp.array([5.0, 3.0, 2.0]))
    kind = jax.random.categorical(next(keys), odds, shape=(dims,))
    place = each((runs, dims))
    near = each((dims,)) + each((), 0.1, 0.6) * (place - 0.5)
    near = 1 - jnp.abs(1 - jnp.abs(near))  # reflected at both ends
    place = jnp.where(has(habits.local), near, place)
    again = each((runs,)) < jnp.where(has(habits.repeats), each((), 0.1, 0.8), 0.0)
    source = jnp.where(again, jax.random.randint(next(keys), (runs,), 0, runs), 0)
    source = jnp.where(again | replicas, source * ~replicas, jnp.arange(runs))
    place = place[source]
    # A constant is one, too: written down, but never changed.
    levels = jnp.floor(each((dims,), 1.0, MOST_LEVELS**0.5) ** 2).astype(int)
    level = jnp.minimum(jnp.floor(place * levels), levels - 1)
    graded = level / jnp.maximum(levels - 1, 1)
    category = jnp.take_along_axis(
        each((MOST_LEVELS, dims)), level.astype(int), axis=0, mode="clip"
    )
    plain = jnp.where(has(habits.grid), graded, place)
    place = jnp.stack([plain, graded, category])[kind, :, jnp.arange(dims)].T
    shown = jnp.where(kind == NUMBER, place, level)
    # One that applies only where its neighbour is high has no effect elsewhere.
    depends = (each((dims,)) < 0.4) & has(habits.conditional) & (jnp.arange(dims) > 0)
    absent = depends & (jnp.roll(place, 1, axis=1) < 0.5)
    place = jnp.where(absent, 0.5, place)
    gaps = has(habits.gaps)
    lost = gaps & (each((runs, dims)) < each((), 0.0, 0.4))
    lost |= (gaps & (each((dims,)) < 0.3)) | has(habits.unknown) | ~used | absent
    return Configurations(jnp.where(lost, jnp.nan, shown), place, kind, used)


def waves(key: Array, configurations: Configurations) -> Array:
    """A basis of random functions of the configuration: random Fourier features.

    A weighted sum with independent standard normal weights is a Gaussian process of
    zero mean and unit variance if the squares of each pair's weights sum to one.
    Hyperparameters matter unequally, some not at all; most waves follow one of them,
    the others two. Source: Rahimi & Recht 2007.

    Returns:
        Cosines and sines `(runs, 2 * WAVES)`; runs of one configuration are equal.
    """
    keys = jax.random.split(key, 4)
    dims = configurations.used.shape[0]
    weight = 4.0 * jax.random.normal(keys[0], (dims,))
    odds = jnp.where(configurations.used, weight, -jnp.inf)
    first, second = jax.random.categorical(keys[1], odds, shape=(2, WAVES))
    # Over the range of a hyperparameter from less than half a period, which is mostly
    # monotonic, to one and a half.
    rate = 0.75 * jnp.pi * 4.0 ** (jax.random.uniform(keys[2], (2, WAVES)) ** 2)
    rate *= jnp.stack([jnp.ones(WAVES), jax.random.bernoulli(keys[3], 0.3, (WAVES,))])
    place = configurations.place
    angle = rate[0] * place[:, first] + rate[1] * place[:, second]
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
