"""Searches drawn from any prior of curves, a user's own too."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import ks_2samp

from lcpfn.priors import BROAD_PRIOR, Prior, observe
from lcpfn.priors.configurations import SearchHabits
from lcpfn.priors.search_effects import SearchEffects
from lcpfn.priors.searches import BROAD_SEARCHES, Search, SearchPrior, draw_search

RUNS, SEARCHES, LENGTH = 8, 200, 12
PLAIN = SearchHabits(*[0.0] * len(SearchHabits._fields))
OFF = dict.fromkeys({*SearchEffects._fields} - {"unlike", "habits"}, 0.0)
QUIET = SearchEffects(**OFF, unlike=(-2.0, 1.5), habits=PLAIN)


def own_model(steps, observed=None):
    floor = numpyro.sample("floor", dist.Uniform(0.0, 0.5))
    rate = numpyro.sample("rate", dist.LogNormal(0.0, 0.5))
    curve = numpyro.deterministic("curve", floor + 0.4 * steps**-rate)
    y = observe(dist.Normal(curve, 0.002), observed)
    numpyro.deterministic("recorded", jnp.clip(y, 0.0, 1.0))
    return curve


def choosy_model(steps, observed=None):
    curve = own_model(steps, observed)
    numpyro.factor("accept", jnp.where(curve[-1] < 0.7 * curve[0], 0.0, -jnp.inf))


OWN = SearchPrior(Prior(own_model, name="own", length=LENGTH, bounds=(0, 1)))
CHOOSY = replace(OWN.prior, model=choosy_model)


@pytest.fixture(scope="module")
def searches():
    """Searches by what differs from the quiet prior; arrays of NumPy."""

    # Effects are numbers like any others: searches of all of them compile once.
    @partial(jax.jit, static_argnums=0)
    def draw(prior, elsewhere, effects, key):
        changed = replace(prior, effects=effects)
        keys = jax.random.split(key, SEARCHES)
        return jax.vmap(lambda k: draw_search(changed, k, RUNS, elsewhere))(keys)

    def numbers(seed=0, effects=QUIET, elsewhere=False, **changed):
        prior = replace(OWN, **changed)
        found = draw(prior, elsewhere, effects, jax.random.key(seed))
        return jax.tree.map(np.asarray, found)

    return numbers


EVERYTHING = QUIET._replace(
    level=1.0,
    uneven=0.5,
    before=0.5,
    diverging=1.0,
    families=0.5,
    habits=SearchHabits(),
)


@pytest.fixture(scope="module")
def everything(searches):
    return searches(effects=EVERYTHING)


def test_shapes_and_ranges_of_a_batch(everything):
    batch, runs = (SEARCHES,), (SEARCHES, RUNS)
    shapes = jax.tree.map(np.shape, everything)
    curves = (*runs, LENGTH)
    assert shapes == Search(
        *(curves, curves, runs, runs, batch, batch, (*runs, 12), (SEARCHES, 12)),
        *(runs, runs, runs),
    )
    assert np.isfinite(everything.y).all()
    assert (everything.y >= 0).all()
    assert (everything.y <= 1).all()
    assert (everything.low == 0).all()
    assert (everything.high == 1).all()
    assert set(np.unique(everything.family)) == {0, 1}
    assert everything.accepted.all()


def test_runs_obey_the_acceptance_rule(searches):
    found = searches(prior=CHOOSY)
    fell = found.y[..., -1] < 0.75 * found.y[..., 0]
    assert found.accepted.mean() > 0.97
    assert fell[found.accepted].all()


def test_the_same_key_gives_the_same_search_and_another_one_another(searches):
    one, again, other = searches(0), searches(0), searches(1)
    np.testing.assert_array_equal(one.y, again.y)
    assert (one.y != other.y).any(axis=(1, 2)).all()
    assert len(np.unique(one.y.reshape(SEARCHES * RUNS, -1), axis=0)) == one.length.size


def test_runs_have_no_order(everything):
    for at in (0, LENGTH // 2, LENGTH - 1):
        first, last = everything.y[:, 0, at], everything.y[:, -1, at]
        assert ks_2samp(first, last).pvalue > 0.01
    assert ks_2samp(everything.finite[:, 0], everything.finite[:, -1]).pvalue > 0.01


def test_what_is_fixed_does_not_differ_between_runs(searches):
    both = searches(fixed=("floor", "rate"))
    assert np.ptp(both.y, axis=1).max() < 0.03
    assert np.ptp(both.y.mean(1), axis=0).max() > 0.3
    usual = searches(usual=("floor", "rate"))
    np.testing.assert_array_equal(usual.y, both.y)
    exceptions = QUIET._replace(exceptions=1.0)
    differ = searches(usual=("floor", "rate"), effects=exceptions)
    assert (np.ptp(differ.y, axis=1).max(1) > 0.05).mean() > 0.7


def test_another_task_of_the_kind_has_what_is_fixed_and_nothing_else(searches):
    here, there = (searches(fixed=("floor",), elsewhere=x) for x in (False, True))
    equal = np.nan_to_num(there.config, nan=-1) == np.nan_to_num(here.config, nan=-1)
    assert equal.all()
    starts, ends = (
        np.stack([s.y[..., at].mean(1) for s in (here, there)]) for at in (0, -1)
    )
    assert np.abs(np.corrcoef(starts - ends)[0, 1]) < 0.2
    assert np.corrcoef(starts)[0, 1] > 0.9


def test_a_repeated_configuration_is_another_run(searches):
    found = searches(effects=QUIET._replace(habits=PLAIN._replace(repeats=1.0)))
    shown = np.nan_to_num(found.config)
    same = (shown[:, :, None] == shown[:, None]).all(-1) & ~np.eye(RUNS, dtype=bool)
    gap = np.abs(found.y[:, :, None, -1] - found.y[:, None, :, -1])
    assert same.any(axis=(1, 2)).mean() > 0.8
    assert (gap[same] > 0).all()
    assert gap[same].mean() < 0.8 * gap[~same & ~np.eye(RUNS, dtype=bool)].mean()


def test_replicas_differ_little(searches):
    seeds = searches(effects=QUIET._replace(replicas=1.0))
    plain = searches()
    spread = [np.median(np.ptp(s.y[..., -1], axis=1)) for s in (seeds, plain)]
    assert spread[0] < 0.3 * spread[1]


def test_runs_begin_at_one_level_and_end_at_different_ones(searches):
    found = searches(effects=QUIET._replace(level=1.0))
    start = found.y[:, :, 0]
    np.testing.assert_allclose(start, start[:, :1].repeat(RUNS, 1), atol=1e-6)
    assert np.median(np.ptp(found.y[:, :, -1], axis=1)) > 0.02
    before = searches(effects=QUIET._replace(level=1.0, before=1.0))
    assert (np.ptp(before.y[:, :, 0], axis=1) > 0.003).mean() > 0.9


def test_uneven_starts_are_soon_forgotten(searches):
    found = searches(effects=QUIET._replace(level=1.0))
    uneven = searches(effects=QUIET._replace(level=1.0, uneven=1.0))
    scatter = np.abs(uneven.y - found.y).mean((0, 1))
    assert (np.ptp(uneven.y[:, :, 0], axis=1) > 0).all()
    assert scatter[-1] < 0.05 * scatter[0]


def test_some_runs_diverge(searches):
    plain = searches()
    found = searches(effects=QUIET._replace(diverging=1.0))
    assert not plain.diverged.any()
    assert (plain.finite == LENGTH).all()
    assert 0.1 < found.diverged.mean() < 0.5
    np.testing.assert_array_equal(found.y[~found.diverged], plain.y[~found.diverged])
    ended = found.finite < LENGTH
    assert found.diverged[ended].all()
    assert ended.any()
    worse = found.y[..., -1] >= plain.y[..., -1]
    assert worse[found.diverged & ~ended].all()


def test_names_that_are_no_sites_are_refused():
    said = r"own has no sites \['flor'\] that .* it has \['floor', 'rate'\]"
    with pytest.raises(ValueError, match=said):
        draw_search(replace(OWN, fixed=("flor",)), jax.random.key(0), 4)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="dims must be at least 1"):
        replace(OWN, dims=0)
    with pytest.raises(ValueError, match=r"level must be in \[0, 1\], got 2"):
        replace(OWN, effects=SearchEffects(level=2))


def test_searches_of_the_broad_prior():
    short = replace(BROAD_PRIOR, length=16, shortest=12)
    prior = replace(BROAD_SEARCHES, prior=short)
    draw = jax.jit(jax.vmap(lambda key: draw_search(prior, key, 6)))
    found = jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(0), 64)))
    assert found.accepted.all()
    assert np.isfinite(found.y).all()
    assert (found.y >= found.low[:, None, None]).all()
    assert (found.y <= found.high[:, None, None]).all()
    one_length = np.ptp(found.length, axis=1) == 0
    assert 0.7 < one_length.mean() <= 1
    # Of a task without bounds no run has any.
    assert 0.2 < np.isinf(found.low).mean() < 0.6
