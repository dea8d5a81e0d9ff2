"""The other runs of a task at inference: read once, and chosen for every question.

Any number of them may be given. A question sees at most `MOST`: those that are known
furthest, whose configurations are nearest and that are best (see `choose`). Without any
a forecast is that of the run alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.batch import bucket
from lcpfn.configs import Configs, Placed, config_distances, what_matters
from lcpfn.context import Context
from lcpfn.jax_setup import float64
from lcpfn.pairs import (
    Cutoff,
    OnGrid,
    anchor_of_others,
    pair_features,
)
from lcpfn.statistics import Array
from lcpfn.tokens import Anchor

MOST = 64
TELLING_RUNS = 128  # that say which hyperparameters matter
FIELDS = (4, 8, 16)
# Their numbers are rounded up to these, so that few programs are compiled.
SIZES = (8, 16, 32, MOST)
# From this share of the way on what a run has reached says what its configuration does.
TELLING = 0.5


class Known(NamedTuple):
    """Runs of a task as the network has read them; M of them.

    Attributes:
        state: at the newest observation of each `(M, D)`.
        grid: where they have been, fields `(M, G)` and `(M,)`.
    """

    state: Array
    grid: OnGrid


class Readings(NamedTuple):
    """What the network has read of the N runs of a task.

    Attributes:
        known: the runs.
        anchor: at the newest observation of each, fields `(N,)`.
        span: first step and horizon of the task `(2,)`.
    """

    known: Known
    anchor: Anchor
    span: np.ndarray


class Among(NamedTuple):
    """Which of them each of B questions sees, K at most.

    Attributes:
        chosen: their numbers `(B, K)`.
        there: False behind the last of them `(B, K)`.
        apart: distances of configurations `(B, K, CONFIG_FEATURES)`.
        path: levels of the run asked about, on the grid `(B, G)`.
        seen: 1; 0 where nothing of that run is known `(B,)`.
    """

    chosen: Array
    there: Array
    apart: Array
    path: Array
    seen: Array


class Others(NamedTuple):
    """What the runs of a task say to B questions.

    Attributes:
        known: the runs.
        among: which of them each question sees.
        span: first step and horizon of the task `(2,)`.
    """

    known: Known
    among: Among
    span: Array

    def of(self, rows: slice | np.ndarray) -> "Others":
        """Those to some of the questions."""
        return self._replace(among=Among(*(x[rows] for x in self.among)))


def share_of(span: Array, step: Array) -> Array:
    """Where a step is between the first and the last one of the task."""
    return jnp.clip((step - span[0]) / (span[1] - span[0]), 0, 1)


def context_of(
    known: Known, span: Array, among: Among, anchor: Anchor, targets: Array
) -> network.Context:
    """What the other runs say to questions about steps `(B, Q)`; traced."""
    others = jax.tree.map(lambda x: x[among.chosen], known)
    asked = Cutoff(
        *(anchor.level, anchor.scale, share_of(span, anchor.step)),
        *(among.path, among.seen),
    )
    pairs = jax.vmap(pair_features)(
        asked, others.grid, among.apart, share_of(span, targets)
    )
    return network.Context(
        pairs.astype(jnp.float32), others.state.astype(jnp.float32), among.there
    )


@float64
@jax.jit
def anchors_of_unseen(grid: OnGrid, among: Among, step: Array, gap: Array) -> Anchor:
    """Anchors of runs of which nothing is known `(B,)`, see `anchor_of_others`."""
    others = jax.tree.map(lambda x: x[among.chosen], grid)
    place = jax.vmap(anchor_of_others, (0, 0, None, None))
    return place(others, among.there, step, gap)


def span_of(contexts: Sequence[Context]) -> np.ndarray:
    """First step and horizon of a task `(2,)`; contexts of all its runs."""
    first = min(context.steps[0] for context in contexts if len(context.steps))
    return np.array([first, max(context.horizon for context in contexts)])


def gap_of(contexts: Sequence[Context]) -> float:
    """Steps between the observations of a run, as most runs of the task have it."""
    gaps = [
        np.diff(context.steps).mean() for context in contexts if len(context.steps) > 1
    ]
    if gaps:
        return float(np.median(gaps))
    first, end = span_of(contexts)
    return max(min(float(first), float(end - first)), 1e-9 * float(end)) or 1.0


@float64
@jax.jit
def _distances(
    one: Placed, two: Placed, telling: Placed, categorical: Array, outcome: Array
) -> Array:
    matters = what_matters(telling, categorical, outcome)
    return config_distances(one, two, categorical, matters)


def _host_ranks(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """`lcpfn.configs.ranks` among the counted runs; others are placed between them."""
    found = np.full(values.shape, 0.5)
    for column, rank in zip(values.T, found.T, strict=True):
        known = ~np.isnan(column)
        order = np.sort(column[known & counted])
        below = np.searchsorted(order, column[known])
        same = np.searchsorted(order, column[known], side="right") - below
        itself = counted[known]
        rest = np.maximum(len(order) - itself, 1)
        rank[known] = (below + 0.5 * (same - itself)) / rest
    return found


def distances_of(
    configs: Configs, asked: np.ndarray, counted: np.ndarray, outcome: np.ndarray
) -> np.ndarray:
    """`config_distances` of the runs asked about to all `(B, N, CONFIG_FEATURES)`.

    Which hyperparameters matter is taken from at most `TELLING_RUNS` runs, good and bad
    ones alike.

    Args:
        configs: of N runs.
        asked: numbers of those asked about `(B,)`.
        counted: which of them count in ranks `(N,)`.
        outcome: what each run has reached; NaN where unknown `(N,)`.
    """
    columns = bucket(configs.values.shape[1], FIELDS) - configs.values.shape[1]
    categorical = np.pad(configs.categorical, (0, columns))
    values = np.pad(configs.values, ((0, 0), (0, columns)), constant_values=np.nan)
    rank = _host_ranks(values, counted)

    def some(rows: np.ndarray) -> Placed:
        """Of these runs; behind them, up to a size that was compiled, nothing."""
        room = ((0, bucket(len(rows), SIZES) - len(rows)), (0, 0))
        return Placed(
            np.pad(values[rows], room, constant_values=np.nan),
            np.pad(rank[rows], room, constant_values=0.5),
        )

    telling = np.argsort(np.where(counted, outcome, np.nan))
    telling = telling[: np.isfinite(outcome[counted]).sum()]
    most = np.linspace(0, len(telling) - 1, min(len(telling), TELLING_RUNS))
    telling = telling[most.round().astype(int)]
    reached = np.full(bucket(len(telling), SIZES), np.nan)
    reached[: len(telling)] = outcome[telling]
    runs = np.arange(len(values))
    found = _distances(some(asked), some(runs), some(telling), categorical, reached)
    return np.asarray(found)[: len(asked), : len(runs)]


def choose(grid: OnGrid, apart: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Numbers of the runs that say most to each question `(B, K)`, K <= `MOST`.

    Counted together: the share of the way for which a run is known, how near its
    configuration is, and half of its place in the order of what the runs have reached.

    Args:
        grid: of the N runs.
        apart: distances of configurations `(B, N)`, in [0, 1].
        allowed: which of them a question may see `(B, N)`.
    """
    place = np.argsort(np.argsort(-np.asarray(grid.best))) / max(len(grid.best) - 1, 1)
    worth = np.asarray(grid.last) + 0.5 * place + (1 - apart)
    worth = np.where(allowed, worth, -np.inf)
    return np.argsort(-worth, axis=1, kind="stable")[:, :MOST]


def among_of(
    grid: OnGrid,
    seen: np.ndarray,
    configs: Configs,
    asked: np.ndarray,
    allowed: np.ndarray,
    counted: np.ndarray,
) -> Among:
    """Which of the runs each question sees.

    Args:
        grid: of N runs, with those asked about among them.
        seen: of which something is known `(N,)`.
        configs: of the N runs.
        asked: numbers of those asked about `(B,)`.
        allowed: which runs each question may see `(B, N)`.
        counted: which configurations count in ranks `(N,)`.
    """
    outcome = np.where(seen & (grid.last >= TELLING), grid.best, np.nan)
    apart = distances_of(configs, asked, counted, outcome)
    chosen = choose(grid, apart[..., 0], allowed)
    there = np.take_along_axis(allowed, chosen, 1)
    # What it sees comes first, so that no more is looked at than has to be.
    most = bucket(max(int(there.sum(1).max(initial=0)), 1), SIZES)
    near = np.take_along_axis(apart, chosen[..., None], 1)
    room = max(most - chosen.shape[1], 0)
    wide = lambda x: np.pad(x, [(0, 0), (0, room)] + [(0, 0)] * (x.ndim - 2))[:, :most]
    path, known = np.asarray(grid.level)[asked], seen[asked].astype(float)
    return Among(wide(chosen), wide(there), wide(near), path, known)
