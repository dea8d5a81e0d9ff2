"""What is known of the other runs of a search when a run is asked about.

None, a few or many of them; finished, somewhere on the way, or stopped by a rule that
keeps the best, so that those seen to their end are no fair sample. Now and then runs of
another task are among them by mistake.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lcpfn.priors.search_effects import ten_to
from lcpfn.priors.searches import Search

RUNGS = 6  # of successive halving, at most


@dataclass(frozen=True)
class ContextOdds:
    """Relative odds of each kind of context.

    How many runs: `none`, `few` (1 to 4), `many` (any number), `all`. How far they
    are: `finished`, `half` (a part of them finished, the others anywhere), `partial`
    (all of them anywhere, many of them short), `halved` (successive halving). `mixed`
    is the probability that runs of another search are among them.
    """

    none: float = 0.1
    few: float = 0.25
    many: float = 0.45
    all: float = 0.2
    finished: float = 0.2
    half: float = 0.35
    partial: float = 0.2
    halved: float = 0.25
    mixed: float = 0.2


class Contexts(NamedTuple):
    """What is seen of the runs of a search; n of them.

    Attributes:
        search: the search, in which runs of another one may have replaced some.
        seen: observations seen of each run `(n,)`; 0: it is not in the context.
        foreign: which runs are of another search `(n,)`.
    """

    search: Search
    seen: Array
    foreign: Array


def draw_contexts(
    key: Array,
    search: Search,
    other: Search,
    worse: int = 1,
    odds: ContextOdds = ContextOdds(),
) -> Contexts:
    """Which runs of a search are seen, and up to which observation.

    Args:
        key: PRNG key.
        search: one search of n runs; a run's own row is for the caller to leave out.
        other: another search of the same shapes, to mix in.
        worse: 1 if larger values are worse, else -1.
        odds: of the kinds of contexts.
    """
    keys = jax.random.split(key, 6)
    search, foreign = _mixed(keys[0], search, other, odds.mixed)
    n = foreign.shape[0]
    many = jax.random.randint(keys[1], (), 1, n + 1)
    counts = jnp.stack([jnp.array(0), jnp.minimum(many, 4), many, jnp.array(n)])
    how_many = jnp.array([odds.none, odds.few, odds.many, odds.all])
    count = counts[jax.random.categorical(keys[2], jnp.log(how_many))]
    order = jax.random.permutation(keys[3], n)
    ways = jnp.array([odds.finished, odds.half, odds.partial, odds.halved])
    way = jax.random.categorical(keys[4], jnp.log(ways))
    # Whoever halves has halved all runs of the context.
    inside = order < count
    seen = jnp.stack(
        [
            search.length,
            *_anywhere(keys[5], search.length),
            _halved(keys[5], search, inside, worse),
        ]
    )[way]
    return Contexts(
        search, jnp.where(inside, jnp.minimum(seen, search.finite), 0), foreign
    )


def _mixed(
    key: Array, search: Search, other: Search, odds: float
) -> tuple[Search, Array]:
    """Replaces some runs by those of another search."""
    keys = jax.random.split(key, 3)
    share = jnp.where(
        jax.random.bernoulli(keys[0], odds), jax.random.uniform(keys[1], maxval=0.6), 0
    )
    foreign = jax.random.uniform(keys[2], search.length.shape) < share

    def choose(own: Array, strange: Array) -> Array:
        return jnp.where(foreign.reshape(-1, *[1] * (own.ndim - 1)), strange, own)

    of_runs = {
        name: choose(getattr(search, name), getattr(other, name))
        for name in search._fields
        if name not in ("low", "high", "kind")
    }
    return search._replace(**of_runs), foreign


def _anywhere(key: Array, length: Array) -> tuple[Array, Array]:
    """Some runs finished and the others anywhere; all anywhere, many of them short."""
    keys = jax.random.split(key, 4)
    place = jax.random.uniform(keys[0], length.shape)
    finished = jax.random.uniform(keys[1], length.shape) < jax.random.uniform(keys[2])
    short = place ** ten_to(keys[3], -0.3, 0.7)

    def upto(share: Array) -> Array:
        return jnp.clip(jnp.ceil(share * length).astype(int), 1, length)

    return jnp.where(finished, length, upto(place)), upto(short)


def _halved(key: Array, search: Search, inside: Array, worse: int) -> Array:
    """Where successive halving left the runs, if it is at some point between rungs.

    At each rung the better share 1 / eta of those that reached it goes on. Li et al.
    2017 (1603.06560); runs that became NaN go no further.
    """
    keys = jax.random.split(key, 3)
    eta = jax.random.choice(keys[0], jnp.array([2.0, 3.0, 4.0]))
    rungs = jax.random.randint(keys[1], (), 2, RUNGS + 1)
    now = jax.random.randint(keys[2], (), 1, rungs + 1)
    alive, seen = inside, jnp.zeros_like(search.length)
    for rung in range(RUNGS):
        share = eta ** -(rungs - 1.0 - rung)
        at = jnp.clip(jnp.ceil(share * search.length).astype(int), 1, search.length)
        seen = jnp.where(alive & (rung < now), at, seen)
        value = jnp.take_along_axis(search.y, at[:, None] - 1, axis=1)[:, 0]
        fine = alive & (at <= search.finite)
        value = jnp.where(fine, worse * value, jnp.inf)
        rank = jnp.argsort(jnp.argsort(value))
        alive = fine & (rank < jnp.ceil(jnp.sum(alive) / eta))
    return seen
