"""The other runs of a task at inference: read once, and chosen for every question.

Any number of them may be given. A question sees at most `MOST` (see `choose`). Without
any a forecast is that of the run alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.batch import bucket
from lcpfn.hyperparameters import (
    CONFIG_FEATURES,
    Configs,
    Placed,
    config_distances,
    place,
    varying,
    what_matters,
)
from lcpfn.layers import OtherRuns
from lcpfn.other_features import Cutoff, OnGrid, Pairs, pair_features
from lcpfn.seen_curve import Context
from lcpfn.statistics import Array
from lcpfn.tokens import Anchor

MOST = 64
BEST = 8  # of them, the best ones
# Their numbers are rounded up to these, so that few programs are compiled.
SIZES = (8, 16, 32, MOST)
# From this share of the way on what a run has reached says what its configuration does.
TELLING = 0.5
TELLING_RUNS = 64  # that say which hyperparameters matter
ROWS = 64  # questions whose distances are computed at a time


class ReadRuns(NamedTuple):
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

    known: ReadRuns
    anchor: Anchor
    span: np.ndarray


class Others(NamedTuple):
    """What the other runs of a task are to B questions, K of them to each.

    Attributes:
        known: the runs, fields `(B, K, ...)`.
        there: False behind the last of them `(B, K)`.
        apart: distances of configurations `(B, K, CONFIG_FEATURES)`.
        path: levels of the run asked about, on the grid `(B, G)`.
        seen: 1; 0 where nothing of that run is known `(B,)`.
        span: first step and horizon of the task `(B, 2)`.
    """

    known: ReadRuns
    there: Array
    apart: Array
    path: Array
    seen: Array
    span: Array


def share_of(span: Array, step: Array) -> Array:
    """Where a step is between the first and the last one of the task."""
    return jnp.clip((step - span[0]) / (span[1] - span[0]), 0, 1)


def other_runs_of(others: Others, anchor: Anchor, targets: Array) -> OtherRuns:
    """What the other runs say to questions about steps `(B, Q)`; traced."""

    def look(others: Others, anchor: Anchor, targets: Array) -> Pairs:
        asked = Cutoff(
            *(anchor.level, anchor.scale, share_of(others.span, anchor.step)),
            *(others.path, others.seen),
        )
        shares = share_of(others.span, targets)
        return pair_features(asked, others.known.grid, others.apart, shares)

    pairs = jax.vmap(look)(others, anchor, targets)
    pairs, state = jax.tree.map(
        lambda x: x.astype(jnp.float32), (pairs, others.known.state)
    )
    return OtherRuns(pairs, state, others.there)


def span_of(contexts: Sequence[Context]) -> np.ndarray:
    """First step and horizon of a task `(2,)`; contexts of all its runs."""
    first = min(context.steps[0] for context in contexts if len(context.steps))
    end = max(context.horizon for context in contexts)
    # All that is known may be how runs ended.
    return np.array([first if first < end else 0.0, end])


def gap_of(contexts: Sequence[Context], span: np.ndarray) -> float:
    """Steps between the observations of a run, as most runs of the task have it."""
    several = [context.steps for context in contexts if len(context.steps) > 1]
    gaps = [(steps[-1] - steps[0]) / (len(steps) - 1) for steps in several]
    return float(np.median(gaps)) if gaps else float(span[1] - span[0]) / 64


def _telling(ended: np.ndarray, own: int) -> np.ndarray:
    """Of runs in the order of what they reached, those that say what matters to one."""
    others = ended[ended != own]
    most = np.linspace(0, len(others) - 1, min(len(others), TELLING_RUNS))
    return others[most.round().astype(int)]


def _distances(
    configs: Configs, asked: np.ndarray, counted: np.ndarray, outcome: np.ndarray
) -> np.ndarray:
    """`config_distances` of the runs asked about to all `(B, N, CONFIG_FEATURES)`.

    Which hyperparameters matter is taken from at most `TELLING_RUNS` runs, good and bad
    ones alike; what a run itself has reached does not say what matters to it.

    Args:
        configs: of N runs.
        asked: numbers of those asked about, among the counted `(B,)`.
        counted: the runs of the task `(N,)`.
        outcome: what each run has reached; NaN where unknown `(N,)`.
    """
    varies = varying(configs.values, counted, np)
    if not varies.any():
        return np.zeros((len(asked), len(counted), CONFIG_FEATURES))
    categorical = configs.categorical[varies]
    placed = place(configs.values[:, varies], counted, np)
    some = lambda rows: Placed(placed.value[rows], placed.rank[rows])
    reached = np.where(counted, outcome, np.nan)
    # Of runs that reached the same it is not the order they are given in that decides.
    ended = np.lexsort((*np.nan_to_num(configs.values.T), reached))
    ended = ended[: np.isfinite(outcome[counted]).sum()]
    known: dict[bytes, np.ndarray] = {}  # most runs are told by the same ones
    matters = []
    for own in asked:
        telling = _telling(ended, own)
        if (key := telling.tobytes()) not in known:
            known[key] = what_matters(
                some(telling), categorical, outcome[telling], varies[varies], np
            )
        matters.append(known[key])
    parts = []
    for i in range(0, len(asked), ROWS):
        rows = slice(i, i + ROWS)
        most = np.stack(matters[rows])[:, None]
        parts.append(config_distances(some(asked[rows]), placed, categorical, most, np))
    return np.concatenate(parts)


def _orders(grid: OnGrid, apart: np.ndarray) -> np.ndarray:
    """Places of runs in the order of what they reached, for each question `(B, N)`.

    Ties are broken by their paths, then by their configurations as the question sees
    them, so that the order in which runs are given says nothing.
    """
    level = np.asarray(grid.level)
    half = level[:, level.shape[1] // 2]
    keys = np.stack([*level.T, half, level[:, -1], np.asarray(grid.best)])
    order = np.lexsort(keys)
    in_order = keys[:, order]
    if not (in_order[:, 1:] == in_order[:, :-1]).all(0).any():
        return np.tile(np.argsort(order), (len(apart), 1))
    return np.stack(
        [np.argsort(np.lexsort(np.concatenate([own.T, keys]))) for own in apart]
    )


def choose(grid: OnGrid, apart: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Numbers of the runs that say most to each question `(B, K)`, K <= `MOST`.

    The `BEST` best ones; then those of which most is known and whose configuration is
    nearest, counted together; of equals good and bad ones alike.

    Args:
        grid: of the N runs.
        apart: of configurations `(B, N, CONFIG_FEATURES)`, first their distance.
        allowed: which of them a question may see `(B, N)`.
    """
    orders, count = _orders(grid, apart), allowed.shape[1]
    # Places with their bits reversed: any first few of them are spread over all.
    spread = np.array([int(f"{place:020b}"[::-1], 2) for place in range(count)])
    worth = np.round(np.asarray(grid.last) + (1 - apart[..., 0]), 9)
    if count > MOST:
        rank = np.argsort(np.argsort(np.where(allowed, orders, 2 * count), 1), 1)
        worth = np.where(rank < BEST, 3.0, worth)
    worth = np.where(allowed, worth, -np.inf)
    rows = zip(spread[orders], worth, strict=True)
    return np.stack([np.lexsort((bits, -own))[:MOST] for bits, own in rows])


def others_of(
    readings: Readings,
    seen: np.ndarray,
    configs: Configs,
    asked: np.ndarray,
    as_runs: np.ndarray,
    allowed: np.ndarray,
    counted: np.ndarray,
) -> Others:
    """What the runs of a task are to questions.

    Args:
        readings: of N runs, with those asked about among them.
        seen: of which something is known `(N,)`.
        configs: of the N runs.
        asked: numbers of those asked about `(B,)`.
        as_runs: numbers whose configurations they have `(B,)`.
        allowed: which runs each question may see `(B, N)`.
        counted: the runs of the task, perhaps without those asked about `(N,)`.
    """
    known, span = readings.known, readings.span
    grid = known.grid
    outcome = np.where(counted & (grid.last >= TELLING), grid.best, np.nan)
    apart = np.empty((*allowed.shape, CONFIG_FEATURES))
    within = counted[as_runs]
    if within.any():
        apart[within] = _distances(configs, as_runs[within], counted, outcome)
    for row in np.flatnonzero(~within):
        own, with_it = as_runs[row : row + 1], counted.copy()
        with_it[own] = True
        apart[row] = _distances(configs, own, with_it, outcome)[0]
    chosen = choose(grid, apart, allowed)
    there = np.take_along_axis(allowed, chosen, 1)
    # What it sees comes first, so that no more is looked at than has to be.
    most = bucket(max(int(there.sum(1).max(initial=0)), 1), SIZES)
    room = max(most - chosen.shape[1], 0)
    chosen, there = (np.pad(x, ((0, 0), (0, room)))[:, :most] for x in (chosen, there))
    return Others(
        jax.tree.map(lambda x: np.asarray(x)[chosen], known),
        there,
        np.take_along_axis(apart, chosen[..., None], 1),
        np.asarray(grid.level)[asked],
        seen[asked].astype(float),
        np.tile(span, (len(asked), 1)),
    )
