"""What is seen of the other runs of a search."""

from dataclasses import fields, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.priors.search_contexts import ContextOdds, draw_contexts
from lcpfn.priors.searches import Search

RUNS, LENGTH, SEARCHES = 24, 32, 200
NOTHING = ContextOdds(**{field.name: 0.0 for field in fields(ContextOdds)})


def made_search(key, size):
    """Runs whose order never changes; the first one became NaN early."""
    y = size * jnp.arange(RUNS, 0.0, -1)[:, None] + jnp.zeros(LENGTH)
    y = y[jax.random.permutation(key, RUNS)]
    runs = jnp.zeros(RUNS, int)
    return Search(
        y=y,
        steps=jnp.arange(1.0, LENGTH + 1) + jnp.zeros((RUNS, 1)),
        length=runs + LENGTH,
        finite=(runs + LENGTH).at[0].set(5),
        low=jnp.array(0.0),
        high=jnp.array(jnp.inf),
        config=jnp.full((RUNS, 3), size),
        kind=jnp.zeros(3, int),
        family=runs,
        diverged=runs.at[0].set(1) == 1,
        accepted=runs == 0,
    )


@pytest.fixture(scope="module")
def contexts():
    @partial(jax.jit, static_argnums=(0, 1))
    def draw(odds, worse):
        def one(key):
            keys = jax.random.split(key, 3)
            own, other = made_search(keys[0], 1.0), made_search(keys[1], -7.0)
            return draw_contexts(keys[2], own, other, worse, odds)

        return jax.vmap(one)(jax.random.split(jax.random.key(0), SEARCHES))

    def numbers(worse=1, **odds):
        return jax.tree.map(np.asarray, draw(replace(NOTHING, **odds), worse))

    return numbers


def in_context(found):
    return (found.seen > 0).sum(1)


def test_none_few_many_and_all(contexts):
    assert (in_context(contexts(none=1.0, finished=1.0)) == 0).all()
    few = in_context(contexts(few=1.0, finished=1.0))
    assert set(few) == {1, 2, 3, 4}
    many = in_context(contexts(many=1.0, half=1.0))
    assert (many.min(), many.max()) == (1, RUNS)
    assert (in_context(contexts(all=1.0, partial=1.0)) == RUNS).all()


def test_finished_runs_are_seen_to_their_end_or_until_they_became_nan(contexts):
    found = contexts(all=1.0, finished=1.0)
    np.testing.assert_array_equal(found.seen, found.search.finite)
    assert (found.seen[:, 0] == 5).all()


def test_half_of_the_runs_may_be_partial_or_all(contexts):
    half = contexts(all=1.0, half=1.0).seen[:, 1:]
    partly = contexts(all=1.0, partial=1.0).seen[:, 1:]
    assert 0.4 < (half == LENGTH).mean() < 0.65
    assert (partly == LENGTH).mean() < 0.1
    assert partly.min() == 1
    # Some searches have long runs, others many short ones.
    assert np.ptp(partly.mean(1)) > LENGTH / 4


@pytest.mark.parametrize("worse", [1, -1])
def test_halving_keeps_the_better_runs(contexts, worse):
    found = contexts(worse, all=1.0, halved=1.0)
    seen, final = found.seen[:, 1:], worse * found.search.y[:, 1:, -1]
    order = np.argsort(final, axis=1)
    ranked = np.take_along_axis(seen, order, axis=1)
    assert (np.diff(ranked, axis=1) <= 0).all()
    assert seen.min() >= 1
    assert 0.3 < (ranked[:, 0] > ranked[:, -1]).mean()
    assert 0.02 < (seen == LENGTH).mean() < 0.3


def test_runs_of_another_search_may_be_among_them(contexts):
    pure = contexts(all=1.0, finished=1.0)
    assert not pure.foreign.any()
    found = contexts(all=1.0, finished=1.0, mixed=1.0)
    np.testing.assert_array_equal(found.foreign, found.search.y[..., 0] < 0)
    np.testing.assert_array_equal(found.foreign, found.search.config[..., 0] < 0)
    assert 0.2 < found.foreign.mean() < 0.4
    assert (found.search.low == 0).all()
