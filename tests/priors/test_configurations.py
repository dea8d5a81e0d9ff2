"""Configurations of searches and functions of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.priors.configurations import (
    NUMBER,
    WAVES,
    SearchHabits,
    draw_configurations,
    waves,
)

RUNS, DIMS, SEARCHES = 16, 12, 200
PLAIN = SearchHabits(*[0.0] * len(SearchHabits._fields))


@pytest.fixture(scope="module")
def drawn():
    """Configurations of many searches, and waves of them, by habits."""

    @partial(jax.jit, static_argnums=0)
    def draw(habits, replicas):
        def one(key):
            key, key_waves = jax.random.split(key)
            found = draw_configurations(key, RUNS, DIMS, replicas, habits)
            return found, waves(key_waves, found)

        return jax.vmap(one)(jax.random.split(jax.random.key(0), SEARCHES))

    return lambda habits=PLAIN, replicas=False: jax.tree.map(
        np.asarray, draw(habits, jnp.array(replicas))
    )


def test_searches_have_from_one_to_all_hyperparameters(drawn):
    found, _ = drawn()
    there = np.broadcast_to(found.used[:, None], found.shown.shape)
    np.testing.assert_array_equal(np.isnan(found.shown), ~there)
    assert set(found.used.sum(1)) == {*range(1, DIMS + 1)}
    assert set(np.unique(found.kind)) == {0, 1, 2}
    others = found.shown.transpose(0, 2, 1)[(found.kind != NUMBER) & found.used]
    assert np.array_equal(others, np.round(others))


def test_equal_configurations_have_equal_waves_of_unit_size(drawn):
    found, basis = drawn(PLAIN._replace(repeats=1.0))
    assert basis.shape == (SEARCHES, RUNS, 2 * WAVES)
    np.testing.assert_allclose((basis**2).sum(-1), WAVES, rtol=1e-4)
    repeated = 0
    for shown, own in zip(found.shown, basis, strict=True):
        same = (np.nan_to_num(shown)[:, None] == np.nan_to_num(shown)[None]).all(-1)
        one, other = np.nonzero(np.triu(same, 1))
        np.testing.assert_array_equal(own[one], own[other])
        repeated += len(one) > 0
    assert repeated > 0.9 * SEARCHES


def test_replicas_have_one_configuration(drawn):
    found, _ = drawn(replicas=True)
    assert np.nanmax(np.ptp(found.shown, axis=1)) == 0


def test_missing_values_are_nan_and_have_a_place(drawn):
    found, basis = drawn(PLAIN._replace(gaps=1.0))
    missing = np.isnan(found.shown) & found.used[:, None]
    assert (
        0.1 < missing[np.broadcast_to(found.used[:, None], missing.shape)].mean() < 0.6
    )
    assert np.isfinite(basis).all()
    unknown, _ = drawn(PLAIN._replace(unknown=1.0))
    assert np.isnan(unknown.shown).all()


def test_what_does_not_apply_has_no_effect(drawn):
    found, _ = drawn(PLAIN._replace(conditional=1.0))
    absent = np.isnan(found.shown) & found.used[:, None]
    assert 0.05 < absent.mean() < 0.3
    assert (found.place[absent] == 0.5).all()
    assert not absent[..., 0].any()


def test_a_grid_has_few_values_and_a_local_search_is_near(drawn):
    def different(habits):
        found, _ = drawn(habits)
        numbers = (found.kind == NUMBER) & found.used
        columns = found.shown.transpose(0, 2, 1)[numbers]
        return np.mean([len(np.unique(x)) for x in columns]), np.ptp(
            columns, axis=1
        ).mean()

    plain, grid, local = map(
        different, (PLAIN, PLAIN._replace(grid=1.0), PLAIN._replace(local=1.0))
    )
    assert grid[0] < 0.5 * plain[0]
    assert local[1] < 0.7 * plain[1]
