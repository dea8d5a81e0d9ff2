"""The broad prior: every effect does what it says, and its members can be inferred."""

import re
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density

from lcpfn.priors import BROAD_PRIOR, Effects, broad_prior, draw
from lcpfn.priors.broad import broad_model, member

KEY = jax.random.key(3)
COUNT = 1000
NAMES = [field.name for field in fields(Effects)]
NONE = Effects(**{field.name: 0.0 for field in fields(Effects)})


@pytest.fixture(scope="module")
def drawn():
    # The program that the contract of all priors has compiled, see `test_base`.
    return jax.jit(lambda key: draw(BROAD_PRIOR, key, COUNT))(KEY)


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


def test_without_effects_a_curve_is_a_decay_and_white_noise():
    prior = replace(broad_prior(NONE), axis=None)
    draws = jax.jit(lambda key: draw(prior, key, 256, oversample=1))(KEY)
    curve = np.asarray(draws.curve)
    assert (np.diff(curve, axis=1) <= 1e-5 * np.abs(curve).max()).all()
    assert np.isinf(draws.low).all()


@pytest.fixture(scope="module")
def switched():
    """Curves of the same keys with each effect forced on and off: compiled once."""
    # An effect that is never on has no switch.
    effects = Effects(hot=0.5)

    @jax.jit
    def curves(switches):
        given = {f"has_{name}": on for name, on in zip(NAMES, switches, strict=True)}

        def values(key):
            model = handlers.substitute(handlers.seed(broad_model, key), data=given)
            steps = 1.05 ** jnp.arange(64.0)
            sites = handlers.trace(model).get_trace(steps, effects=effects)
            return jnp.stack([sites[name]["value"] for name in ("low", "high")]), sites[
                "recorded"
            ]["value"]

        return jax.vmap(values)(jax.random.split(KEY, 64))

    return curves


@pytest.mark.parametrize("name", NAMES)
def test_every_effect_changes_curves(switched, name):
    # Heat needs a schedule to be seen, logarithmic time steps that grow apart; a flat
    # curve shows little else.
    typical = np.array([other in ("known", "schedule") for other in NAMES], int)
    typical[NAMES.index("heat")] = name == "hot"
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


def test_the_learning_rate_that_leads_to_each_value_is_told(drawn):
    rate = np.asarray(drawn.rate)
    assert (rate > 0).all()
    assert rate.max() == pytest.approx(1, abs=1e-3)
    scheduled = rate.min(axis=1) < 0.99
    assert scheduled.mean() == pytest.approx(
        1 - (1 - Effects.schedule) * (1 - Effects.warm_up), abs=0.07
    )


# --- inference


def test_a_member_has_no_discrete_sites_left_and_a_smooth_density():
    off = {f"has_{field.name}": 0 for field in fields(Effects)}
    model = member(
        **(off | {"has_overfit": 1, "has_schedule": 1, "has_heat": 1}),
        schedule=1,
        metric=1,
        accuracy=0,
        spikes_down=0,
        easy=0,
        transient_huge=0,
        wild_down=0,
        ceiling_at_bound=0,
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

    both = jax.jit(jax.value_and_grad(density))
    (typical, slope), (wide, _) = both(free["noise"]), both(free["noise"] + 1.5)
    assert np.isfinite(slope)
    assert typical > wide


def test_partial_curves_can_be_conditioned_on():
    steps = jnp.arange(1.0, 31.0)
    observed = jnp.where(steps < 10, 0.5, jnp.nan)
    sites = handlers.trace(handlers.seed(broad_model, KEY)).get_trace(steps, observed)
    assert sites["y"]["is_observed"]
    assert np.isfinite(sites["y"]["fn"].log_prob(sites["y"]["value"])).all()


def test_a_prior_refuses_curves_shorter_than_the_shortest():
    with pytest.raises(ValueError, match="shortest must lie between 2 and length"):
        replace(broad_prior(NONE), length=4)
