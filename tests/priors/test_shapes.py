"""Shapes of the broad prior do what they say."""

import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.priors import shapes
from tests.makers import run_effect

U = jnp.linspace(0.0, 1.0, 101)


def test_decay_falls_from_one():
    y = run_effect(shapes.decay, U)
    assert y[0] == pytest.approx(1, abs=2e-3)
    assert (np.diff(y) <= 1e-6).all()
    assert y[-1] > -1e-6


@pytest.mark.parametrize("kind", range(1, len(shapes.SCHEDULES)))
def test_schedules_stay_between_their_floor_and_their_peak(kind):
    rate = run_effect(shapes.learning_rate, U, schedule=kind, final_rate=-3.0)
    assert float(rate.max()) == pytest.approx(1, abs=0.02)
    assert float(rate.min()) >= 0.999e-3
    name = shapes.SCHEDULES[kind]
    if name != "restarts":
        assert (np.diff(rate) <= 1e-6).all()
    if name in ("cosine", "linear", "late"):
        assert float(rate[-1]) == pytest.approx(1e-3)


def test_warm_up_rises_to_one():
    rate = run_effect(shapes.warm_up, U, warm_up_until=-1.0)
    assert (np.diff(rate) >= 0).all()
    assert (rate[11:] == 1).all()


def test_a_break_can_run_backwards():
    s = run_effect(shapes.breaking, U, **{"break": 0.5, "break_pace": 3.0})
    np.testing.assert_allclose(s[:51], U[:51], atol=1e-6)
    assert s[60] == pytest.approx(0.5 - 2 * 0.1, abs=1e-5)


def test_onset_delays_and_then_lets_go():
    s = run_effect(shapes.onset, U, onset=-0.3, onset_power=6.0)
    assert s[20] < 0.01
    assert s[-1] > 0.9
    assert (np.diff(s) >= 0).all()


def test_collapse_starts_where_it_starts():
    y = run_effect(shapes.collapse, U, collapse=0.35, collapse_size=0.0, recovery=1.0)
    assert (y[:35] == 0).all()
    assert y[36] == pytest.approx(1, abs=0.01)
