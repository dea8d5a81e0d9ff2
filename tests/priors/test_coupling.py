"""Coupled runs: each by itself is a draw of the model, together they share a task."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from scipy.stats import ks_2samp

from lcpfn.priors import observe
from lcpfn.priors.configurations import SearchHabits, draw_configurations, waves
from lcpfn.priors.coupling import Coupled, once_per_run, run_normals, task_normals

STEPS = jnp.arange(1.0, 9.0)
TASKS, RUNS = 400, 3
PLAIN = SearchHabits(*[0.0] * len(SearchHabits._fields))
CONTINUOUS = ("uniform", "normal", "log_normal", "exponential", "half_normal", "two")
DISCRETE = ("bernoulli", "categorical")


def model(steps, observed=None):
    u = numpyro.sample("uniform", dist.Uniform(-1.0, 2.0))
    numpyro.sample("normal", dist.Normal(u, 2.0))
    numpyro.sample("log_normal", dist.LogNormal(0.3, 0.7))
    numpyro.sample("exponential", dist.Exponential(2.0))
    numpyro.sample("half_normal", dist.HalfNormal(2.0))
    numpyro.sample("two", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
    numpyro.sample("bernoulli", dist.Bernoulli(0.3))
    numpyro.sample("categorical", dist.Categorical(jnp.array([0.2, 0.0, 0.5, 0.3])))
    path = numpyro.sample("path", dist.Normal(0, 1).expand(steps.shape).to_event(1))
    observe(dist.Normal(u + path, 0.1), observed)


def values(model, key):
    sites = handlers.trace(handlers.seed(model, key)).get_trace(STEPS)
    return {name: sites[name]["value"] for name in (*CONTINUOUS, *DISCRETE, "path")}


@partial(jax.jit, static_argnames="replicas")
def tasks(key, limits, explained, alike, replicas):
    """Values of all sites of runs of tasks, the last run of the second family."""
    shapes = once_per_run(model, STEPS).shapes

    def one(key):
        keys = jax.random.split(key, 5)
        tried = draw_configurations(keys[0], RUNS, 3, jnp.array(replicas), PLAIN)
        basis = waves(keys[1], tried)
        shared = task_normals(keys[2], shapes, limits, 0.0, explained, alike)

        def run(key, key_noise, basis, family):
            z = run_normals(key, shared, basis, family, shapes)
            return values(Coupled(model, z), key_noise)

        split = [jax.random.split(k, RUNS) for k in keys[3:]]
        return jax.vmap(run)(*split, basis, jnp.arange(RUNS) // (RUNS - 1))

    return jax.vmap(one)(jax.random.split(key, TASKS))


NO_LIMITS = {"uniform": (0.0, 1.0)}
FIXED = {"uniform": (0.0, 0.0)}
OWN = dict.fromkeys(once_per_run(model, STEPS).shapes, (1.0, 1.0))


@pytest.fixture(scope="module")
def coupled():
    return tasks(jax.random.key(0), NO_LIMITS, 0.0, 0.5, False)


def test_sites_with_a_value_per_observation_are_not_coupled():
    sites = once_per_run(model, STEPS)
    assert set(sites.shapes) == {*CONTINUOUS, *DISCRETE}
    assert sites.shapes["two"] == (2,)
    assert not sites.rejects


def test_one_run_of_many_tasks_is_distributed_as_the_model_says(coupled):
    plain = jax.vmap(partial(values, model))(jax.random.split(jax.random.key(1), 4000))
    for run in (0, RUNS - 1):
        for name in CONTINUOUS:
            drawn = np.asarray(coupled[name])[:, run].reshape(TASKS, -1)[:, 0]
            expected = np.asarray(plain[name]).reshape(4000, -1)[:, 0]
            assert ks_2samp(drawn, expected).pvalue > 0.01, name
        for name in DISCRETE:
            drawn = np.bincount(np.asarray(coupled[name])[:, run], minlength=4) / TASKS
            expected = np.bincount(np.asarray(plain[name]), minlength=4) / 4000
            assert np.abs(drawn - expected).max() < 4 * np.sqrt(0.25 / TASKS), name
        assert not np.any(np.asarray(coupled["categorical"]) == 1)


def test_runs_of_a_task_resemble_each_other_and_their_noise_does_not(coupled):
    def correlation(name, run):
        x = np.asarray(coupled[name]).reshape(TASKS, RUNS, -1)[..., 0]
        return np.corrcoef(x[:, 0], x[:, run])[0, 1]

    assert correlation("normal", 1) > 0.35
    # The other family shares less.
    assert correlation("two", 2) < correlation("two", 1)
    assert abs(correlation("path", 1)) < 0.15


def test_what_a_task_fixes_is_equal_in_its_runs():
    found = tasks(jax.random.key(2), FIXED, 0.0, 0.5, False)
    uniform = np.asarray(found["uniform"])
    np.testing.assert_array_equal(uniform, uniform[:, :1].repeat(RUNS, 1))
    assert len(np.unique(uniform)) == TASKS
    assert (np.ptp(found["log_normal"], axis=1) > 0).all()


def test_a_configuration_that_explains_everything_makes_equal_runs():
    same = tasks(jax.random.key(3), OWN, 60.0, 0.5, True)
    other = tasks(jax.random.key(3), OWN, 60.0, 0.5, False)
    for name in (*CONTINUOUS, *DISCRETE):
        assert np.ptp(same[name], axis=1).max() < 1e-4, name
    assert (np.ptp(other["log_normal"], axis=1) > 1e-3).mean() > 0.9
    assert (np.ptp(same["path"], axis=1) > 0).all()


@pytest.mark.parametrize(
    "distribution", [dist.Dirichlet(jnp.ones(3)), dist.Gamma(jnp.ones(3), 1.0)]
)
def test_a_distribution_without_an_inverse_is_refused_by_name(distribution):
    def with_shares(steps, observed=None):
        shares = numpyro.sample("shares", distribution)
        observe(dist.Normal(shares[0], 0.1).expand(steps.shape), observed)

    z = {"shares": (jnp.zeros(3), jnp.full(3, 0.5))}
    coupled = handlers.seed(Coupled(with_shares, z), jax.random.key(0))
    name = type(distribution).__name__
    with pytest.raises(ValueError, match=f"'shares'.*of {name}"):
        coupled(STEPS)
