"""Tasks of searches: who sees whom, up to where, and what is asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.config import ModelConfig
from lcpfn.hyperparameters import CONFIG_FEATURES
from lcpfn.priors import BROAD_PRIOR, LCPFN_PRIOR, SCHEDULED_PRIOR, broad
from lcpfn.train.config import TrainConfig
from lcpfn.train.crps import crps
from lcpfn.train.search_source import searches_of
from lcpfn.train.search_tasks import Searches, make_search_tasks
from lcpfn.train.step import forecasts, gradients, log_probs
from tests.conftest import rough_params

pytestmark = pytest.mark.usefixtures("strict_jax")
S, R, T, P, C, Q = 2, 5, 16, 3, 6, 2
CONFIG = ModelConfig(
    *(32, 2, 2, 64, 32, 8),
    others=16,
    best=True,
)
KEY = jax.random.key(3)


def searches(**changes):
    rng = np.random.default_rng(0)
    length = np.array([[16, 16, 10, 16, 7], [16, 12, 16, 16, 16]])
    steps = np.minimum(np.arange(1.0, T + 1), length[..., None])
    y = 0.2 + rng.random((S, R, 1)) * steps ** -rng.random((S, R, 1))
    made = Searches(
        y=y,
        steps=steps,
        length=length,
        low=np.zeros(S),
        high=np.full(S, np.inf),
        config=rng.random((S, R, P)),
        categorical=np.zeros((S, P), bool),
        seen=np.array([[16, 8, 0, 3, 7], [0, 0, 0, 16, 0]]),
        weight=np.ones((S, R)),
    )
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float32 if x.dtype == float else None),
        made._replace(**changes),
    )


@pytest.fixture(scope="module")
def make():
    return jax.jit(lambda drawn: make_search_tasks(KEY, drawn, C, Q))


@pytest.fixture(scope="module")
def params():
    return rough_params(CONFIG, key=1, seed=2)


@pytest.fixture(scope="module")
def score(params):
    return jax.jit(lambda tasks: log_probs(CONFIG, params, tasks))


def test_runs_of_the_broad_prior_share_its_sites_whatever_its_effects():
    for prior in (BROAD_PRIOR, SCHEDULED_PRIOR):
        found = searches_of(prior)
        assert found.prior is prior
        assert (found.fixed, found.usual) == (broad.FIXED, broad.USUAL)
    assert not searches_of(LCPFN_PRIOR).fixed


def test_shapes_and_weights(make):
    tasks = make(searches())
    assert tasks.query.shape[:4] == (S, R, 1 + C, 1 + Q)
    assert tasks.pairs.features.shape[:5] == (S, R, 1 + C, 1 + Q, R)
    assert (tasks.cutoff[..., 0] == -1).all()
    for leaf in jax.tree.leaves(tasks):
        assert np.isfinite(np.asarray(leaf, float)).all()
    # Of a search with one run in context that run alone has nobody to look at.
    alone = np.asarray(tasks.weight[1, :, 0])
    np.testing.assert_array_equal(alone, [1, 1, 1, 0, 1])
    assert set(np.unique(tasks.weight)) == {0, 1}


def test_no_run_sees_itself_or_one_that_is_no_context(make):
    mask = np.asarray(make(searches()).mask)
    assert not np.diagonal(mask, axis1=1, axis2=2).any()
    assert mask[0, 0].tolist() == [False, True, False, True, True]
    assert mask[1].sum() == 4


def test_what_is_not_known_of_the_others_changes_nothing(make, score):
    before, drawn = make(searches()), searches()
    hidden = np.arange(T) >= np.asarray(drawn.seen)[..., None]
    hidden[:, 2:] = False  # runs that are asked about keep their truth
    changed = make(drawn._replace(y=jnp.where(hidden, drawn.y + 3, drawn.y)))
    one, two = score(before), score(changed)
    np.testing.assert_allclose(one[0, 2:], two[0, 2:], rtol=1e-4, atol=1e-4)
    assert np.abs(one - two)[0, 1].max() > 1e-2


def test_the_truth_is_what_comes(make):
    drawn = searches()
    tasks = make(drawn)
    scale = np.exp(np.asarray(tasks.log_scale))
    for s, r in ((0, 0), (1, 1)):
        length = int(drawn.length[s, r])
        end, best = (np.asarray(tasks.truth)[s, r, :, q] * scale[s, r] for q in (0, -1))
        y = np.asarray(drawn.y)[s, r, :length]
        newest = np.asarray(tasks.cutoff)[s, r]
        counts = np.asarray(tasks.weight)[s, r] > 0
        ahead = np.array([y[i + 1 :].min(initial=np.inf) for i in newest])
        np.testing.assert_allclose(
            (end - best)[counts], (y[-1] - ahead)[counts], atol=1e-4
        )


def off(params, tasks):
    return crps(forecasts(CONFIG, params, tasks), tasks.truth)


def test_gradients_reach_what_reads_the_others(make, params, score):
    config = TrainConfig(model=CONFIG, searches=0.5, crps=0.5)
    tasks = make(searches())
    loss, grads = jax.jit(lambda p, t: gradients(config, p, t))(params, tasks)
    # A half of the CRPS beside the negative log-density.
    each = -score(tasks) + 0.5 * jax.jit(off)(params, tasks)
    weighted = jnp.sum(each.mean(-1) * tasks.weight) / jnp.sum(tasks.weight)
    np.testing.assert_allclose(loss, weighted, rtol=1e-5)
    sizes = jax.tree.map(lambda x: float(jnp.abs(x).max()), grads)
    assert sizes["unseen"] > 0
    assert min(jax.tree.leaves(sizes["others"])) > 0


def test_runs_tell_what_matters_by_steps_as_they_do_at_inference(make):
    """Half of the observations may be a small part of the way."""
    drawn = searches(
        seen=jnp.array([[16, 8, 16, 16, 16], [0, 0, 0, 16, 0]]),
        length=jnp.full((S, R), T),
        steps=jnp.broadcast_to(jnp.arange(1.0, T + 1) ** 3, (S, R, T)),
    )

    def distances(run, value):
        moved = drawn._replace(y=drawn.y.at[0, run].set(value))
        return make(moved).pairs.features[0, 0, ..., -CONFIG_FEATURES:]

    np.testing.assert_array_equal(distances(1, 9.0), distances(1, -9.0))
    assert np.any(distances(2, 9.0) != distances(2, -9.0))
