"""MCMC: known parameters, closed forms, calibration, exact inference, bad chains."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from lcpfn.eval.exact.importance import exact_log_prob, noiseless_bank
from lcpfn.eval.exact.mcmc import STARTS, Settings, Target, energy, make_bank
from lcpfn.eval.exact.posterior import diagnose, sample, unconverged
from lcpfn.priors import LCPFN_PRIOR, Prior, draw, observe

# Chains compute more than they compile, and their errors are known for programs that
# are compiled as users compile them.
pytestmark = pytest.mark.slow
WALKERS = Settings("ensemble", chains=40, warmup=200, samples=400, thin=4)
SHORT_NUTS = Settings("nuts", chains=2, warmup=150, samples=150, depth=5)
NOISE = 0.1


def line_model(steps, observed=None):
    """Linear and Gaussian: the posterior is known."""
    level = numpyro.sample("level", dist.Normal(0.0, 1.0))
    slope = numpyro.sample("slope", dist.Normal(0.0, 0.2))
    curve = numpyro.deterministic("curve", level + slope * (steps - 1))
    observe(dist.Normal(curve, NOISE), observed)


def rising_model(steps, observed=None):
    """The same with an acceptance rule."""
    slope = numpyro.sample("slope", dist.Normal(0.0, 0.2))
    numpyro.factor("accept", jnp.where(slope > 0, 0.0, -jnp.inf))
    observe(dist.Normal(slope * (steps - 1), NOISE), observed)


LINE = Prior(line_model, "line", length=8)
RISING = Prior(rising_model, "rising", length=8)


def closed_form(y, cutoff):
    """Mean and covariance of (level, slope), and log-density of the later records."""
    x = np.stack([np.ones(8), np.arange(8.0)], axis=1)
    seen = x[:cutoff]
    covariance = np.linalg.inv(seen.T @ seen / NOISE**2 + np.diag([1, 25.0]))
    mean = covariance @ seen.T @ y[:cutoff] / NOISE**2
    later = x[cutoff:]
    std = np.sqrt(np.einsum("ti,ij,tj->t", later, covariance, later) + NOISE**2)
    return mean, covariance, stats.norm.logpdf(y[cutoff:], later @ mean, std)


def sampled(prior, settings, n, cutoff, seed=0):
    """Curves of the prior, and their posteriors."""
    keys = jax.random.split(jax.random.key(seed), 3)
    drawn = draw(prior, keys[0], n)
    bank = make_bank(prior, keys[1], 2000)
    keys = jax.random.split(keys[2], n)
    return drawn, sample(prior, settings, bank, keys, drawn.y, cutoff)


@pytest.fixture(scope="module", params=[WALKERS, SHORT_NUTS], ids=lambda s: s.sampler)
def lines(request):
    drawn, found = sampled(LINE, request.param, n=96, cutoff=4)
    return drawn._replace(y=np.asarray(drawn.y, float)), found


def test_the_posterior_of_a_line_is_the_closed_form(lines):
    drawn, found = lines
    y = drawn.y
    for i in range(8):
        mean, covariance, _ = closed_form(y[i], 4)
        for j, name in enumerate(("level", "slope")):
            samples = np.asarray(found.latents[name][i]).ravel()
            spread = np.sqrt(covariance[j, j])
            assert samples.mean() == pytest.approx(mean[j], abs=0.25 * spread)
            assert samples.std() == pytest.approx(spread, rel=0.25)


def test_the_predictive_density_of_a_line_is_the_closed_form(lines):
    drawn, found = lines
    y = drawn.y
    exact = np.stack([closed_form(curve, 4)[2] for curve in y])
    off = np.asarray(found.log_prob)[:, 4:] - exact
    assert abs(off.mean()) < 0.02
    assert np.abs(off).max() < 0.6


def ends(found):
    """Samples of the noiseless last value `(n, kept * chains)`."""
    watched = np.asarray(found.watched)
    return watched[..., -2].reshape(len(watched), -1)


def test_known_parameters_are_recovered(lines):
    drawn, found = lines
    truth = np.asarray(drawn.curve)[:, -1]
    off = (ends(found).mean(1) - truth) / ends(found).std(1)
    assert np.abs(off).max() < 4
    assert off.std() == pytest.approx(1, abs=0.25)
    rhat, effective = diagnose(found.watched)
    assert np.median(rhat) < 1.1
    assert np.median(effective) > 50


def uniform(rank):
    counts, _ = np.histogram(rank, bins=8, range=(0, 1))
    return stats.chisquare(counts).pvalue, stats.kstest(rank, "uniform").pvalue


def test_simulation_based_calibration(lines):
    """Ranks of the truth among samples of its posterior are uniform.

    Talts et al. 2018 (1804.06788).
    """
    drawn, found = lines
    truth, end = np.asarray(drawn.curve)[:, -1:], ends(found)
    assert min(uniform((end < truth).mean(1))) > 0.01
    center = end.mean(1, keepdims=True)
    assert max(uniform((center + (end - center) / 3 < truth).mean(1))) < 0.01


@pytest.mark.parametrize("settings", [WALKERS, SHORT_NUTS], ids=lambda s: s.sampler)
def test_the_acceptance_rule_truncates_the_posterior(settings):
    drawn, found = sampled(RISING, settings, n=256, cutoff=2)
    slope = np.asarray(found.latents["slope"]).reshape(256, -1)
    assert slope.min() > 0
    x = np.arange(2.0)
    precision = x @ x / NOISE**2 + 25
    mean = np.asarray(drawn.y, float)[:, :2] @ x / NOISE**2 / precision
    std = precision**-0.5
    exact = stats.truncnorm(-mean / std, np.inf, mean, std)
    np.testing.assert_allclose(slope.mean(1), exact.mean(), atol=0.4 * std)
    truth = np.asarray(drawn.curve)[:, -1:] / 7
    assert min(uniform((slope < truth).mean(1))) > 0.01


def test_starts_are_accepted_draws():
    bank = make_bank(LCPFN_PRIOR, jax.random.key(0), 2000)
    count = len(bank["log_sigma"])
    assert 0.15 < count / 2000 < 0.27
    target = Target(LCPFN_PRIOR.model, LCPFN_PRIOR.steps, jnp.full(100, jnp.nan))
    found = jax.vmap(lambda z: energy(target, z))(bank)
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match=f"{STARTS} are needed"):
        make_bank(LCPFN_PRIOR, jax.random.key(0), 200)


def test_parameters_that_the_rule_rejects_have_no_density():
    rejected = {"slope": jnp.array(-0.1)}
    target = Target(rising_model, RISING.steps, jnp.full(8, jnp.nan))
    assert energy(target, rejected) == np.inf
    assert np.isfinite(energy(target, {"slope": jnp.array(0.1)}))


def test_chains_that_disagree_are_named():
    rng = np.random.default_rng(0)
    watched = rng.normal(size=(4, 200, 4, 2))
    watched[1, :, 0, 1] += 3  # one chain elsewhere
    watched[2] = watched[2, :1]  # chains that stay where they are
    rhat, effective = diagnose(watched)
    assert unconverged(rhat) == [1, 2]
    assert effective[1] < 50 < effective[0]


def test_the_ensemble_is_exact_inference_on_a_short_prefix():
    cutoff, n = 5, 64
    settings = Settings("ensemble", chains=100, warmup=500, samples=2000, thin=10)
    keys = jax.random.split(jax.random.key(4), 4)
    y = draw(LCPFN_PRIOR, keys[0], n).y
    noiseless = noiseless_bank(keys[1], 200_000)
    exact, effective = zip(
        *(exact_log_prob(noiseless, curve, cutoff) for curve in y), strict=True
    )
    # Only where so many curves of the bank matter is it exact to a hundredth.
    fine = np.flatnonzero(np.array(effective) > 3000)
    assert len(fine) >= 8
    bank = make_bank(LCPFN_PRIOR, keys[2], 2**15)
    keys = jax.random.split(keys[3], len(fine))
    found = sample(LCPFN_PRIOR, settings, bank, keys, y[fine], cutoff)
    ensemble = np.asarray(found.log_prob)[:, cutoff:].mean(1)
    off = ensemble - np.stack(exact)[fine].mean(1)
    # Walkers may miss a mode, so single curves may be off.
    assert np.median(np.abs(off)) < 0.02
    assert np.abs(off).mean() < 0.06
