"""From whole searches to training tasks: queries about a run that see the other runs.

Of a search some runs are context, each up to some observation. Every run is asked about
at several cutoffs and at one before its first observation; it never sees itself among
the others. S searches, R runs each, T observations, C cutoffs (the first of them is the
one before everything), Q targets, of which the last asks for the best value.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lcpfn.hyperparameters import Placed, config_distances, place, varying, what_matters
from lcpfn.other_features import (
    GRID,
    Cutoff,
    OnGrid,
    Pairs,
    anchor_of_others,
    on_grid,
    pair_features,
)
from lcpfn.others import TELLING, share_of
from lcpfn.statistics import Blocks, Limits
from lcpfn.tokens import Anchor, query_features, read, stay
from lcpfn.train.batches import ask_best, best_ahead, draw_targets


class Searches(NamedTuple):
    """A batch of searches in model space (lower is better).

    Attributes:
        y, steps: `(S, R, T)`; behind the end of a run its last value and step.
        length: observations of each run `(S, R)`.
        low, high: bounds, infinite where unknown `(S,)`.
        config: hyperparameters, NaN where missing `(S, R, P)`.
        categorical: which of them are categories `(S, P)`.
        seen: observations of each run that are context, 0 for none `(S, R)`.
        weight: 0 for a run that is not asked about `(S, R)`.
    """

    y: jax.Array
    steps: jax.Array
    length: jax.Array
    low: jax.Array
    high: jax.Array
    config: jax.Array
    categorical: jax.Array
    seen: jax.Array
    weight: jax.Array


class SearchTasks(NamedTuple):
    """What the network is trained on; leading axes `(S, R)`, but for none.

    Attributes:
        features: of the tokens `(T, TOKEN_FEATURES)`.
        cutoff: token of each cutoff, -1 before the first `(C,)`.
        newest: token of the run that is newest as context `()`.
        query: `(C, Q, QUERY_FEATURES + 1)`.
        truth: `(y_target - level) / scale` `(C, Q)`.
        log_scale, stay, weight: of the cutoffs `(C,)`.
        pairs: fields `(C, Q, R, ...)`.
        mask: which runs are context to this one `(R,)`.
    """

    features: jax.Array
    cutoff: jax.Array
    newest: jax.Array
    query: jax.Array
    truth: jax.Array
    log_scale: jax.Array
    stay: jax.Array
    weight: jax.Array
    pairs: Pairs
    mask: jax.Array


def make_search_tasks(
    key: jax.Array, searches: Searches, cutoffs: int, targets: int
) -> SearchTasks:
    """Tasks of every run of every search.

    Args:
        key: PRNG key.
        searches: S of them.
        cutoffs: at which each run is asked, that before everything aside.
        targets: queries for values at each; one more asks for the best.
    """
    keys = jax.random.split(key, len(searches.y))
    return jax.vmap(lambda k, s: _tasks_of(k, s, cutoffs, targets))(keys, searches)


def _tasks_of(
    key: jax.Array, search: Searches, cutoffs: int, targets: int
) -> SearchTasks:
    """Tasks of one search; fields of `search` without the axis S."""
    known, rows = _read(search), jnp.arange(len(search.y))
    ask = lambda run, key: _tasks_of_run(key, known, run, cutoffs, targets)
    return jax.vmap(ask)(rows, jax.random.split(key, len(rows)))


class _Read(NamedTuple):
    """One search as the network reads it; leading axis `(R,)`.

    Attributes:
        search: it.
        anchors, features: of the tokens `(T,)`.
        start, horizon: first and last step of each run.
        span: first and last step of all `(2,)`.
        known, whole: the runs on the grid, as far as they are context, and to their
            ends.
        outcome: what each has reached; NaN where too little is known.
        configs: the configurations.
        varies: in which hyperparameters they differ `(P,)`.
    """

    search: Searches
    anchors: Anchor
    features: jax.Array
    start: jax.Array
    horizon: jax.Array
    span: jax.Array
    known: OnGrid
    whole: OnGrid
    outcome: jax.Array
    configs: Placed
    varies: jax.Array


def _read(search: Searches) -> _Read:
    runs, observations = search.y.shape
    inside = jnp.arange(observations) < search.length[:, None]
    horizon = jnp.take_along_axis(search.steps, search.length[:, None] - 1, 1)[:, 0]
    start = search.steps[:, 0]
    limits = Limits(horizon, *(jnp.full(runs, x) for x in (search.low, search.high)))
    blocks = Blocks(search.steps, search.y, jnp.ones_like(search.y))
    _, anchors, features = read(limits, blocks, start)
    # Behind its end steps of a run stand still, and features are 0 / 0.
    anchors, features = jax.tree.map(
        lambda x: jnp.where(inside.reshape(*inside.shape, *[1] * (x.ndim - 2)), x, 1.0),
        (anchors, features),
    )
    span = jnp.stack([jnp.min(start), jnp.max(horizon)])
    share = share_of(span, search.steps)
    paths = (share, search.y, anchors.level, anchors.scale)
    known = jax.vmap(on_grid)(*paths, jnp.maximum(search.seen, 1))
    # A run of which little is known does not say which hyperparameters matter.
    told = (search.seen > 0) & (known.last >= TELLING)
    outcome = jnp.where(told, known.best, jnp.nan)
    everyone = jnp.ones(runs, bool)
    return _Read(
        *(search, anchors, features, start, horizon, span),
        *(known, jax.vmap(on_grid)(*paths, search.length), outcome),
        *(place(search.config, everyone), varying(search.config, everyone)),
    )


def _tasks_of_run(
    key: jax.Array, task: _Read, run: jax.Array, cutoffs: int, targets: int
) -> SearchTasks:
    """Tasks of one run of a search."""
    search, keys = task.search, jax.random.split(key)
    length, steps = search.length[run], search.steps[run]
    others = jnp.arange(len(search.y)) != run
    mask = (search.seen > 0) & others
    cutoff = _draw_cutoffs(keys[0], length, cutoffs)
    anchor = _anchor_at(task, run, cutoff, mask)
    target = draw_targets(keys[1], cutoff, length - 1, targets + 1)
    target = target.at[:, -1].set(length - 1)
    at = steps[target]
    query = query_features(anchor, jnp.full(len(cutoff), task.horizon[run]), at)
    ahead = best_ahead(search.y[run][None], cutoff[None], length[None] - 1)
    query, value = ask_best(query, search.y[run][target], ahead[0])
    asked = Cutoff(
        *(anchor.level, anchor.scale, share_of(task.span, anchor.step)),
        *(jnp.broadcast_to(task.whole.level[run], (len(cutoff), GRID)), cutoff >= 0),
    )
    apart = _apart(task, run, others)
    look = jax.vmap(lambda c, t: pair_features(c, task.known, apart, t))
    counts = (cutoff < length - 1) & ((cutoff >= 0) | jnp.any(mask))
    truth = (value - anchor.level[:, None]) / anchor.scale[:, None]
    return SearchTasks(
        features=task.features[run],
        cutoff=cutoff,
        newest=jnp.maximum(search.seen[run] - 1, 0),
        query=query,
        # Zero where it does not count: a weight of zero does not undo infinity.
        truth=jnp.where(counts[:, None], truth, 0),
        log_scale=jnp.log(anchor.scale),
        stay=stay(anchor),
        weight=counts * search.weight[run],
        pairs=look(asked, share_of(task.span, at)),
        mask=mask,
    )


def _anchor_at(
    task: _Read, run: jax.Array, cutoff: jax.Array, mask: jax.Array
) -> Anchor:
    """Anchors of a run at its cutoffs; before the first, amid the others."""
    start = task.start[run]
    gap = (task.horizon[run] - start) / (task.search.length[run] - 1)
    before = anchor_of_others(task.known, mask, start - gap, gap)
    last = jnp.maximum(cutoff, 0)
    found: Anchor = jax.tree.map(
        lambda x, y: jnp.where(cutoff < 0, y, x[run, last]), task.anchors, before
    )
    return found


def _apart(task: _Read, run: jax.Array, others: jax.Array) -> jax.Array:
    """Distances of a run's configuration to all `(R, CONFIG_FEATURES)`.

    It may be context to the others with more than it is asked at, so what it has
    reached does not say which hyperparameters matter.
    """
    outcome = jnp.where(others, task.outcome, jnp.nan)
    categorical = task.search.categorical
    matters = what_matters(task.configs, categorical, outcome, task.varies)
    own = jax.tree.map(lambda x: x[run][None], task.configs)
    return config_distances(own, task.configs, categorical, matters)[0]


def _draw_cutoffs(key: jax.Array, length: jax.Array, count: int) -> jax.Array:
    """Tokens at which a run is asked, -1 and early ones more often `(1 + count,)`."""
    share = jax.random.uniform(key, (count,)) ** 1.5
    drawn = jnp.floor(share * (length - 1)).astype(int)
    return jnp.concatenate([jnp.array([-1]), drawn])
