"""How tests compile, small networks with random weights, how forecasts are compared.

Most of the time of a test is XLA's. So it optimises little: tests run small programs
once. What is compiled is kept for later runs and for the processes that tests start.
Both are told through the environment, which those processes inherit; a variable that is
set already stays: with an empty XLA_FLAGS tests compile as users do.
"""

import os
from dataclasses import replace
from pathlib import Path

import hypothesis
import jax
import numpy as np
import pytest

import lcpfn
from lcpfn import checkpoint
from lcpfn.config import ModelConfig
from lcpfn.model import Model
from lcpfn.network import init
from tests.makers import cheap_step

ROOT = Path(__file__).parents[1]
COMPILATION = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
}
os.environ |= COMPILATION | os.environ
# This process has imported JAX already; XLA starts later.
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update(
    "jax_persistent_cache_min_compile_time_secs",
    float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]),
)

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


def rough_params(config, key, seed):
    """Weights rough enough that a forecast depends on all of its curve."""
    fresh = jax.jit(init, static_argnums=0)(config, jax.random.key(key))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(x.dtype), fresh
    )


@pytest.fixture(scope="session")
def params():
    return rough_params(CONFIG, key=0, seed=1)


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
    params = rough_params(config, key=5, seed=2)
    return Model(params, config, {"metric": {"hard_bounds": True}})


@pytest.fixture(scope="session")
def planning(asking):
    """A model that knows plans, as rough as `asking`."""
    config = replace(asking.config, plan=16, plan_from=0.4)
    return Model(rough_params(config, key=6, seed=3), config, asking.card)


@pytest.fixture(scope="session")
def knowing():
    """A model that knows other runs; its metric is not told to have hard bounds."""
    config = replace(CONFIG, best=True, others=16)
    return Model(rough_params(config, 0, 0), config, {})


@pytest.fixture(scope="session")
def default():
    """The model that ships."""
    return lcpfn.load("default")


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    """Path of a checkpoint of the small model; for reading only."""
    path = tmp_path_factory.mktemp("checkpoints") / "small"
    checkpoint.save(path, model.params, model.config, model.card)
    return path


@pytest.fixture
def cheap(monkeypatch):
    """Training takes no time: the loop is the real one, its steps are not."""
    monkeypatch.setattr("lcpfn.train.fit.train_step", cheap_step())
    monkeypatch.setattr(
        "lcpfn.train.fit.validation", lambda *_: lambda params: {"gap_10": 0.5}
    )


@pytest.fixture
def strict_jax():
    """A NaN inside a compiled function is an error, not a value."""
    with jax.debug_nans(True):
        yield


@pytest.fixture(scope="session")
def curves():
    folder = ROOT.parent / "shared" / "curves"
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
