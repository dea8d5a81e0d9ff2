"""The compiled programs of a model: batches of few sizes, so that few are compiled."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lcpfn import network
from lcpfn.batch import Batch, at_last, read_batch
from lcpfn.config import ModelConfig
from lcpfn.cutoffs import MOST_ROWS
from lcpfn.jax_setup import float64
from lcpfn.memory import Now, known_now
from lcpfn.mixture import Mixture
from lcpfn.others import Known, Others, context_of, share_of
from lcpfn.pairs import on_grid
from lcpfn.queries import predict_values
from lcpfn.tokens import Anchor

ROWS = (1, 8, 64, MOST_ROWS)
QUERIES = (1, 8, 32, 64, 128, 256, 512)
# From this many rows on padding costs more than compiling for a closer fit.
MANY_ROWS = 64
CLOSE_LENGTHS = (8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128)
CLOSE_QUERIES = (1, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Rows that a CPU computes at a time: their activations stay in its cache.
CHUNK = 16


def chunked(run: Callable[..., Any], *rows: Any) -> Any:
    """`run` on all rows, on a CPU `CHUNK` of them at a time."""
    count = jax.tree.leaves(rows)[0].shape[0]
    if count <= CHUNK:
        return run(*rows)

    def split(*rows: Any) -> Any:
        parts = jax.tree.map(lambda x: x.reshape(-1, CHUNK, *x.shape[1:]), rows)
        done = jax.lax.map(lambda part: run(*part), parts)
        return jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), done)

    return jax.lax.platform_dependent(*rows, cpu=split, default=run)


@float64
@functools.partial(jax.jit, static_argnums=0)
def read(config: ModelConfig, params: Any, batch: Batch) -> Now:
    """What is known at the cutoffs."""
    # In small batches it does not pay to compile another last block.
    many = batch.start.shape[0] >= MANY_ROWS

    def run(batch: Batch) -> Now:
        _, anchors, features = read_batch(batch)
        anchor = at_last(anchors, batch.last)
        only = batch.last if many else None
        states, _ = network.encode(config, params, features, only=only)
        state = states[:, 0] if many else at_last(states, batch.last)
        horizon = batch.limits.horizon
        return known_now(config, params, state, anchor, horizon)

    return chunked(run, batch)


@float64
@functools.partial(jax.jit, static_argnums=(0, 1))
def predict(
    config: ModelConfig,
    best: bool,
    params: Any,
    state: jax.Array,
    anchor: Anchor,
    horizon: jax.Array,
    targets: jax.Array,
    others: Others | None = None,
) -> Mixture:
    """Distributions at later steps, model space; `targets` `(rows, queries)`.

    With `best` that of the best value up to the horizon comes before them.
    """

    def run(*rows: Any) -> Mixture:
        *rows, among = rows
        look = None
        if others is not None:
            look = functools.partial(context_of, others.known, others.span, among)
        return predict_values(config, params, *rows, best, look)

    among = None if others is None else others.among
    return chunked(run, state, anchor, horizon, targets, among)


@float64
@functools.partial(jax.jit, static_argnums=0)
def read_runs(
    config: ModelConfig, params: Any, batch: Batch, span: jax.Array
) -> tuple[Known, Anchor]:
    """Runs of a task, and the anchors at their newest observations."""

    def run(batch: Batch) -> tuple[Known, Anchor]:
        _, anchors, features = read_batch(batch)
        states, _ = network.encode(config, params, features, only=batch.last)
        there = jnp.arange(features.shape[1]) <= batch.last[:, None]
        # Behind the end of a run its scale is 0 / 0.
        grid = jax.vmap(on_grid)(
            share_of(span, batch.blocks.step),
            *(batch.blocks.value, anchors.level, jnp.where(there, anchors.scale, 1)),
            batch.last + 1,
        )
        return Known(states[:, 0], grid), at_last(anchors, batch.last)

    return chunked(run, batch)
