"""Tokens: one definition in two precisions, free of the user's units."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcpfn.batch import pool_factor
from lcpfn.jax_setup import float64
from lcpfn.statistics import Blocks, Limits, empty_stats
from lcpfn.tokens import QUERY_FEATURES, TOKEN_FEATURES, observe, query_features

pytestmark = pytest.mark.usefixtures("strict_jax")

INF = np.inf
# A curve of sixty-fourths, so that shifting and scaling it is exact in float64.
CURVES = st.tuples(
    st.integers(0, 4),  # repeats of the first value
    st.lists(st.integers(-640, 640), min_size=2, max_size=12),
).map(lambda x: np.array([x[1][0]] * x[0] + x[1]) / 64)


take = float64(jax.jit(observe))
ask = float64(jax.jit(query_features))


def read(
    values, steps=None, horizon=50.0, low=-INF, high=INF, dtype=np.float64, counts=None
):
    """Features `(tokens, TOKEN_FEATURES)`, and anchors, of one curve."""
    steps = np.arange(1.0, len(values) + 1) if steps is None else steps
    counts = np.ones(len(values)) if counts is None else counts
    one = lambda x: np.asarray([x], dtype)
    limits = Limits(one(horizon), one(low), one(high))
    stats, start = float64(empty_stats)(1, dtype), one(steps[0])
    tokens, anchors = [], []
    for step, value, count in zip(steps, values, counts, strict=True):
        stats, anchor, token = take(
            stats, limits, Blocks(one(step), one(value), one(count)), start
        )
        tokens.append(np.asarray(token[0], float))
        anchors.append(jax.tree.map(np.asarray, anchor))
    return np.array(tokens), anchors


@pytest.mark.parametrize(
    "values",
    [
        [0.52, 0.61, 0.66, 0.69, 0.67, 0.71],
        [0.5, 0.5, 0.5, 0.75, 0.75],
        [50.0, 1.5, 1.25, 1.0, 1.0, 1.0, 0.99],
        [0.0, 0.0, 0.0],
        [3.0],
    ],
)
@pytest.mark.parametrize("bounds", [(-INF, INF), (0.0, INF), (-1.0, 64.0)])
def test_both_precisions_agree(values, bounds):
    one, anchor = read(values, low=bounds[0], high=bounds[1])
    two, other = read(values, low=bounds[0], high=bounds[1], dtype=np.float32)
    assert one.shape == (len(values), TOKEN_FEATURES)
    assert np.isfinite(one).all()
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)
    targets = np.array([[10.0, 25.0, 50.0]])
    asked = ask(anchor[-1], np.array([50.0]), targets)
    again = ask(other[-1], *map(np.float32, ([50.0], targets)))
    assert asked.shape == (1, 3, QUERY_FEATURES)
    np.testing.assert_allclose(again, asked, rtol=1e-5, atol=1e-5)


@given(
    values=CURVES,
    factor=st.sampled_from([0.25, 1.0, 3.0, 100.0]),
    shift=st.integers(-1000, 1000),
)
def test_shift_and_scale_change_nothing_once_two_values_differ(values, factor, shift):
    """Also after any number of equal values, whose scale would depend on the shift."""
    one, anchors = read(values)
    two, moved = read(factor * values + shift)
    live = np.flatnonzero(values != values[0])
    for i in range(live[0] if len(live) else len(values), len(values)):
        np.testing.assert_allclose(two[i], one[i], rtol=1e-6, atol=1e-6)
        level = factor * anchors[i].level + shift
        np.testing.assert_allclose(moved[i].level, level, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(moved[i].scale, factor * anchors[i].scale)


@given(values=CURVES)
def test_a_constant_beginning_has_the_same_features_wherever_it_lies(values):
    flat = np.full(len(values), values[0])
    one, _ = read(flat)
    two, _ = read(flat * 8 + 1000)
    np.testing.assert_allclose(two, one, rtol=1e-12)


@given(values=CURVES, shift=st.integers(-100, 100))
def test_bounds_that_move_along_change_nothing(values, shift):
    one, _ = read(values, low=-10.0, high=10.0)
    two, _ = read(values + shift, low=shift - 10.0, high=shift + 10.0)
    np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-6)


def test_bounds_are_seen():
    values = [0.5, 0.6, 0.65]
    free, _ = read(values)
    bounded, _ = read(values, low=0.0, high=1.0)
    near, _ = read(values, low=0.0, high=0.7)
    assert np.abs(free - bounded).max() > 0.5
    assert np.abs(near - bounded).max() > 0.1


@given(
    values=CURVES,
    gaps=st.lists(st.integers(1, 5), min_size=16, max_size=16),
    unit=st.sampled_from([0.001, 1000.0]),
)
def test_the_unit_of_steps_changes_nothing(values, gaps, unit):
    steps = np.cumsum(gaps[: len(values)]).astype(float)
    targets = np.array([[90.0, 95.5, 100.0]])
    one, anchors = read(values, steps, 100.0)
    two, moved = read(values, steps * unit, 100.0 * unit)
    np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-9)
    asked = ask(anchors[-1], np.array([100.0]), targets)
    again = ask(moved[-1], np.array([100.0 * unit]), targets * unit)
    np.testing.assert_allclose(again, asked, rtol=1e-9, atol=1e-9)


@given(
    values=CURVES.filter(lambda y: len(y) > 1),
    offset=st.sampled_from([-1.0, 500_000.0, 1.7e9]),
)
def test_where_steps_begin_changes_nothing(values, offset):
    steps = np.arange(1.0, len(values) + 1)
    targets = np.array([[30.0, 50.0]])
    one, anchors = read(values, steps, 50.0)
    two, moved = read(values, steps + offset, 50.0 + offset)
    np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-9)
    asked = ask(anchors[-1], np.array([50.0]), targets)
    again = ask(moved[-1], np.array([50.0 + offset]), targets + offset)
    np.testing.assert_allclose(again, asked, rtol=1e-9, atol=1e-9)


def test_a_first_step_is_the_gap_if_that_leaves_as_much_again():
    gaps = {s: read([1.0], [s], 50.0)[1][0].gap[0] for s in (1.0, 25.0, 40.0, 0.0)}
    assert gaps[1.0] == 1
    assert gaps[25.0] == 25
    assert 0 < gaps[40.0] < 1
    assert 0 < gaps[0.0] <= 1


def _falling(count):
    return 1 + 2.0 ** -np.arange(count) + 0.01 * np.sin(np.arange(count))


@pytest.mark.parametrize("low", [-INF, 0.0])
@pytest.mark.parametrize("huge", [1e3, 1e6])
@pytest.mark.parametrize("at", [0, 4])
def test_one_wild_value_rules_the_anchor_for_no_longer_than_itself(at, huge, low):
    clean = _falling(at + 6)
    wild = clean.copy()
    wild[at] *= huge
    plain, other = (read(y, low=low)[1][-1] for y in (clean, wild))
    assert other.scale[0] < 3 * plain.scale[0]
    assert abs(other.level[0] - plain.level[0]) < 3 * plain.scale[0]


def test_a_step_that_lasts_is_taken_one_observation_later():
    values = np.r_[_falling(9), _falling(3) - 40]
    anchors = read(values)[1]
    assert abs(anchors[9].level[0] - values[9]) > 30
    assert abs(anchors[10].level[0] - values[10]) < 30
    assert abs(anchors[11].level[0] - values[11]) < 20


def test_values_that_repeat_leave_the_scale_and_are_counted():
    _, anchors = read([0.5, 0.6, 0.65])
    tokens, still = read([0.5, 0.6, 0.65, 0.65, 0.65, 0.65, 0.66])
    assert still[5].scale == anchors[2].scale
    (counted,) = np.flatnonzero(np.isclose(tokens[5], np.log(4)))
    assert tokens[6, counted] == tokens[2, counted] == 0


@pytest.mark.parametrize("huge", [1e30, 1e-30, 1e150])
def test_features_stay_finite(huge):
    for values in ([huge, huge], [huge, 0.0, -huge], [0.0, huge, huge], [huge, 1.0]):
        tokens, anchors = read(np.array(values))
        assert np.isfinite(tokens).all()
        assert np.abs(tokens).max() < 1e3
        assert all(a.scale[0] > 0 for a in anchors)


def test_a_token_depends_on_no_later_record():
    one, _ = read([0.5, 0.6, 0.65, 0.7])
    two, _ = read([0.5, 0.6, 0.1, 9.0])
    np.testing.assert_array_equal(one[:2], two[:2])
    assert np.abs(one[2] - two[2]).max() > 0.1


@pytest.mark.parametrize(
    ("records", "factor"),
    [(1, 1), (128, 1), (129, 2), (256, 2), (257, 4), (512, 4), (513, 8)],
)
def test_pool_factor_is_the_smallest_power_of_two_that_fits(records, factor):
    assert pool_factor(records, 128) == factor
