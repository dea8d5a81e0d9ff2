"""LC-PFN's prior is the documented one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import stats

from lcpfn.priors import FAMILIES, LCPFN_PRIOR, draw

STEPS = jnp.arange(1.0, 101.0)
KEY = jax.random.key(7)
COUNT = 1000
DOCUMENTED = {
    "pow3_c": stats.uniform(0, 1.25),
    "pow3_a": stats.uniform(-0.6, 1.2),
    "pow3_alpha": stats.lognorm(2.0, scale=1.0),
    "ilog2_c": stats.uniform(0, 1),
    "ilog2_a": stats.uniform(-0.5, 1.0),
    "janoschek_a": stats.uniform(0, 1),
    "janoschek_b": stats.uniform(0, 2),
    "janoschek_k": stats.lognorm(1.0, scale=np.exp(-2.0)),
    "janoschek_d": stats.lognorm(0.5, scale=1.0),
    "pow3_weight": stats.uniform(0, 1),
    "ilog2_weight": stats.uniform(0, 1),
    "janoschek_weight": stats.uniform(0, 1),
    "log_sigma": stats.norm(-4, 1),
}


@pytest.fixture(scope="module")
def lcpfn_draws():
    return jax.jit(lambda key: draw(LCPFN_PRIOR, key, COUNT))(KEY)


def test_lcpfn_prior_accepts_rising_curves_in_the_unit_interval(lcpfn_draws):
    curve = np.asarray(lcpfn_draws.curve)
    assert (curve[:, -1] > curve[:, 0]).all()
    assert ((curve >= 0) & (curve <= 1)).all()
    assert float(lcpfn_draws.acceptance) == pytest.approx(0.2, abs=0.03)


def test_lcpfn_noise_is_log_normal_around_the_curve(lcpfn_draws):
    rest = np.asarray(lcpfn_draws.y - lcpfn_draws.curve, float)
    sigma = rest.std(axis=1)
    # The spread of 100 records gives log sigma with an error of about 0.07.
    log_sigma = np.log(sigma)
    assert log_sigma.mean() == pytest.approx(-4.0, abs=4 / np.sqrt(COUNT))
    assert log_sigma.std() == pytest.approx(1.0, abs=0.08)
    assert stats.kstest(log_sigma, stats.norm(-4.0, 1.0025).cdf).pvalue > 1e-3
    outside = (np.asarray(lcpfn_draws.y) < 0) | (np.asarray(lcpfn_draws.y) > 1)
    assert outside.any(axis=1).mean() == pytest.approx(0.1, abs=0.08)


def test_log_prob_of_a_draw_is_that_of_its_noise(lcpfn_draws):
    rest = np.asarray(lcpfn_draws.y - lcpfn_draws.curve, float)
    sigma = np.exp(-4.0 + 0 * rest[:, :1])
    # log_prob = -rest^2 / (2 sigma^2) - log sigma - log(2 pi) / 2: two records of a
    # curve give sigma, and every other record must agree with it.
    first, second = rest[:, :1] ** 2, rest[:, 1:2] ** 2
    log_prob = np.asarray(lcpfn_draws.log_prob, float)
    far = np.abs(first - second)[:, 0] > 0.1 * sigma[:, 0] ** 2
    precision = -2 * (log_prob[:, :1] - log_prob[:, 1:2]) / (first - second)
    expected = stats.norm.logpdf(rest, scale=1 / np.sqrt(np.abs(precision)))
    close = np.isclose(log_prob, expected, atol=0.05).all(axis=1)
    assert far.sum() > COUNT / 4
    assert close[far].mean() > 0.95


def test_lcpfn_parameters_follow_the_documented_priors():
    def candidate(key):
        seeded = handlers.seed(LCPFN_PRIOR.model, key)
        sites = handlers.trace(seeded).get_trace(STEPS)
        return {name: sites[name]["value"] for name in DOCUMENTED}

    values = jax.jit(jax.vmap(candidate))(jax.random.split(KEY, 4000))
    for name, documented in DOCUMENTED.items():
        assert stats.kstest(values[name], documented.cdf).pvalue > 1e-4, name


def test_density_of_the_lcpfn_prior_is_that_of_its_parts():
    def model(steps, observed):
        return LCPFN_PRIOR.model(steps, observed)

    values = {
        name: jnp.float32(0.5 if name != "pow3_a" else 0.3) for name in DOCUMENTED
    } | {"log_sigma": jnp.float32(-3.0), "janoschek_b": jnp.float32(0.2)}
    curve = sum(
        values[f"{name}_weight"]
        * FAMILIES[name].value(
            STEPS, **{p: values[f"{name}_{p}"] for p in FAMILIES[name].parameters}
        )
        for name in ("pow3", "ilog2", "janoschek")
    )
    observed = np.where(np.arange(100) < 5, 0.4, np.nan).astype(np.float32)
    found, _ = log_density(model, (STEPS, observed), {}, values)
    expected = stats.norm.logpdf(0.4, np.asarray(curve)[:5], np.exp(-3.0)).sum()
    expected += sum(d.logpdf(float(values[name])) for name, d in DOCUMENTED.items())
    assert float(found) == pytest.approx(expected, rel=1e-4)
    for name in ("pow3_c", "ilog2_c", "pow3_weight", "ilog2_weight"):
        values[name] = jnp.float32(0.99)  # the curve leaves [0, 1]
    assert float(log_density(model, (STEPS, observed), {}, values)[0]) == -np.inf
