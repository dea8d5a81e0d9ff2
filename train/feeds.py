"""What every step of a run is trained on: one feed per length of curves.

Curves of one length fill one array. A step takes one feed, and all feeds have as many
tokens per step, so that steps cost the same. Recorded runs go to the feed of the
shortest length that holds them; longer ones to the longest.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.curves import Run
from lcpfn.priors import Prior
from lcpfn.train.config import TrainConfig
from lcpfn.train.sources import (
    Shard,
    Source,
    blended_source,
    mixed_source,
    prior_source,
    recorded_curves,
    recorded_source,
)


class Feed(NamedTuple):
    """What one kind of step is trained on.

    Attributes:
        source: of its curves.
        rows: curves per step.
        odds: how often it is taken, relative to the other feeds.
    """

    source: Source
    rows: int
    odds: int = 1


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
        ValueError: if runs are given and not wanted, or the other way round.
    """
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
        source = prior_source(replace(prior, length=length, shortest=shortest), shard)
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
    banks = [(recorded_curves(part), 1 / len(part)) for part in parts if part]
    widest = max(bank.y.shape[1] for bank, _ in banks)

    def padded(x: jax.Array) -> jax.Array:
        if x.ndim == 1:
            return x
        return jnp.pad(x, ((0, 0), (0, widest - x.shape[1])), mode="edge")

    bank = jax.tree.map(
        lambda *rows: jnp.concatenate([padded(x) for x in rows]),
        *(bank for bank, _ in banks),
    )
    odds = np.concatenate([np.full(b.y.shape[0], weight) for b, weight in banks])
    source = recorded_source(bank, jnp.asarray(odds, jnp.float32), shard)
    return blended_source(source, blended) if blended else source
