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
from lcpfn.configs import Configs
from lcpfn.context import Context
from lcpfn.jax_setup import float64
from lcpfn.pairs import (
    Cutoff,
    OnGrid,
    anchor_of_others,
    config_distances,
    pair_features,
)
from lcpfn.statistics import Array
from lcpfn.tokens import Anchor

MOST = 64
CANDIDATES = 512  # of which they are chosen, by what needs no configuration
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
    narrow = [x.astype(jnp.float32) for x in (pairs, others.state)]
    return network.Context(*narrow, among.there)


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


_distances = float64(jax.jit(config_distances))


def distances_of(configs: Configs, outcome: np.ndarray) -> np.ndarray:
    """`config_distances` of N runs `(N, N, CONFIG_FEATURES)`, whatever their number."""
    runs, fields = configs.values.shape
    rows, columns = bucket(runs, SIZES), bucket(fields, (4, 8, 16))
    values, reached = np.full((rows, columns), np.nan), np.full(rows, np.nan)
    values[:runs, :fields], reached[:runs] = configs.values, outcome
    categorical = np.zeros(columns, bool)
    categorical[:fields] = configs.categorical
    return np.asarray(_distances(values, categorical, reached))[:runs, :runs]


def choose(grid: OnGrid, apart: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Numbers of the runs that say most to each question `(B, K)`, K <= `MOST`.

    Counted together: the share of the way for which a run is known, how near its
    configuration is, and half of its place in the order of what the runs have reached.

    Args:
        grid: of the M runs.
        apart: distances of configurations `(B, M)`, in [0, 1].
        allowed: which of them a question may see `(B, M)`.
    """
    place = np.argsort(np.argsort(-np.asarray(grid.best))) / max(len(grid.best) - 1, 1)
    worth = np.asarray(grid.last) + 0.5 * place + (1 - apart)
    worth = np.where(allowed, worth, -np.inf)
    return np.argsort(-worth, axis=1, kind="stable")[:, :MOST]


def among_of(
    known: Known, asked: OnGrid, seen: np.ndarray, configs: Configs, allowed: np.ndarray
) -> Among:
    """Which of the runs each question sees.

    Args:
        known: M runs.
        asked: the runs asked about, B of them; anything where `seen` is False.
        seen: whether something of them is known `(B,)`.
        configs: of the M runs, then of the B.
        allowed: which of the M a question may see `(B, M)`.
    """
    count = len(known.state)
    last = np.concatenate([known.grid.last, np.where(seen, asked.last, 0)])
    best = np.concatenate([known.grid.best, asked.best])
    outcome = np.where(last >= TELLING, best, np.nan)
    apart = distances_of(configs, outcome)[count:, :count]
    chosen = choose(known.grid, apart[..., 0], allowed)
    there = np.take_along_axis(allowed, chosen, 1)
    near = np.take_along_axis(apart, chosen[..., None], 1)
    room = bucket(chosen.shape[1], SIZES) - chosen.shape[1]
    wide = lambda x: np.pad(x, [(0, 0), (0, room)] + [(0, 0)] * (x.ndim - 2))
    return Among(*map(wide, (chosen, there, near)), asked.level, seen.astype(float))
