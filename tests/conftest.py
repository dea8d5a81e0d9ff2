"""A small network with random weights, and what tests compare forecasts with."""

from dataclasses import replace
from pathlib import Path

import hypothesis
import jax
import numpy as np
import pytest

from lcpfn.model import Model
from lcpfn.network import ModelConfig, init

# Promotion of ranks and types stays as it is: flax broadcasts biases and the tokens
# multiply flags with numbers.
jax.config.update("jax_platforms", "cpu")
hypothesis.settings.register_profile(
    "fast",
    max_examples=25,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("fast")

CONFIG = ModelConfig(
    width=32, layers=2, heads=2, hidden=64, head_hidden=32, components=8
)


@pytest.fixture(scope="session")
def params():
    """Weights rough enough that a forecast depends on all of its curve."""
    fresh = jax.jit(init, static_argnums=0)(CONFIG, jax.random.key(0))
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(x.dtype), fresh
    )


@pytest.fixture(scope="session")
def model(params):
    return Model(params, CONFIG, {"metric": {"hard_bounds": True}})


@pytest.fixture(scope="session")
def soft_model(params):
    return Model(params, CONFIG, {"metric": {"hard_bounds": False}})


@pytest.fixture(scope="session")
def asking(model):
    """A model that answers for the best value to come, as rough as `model`."""
    config = replace(model.config, best=True)
    params = jax.jit(init, static_argnums=0)(config, jax.random.key(5))
    rng = np.random.default_rng(2)
    params = jax.tree.map(
        lambda x: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(x.dtype), params
    )
    return Model(params, config, {"metric": {"hard_bounds": True}})


@pytest.fixture
def strict_jax():
    """A NaN inside a compiled function is an error, not a value."""
    with jax.debug_nans(True):
        yield


@pytest.fixture(scope="session")
def curves():
    folder = Path(__file__).parents[2] / "shared" / "curves"
    if not folder.is_dir():
        pytest.skip(f"needs the development curves in {folder}")
    return folder


@pytest.fixture(scope="session")
def same():
    """Asserts that two forecasts agree, up to float32 inside the network."""

    def check(one, two):
        np.testing.assert_array_equal(one.steps, two.steps)
        np.testing.assert_array_equal(one.diverged, two.diverged)
        if not one.steps.size:
            return
        levels = [0.05, 0.25, 0.5, 0.75, 0.95]
        spread = np.nanmax(two.std())
        for ask in (
            lambda f: f.quantile(levels),
            lambda f: f.mean(),
            lambda f: f.std(),
            lambda f: f.final.mean(),
        ):
            left, right = ask(one), ask(two)
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4 * spread)

    return check
