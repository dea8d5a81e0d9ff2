"""Training tasks: what is seen of a curve and what is queried."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest

from lcpfn.batch import at_last, make_batch, read_batch
from lcpfn.checks import check_curves
from lcpfn.jax_setup import float64
from lcpfn.metric import Metric
from lcpfn.priors import LCPFN_PRIOR, Prior, draw
from lcpfn.statistics import Limits
from lcpfn.tokens import query_features
from lcpfn.train.batches import (
    Curves,
    best_ahead,
    draw_context,
    hide_bounds,
    make_tasks,
)
from lcpfn.train.config import Augment
from lcpfn.train.data import (
    from_draws,
    prior_source,
    recorded_curves,
    recorded_source,
)
from tests.makers import make_run

KEY = jax.random.key(3)
NONE = {"thinned": 0, "pooled": 0, "truncated": 0, "shortened": 0}
BATCH, RECORDS, TOKENS = 64, 60, 32
KINDS = [[], *([kind] for kind in NONE), ["truncated", "thinned"], list(NONE)]


@pytest.fixture(scope="module")
def curves():
    """Curves of 20 to 60 records; some need pooling to fit into 32 tokens."""
    rng = np.random.default_rng(0)
    length = rng.integers(20, RECORDS + 1, BATCH)
    y = rng.normal(size=(BATCH, RECORDS)).cumsum(axis=1)
    y[np.arange(RECORDS) >= length[:, None]] = np.nan
    return Curves(
        y=jnp.asarray(y, jnp.float32),
        steps=jnp.asarray(rng.uniform(0.5, 1.5, y.shape).cumsum(axis=1), jnp.float32),
        length=jnp.asarray(length),
        low=jnp.full(BATCH, -jnp.inf),
        high=jnp.full(BATCH, jnp.inf),
        weight=jnp.ones(BATCH).at[0].set(0),
    )


def both(key, curves, odds, tokens):
    """What is seen and what is asked; `odds` are traced, so all kinds compile once."""
    odds = SimpleNamespace(**odds)
    count = curves.y.shape[1]
    see = partial(draw_context, observations=count, tokens=tokens, augment=odds)
    seen = jax.vmap(see)(jax.random.split(key, (2, len(curves.y)))[0], curves.length)
    return seen, make_tasks(key, curves, 4, tokens, odds)


compiled = jax.jit(both, static_argnums=3)


@partial(jax.jit, static_argnums=(2, 3), static_argnames="best")
def made(key, curves, queries, tokens, odds, best=False):
    """`make_tasks`, compiled as a whole; `odds` as above."""
    odds = SimpleNamespace(**odds)
    return make_tasks(key, curves, queries, tokens, odds, best)


def tasks_of(curves, *kinds, tokens=TOKENS):
    """Context and tasks as drawn with `KEY`, every curve changed in the given ways."""
    odds = vars(Augment(**NONE | dict.fromkeys(kinds, 1)))
    return jax.tree.map(np.asarray, compiled(KEY, curves, odds, tokens))


@pytest.mark.parametrize("kinds", KINDS, ids=lambda kinds: "+".join(kinds) or "none")
def test_tasks_ask_about_the_time_between_cutoff_and_horizon(curves, kinds):
    seen, tasks = tasks_of(curves, *kinds)
    length = np.asarray(curves.length)
    assert all(np.isfinite(field).all() for field in jax.tree.leaves(tasks))
    assert (seen.end < length).all()
    assert (seen.first >= 0).all()
    # A token per mark, in order, then padding.
    used = seen.last < RECORDS
    assert (np.diff(seen.last, axis=1)[used[:, 1:]] > 0).all()
    assert (used[:, :-1] >= used[:, 1:]).all()
    assert (seen.last[used] < np.broadcast_to(length[:, None], used.shape)[used]).all()
    # Only cutoffs before the horizon count, and rows that count.
    counted = tasks.weight > 0
    before = seen.last < seen.end[:, None]
    assert not counted[0].any()
    np.testing.assert_array_equal(counted[1:], before[1:])
    cutoff = np.broadcast_to(seen.last[..., None], tasks.target.shape)[counted]
    end = np.broadcast_to(seen.end[:, None, None], tasks.target.shape)[counted]
    assert (tasks.target[counted] > cutoff).all()
    assert (tasks.target[counted] <= end).all()
    assert (tasks.target[counted][:, 0] == end[:, 0]).all()
    assert counted.sum() > BATCH


@float64
@jax.jit
def read(batch):
    """Features of all tokens, and anchors of the last."""
    _, anchors, features = read_batch(batch)
    return features, at_last(anchors, batch.last)


def read_contexts(contexts, metric):
    """What the runtime reads of curves of one length."""
    batch = make_batch(contexts, metric, [1] * len(contexts), len(contexts))
    features, anchor = read(batch)
    return np.asarray(features)[:, : len(contexts[0].values)], anchor


@pytest.mark.parametrize("kinds", KINDS, ids=lambda kinds: "+".join(kinds) or "none")
def test_tasks_are_what_the_runtime_makes_of_the_same_records(curves, kinds):
    seen, tasks = tasks_of(curves, *kinds)
    metric = Metric("min")
    for row in range(1, 24):
        last = seen.last[row][seen.last[row] < seen.end[row]]
        if not len(last):
            continue
        y = np.asarray(curves.y[row], float)
        steps = np.asarray(curves.steps[row], float)
        starts = np.concatenate([[seen.first[row]], last[:-1] + 1])
        if seen.pooled[row]:
            values = np.array(
                [y[a : b + 1].mean() for a, b in zip(starts, last, strict=True)]
            )
        else:
            values = y[last]
        horizon = steps[seen.end[row]]
        truth = y[tasks.target[row, : len(last)]]
        level = (
            truth
            - np.exp(tasks.log_scale[row, : len(last), None])
            * (tasks.truth[row, : len(last)])
        )
        # Anchored truth holds the record: one level explains all targets of a cutoff.
        span = np.ptp(y[: int(curves.length[row])])
        assert np.ptp(level, axis=1).max() < 1e-4 * span
        if seen.pooled[row]:
            continue  # the runtime pools from the first record on, by its own factor
        contexts, _ = check_curves(
            [values], horizon, metric, steps=[steps[last]], at=[[horizon]]
        )
        features, anchor = read_contexts(contexts, metric)
        np.testing.assert_allclose(
            tasks.features[row, : len(last)], features[0], atol=2e-3
        )
        np.testing.assert_allclose(level[-1], anchor.level[0], atol=1e-4 * span)
        asked = query_features(
            jax.tree.map(np.float32, anchor),
            np.float32([horizon]),
            np.float32(steps[tasks.target[row, len(last) - 1]][None]),
        )
        np.testing.assert_allclose(tasks.query[row, len(last) - 1], asked[0], atol=1e-3)


def test_unchanged_curves_of_the_prior_match_the_runtime_to_float32():
    draws = jax.jit(lambda key: draw(LCPFN_PRIOR, key, 16))(KEY)
    curves = from_draws(LCPFN_PRIOR, draws)
    _, tasks = tasks_of(curves, tokens=128)
    metric = Metric("max", (0.0, 1.0), hard=False)
    values = [row[:-1] for row in np.asarray(draws.y)]
    contexts, _ = check_curves(values, 100, metric)
    features, anchor = read_contexts(contexts, metric)
    error = np.abs(tasks.features[:, :-1] - features)
    assert error.max() < 1e-3
    assert np.median(error) < 1e-6
    np.testing.assert_allclose(np.exp(tasks.log_scale[:, 98]), anchor.scale, rtol=1e-4)
    assert (tasks.weight[:, :-1] == 1).all()
    assert (tasks.weight[:, -1] == 0).all()


def test_pooled_tokens_are_means_of_equal_blocks():
    records = 32
    y = jnp.asarray(np.random.default_rng(1).normal(size=(8, records)), jnp.float32)
    curves = Curves(
        y=y,
        steps=jnp.broadcast_to(jnp.arange(1.0, records + 1), y.shape),
        length=jnp.full(8, records),
        low=jnp.full(8, -jnp.inf),
        high=jnp.full(8, jnp.inf),
        weight=jnp.ones(8),
    )
    seen, tasks = tasks_of(curves, "pooled", tokens=16)
    factor = seen.last[:, 0] + 1
    assert set(factor) <= {1, 2, 4, 8, 16, 32}
    assert len(set(factor)) > 1
    pooled = seen.pooled & (factor > 1)
    for row in np.flatnonzero(pooled & (factor < records)):
        blocks = np.asarray(y[row]).reshape(-1, factor[row]).mean(axis=1)
        truth = np.asarray(y[row])[tasks.target[row, 0]]
        level = truth - np.exp(tasks.log_scale[row, 0]) * tasks.truth[row, 0]
        np.testing.assert_allclose(level, blocks[0], atol=1e-5)
        assert (np.diff(seen.last[row][seen.last[row] < records]) == factor[row]).all()


def test_augmentations_do_what_they_say(curves):
    (plain, _), length = tasks_of(curves), np.asarray(curves.length)
    short = length <= TOKENS
    assert (plain.first == 0).all()
    assert (plain.end == length - 1).all()
    assert (plain.last[short, 0] == 0).all()
    assert not plain.pooled[short].any()
    truncated, _ = tasks_of(curves, "truncated")
    assert (truncated.first >= 1).all()
    assert (truncated.first <= np.maximum(length // 3, 1)).all()
    shortened, _ = tasks_of(curves, "shortened")
    assert (shortened.end < length).all()
    assert (shortened.end >= length // 3).all()
    assert (shortened.end < length - 1).mean() > 0.5
    thinned, _ = tasks_of(curves, "thinned")
    gaps = ~thinned.pooled
    # The first record seen is the first one kept, and that is where steps start.
    some = gaps & (thinned.last[:, 0] < RECORDS)
    np.testing.assert_array_equal(thinned.first[some], thinned.last[some, 0])
    missing = (thinned.last < RECORDS).sum(axis=1) < np.minimum(length, TOKENS)
    assert missing[some].mean() > 0.5


def test_a_row_that_was_never_accepted_has_no_weight():
    def impossible(steps, observed=None):
        LCPFN_PRIOR.model(steps, observed)
        numpyro.factor("never", -jnp.inf)

    prior = Prior(impossible, "impossible", length=10)
    curves = jax.jit(prior_source(prior), static_argnums=1)(KEY, 2)
    assert (curves.weight == 0).all()
    _, tasks = tasks_of(curves, tokens=16)
    assert (tasks.weight == 0).all()
    assert all(np.isfinite(field).all() for field in jax.tree.leaves(tasks))


def test_padding_of_short_curves_is_finite():
    # Thinned to its last record, a curve has a first and a last step that are equal.
    runs = [make_run(np.linspace(1.0, 0.5, n)) for n in (3, 4, 40)]
    bank = recorded_curves(runs)
    odds = vars(Augment(**NONE | {"thinned": 1, "truncated": 1}))
    for seed in range(20):
        tasks = made(jax.random.key(seed), bank, 3, 16, odds)
        for path, values in jax.tree.leaves_with_path(tasks):
            assert np.isfinite(values).all(), path


def test_hidden_bounds_are_not_told(curves):
    odds = jnp.array([0.05, 0.12, 0.17, 0.5])
    known = Limits(jnp.full(4, 60.0), jnp.full(4, -1.0), jnp.zeros(4))
    metric = hide_bounds(odds, known, 0.1)
    np.testing.assert_array_equal(metric.low, [-np.inf, -np.inf, -1, -1])
    np.testing.assert_array_equal(metric.high, [np.inf, 0, np.inf, 0])
    low, high = jnp.full(BATCH, -1e6), jnp.full(BATCH, 1e6)
    bounded = curves._replace(low=low, high=high)
    told, untold, never = (
        made(KEY, given, 2, TOKENS, vars(Augment(**NONE | {"hidden": hidden})))
        for given, hidden in ((bounded, 0), (bounded, 1), (curves, 0))
    )
    np.testing.assert_array_equal(untold.features, never.features)
    assert not np.array_equal(told.features, untold.features)


def test_best_ahead_is_the_minimum_of_what_comes():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3, 12))
    last, end = np.array([[0, 3, 7]] * 3), np.array([11, 9, 8])
    expected = [
        [row[i + 1 : stop + 1].min() for i in lasts]
        for row, lasts, stop in zip(y, last, end, strict=True)
    ]
    found = best_ahead(jnp.array(y), jnp.array(last), jnp.array(end))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_tasks_ask_for_it_as_one_more_question():
    values = np.array([5.0, 4, 3, 1, 2, 2.5, 2.2, 2.4, 2.1, 2.3])
    run = make_run(values)
    source = recorded_source(recorded_curves([run]), jnp.ones(1))
    drawn, none = source(KEY, 1), vars(Augment(0, 0, 0, 0, 0))
    plain = made(KEY, drawn, 3, 16, none)
    tasks = made(KEY, drawn, 3, 16, none, best=True)
    assert tasks.query.shape == (*plain.query.shape[:2], 4, plain.query.shape[-1] + 1)
    np.testing.assert_array_equal(tasks.query[0, :, :3, -1], 0)
    np.testing.assert_array_equal(tasks.query[0, :9, 3, -1], 1)
    np.testing.assert_array_equal(tasks.truth[..., :3], plain.truth)
    # In units of the anchor the difference of two truths is that of two values.
    scale = np.exp(np.asarray(tasks.log_scale))[0, :9]
    size = np.median(values)
    ahead = np.array([values[i + 1 :].min() for i in range(9)])
    off = (ahead - values[-1]) / size / scale
    np.testing.assert_allclose(
        tasks.truth[0, :9, 3] - tasks.truth[0, :9, 0], off, rtol=1e-3, atol=1e-4
    )
