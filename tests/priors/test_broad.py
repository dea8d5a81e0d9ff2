"""The broad prior: every effect does what it says, and its members can be inferred."""

import re
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density

from lcpfn.priors import BROAD_PRIOR, Effects, broad_prior, draw, noise, shapes
from lcpfn.priors.broad import broad_model, member
from lcpfn.priors.step_grids import ragged
from lcpfn.train.config import TrainConfig
from lcpfn.train.data import make_feeds

KEY = jax.random.key(3)
U = jnp.linspace(0.0, 1.0, 101)
NAMES = [field.name for field in fields(Effects)]
NONE = Effects(**{field.name: 0.0 for field in fields(Effects)})


def run(function, *args, **sites):
    """An effect with some of its parameters given."""
    given = handlers.substitute(handlers.seed(function, KEY), data=sites)
    return given(*args)


@pytest.fixture(scope="module")
def drawn():
    return jax.jit(lambda key: draw(BROAD_PRIOR, key, 512, oversample=1))(KEY)


def test_all_curves_are_finite_inside_their_bounds_and_accepted(drawn):
    assert bool(drawn.accepted.all())
    y = np.asarray(drawn.y)
    assert np.isfinite(y).all()
    assert (y >= np.asarray(drawn.low)[:, None]).all()
    assert (y <= np.asarray(drawn.high)[:, None]).all()


def test_curves_have_all_kinds_of_bounds_and_lengths(drawn):
    low, high = np.isfinite(drawn.low), np.isfinite(drawn.high)
    for both in ((True, True), (True, False), (False, False)):
        assert ((low == both[0]) & (high == both[1])).mean() > 0.1
    assert drawn.length.min() < 24
    assert drawn.length.max() > 110


def test_steps_increase_and_stand_still_behind_the_end():
    for seed in range(40):
        steps, count = ragged(jax.random.key(seed), 8, 64)
        gaps = np.diff(steps)
        assert (gaps[: count - 1] > 0).all()
        assert (gaps[count - 1 :] == 0).all()
        assert float(steps[0]) >= 0


def test_without_effects_a_curve_is_a_decay_and_white_noise():
    prior = replace(broad_prior(NONE), axis=None)
    draws = jax.jit(lambda key: draw(prior, key, 256, oversample=1))(KEY)
    curve = np.asarray(draws.curve)
    assert (np.diff(curve, axis=1) <= 1e-5 * np.abs(curve).max()).all()
    assert np.isinf(draws.low).all()


@pytest.fixture(scope="module")
def switched():
    """Curves of the same keys with each effect forced on and off: compiled once."""

    @jax.jit
    def curves(switches):
        given = {f"has_{name}": on for name, on in zip(NAMES, switches, strict=True)}

        def values(key):
            model = handlers.substitute(handlers.seed(broad_model, key), data=given)
            sites = handlers.trace(model).get_trace(jnp.arange(1.0, 65.0))
            return jnp.stack([sites[name]["value"] for name in ("low", "high")]), sites[
                "recorded"
            ]["value"]

        return jax.vmap(values)(jax.random.split(KEY, 64))

    return curves


@pytest.mark.parametrize("name", NAMES)
def test_every_effect_changes_curves(switched, name):
    # Heat needs a schedule to be seen, and a flat curve shows little else.
    typical = np.array([other in ("known", "schedule") for other in NAMES], int)
    at = NAMES.index(name)
    on, off = typical.copy(), typical.copy()
    on[at], off[at] = 1, 0
    changed = [
        np.any(np.asarray(a != b), axis=tuple(range(1, a.ndim)))
        for a, b in zip(switched(on), switched(off), strict=True)
    ]
    assert np.logical_or.reduce(changed).mean() > 0.4


def test_effects_refuse_what_is_no_probability():
    with pytest.raises(ValueError, match=re.escape("bump must be in [0, 1], got 2")):
        Effects(bump=2)


# --- shapes


def test_decay_falls_from_one():
    y = run(shapes.decay, U)
    assert y[0] == pytest.approx(1, abs=2e-3)
    assert (np.diff(y) <= 1e-6).all()
    assert y[-1] > -1e-6


@pytest.mark.parametrize("kind", range(1, len(shapes.SCHEDULES)))
def test_schedules_stay_between_their_floor_and_their_peak(kind):
    rate = run(shapes.learning_rate, U, schedule=kind, final_rate=-3.0)
    assert float(rate.max()) == pytest.approx(1, abs=0.02)
    assert float(rate.min()) >= 0.999e-3
    name = shapes.SCHEDULES[kind]
    if name != "restarts":
        assert (np.diff(rate) <= 1e-6).all()
    if name in ("cosine", "linear", "late"):
        assert float(rate[-1]) == pytest.approx(1e-3)


def test_warm_up_rises_to_one():
    rate = run(shapes.warm_up, U, warm_up_until=-1.0)
    assert (np.diff(rate) >= 0).all()
    assert (rate[11:] == 1).all()


def test_a_break_can_run_backwards():
    s = run(shapes.breaking, U, **{"break": 0.5, "break_pace": 3.0})
    np.testing.assert_allclose(s[:51], U[:51], atol=1e-6)
    assert s[60] == pytest.approx(0.5 - 2 * 0.1, abs=1e-5)


def test_onset_delays_and_then_lets_go():
    s = run(shapes.onset, U, onset=-0.3, onset_power=6.0)
    assert s[20] < 0.01
    assert s[-1] > 0.9
    assert (np.diff(s) >= 0).all()


def test_collapse_starts_where_it_starts():
    y = run(shapes.collapse, U, collapse=0.35, collapse_size=0.0, recovery=1.0)
    assert (y[:35] == 0).all()
    assert y[36] == pytest.approx(1, abs=0.01)


# --- noise and recording


def test_recursion_is_the_loop():
    x = np.random.default_rng(0).normal(size=20)
    z, loop = 0.0, []
    for value in x:
        z = 0.7 * z + value
        loop.append(z)
    np.testing.assert_allclose(noise.recursive(0.7, jnp.array(x)), loop, rtol=1e-4)


def test_correlated_noise_has_the_size_it_claims():
    sigma = jnp.full(20_000, 0.1)
    z = run(noise.correlated, sigma, correlation=-1.0, correlated_share=2.0)
    assert float(z.std()) == pytest.approx(0.2, rel=0.1)
    assert np.corrcoef(z[:-1], z[1:])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant():
    np.testing.assert_allclose(run(noise.smoothed, jnp.full(9, 3.0)), 3.0, rtol=1e-6)


def test_rounding_leaves_few_values():
    y = run(noise.rounded, U, resolution=-1.5)
    assert len(np.unique(np.round(np.asarray(y), 6))) <= 33


def test_a_stuck_curve_keeps_the_value_it_had():
    y = run(noise.stuck, U, U**2, stuck_from=jnp.log10(0.5))
    assert (y[51:] == y[51]).all()
    np.testing.assert_array_equal(y[:50], (U**2)[:50])


# --- inference


def test_a_member_has_no_discrete_sites_left_and_a_smooth_density():
    off = {f"has_{field.name}": 0 for field in fields(Effects)}
    model = member(
        **(off | {"has_overfit": 1, "has_schedule": 1, "has_heat": 1}),
        schedule=1,
        metric=1,
        accuracy=0,
        spikes_down=0,
    )
    steps = jnp.arange(1.0, 41.0)
    trace = handlers.trace(handlers.seed(model, KEY)).get_trace(steps)
    free = {
        name: site["value"]
        for name, site in trace.items()
        if site["type"] == "sample" and not site["is_observed"] and name != "y"
    }
    observed = trace["y"]["value"]
    discrete = [name for name in free if trace[name]["fn"].support.is_discrete]
    # The hits of spikes are sampled whether they are used or not.
    assert set(discrete) <= {"spike_hits"}

    def density(noise_size):
        values = free | {"noise": noise_size}
        return log_density(model, (steps,), {"observed": observed}, values)[0]

    slope = jax.grad(density)(free["noise"])
    assert np.isfinite(slope)
    assert density(free["noise"]) > density(free["noise"] + 1.5)


def test_partial_curves_can_be_conditioned_on():
    steps = jnp.arange(1.0, 31.0)
    observed = jnp.where(steps < 10, 0.5, jnp.nan)
    sites = handlers.trace(handlers.seed(broad_model, KEY)).get_trace(steps, observed)
    assert sites["y"]["is_observed"]
    assert np.isfinite(sites["y"]["fn"].log_prob(sites["y"]["value"])).all()


def test_feeds_share_the_lengths_without_overlap():
    config = TrainConfig(prior="broad", lengths=(16, 32), batch=4)
    short, long = make_feeds(config, broad_prior(NONE))
    assert short.rows * 16 == long.rows * 32
    of_short = short.source(KEY, short.rows).length
    of_long = long.source(KEY, 64).length
    assert 6 <= of_short.min()
    assert of_short.max() <= 16
    assert 17 <= of_long.min()
    assert of_long.max() <= 32


def test_a_prior_refuses_curves_shorter_than_the_shortest():
    with pytest.raises(ValueError, match="shortest must lie between 2 and length"):
        replace(broad_prior(NONE), length=4)
