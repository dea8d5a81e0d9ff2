"""Configurations as numbers, and how unlike they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.hyperparameters import (
    CONFIG_FEATURES,
    check_config,
    config_distances,
    encode_configs,
    place,
    varying,
    what_matters,
)
from lcpfn.jax_setup import float64

pytestmark = pytest.mark.usefixtures("strict_jax")


@float64
@jax.jit
def apart(configs, categorical, outcome):
    everyone = jnp.ones(len(configs), bool)
    placed, varies = place(configs, everyone), varying(configs, everyone)
    matters = what_matters(placed, categorical, outcome, varies)
    return config_distances(placed, placed, categorical, matters)


def test_numbers_are_numbers_and_all_else_is_categories():
    found = encode_configs(
        [{"lr": 1e-3, "opt": "adam", "nesterov": True}, None, {"lr": 2.0, "opt": "sgd"}]
    )
    np.testing.assert_array_equal(found.categorical, [False, True, True])
    np.testing.assert_array_equal(
        found.values, [[1e-3, 0, 0], [np.nan] * 3, [2, np.nan, 1]]
    )


def test_a_hyperparameter_that_is_not_always_a_number_is_a_category():
    found = encode_configs([{"depth": 3.0}, {"depth": "auto"}, {"depth": 3.0}])
    assert found.categorical[0]
    assert found.values[0, 0] == found.values[2, 0] != found.values[1, 0]


def test_without_configurations_all_is_missing():
    found = encode_configs([None, {}])
    assert found.values.shape == (2, 1)
    assert np.isnan(found.values).all()


def test_configurations_are_compared_by_rank_and_equality():
    configs = np.array([[1e-4, 0, 5.0], [1e-3, 1, 5.0], [1e-1, 1, 5.0], [np.nan, 0, 5]])
    categorical = np.array([False, True, False])
    outcome = np.array([0.1, 0.2, 0.3, np.nan])
    found = apart(configs, categorical, outcome)
    assert found.shape == (4, 4, CONFIG_FEATURES)
    changed = configs.copy()
    changed[:, 0] = np.log10(configs[:, 0]) * 3
    np.testing.assert_allclose(apart(changed, categorical, outcome), found, atol=1e-12)
    np.testing.assert_allclose(found, np.swapaxes(found, 0, 1), atol=1e-12)
    assert found[0, 1, 0] < found[0, 2, 0]
    assert found[1, 2, 3] == 0.5  # the third dimension says nothing


def test_the_dimension_that_matters_weighs_most():
    rng = np.random.default_rng(1)
    configs = rng.random((30, 6))
    found = apart(configs, np.zeros(6, bool), configs[:, 2])
    rank = np.argsort(np.argsort(configs[:, 2])) / 29
    unlike = np.abs(rank[:, None] - rank[None])
    off = ~np.eye(30, dtype=bool)
    weighted, plain = (
        np.corrcoef(found[..., i][off], unlike[off])[0, 1] for i in (0, 1)
    )
    assert weighted > plain + 0.2


def test_a_checked_configuration_is_plain_whatever_it_was():
    values = {
        "a": np.float32(0.5),
        "b": np.bool_(True),
        "c": np.str_("adam"),
        "d": 10**400,
        "e": float("nan"),
        "f": -np.inf,
        "g": np.int64(3),
    }
    most = np.finfo(float).max
    assert check_config(values, "x") == {
        **{"a": 0.5, "b": True, "c": "adam", "d": most},
        **{"e": None, "f": -most, "g": 3.0},
    }
    with pytest.raises(ValueError, match="got complex"):
        check_config({"a": 1j}, "x")


def test_numpy_and_jax_place_alike_and_an_uncounted_value_lies_between():
    values = np.array([[0.1], [0.4], [0.2], [0.2], [np.nan], [0.3], [9.0]])
    counted = np.array([True, True, True, True, True, False, False])
    found = place(values, counted, np).rank[:, 0]
    np.testing.assert_allclose(found, [0, 1, 0.5, 0.5, 0.5, 5 / 6, 1], atol=1e-12)
    traced = float64(jax.jit(lambda *x: place(*x).rank[:, 0]))(values, counted)
    np.testing.assert_allclose(traced, found)
