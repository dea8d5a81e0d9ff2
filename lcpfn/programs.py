"""The compiled programs of a model: batches of few sizes, so that few are compiled."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.batch import (
    LENGTHS,
    Batch,
    at_last,
    bucket,
    factors_of,
    make_batch,
    read_batch,
)
from lcpfn.config import ModelConfig
from lcpfn.cutoffs import MOST_ROWS, slices
from lcpfn.jax_setup import float64
from lcpfn.memory import Now, known_now
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture
from lcpfn.other_features import on_grid
from lcpfn.others import Others, ReadRuns, share_of
from lcpfn.queries import predict_values
from lcpfn.seen_curve import Context
from lcpfn.tokens import Anchor

ROWS = (1, 8, 64, MOST_ROWS)
QUERIES = (1, 8, 32, 64, 128, 256, 512)
# From this many rows on padding costs more than compiling for a closer fit.
MANY_ROWS = 64
CLOSE_LENGTHS = (8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128)
CLOSE_QUERIES = (1, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Rows that a CPU computes at a time: their activations stay in its cache.
CHUNK = 16
# Parts of a large batch that are computed ahead of those that are waited for.
ON_THE_WAY = 16
# Curves from which on a terminal shows a bar.
SHOWN_FROM = 10_000


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
        return known_now(config, params, state, anchor, horizon, batch.plan)

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
    beside: Others | jax.Array | None = None,
) -> Mixture:
    """Distributions at later steps, model space; `targets` `(rows, queries)`.

    `beside` as of `Model.predict`. With `best` that of the best value up to the horizon
    comes before them.
    """
    run = functools.partial(predict_values, config, params, best=best)
    return chunked(run, state, anchor, horizon, targets, beside)


@float64
@functools.partial(jax.jit, static_argnums=0)
def read_runs(
    config: ModelConfig, params: Any, batch: Batch, span: jax.Array
) -> tuple[ReadRuns, Anchor]:
    """Runs of a task, and the anchors at their newest observations."""

    def run(batch: Batch) -> tuple[ReadRuns, Anchor]:
        _, anchors, features = read_batch(batch)
        states, _ = network.encode(config, params, features, only=batch.last)
        there = jnp.arange(features.shape[1]) <= batch.last[:, None]
        # Behind the end of a run its scale is 0 / 0.
        grid = jax.vmap(on_grid)(
            share_of(span, batch.blocks.step),
            *(batch.blocks.value, anchors.level, jnp.where(there, anchors.scale, 1)),
            batch.last + 1,
        )
        return ReadRuns(states[:, 0], grid), at_last(anchors, batch.last)

    return chunked(run, batch)


def predict_some(
    config: ModelConfig,
    best: bool,
    params: Any,
    state: np.ndarray,
    anchor: Anchor,
    horizon: np.ndarray,
    at: np.ndarray,
    beside: Others | np.ndarray | None,
) -> Mixture:
    """`predict` from at most `MOST_ROWS` cutoffs, at any number of steps."""
    count, steps = at.shape
    rows = bucket(count, ROWS)
    sizes = QUERIES if rows < MANY_ROWS else CLOSE_QUERIES
    which = np.minimum(np.arange(rows), count - 1)
    wide = np.minimum(np.arange(bucket(steps, sizes)), steps - 1)
    beside = jax.tree.map(lambda x: x[which], beside)
    found = predict(
        *(config, best, params),
        *jax.tree.map(lambda x: np.asarray(x)[which], (state, anchor, horizon)),
        at[which][:, wide],
        beside[:, wide] if isinstance(beside, np.ndarray) else beside,
    )
    return jax.tree.map(lambda x: np.asarray(x)[:count, : steps + best], found)


def _fetched(count: int, found: Any) -> Any:
    """The first rows, on this side of the device."""
    return jax.tree.map(lambda x: np.asarray(x)[:count], found)


def in_parts(
    program: Callable[[Batch], Any],
    contexts: Sequence[Context],
    metric: Metric,
    tokens: int,
) -> Any:
    """What a program makes of any number of curves, row by row.

    Of very many, a bar on a terminal shows how far it is. Few parts are on their way at
    once, so that memory is that of the result.

    Args:
        program: takes a batch.
        contexts: the curves.
        metric: direction and bounds.
        tokens: most of one curve.
    """
    parts: Iterable[slice] = slices(len(contexts))
    if len(contexts) > SHOWN_FROM:
        from tqdm import tqdm

        bar = {"unit_scale": MOST_ROWS, "leave": False, "disable": None}
        parts = tqdm(parts, "curves", **bar)
    waiting, done = deque[tuple[int, Any]](), list[Any]()
    for some in parts:
        part = contexts[some]
        rows = bucket(len(part), ROWS)
        lengths = LENGTHS if rows < MANY_ROWS else CLOSE_LENGTHS
        batch = make_batch(part, metric, factors_of(part, tokens), rows, lengths)
        waiting.append((len(part), program(batch)))
        if len(waiting) > ON_THE_WAY:
            done.append(_fetched(*waiting.popleft()))
    done += [_fetched(*part) for part in waiting]
    return jax.tree.map(lambda *x: np.concatenate(x), *done)
