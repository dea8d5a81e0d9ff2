"""Priors: one contract run over the registry; drawing, conditioning, loading."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density
from scipy import stats

from lcpfn.priors import (
    PRIORS,
    Prior,
    check_prior,
    draw,
    load_prior,
    observe,
)

STEPS = jnp.arange(1.0, 101.0)
KEY = jax.random.key(7)
COUNT = 1000


def line_model(steps, observed=None):
    slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
    observe(dist.Normal(slope * steps / steps[-1], 0.1), observed)


def impossible_model(steps, observed=None):
    numpyro.factor("accept", -jnp.inf)
    line_model(steps, observed)


def short_model(steps, observed=None):
    numpyro.sample("y", dist.Normal(steps[:-1], 1.0))


def infinite_model(steps, observed=None):
    numpyro.sample("y", dist.Normal(steps / 0, 1.0))


def nameless_model(steps, observed=None):
    numpyro.sample("z", dist.Normal(steps, 1.0))


def taking(share):
    def model(steps, observed=None):
        x = numpyro.sample("x", dist.Uniform(0.0, 1.0))
        numpyro.factor("accept", jnp.where(x < share, 0.0, -jnp.inf))
        line_model(steps, observed)

    return model


@pytest.fixture(scope="module", params=PRIORS.values(), ids=PRIORS)
def drawn(request):
    """A prior and curves of it."""
    prior = request.param
    sample = jax.jit(lambda key: draw(prior, key, COUNT))
    return prior, sample, sample(KEY)


# --- priors


def test_prior_contract(drawn):
    prior, _, draws = drawn
    assert prior.source
    assert draws.accepted.all()
    for field in (draws.y, draws.curve, draws.log_prob):
        assert field.shape == (COUNT, prior.length)
        assert np.isfinite(field).all()
    low, high = prior.bounds
    if prior.hard_bounds:
        assert low is None or (draws.y >= low).all()
        assert high is None or (draws.y <= high).all()
    assert draws.acceptance > 0.01


def test_same_key_same_curves(drawn):
    _, sample, draws = drawn
    again, other = sample(KEY), sample(jax.random.key(8))
    np.testing.assert_array_equal(draws.y, again.y)
    assert (np.asarray(draws.y) != other.y).any(axis=1).all()
    assert len(np.unique(draws.y, axis=0)) == COUNT


def test_an_impossible_prior_ends_and_says_so():
    prior = Prior(impossible_model, name="impossible", length=10)
    draws = jax.jit(lambda key: draw(prior, key, 4))(KEY)
    assert not draws.accepted.any()
    assert float(draws.acceptance) == 0.0


# --- the same function, conditioned


def test_density_of_a_partly_observed_curve_is_that_of_its_observed_points():
    curve = np.full(10, np.nan, np.float32)
    curve[[0, 3, 7]] = 0.2, 0.1, 0.6
    steps = jnp.arange(1.0, 11.0)
    found, _ = log_density(line_model, (steps, curve), {}, {"slope": jnp.float32(0.4)})
    seen = ~np.isnan(curve)
    expected = stats.norm.logpdf(curve[seen], 0.04 * steps[seen], 0.1).sum()
    expected += stats.norm.logpdf(0.4)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_nuts_on_the_same_function_finds_what_was_drawn():
    steps = jnp.arange(1.0, 21.0)
    rng = np.random.default_rng(0)
    curve = 0.7 * np.asarray(steps) / 20 + 0.1 * rng.normal(size=20)
    curve[12:] = np.nan
    curve[3] = np.nan
    mcmc = MCMC(NUTS(line_model), num_warmup=100, num_samples=150, progress_bar=False)
    mcmc.run(KEY, steps, jnp.asarray(curve, jnp.float32))
    slope = np.asarray(mcmc.get_samples()["slope"])
    # Conjugate: the posterior is normal with these moments.
    seen = ~np.isnan(curve)
    x = np.arange(1, 21)[seen] / 20
    precision = 1 + (x**2).sum() / 0.01
    mean = (x * curve[seen]).sum() / 0.01 / precision
    assert slope.mean() == pytest.approx(mean, abs=0.4 / np.sqrt(precision))
    assert slope.std() == pytest.approx(1 / np.sqrt(precision), rel=0.35)
    assert abs(slope.mean() - 0.7) < 4 / np.sqrt(precision)


# --- a user's own prior

USER_FILE = """
import numpyro, numpyro.distributions as dist
from lcpfn.priors import Prior, observe

def mine(steps, observed=None):
    level = numpyro.sample("level", dist.Uniform(0.0, 1.0))
    observe(dist.Normal(level / steps, 0.1), observed)

prior = Prior(mine, name="mine", length=12, mode="max")
number = 3
"""


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "my_priors_of_mine.py"
    path.write_text(USER_FILE)
    return path


def test_load_prior_takes_a_function_of_a_file(user_file):
    prior = load_prior(f"{user_file}:mine")
    assert (prior.length, prior.mode, prior.bounds) == (100, "min", (None, None))
    assert draw(prior, KEY, 2).y.shape == (2, 100)


def test_load_prior_takes_a_prior_object(user_file):
    prior = load_prior(f"{user_file}:prior")
    assert (prior.name, prior.length, prior.mode) == ("mine", 12, "max")


def test_load_prior_takes_a_module(user_file, monkeypatch):
    monkeypatch.syspath_prepend(str(user_file.parent))
    assert load_prior("my_priors_of_mine:mine").name == "my_priors_of_mine:mine"


def test_load_prior_takes_a_module_of_the_working_directory(user_file, monkeypatch):
    monkeypatch.setattr("sys.path", [p for p in __import__("sys").path if p])
    monkeypatch.chdir(user_file.parent)
    assert load_prior("my_priors_of_mine:prior").name == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine", "named module:function or file.py:function, got 'mine'"),
        ("FILE:", "named module:function or file.py:function"),
        ("FILE:other", "has no attribute 'other'"),
        ("FILE:number", "must be a NumPyro model function or a .*Prior, got int"),
        ("no_such_file.py:mine", "there is no file .*no_such_file.py"),
        ("no_such_module_at_all:mine", "no module named 'no_such_module_at_all'"),
    ],
)
def test_load_prior_refuses(user_file, name, message):
    with pytest.raises(ValueError, match=message):
        load_prior(name.replace("FILE", str(user_file)))


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(nameless_model, "p"), 'prior p has no sample site "y"'),
        (Prior(short_model, "p"), r"one value per step, shape \(100,\), got \(99,\)"),
        (Prior(infinite_model, "p"), "no curve of 256 was finite throughout"),
        (Prior(impossible_model, "p"), r"0.0% of 256 candidates .* at least 1% are"),
        (Prior(taking(1e-4), "p"), "loosen its acceptance rule"),
        (Prior(line_model, "p", bounds=(0.0, 1.0)), r"leave the bounds \(0.0, 1.0\)"),
        (Prior(line_model, "p", bounds=(None, 1.0)), "hard_bounds=False"),
    ],
)
def test_check_prior_refuses(prior, message):
    with pytest.raises(ValueError, match=message):
        check_prior(prior)


def test_the_share_of_accepted_candidates_is_told():
    prior = Prior(taking(0.4), "p", length=10)
    assert check_prior(prior) == pytest.approx(0.4, abs=0.1)
    drawn = jax.jit(lambda key: draw(prior, key, COUNT))(KEY)
    assert float(drawn.acceptance) == pytest.approx(0.4, abs=0.05)


def test_soft_bounds_are_only_hints():
    soft = Prior(line_model, "p", bounds=(0.0, 1.0), hard_bounds=False)
    assert check_prior(soft) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "up"}, 'mode must be "min" or "max", got \'up\''),
        ({"length": 1}, "length must be at least 2 steps, got 1"),
    ],
)
def test_prior_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        Prior(line_model, "p", **options)
