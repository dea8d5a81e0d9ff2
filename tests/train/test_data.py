"""Where the curves that are trained on come from."""

from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from lcpfn.priors import LCPFN_PRIOR, Effects, Prior, broad_prior
from lcpfn.train.config import TrainConfig
from lcpfn.train.data import (
    make_feeds,
    mixed_source,
    prior_source,
    recorded_curves,
    recorded_source,
)
from tests.makers import make_run

KEY = jax.random.key(3)


def test_prior_source_draws_accepted_curves_in_model_space():
    curves = jax.jit(prior_source(LCPFN_PRIOR), static_argnums=1)(KEY, 32)
    assert (curves.weight == 1).all()
    assert (curves.low == -1).all()
    assert (curves.high == 0).all()
    assert (curves.length == 100).all()
    assert np.mean(curves.y[:, -1] < curves.y[:, 0]) > 0.9
    # A curve depends on its own key alone.
    other = jax.jit(prior_source(LCPFN_PRIOR), static_argnums=1)(KEY, 32)
    np.testing.assert_array_equal(curves.y, other.y)


def test_recorded_curves_end_before_the_first_value_that_is_not_finite():
    bank = recorded_curves(
        [
            make_run([4, 3, 2, np.nan, 1, 1]),
            make_run([0.5, 0.6, 0.8, 0.9], "max", (0, 1), [10, 20, 40, 80]),
            make_run([1, 1, 1, 1, np.inf]),
            make_run([1, 2, np.nan, 3, 4]),
            make_run([np.nan, 2, 3]),
        ]
    )
    np.testing.assert_array_equal(bank.length, [3, 4, 4])
    np.testing.assert_allclose(bank.y[0, :3], np.array([4, 3, 2]) / 3, rtol=1e-6)
    size = 0.7
    np.testing.assert_allclose(
        bank.y[1], -np.array([0.5, 0.6, 0.8, 0.9]) / size, rtol=1e-6
    )
    np.testing.assert_array_equal(bank.steps[1], [10, 20, 40, 80])
    np.testing.assert_allclose([bank.low[1], bank.high[1]], [-1 / size, 0], rtol=1e-6)
    assert np.isneginf(bank.low[0])
    assert np.isfinite(bank.y).all()


def test_recorded_curves_of_any_magnitude_fit_into_float32():
    bank = recorded_curves(
        [make_run([3e200, 2e200, 1e200]), make_run([3e-200, 2e-200, 1e-200])]
    )
    np.testing.assert_allclose(bank.y, np.array([[1.5, 1, 0.5]] * 2), rtol=1e-6)
    zeros = recorded_curves([make_run([0, 0, 0])])
    assert (zeros.y == 0).all()


@pytest.mark.parametrize(
    "runs", [[], [make_run([1, 2])], [make_run([1, np.nan, 2, 3])]]
)
def test_recorded_curves_refuses_runs_without_values(runs):
    with pytest.raises(ValueError, match=f"none of {len(runs)} runs has three finite"):
        recorded_curves(runs)


def test_mixed_source_takes_its_share_and_pads_the_shorter():
    first = recorded_source(recorded_curves([make_run([3, 2, 1])]), jnp.ones(1))
    second = recorded_source(
        recorded_curves([make_run([30, 20, 10, 5, 4], bounds=(0, 40))]), jnp.ones(1)
    )
    curves = jax.jit(mixed_source(first, second, 0.25), static_argnums=1)(KEY, 4000)
    assert curves.y.shape == (4000, 5)
    from_second = np.asarray(curves.length) == 5
    assert from_second.mean() == pytest.approx(0.25, abs=0.03)
    assert (np.isfinite(curves.low) == from_second).all()
    np.testing.assert_allclose(
        curves.y[~from_second][0], [1.5, 1, 0.5, 0.5, 0.5], rtol=1e-6
    )
    for share, length in ((0.0, 3), (1.0, 5)):
        assert (mixed_source(first, second, share)(KEY, 8).length == length).all()


def test_recorded_source_draws_every_run():
    bank = recorded_curves([make_run(np.arange(3) + 10 * i) for i in range(1, 6)])
    curves = recorded_source(bank, jnp.ones(5))(KEY, 400)
    rows, counts = np.unique(np.asarray(curves.y), axis=0, return_counts=True)
    assert len(rows) == 5
    assert counts.min() > 40


def test_every_source_is_as_likely_and_one_without_usable_runs_is_none():
    def flat(steps, observed=None):
        numpyro.sample("y", dist.Normal(jnp.zeros_like(steps), 1.0), obs=observed)

    one, many = [make_run([5, 4, 3])], [make_run([9, 8, 1])] * 9
    config = TrainConfig(recorded=1.0)
    sources = [one, [make_run([1, np.nan])], [*many, make_run([1, 2])]]
    (feed,) = make_feeds(config, Prior(flat, "flat", length=6), sources)
    first = feed.source(KEY, 400).y[:, 0]
    assert np.mean(first == 5 / 4) == pytest.approx(0.53, abs=0.08)  # of 10 : 9
    assert set(np.unique(first)) == {np.float32(9 / 8), np.float32(5 / 4)}


def test_an_explosion_in_a_recorded_run_does_not_overflow():
    values = np.array([2.0, 1.0, 1e-22, 1e30, 3e35])
    bank = recorded_curves([make_run(values)])
    assert float(jnp.max(bank.y)) == pytest.approx(1e6)
    assert np.isfinite(np.asarray(bank.y) ** 2).all()
    np.testing.assert_allclose(bank.y[0, :3], [1, 0.5, 0])


def test_feeds_share_the_lengths_without_overlap():
    config = TrainConfig(prior="broad", lengths=(16, 32), batch=4)
    no_effects = Effects(**{field.name: 0.0 for field in fields(Effects)})
    short, long = make_feeds(config, broad_prior(no_effects))
    assert short.rows * 16 == long.rows * 32
    of_short = short.source(KEY, short.rows).length
    of_long = long.source(KEY, 64).length
    assert 6 <= of_short.min()
    assert of_short.max() <= 16
    assert 17 <= of_long.min()
    assert of_long.max() <= 32
