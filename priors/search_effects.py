"""What happens to whole searches: where their runs begin, and which of them diverge."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike

from lcpfn.priors.configurations import SearchHabits

FARTHEST = 5.0  # standard deviations, all that float32 resolves


class SearchEffects(NamedTuple):
    """Probability that a search shows an effect; 0 switches it off.

    `level`: runs begin at one level; `before`: it lies before the first observation;
    `uneven`: first observations scatter, which is soon forgotten. `replicas`: runs
    differ by their seed alone; `families`: there are two kinds of runs; `diverging`:
    some runs diverge; `exceptions`: what is usually common differs; `own_steps`: runs
    have steps of their own. `unlike`: mean and standard deviation of the log-odds of
    what of a site differs between the runs of a search. `habits`: of configurations.
    """

    level: float = 0.65
    before: float = 0.65
    uneven: float = 0.6
    replicas: float = 0.08
    families: float = 0.15
    diverging: float = 0.25
    exceptions: float = 0.1
    own_steps: float = 0.08
    unlike: tuple[float, float] = (-4.0, 2.5)
    habits: SearchHabits = SearchHabits()


def ten_to(key: Array, low: float, high: float, shape: tuple[int, ...] = ()) -> Array:
    """Log-uniform between 10^low and 10^high."""
    return 10.0 ** jax.random.uniform(key, shape, minval=low, maxval=high)


def from_one_level(
    key: Array,
    effects: SearchEffects,
    y: Array,
    curve: Array,
    z: Array,
    bounds: tuple[ArrayLike, ArrayLike],
) -> Array:
    """Moves runs to begin at one level and go different shares of the way.

    y' = A - a (start - y), a = exp(-sigma h) with a half-normal h of each run; on a
    side where a bound leaves less room, a is less.

    Args:
        key: PRNG key of the task.
        effects: how often this is so.
        y: recorded values `(n, length)`.
        curve: noiseless ones.
        z: normals of the runs `(n,)`.
        bounds: lowest and highest value, scalars.
    """
    keys = jax.random.split(key, 9)
    low, high = bounds
    before = jax.random.bernoulli(keys[0], effects.before)
    # The level before training: back from the first observation along the first step.
    back = ten_to(keys[1], -0.7, 0.5) * (curve[:, 0] - curve[:, 1])
    start = jnp.clip(jnp.where(before, curve[:, 0] + back, y[:, 0]), low, high)
    level = jax.random.choice(keys[7], start)  # that of any of them
    # |z| would be less for the middle ones; this has its distribution and z's order.
    held_back = jnp.minimum(ndtri(0.5 + 0.5 * ndtr(z)), FARTHEST)
    share = jnp.exp(-ten_to(keys[2], -1.8, 0.4) * held_back)

    def towards(bound: ArrayLike) -> Array:
        """Share of the way on this side of the start."""
        room, had = jnp.abs(level - bound), jnp.abs(start - bound)
        return jnp.where(room < share * had, room / had, share)

    way = y - start[:, None]
    slope = jnp.where(way < 0, towards(low)[:, None], towards(high)[:, None])
    moved = level + slope * way
    uneven = jax.random.bernoulli(keys[3], effects.uneven)
    size = jnp.where(uneven, ten_to(keys[4], -1.5, 0.3) * typical_gain(moved), 0.0)
    keep = jax.random.uniform(keys[5], maxval=0.8) ** jnp.arange(y.shape[1])
    moved += size * jax.random.normal(keys[6], (*z.shape, 1)) * keep
    moved = jnp.clip(moved, low, high)
    return jnp.where(jax.random.bernoulli(keys[8], effects.level), moved, y)


def typical_gain(y: Array) -> Array:
    """Median distance of the ends of runs; `y` is `(n, length)`."""
    return jnp.median(jnp.abs(y[:, -1] - y[:, 0])) + 1e-9


def some_diverge(
    key: Array,
    effects: SearchEffects,
    y: Array,
    length: Array,
    z: Array,
    bounds: tuple[ArrayLike, ArrayLike],
    worse: int,
) -> tuple[Array, Array, Array]:
    """Lets some runs explode, fall back to where they began, or become NaN.

    Args:
        key: PRNG key of the task.
        effects: how often some do.
        y: values `(n, length)`.
        length: observations `(n,)`.
        z: normals of the runs `(n,)`; the lowest ones diverge.
        bounds: lowest and highest value, scalars.
        worse: 1 if larger is worse, else -1.

    Returns:
        Values, finite observations `(n,)`, which runs diverged `(n,)`.
    """
    keys = jax.random.split(key, 6)
    n, observations = y.shape
    some = jax.random.bernoulli(keys[0], effects.diverging)
    diverged = ndtr(z) < jnp.where(some, ten_to(keys[1], -1.3, -0.2), 0.0)
    # Mostly early.
    at = 1 + jax.random.uniform(keys[2], (n,)) ** 2 * (length - 1)
    at = jnp.minimum(at.astype(int), length - 1)
    # Mostly all runs of a task in the same way: they explode, fall back, or end.
    odds = jnp.log(jnp.array([0.3, 0.4, 0.3]))
    of_task, own = jax.random.categorical(keys[3], odds, shape=(2, n))
    way = jnp.where(jax.random.bernoulli(keys[4], 0.2, (n,)), own, of_task[0])
    exploded, back = _gone_wrong(keys[5], y, at, worse)
    unbounded = jnp.isinf(bounds[1] if worse > 0 else bounds[0])
    wrong = jnp.where(unbounded & (way == 0)[:, None], exploded, back)
    happens = (diverged & (way < 2))[:, None] & (
        jnp.arange(observations) >= at[:, None]
    )
    values = jnp.where(happens, wrong, y)
    finite = jnp.where(diverged & (way == 2), at, length)
    last = jnp.take_along_axis(values, finite[:, None] - 1, axis=1)
    values = jnp.where(jnp.arange(observations) < finite[:, None], values, last)
    return jnp.clip(values, *bounds), finite, diverged


def _gone_wrong(key: Array, y: Array, at: Array, worse: int) -> tuple[Array, Array]:
    """Runs that explode from observation `at` on, and that are where they began."""
    keys = jax.random.split(key, 4)
    n, observations = y.shape
    gain = typical_gain(y)
    since = jnp.arange(observations) - at[:, None]
    pace = ten_to(keys[0], -1.5, 1.0, (n, 1))
    height = ten_to(keys[1], -0.5, 5.0, (n, 1))
    grown = jnp.minimum(jnp.expm1(jnp.clip(pace * (since + 1), 0, 20)), height)
    jitter = ten_to(keys[2], -4.0, -1.0, (n, 1)) * jax.random.normal(keys[3], y.shape)
    return y + worse * gain * grown, y[:, :1] + gain * jitter
