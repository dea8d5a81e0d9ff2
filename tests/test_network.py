"""The network: what may see what, and what may not."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.config import ModelConfig
from lcpfn.layers import OtherRuns
from lcpfn.network import (
    empty_cache,
    encode,
    init,
    parameter_count,
    predict,
)
from lcpfn.other_features import PAIR_FEATURES, PLACES, Pairs
from lcpfn.tokens import QUERY_FEATURES, TOKEN_FEATURES
from tests.conftest import rough_params

pytestmark = pytest.mark.usefixtures("strict_jax")

predicted = jax.jit(predict, static_argnums=0)


@pytest.fixture(scope="module")
def features():
    return jax.random.normal(jax.random.key(2), (3, 9, TOKEN_FEATURES))


@pytest.fixture(scope="module")
def read(model):
    """Jitted `encode`, so that the tests compile few shapes."""
    return jax.jit(lambda *x: encode(model.config, model.params, *x))


@pytest.fixture(scope="module")
def ask(model):
    """`predicted`; the newest values are at the level unless they are given."""

    def answers(state, query, stay=0.0):
        stay = jnp.broadcast_to(stay, state.shape[:-1])
        return predicted(model.config, model.params, state, query, stay)

    return answers


@pytest.mark.parametrize("changed", [0, 4, 8])
def test_a_state_sees_no_later_token(read, features, changed):
    before, _ = read(features)
    after, _ = read(features.at[:, changed].add(1.0))
    np.testing.assert_array_equal(before[:, :changed], after[:, :changed])
    moved = np.abs(after - before)[:, changed:].max((0, 2))
    assert (moved > 1e-4).all()  # every later state does see it


def test_padding_changes_nothing(read, features):
    whole, _ = read(features)
    padded = jnp.pad(features[:, :6], ((0, 0), (0, 3), (0, 0)), mode="edge")
    np.testing.assert_allclose(read(padded)[0][:, :6], whole[:, :6], atol=1e-6)


def test_curves_of_a_batch_are_independent(read, features):
    before, _ = read(features)
    after, _ = read(features.at[1].add(1.0))
    np.testing.assert_array_equal(before[::2], after[::2])
    assert np.abs(before - after)[1].max() > 1e-3


def test_token_by_token_is_the_same_as_at_once(model, read, features):
    whole, _ = read(features)
    cache = empty_cache(model.config, 3, 12)
    for i in range(features.shape[1]):
        position = jnp.full(3, i)
        state, cache = read(features[:, i : i + 1], cache, position)
        np.testing.assert_allclose(state[:, 0], whole[:, i], atol=1e-5)


def test_rewriting_the_newest_token_leaves_no_trace(model, read, features):
    whole, _ = read(features)
    cache = read(features[:, :5], empty_cache(model.config, 3, 12), jnp.zeros(3, int))[
        1
    ]
    for wrong in (True, False):
        token = features[:, 5:6] + (7.0 if wrong else 0.0)
        state, cache = read(token, cache, jnp.full(3, 5))
    np.testing.assert_allclose(state[:, 0], whole[:, 5], atol=1e-5)


def test_queries_are_predicted_independently(ask, model):
    state = jax.random.normal(jax.random.key(3), (2, model.config.width))
    query = jax.random.normal(jax.random.key(4), (2, 5, QUERY_FEATURES))
    whole = ask(state, query)
    assert whole.mean.shape == (2, 5, model.config.components)
    changed = ask(state, query.at[:, 2].add(1.0))
    for one, two in zip(whole, changed, strict=True):
        np.testing.assert_allclose(
            one[:, [0, 1, 3, 4]], two[:, [0, 1, 3, 4]], atol=1e-6
        )
        assert np.abs(one - two)[:, 2].max() > 1e-3
    np.testing.assert_array_equal(whole.mean[..., 0], changed.mean[..., 0])
    alone = ask(state, query[:, 3:4])
    np.testing.assert_allclose(alone.mean[:, 0], whole.mean[:, 3], rtol=1e-5, atol=1e-6)


def test_predictions_are_limited_mixtures(ask, model):
    state = 1e3 * jax.random.normal(jax.random.key(3), (64, model.config.width))
    query = 1e3 * jax.random.normal(jax.random.key(4), (64, 3, QUERY_FEATURES))
    mixture = ask(state, query)
    np.testing.assert_allclose(np.exp(mixture.log_weight).sum(-1), 1, atol=1e-5)
    assert np.abs(mixture.mean).max() <= np.sinh(15) * 1.001
    assert np.abs(mixture.log_std).max() <= 9


def test_one_component_stays_at_the_newest_value(ask, model):
    state = 9 * jax.random.normal(jax.random.key(3), (64, model.config.width))
    query = 9 * jax.random.normal(jax.random.key(4), (64, 3, QUERY_FEATURES))
    stay = jnp.linspace(-1e3, 1e3, 64)
    mixture, before = ask(state, query, stay), ask(state, query)
    for i in range(3):
        np.testing.assert_array_equal(mixture.mean[:, i, 0], stay)
    assert mixture.log_std[..., 0].min() >= -6
    assert mixture.log_std[..., 0].max() <= -2
    np.testing.assert_array_equal(mixture.mean[..., 1:], before.mean[..., 1:])


def test_fresh_weights_depend_on_the_key_alone(model):
    fresh = jax.jit(init, static_argnums=0)
    one, two, other = (fresh(model.config, jax.random.key(k)) for k in (5, 5, 6))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, two))
    assert not jax.tree.all(jax.tree.map(np.array_equal, one, other))
    assert parameter_count(one) == sum(x.size for x in jax.tree.leaves(one))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "width must be a positive integer up to 16384, got 0"),
        ({"width": 1 << 40}, "width must be a positive integer up to 16384"),
        ({"width": np.nan}, "width must be a positive integer up to 16384, got nan"),
        ({"width": "8"}, "width must be a positive integer"),
        ({"layers": 1.5}, "layers must be a positive integer up to 64, got 1.5"),
        ({"layers": True}, "layers must be a positive integer"),
        ({"context": -1}, "context must be a positive integer up to 65536, got -1"),
        ({"context": [128]}, "context must be a positive integer"),
        ({"others": -1}, "others must be an integer from 0 to 65536, got -1"),
        ({"plan_from": 2}, r"plan_from must lie in \[0, 1\], got 2"),
        ({"width": 32, "heads": 3}, "heads must divide width, got 3 and 32"),
        ({"best": "yes"}, "best must be true or false"),
        ({"masked": (2, 27)}, "masked must hold indices below 27"),
        ({"masked": 3}, "masked must hold indices"),
        ({"masked": [[1]]}, "masked must hold indices"),
        ({"masked": [-1]}, "masked must hold indices"),
        ({"tilt": -1}, r"tilt must lie in \[0, 10\], got -1"),
        ({"temperature": "1"}, "temperature must be a number above 0"),
    ],
)
def test_impossible_sizes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**wrong)


def test_masked_features_are_not_seen(model, features):
    config = replace(model.config, masked=[2, 5])  # as a card has it
    look = jax.jit(lambda x: encode(config, model.params, x)[0])
    before = look(features)
    np.testing.assert_array_equal(look(features.at[..., 5].add(1.0)), before)
    assert np.abs(look(features.at[..., 4].add(1.0)) - before).max() > 1e-3


def _knowing(config):
    """A network that knows other runs, its weights rough."""
    config = replace(config, others=16)
    return config, rough_params(config, key=7, seed=7)


def _others(seed, batch, queries, count, width, mask):
    """What `count` other runs say to queries: noise, but for who is there."""
    noise = np.random.default_rng(seed).standard_normal
    pairs = Pairs(
        noise((batch, queries, count, PAIR_FEATURES), np.float32),
        noise((batch, queries, count, 2, PLACES), np.float32),
    )
    return OtherRuns(pairs, noise((batch, count, width), np.float32), mask)


def _picked(others, rows):
    """Some of the other runs, in this order."""
    pairs = jax.tree.map(lambda x: x[:, :, rows], others.pairs)
    return OtherRuns(pairs, others.state[:, rows], others.mask[:, rows])


def test_other_runs_are_a_set_and_none_are_none(model):
    config, params = _knowing(model.config)
    keys = jax.random.split(jax.random.key(5))
    state = jax.random.normal(keys[0], (2, config.width))
    query = jax.random.normal(keys[1], (2, 3, QUERY_FEATURES))
    mask = np.arange(6) < np.array([[4], [0]])
    others = _others(2, 2, 3, 6, config.width, mask)
    ask = partial(predicted, config, params, state, query, state[:, 0])
    alone, found = ask(), ask(others)
    turned = ask(_picked(others, np.array([2, 0, 3, 1, 5, 4])))
    fewer = ask(_picked(others, np.arange(4)))
    count = config.components
    for one, two, other, least in zip(alone, found, turned, fewer, strict=True):
        np.testing.assert_allclose(one[1], two[1, :, :count], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(two, other, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(two, least, rtol=1e-4, atol=1e-4)
    assert found.log_weight[1, :, count:].max() < -1e20
    changed = alone.log_weight[0] - found.log_weight[0, :, :count]
    assert np.abs(changed).max() > 1e-3


def test_fresh_weights_hardly_listen_to_other_runs(model):
    config = replace(model.config, others=16)
    params = jax.jit(init, static_argnums=0)(config, jax.random.key(1))
    state = jax.random.normal(jax.random.key(2), (1, config.width))
    query = jnp.ones((1, 1, QUERY_FEATURES))
    told = _others(3, 1, 1, 2, config.width, np.ones((1, 2), bool))
    one = predicted(config, params, state, query, state[:, 0])
    two = predicted(config, params, state, query, state[:, 0], told)
    count = config.components
    for before, after in zip(one[1:], two[1:], strict=True):
        np.testing.assert_array_equal(before, after[..., :count])
    assert 0 < np.exp(two.log_weight[..., count:]).sum() < 0.1


def test_what_all_other_runs_say_is_copied_exactly(model):
    config, params = _knowing(replace(model.config, best=True))
    state = jax.random.normal(jax.random.key(2), (1, config.width))
    query = jnp.ones((1, 2, QUERY_FEATURES + 1)).at[0, 0, -1].set(0)
    told = _others(3, 1, 2, 5, config.width, np.arange(5)[None] < 3)
    places = np.full_like(told.pairs.places, 1e3)  # behind the last run
    places[:, :, :3, 0], places[:, :, :3, 1] = -7.25, 123.5
    told = told._replace(pairs=told.pairs._replace(places=places))
    found = predicted(config, params, state, query, state[:, 0], told)
    copied = found.mean[0, :, config.components :]
    np.testing.assert_allclose(copied[0], -7.25, rtol=1e-6)
    np.testing.assert_allclose(copied[1], 123.5, rtol=1e-6)
