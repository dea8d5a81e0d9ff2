"""Priors: NumPyro models of learning curves, sampled in batches or conditioned on.

A prior is one function, used twice:

    def my_prior(steps, observed=None):
        curve = ...                                     # numpyro.sample(...) as needed
        numpyro.factor("accept", where(fine, 0, -inf))  # optional acceptance rule
        numpyro.sample("y", Normal(curve, sigma), obs=...)

* `draw` runs it forwards for pre-training: rejection of every draw in which a factor
  is -inf, vectorised, with a bounded number of rounds and a reported acceptance rate.
* With `observed` (NaN = not observed) the same function is the joint density that NUTS
  or an ensemble sampler conditions on. Use `observe` for the last line to get both.

Optional deterministic sites: "curve" (noiseless values), "recorded" (what is kept of
"y", for example rounded), "rate" (learning rate that leads to each value), "low" and
"high" (bounds of this one curve).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

ROUNDS = 64


def check_shares(options: Mapping[str, float]) -> None:
    """Refuses probabilities outside [0, 1]."""
    for name, share in options.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {share!r}")


@dataclass(frozen=True)
class Prior:
    """A generative model of learning curves and what is known of its metric.

    Attributes:
        model: NumPyro model `(steps, observed=None)` with an observed site "y".
        name: recorded in the card of a checkpoint.
        length: the model is sampled on steps 1..length; the last one is the horizon.
        mode: "max" or "min", which way is better.
        bounds: range of the metric, None where there is none.
        hard_bounds: whether a curve can never leave them. When False (noise added on
            top of a bounded curve) they are hints, and nothing is refused or truncated.
        source: where the model comes from.
        axis: draws the steps of a curve, `(key, shortest, length) -> (steps, count)`;
            behind the first `count` steps the last one is repeated. Default: 1..length.
        shortest: fewest observations that `axis` draws.
    """

    model: Callable[..., None]
    name: str
    length: int = 100
    mode: str = "min"
    bounds: tuple[float | None, float | None] = (None, None)
    hard_bounds: bool = True
    source: str = ""
    axis: Callable[[jax.Array, int, int], tuple[jax.Array, jax.Array]] | None = None
    shortest: int = 6

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f'mode must be "min" or "max", got {self.mode!r}')
        if self.length < 2:
            raise ValueError(f"length must be at least 2 steps, got {self.length}")
        if self.axis is not None and not 2 <= self.shortest <= self.length:
            raise ValueError(
                f"shortest must lie between 2 and length, got {self.shortest} for "
                f"{self.length}"
            )

    @property
    def steps(self) -> jax.Array:
        """The grid 1..length, float32."""
        return jnp.arange(1.0, self.length + 1)


class Draws(NamedTuple):
    """Curves drawn from a prior.

    Attributes:
        y: recorded values `(n, length)`, in the prior's own units.
        curve: noiseless values `(n, length)`; equals `y` if the model has no "curve".
        log_prob: log-density of `y` given the latent curve `(n, length)`; zero if what
            is recorded is not what that density is of.
        rate: learning rates `(n, length)`; NaN if the model has no "rate".
        steps: `(n, length)`; behind the end of a curve its last step is repeated.
        length: observations of each curve `(n,)`.
        low, high: bounds of each curve `(n,)`, infinite where there are none.
        accepted: whether each row is an accepted draw `(n,)`; False only where the
            rounds ran out.
        acceptance: share of candidates that were accepted, scalar.
    """

    y: jax.Array
    curve: jax.Array
    log_prob: jax.Array
    rate: jax.Array
    steps: jax.Array
    length: jax.Array
    low: jax.Array
    high: jax.Array
    accepted: jax.Array
    acceptance: jax.Array


def observe(
    distribution: dist.Distribution, observed: jax.Array | None, name: str = "y"
) -> jax.Array:
    """The observed site of a prior: points of `observed` that are NaN are free."""
    if observed is None:
        return numpyro.sample(name, distribution)
    known = ~jnp.isnan(observed)
    values = jnp.where(known, observed, distribution.mean)
    return numpyro.sample(name, distribution.mask(known), obs=values)


def draw_steps(prior: Prior, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Steps of one curve `(length,)` and how many of them are observations."""
    if prior.axis is None:
        return prior.steps, jnp.array(prior.length)
    return prior.axis(key, prior.shortest, prior.length)


def candidate(prior: Prior, key: jax.Array) -> tuple[jax.Array, ...]:
    """One draw, accepted or not, as `candidate_at` returns it."""
    key_steps = key
    if prior.axis is not None:
        key, key_steps = jax.random.split(key)
    return candidate_at(prior, key, *draw_steps(prior, key_steps))


def candidate_at(
    prior: Prior, key: jax.Array, steps: jax.Array, count: jax.Array
) -> tuple[jax.Array, ...]:
    """One draw at given steps, accepted or not.

    Returns:
        The fields of `Draws` up to "high" without the axis of draws, and whether the
        acceptance rule takes it.
    """
    sites = handlers.trace(handlers.seed(prior.model, key)).get_trace(steps)
    y, fine = sites["y"]["value"], jnp.array(True)
    for site in sites.values():
        if site["type"] == "sample" and isinstance(site["fn"], dist.Unit):
            fine &= jnp.all(site["fn"].log_factor > -jnp.inf)

    def value(name: str, default: jax.Array) -> jax.Array:
        return sites[name]["value"] if name in sites else default

    log_prob = sites["y"]["fn"].log_prob(y)
    if "recorded" in sites:
        log_prob = jnp.zeros_like(y)
    low, high = (
        jnp.asarray(limit if bound is None else bound, y.dtype)
        for bound, limit in zip(prior.bounds, (-jnp.inf, jnp.inf), strict=True)
    )
    recorded, curve = value("recorded", y), value("curve", y)
    bounds = value("low", low), value("high", high)
    rate = value("rate", jnp.full_like(y, jnp.nan))
    return recorded, curve, log_prob, rate, steps, count, *bounds, fine


def draw(prior: Prior, key: jax.Array, n: int, oversample: int = 6) -> Draws:
    """Draws `n` accepted curves.

    Every round runs the acceptance rule on `oversample * n` candidates and fills the
    free rows with those it accepts, until all rows are filled or `ROUNDS` rounds are
    over. Noise is made for accepted candidates alone: a candidate is its key.

    Args:
        prior: what to draw from.
        key: PRNG key; the same key gives the same curves.
        n: number of curves.
        oversample: candidates per row and round; about 1 / acceptance rate is best.

    Returns:
        Curves and the acceptance rate; rows never filled have `accepted` False.
    """
    size = oversample * n
    accept = jax.vmap(lambda k: candidate(prior, k)[-1])
    sample = jax.vmap(lambda k: candidate(prior, k)[:-1])

    def unfilled(state: tuple) -> jax.Array:
        filled, rounds, *_ = state
        return ~jnp.all(filled) & (rounds < ROUNDS)

    def fill(state: tuple) -> tuple:
        filled, rounds, hits, rows = state
        keys = jax.random.split(jax.random.fold_in(key, rounds), size)
        fine = accept(keys)
        count = jnp.sum(fine)
        (chosen,) = jnp.nonzero(fine, size=n, fill_value=0)
        rank = jnp.cumsum(~filled) - 1  # of a free row among the free ones
        values = sample(keys[chosen[jnp.maximum(rank, 0)]])
        new = ~filled & (rank < count) & jnp.all(jnp.isfinite(values[0]), axis=1)
        rows = tuple(
            jnp.where(new.reshape(n, *(1,) * (row.ndim - 1)), value, row)
            for row, value in zip(rows, values, strict=True)
        )
        return filled | new, rounds + 1, hits + count, rows

    shapes = jax.eval_shape(lambda k: candidate(prior, k)[:-1], key)
    empty = tuple(jnp.zeros((n, *shape.shape), shape.dtype) for shape in shapes)
    start = (jnp.zeros(n, bool), jnp.int32(0), jnp.int32(0), empty)
    filled, rounds, hits, rows = jax.lax.while_loop(unfilled, fill, start)
    return Draws._make((*rows, filled, hits / (rounds * size)))
