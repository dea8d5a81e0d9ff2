"""Where training curves come from: a prior, recorded runs, or a mixture of both.

A source is a pure function `(key, n) -> Curves`. Every curve has a key of its own, so
the batch can be sharded over devices and comes out the same on any number of them.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.curves import Run
from lcpfn.metric import Metric
from lcpfn.priors import Draws, Prior, draw
from lcpfn.train.tasks import Curves

Source = Callable[[jax.Array, int], Curves]
Shard = Callable[[jax.Array], jax.Array]
# A run with fewer finite records teaches nothing.
HIGHEST = 1e6
LEAST_RECORDS = 3


def from_draws(prior: Prior, draws: Draws) -> Curves:
    """Curves drawn from a prior, in model space."""
    sign = Metric(prior.mode, prior.bounds).sign
    low, high = (draws.low, draws.high)[:: 1 if sign > 0 else -1]
    return Curves(
        y=sign * draws.y,
        steps=draws.steps,
        length=draws.length,
        low=sign * low,
        high=sign * high,
        weight=draws.accepted.astype(draws.y.dtype),
    )


def prior_source(prior: Prior, shard: Shard = lambda x: x) -> Source:
    """Fresh curves of a prior; `shard` places the batch axis on the devices."""

    def sample(key: jax.Array, n: int) -> Curves:
        keys = shard(jax.random.split(key, n))
        draws = jax.vmap(lambda k: draw(prior, k, 1, oversample=8))(keys)
        rows = jax.tree.map(lambda x: x[:, 0], draws._replace(acceptance=draws.y))
        return jax.tree.map(shard, from_draws(prior, rows))

    return sample


def finite_length(run: Run) -> int:
    """Records before the first one that is not finite."""
    finite = np.isfinite(run.values)
    return len(finite) if finite.all() else int(finite.argmin())


def recorded_curves(runs: Sequence[Run]) -> Curves:
    """Finished runs as one padded bank, each cut before its first non-finite value.

    A run is divided by its typical magnitude, so that float32 holds it; forecasts do
    not depend on that; what is more than `HIGHEST` times as large is cut there, what
    is as many times smaller is zero. Runs with fewer than three finite values are left
    out.

    Raises:
        ValueError: if no run is left.
    """
    values, steps, bounds = [], [], []
    for run in runs:
        length = finite_length(run)
        if length < LEAST_RECORDS:
            continue
        metric = Metric(run.mode, run.bounds)
        size = float(np.median(np.abs(run.values[:length]))) or 1.0
        scaled = metric.sign * run.values[:length] / size
        # An explosion is one at any height, and next to nothing is nothing at any
        # depth, but squares of ratios between them must not overflow.
        scaled = np.where(np.abs(scaled) < 1 / HIGHEST, 0.0, scaled)
        values.append(np.clip(scaled, -HIGHEST, HIGHEST))
        steps.append(run.steps[:length])
        bounds.append((metric.low / size, metric.high / size))
    if not values:
        raise ValueError(
            f"none of {len(runs)} runs has three finite values or more; "
            "finetuning needs finished runs"
        )
    lengths = [len(y) for y in values]

    def padded(rows: list[np.ndarray]) -> jax.Array:
        table = [np.pad(row, (0, max(lengths) - len(row)), mode="edge") for row in rows]
        return jnp.asarray(np.stack(table), jnp.float32)

    low, high = jnp.asarray(bounds, jnp.float32).T
    return Curves(
        y=padded(values),
        steps=padded(steps),
        length=jnp.asarray(lengths),
        low=low,
        high=high,
        weight=jnp.ones(len(values)),
    )


def recorded_source(
    bank: Curves, odds: jax.Array | None = None, shard: Shard = lambda x: x
) -> Source:
    """Runs of a bank, drawn with replacement; `odds` are relative, one per run."""
    count = bank.y.shape[0]
    share = None if odds is None else odds / odds.sum()

    def sample(key: jax.Array, n: int) -> Curves:
        if share is None:
            rows = jax.random.randint(key, (n,), 0, count)
        else:
            rows = jax.random.choice(key, count, (n,), p=share)
        return jax.tree.map(lambda x: shard(x[rows]), bank)

    return sample


def blended_source(source: Source, share: float) -> Source:
    """Some curves averaged with another one at the same shares of their records.

    Each of the two is divided by its range first; the average has no bounds to tell.
    Source: the mixup of learning curves of Lee et al. 2025 (2510.21379).
    """

    def sample(key: jax.Array, n: int) -> Curves:
        keys = jax.random.split(key, 3)
        one = source(keys[0], n)
        other = jax.tree.map(lambda x: jnp.roll(x, 1, axis=0), one)
        records = one.y.shape[1]
        place = jnp.arange(records) / jnp.maximum(one.length - 1, 1)[:, None]
        place = jnp.minimum(place, 1) * (other.length - 1)[:, None]
        before = jnp.floor(place).astype(int)
        after = jnp.minimum(before + 1, other.length[:, None] - 1)
        left, right = (
            jnp.take_along_axis(other.y, at, axis=1) for at in (before, after)
        )
        along = left + (place - before) * (right - left)
        weight = jax.random.uniform(keys[1], (n, 1))
        mixture = weight * one.y / _range(one) + (1 - weight) * along / _range(other)
        pick = jax.random.bernoulli(keys[2], share, (n,))
        return one._replace(
            y=jnp.where(pick[:, None], mixture, one.y),
            low=jnp.where(pick, -jnp.inf, one.low),
            high=jnp.where(pick, jnp.inf, one.high),
        )

    return sample


def _range(curves: Curves) -> jax.Array:
    """Largest minus smallest value of each curve `(B, 1)`, one for a constant."""
    inside = jnp.arange(curves.y.shape[1]) < curves.length[:, None]
    high = jnp.max(jnp.where(inside, curves.y, -jnp.inf), axis=1)
    spread = high - jnp.min(jnp.where(inside, curves.y, jnp.inf), axis=1)
    return jnp.where(spread > 0, spread, 1)[:, None]


def mixed_source(first: Source, second: Source, share: float) -> Source:
    """Each curve from `second` with probability `share`, else from `first`."""

    def sample(key: jax.Array, n: int) -> Curves:
        keys = jax.random.split(key, 3)
        one, other = first(keys[0], n), second(keys[1], n)
        records = max(one.y.shape[1], other.y.shape[1])
        pick = jax.random.bernoulli(keys[2], share, (n,))

        def choose(a: jax.Array, b: jax.Array) -> jax.Array:
            if a.ndim == 1:
                return jnp.where(pick, b, a)
            a, b = (
                jnp.pad(x, ((0, 0), (0, records - x.shape[1])), mode="edge")
                for x in (a, b)
            )
            return jnp.where(pick[:, None], b, a)

        return jax.tree.map(choose, one, other)

    return sample
