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


def from_draws(prior: Prior, draws: Draws) -> Curves:
    """Curves drawn from a prior, in model space."""
    metric = Metric(prior.mode, prior.bounds)
    batch = draws.y.shape[0]
    return Curves(
        y=metric.sign * draws.y,
        steps=jnp.broadcast_to(prior.steps, draws.y.shape),
        length=jnp.full(batch, prior.length),
        low=jnp.full(batch, metric.low),
        high=jnp.full(batch, metric.high),
        weight=draws.accepted.astype(draws.y.dtype),
    )


def prior_source(prior: Prior, shard: Shard = lambda x: x) -> Source:
    """Fresh curves of a prior; `shard` places the batch axis on the devices."""

    def sample(key: jax.Array, n: int) -> Curves:
        keys = shard(jax.random.split(key, n))
        draws = jax.vmap(lambda k: draw(prior, k, 1, oversample=8))(keys)
        y, curve, log_prob, accepted = (rows[:, 0] for rows in draws[:4])
        single = Draws(y, curve, log_prob, accepted, draws.acceptance)
        return jax.tree.map(shard, from_draws(prior, single))

    return sample


def recorded_curves(runs: Sequence[Run]) -> Curves:
    """Finished runs as one padded bank, each cut before its first non-finite value.

    A run is divided by its typical magnitude, so that float32 holds it; forecasts do
    not depend on that. Runs with fewer than three finite values are left out.

    Raises:
        ValueError: if no run is left.
    """
    values, steps, bounds = [], [], []
    for run in runs:
        finite = np.isfinite(run.values)
        length = len(finite) if finite.all() else int(finite.argmin())
        if length < 3:
            continue
        metric = Metric(run.mode, run.bounds)
        size = float(np.median(np.abs(run.values[:length]))) or 1.0
        values.append(metric.sign * run.values[:length] / size)
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


def recorded_source(bank: Curves, shard: Shard = lambda x: x) -> Source:
    """Runs of a bank, drawn with replacement."""

    def sample(key: jax.Array, n: int) -> Curves:
        rows = jax.random.randint(key, (n,), 0, bank.y.shape[0])
        return jax.tree.map(lambda x: shard(x[rows]), bank)

    return sample


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
