"""Where training curves come from, and what every step of a run is trained on.

A source is a pure function `(key, n) -> Curves`: a prior, recorded runs, or a mixture
of both. Every curve has a key of its own, so the batch can be sharded over devices and
comes out the same on any number of them.

A feed is a source of curves of one length, which fill one array. A step takes one feed,
and all feeds have as many tokens per step, so that steps cost the same. Recorded runs
go to the feed of the shortest length that holds them; longer ones to the longest.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.curves import Run
from lcpfn.metric import Metric
from lcpfn.priors import Draws, Prior, draw
from lcpfn.priors.load import site_names
from lcpfn.train.batches import Curves
from lcpfn.train.config import TrainConfig

Source = Callable[[jax.Array, int], Curves]
Shard = Callable[[jax.Array], jax.Array]
HIGHEST = 1e6  # sizes of values in units of a run's scale are cut here
# A run with fewer finite observations teaches nothing.
LEAST_RECORDS = 3


def from_draws(prior: Prior, draws: Draws, planned: bool = False) -> Curves:
    """Curves drawn from a prior, in model space; `planned`: with learning rates."""
    sign = Metric(prior.mode, prior.bounds).sign
    low, high = (draws.low, draws.high)[:: 1 if sign > 0 else -1]
    return Curves(
        y=sign * draws.y,
        steps=draws.steps,
        length=draws.length,
        low=sign * low,
        high=sign * high,
        weight=draws.accepted.astype(draws.y.dtype),
        rate=draws.rate if planned else None,
    )


def prior_source(
    prior: Prior, shard: Shard = lambda x: x, planned: bool = False
) -> Source:
    """Fresh curves of a prior.

    Args:
        prior: what is drawn from.
        shard: places the batch axis on the devices.
        planned: tell the learning rates.
    """

    def sample(key: jax.Array, n: int) -> Curves:
        keys = shard(jax.random.split(key, n))
        draws = jax.vmap(lambda k: draw(prior, k, 1, oversample=8))(keys)
        rows = jax.tree.map(lambda x: x[:, 0], draws._replace(acceptance=draws.y))
        return jax.tree.map(shard, from_draws(prior, rows, planned))

    return sample


def finite_length(run: Run) -> int:
    """Records before the first one that is not finite."""
    finite = np.isfinite(run.values)
    return len(finite) if finite.all() else int(finite.argmin())


def teaches(run: Run) -> bool:
    """Whether a run has finite observations enough to learn from."""
    return finite_length(run) >= LEAST_RECORDS


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
    for run in filter(teaches, runs):
        length = finite_length(run)
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
    bank: Curves, odds: jax.Array, shard: Shard = lambda x: x
) -> Source:
    """Runs of a bank, drawn with replacement; `odds` are relative, one per run."""
    share = odds / odds.sum()

    def sample(key: jax.Array, n: int) -> Curves:
        rows = jax.random.choice(key, len(share), (n,), p=share)
        return jax.tree.map(lambda x: shard(x[rows]), bank)

    return sample


def blended_source(source: Source, share: float) -> Source:
    """Some curves averaged with another one at the same shares of their observations.

    Each of the two is divided by its range first; the average has no bounds to tell.
    Source: the mixup of learning curves of Lee et al. 2025 (2510.21379).
    """

    def sample(key: jax.Array, n: int) -> Curves:
        keys = jax.random.split(key, 3)
        one = source(keys[0], n)
        other = jax.tree.map(lambda x: jnp.roll(x, 1, axis=0), one)
        observations = one.y.shape[1]
        place = jnp.arange(observations) / jnp.maximum(one.length - 1, 1)[:, None]
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
        observations = max(one.y.shape[1], other.y.shape[1])
        pick = jax.random.bernoulli(keys[2], share, (n,))

        def choose(a: jax.Array, b: jax.Array) -> jax.Array:
            if a.ndim == 1:
                return jnp.where(pick, b, a)
            a, b = (
                jnp.pad(x, ((0, 0), (0, observations - x.shape[1])), mode="edge")
                for x in (a, b)
            )
            return jnp.where(pick[:, None], b, a)

        return jax.tree.map(choose, one, other)

    return sample


class Feed(NamedTuple):
    """What one kind of step is trained on.

    Attributes:
        source: of its curves, or of its searches.
        rows: how many of them a step takes.
        odds: how often it is taken, relative to the other feeds.
        runs: curves of each row.
    """

    source: Callable[[jax.Array, int], Any]
    rows: int
    odds: float = 1
    runs: int = 1


def fingerprint(runs: Sequence[Run]) -> str:
    """Short hash of recorded runs, so that a resumed run cannot change its data."""
    digest = hashlib.sha256()
    for run in runs:
        digest.update(run.steps.tobytes() + run.values.tobytes())
    return digest.hexdigest()[:16]


def describe(name: str, runs: Sequence[Run]) -> str:
    """How a configuration and its card name recorded runs."""
    return f"{len(runs)} runs of {name} {fingerprint(runs)}"


def make_feeds(
    config: TrainConfig,
    prior: Prior,
    groups: Sequence[Sequence[Run]] = (),
    shard: Shard = lambda x: x,
) -> tuple[Feed, ...]:
    """One feed for each of `config.lengths`.

    Args:
        config: the run.
        prior: what is drawn from.
        groups: recorded runs of several sources, each as likely as the others; they
            make up `config.recorded` of the curves.
        shard: places a batch on the devices.

    Raises:
        ValueError: if runs are given and not wanted, or the other way round; if plans
            are to be told and the prior knows none.
    """
    if config.planned and "rate" not in site_names(prior):
        raise ValueError(
            f"prior {prior.name} does not say which learning rate leads to each value: "
            'add numpyro.deterministic("rate", ...) to its model'
        )
    if bool(config.recorded) != any(map(len, groups)):
        raise ValueError(
            f"the share of recorded curves is {config.recorded:g} and "
            f"{sum(map(len, groups))} recorded runs were given; set both or none"
        )
    lengths = config.lengths or (prior.length,)
    distinct = sorted(set(lengths))
    feeds = []
    for above, length in zip([0, *distinct], distinct, strict=False):
        # Shorter curves have a feed of their own: here they would be padding.
        shortest = max(above + 1, min(prior.shortest, length))
        sized = replace(prior, length=length, shortest=shortest)
        source = prior_source(sized, shard, config.planned)
        most = length if length < distinct[-1] else np.inf
        parts = [[r for r in runs if above < len(r.values) <= most] for runs in groups]
        if config.recorded and any(parts):
            other = _recorded(parts, config.blended, shard)
            source = mixed_source(source, other, config.recorded)
        share = 1
        if config.lengths:
            share = config.model.context // min(length, config.model.context)
        feeds.append(Feed(source, config.batch * share, lengths.count(length)))
    return tuple(feeds)


def _recorded(parts: Sequence[Sequence[Run]], blended: float, shard: Shard) -> Source:
    """Runs of several sources, each source as likely as the others."""
    bank = recorded_curves([run for part in parts for run in part])
    odds = [1 / len(part) for part in parts for run in part if teaches(run)]
    source = recorded_source(bank, jnp.asarray(odds, jnp.float32), shard)
    return blended_source(source, blended) if blended else source
