"""Closed forms of the mixture against numerical integration and scipy.stats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from lcpfn.mixture import Mixture

INF = np.inf
BOUNDS = {
    "none": (-INF, INF),
    "low": (-0.3, INF),
    "high": (-INF, 0.9),
    "both": (-0.3, 0.9),
    "tail": (1.5, 2.5),
}
EXTREME = np.array([1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-12])


def mixture(weight, mean, std, low=-INF, high=INF):
    weight = np.asarray(weight, float)
    return Mixture(
        weight / weight.sum(-1, keepdims=True),
        np.asarray(mean, float),
        np.asarray(std, float),
        np.asarray(low, float),
        np.asarray(high, float),
    )


@pytest.fixture(params=BOUNDS)
def three(request):
    """Three components, truncated in every way."""
    bounds = BOUNDS[request.param]
    return mixture([0.5, 0.3, 0.2], [0.0, 0.7, -0.5], [0.4, 0.1, 0.2], *bounds)


def integral(function, low, high):
    low, high = max(low, -8.0), min(high, 8.0)
    breaks = [x for x in np.linspace(-1.5, 2.0, 15) if low < x < high]
    return quad(function, low, high, points=breaks or None, limit=200)[0]


def density(m):
    return lambda y: float(np.exp(m.log_prob(np.float64(y))))


def test_density_integrates_to_one(three):
    assert integral(density(three), three.low, three.high) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_cdf_is_the_integral_of_the_density(three, share):
    y = three.quantile(share)
    assert integral(density(three), three.low, y) == pytest.approx(share, abs=1e-8)
    assert three.cdf(y) == pytest.approx(share, abs=1e-12)


def test_moments_are_those_of_the_density(three):
    p, (low, high) = density(three), (three.low, three.high)
    mean, std = three.moments()
    first = integral(lambda y: y * p(y), low, high)
    second = integral(lambda y: (y - first) ** 2 * p(y), low, high)
    assert mean == pytest.approx(first, abs=1e-8)
    assert std == pytest.approx(np.sqrt(second), abs=1e-8)


@pytest.mark.parametrize("y", [-2.0, -0.2, 0.4, 1.6, 3.0])
def test_expected_shortfall_is_the_integral(three, y):
    p = density(three)
    wanted = 0.0
    if y > three.low:
        wanted = integral(lambda x: (y - x) * p(x), three.low, min(y, three.high))
    assert three.expected_shortfall(y) == pytest.approx(wanted, abs=1e-8)


def test_expected_shortfall_of_infinite_references(three):
    assert three.expected_shortfall(-INF) == 0
    assert three.expected_shortfall(INF) == INF


def test_small_improvements_keep_their_digits():
    normal = mixture([1.0], [0.0], [1.0])
    wanted = quad(lambda x: (x - 12) * stats.norm.pdf(x), 12, 20, epsabs=0)[0]
    gain = normal.mirrored().expected_shortfall(-12.0)
    assert gain == pytest.approx(wanted, rel=1e-6)


def test_quantile_inverts_cdf_far_into_the_tails(three):
    y = three.quantile(EXTREME)
    assert (np.diff(y) > 0).all()
    assert ((y >= three.low) & (y <= three.high)).all()
    # Next to a bound the digits of y itself run out.
    atol = 1e-13 if np.isfinite(three.low) else 0
    np.testing.assert_allclose(three.cdf(y), EXTREME, rtol=1e-9, atol=atol)
    assert three.quantile(0.0) == three.low
    assert three.quantile(1.0) == three.high


@given(
    parts=st.lists(
        st.tuples(st.floats(0.01, 1), st.floats(-50, 50), st.floats(0.01, 20)),
        min_size=1,
        max_size=5,
    ),
    bounds=st.sampled_from([(-INF, INF), (0.0, INF), (-INF, 1.0), (0.0, 1.0)]),
    q=st.floats(1e-6, 1 - 1e-6),
)
def test_quantile_inverts_cdf_for_any_mixture(parts, bounds, q):
    """Includes components whose mass lies outside the bounds altogether."""
    m = mixture(*np.array(parts).T, *bounds)
    y = m.quantile(q)
    assert bounds[0] <= y <= bounds[1]
    assert np.isfinite(y)
    assert m.cdf(y) == pytest.approx(q, abs=1e-9)
    mean, std = m.moments()
    assert bounds[0] <= mean <= bounds[1]
    assert np.isfinite(std)


@pytest.mark.parametrize(
    ("mean", "bounds", "near"),
    [
        (-1e3, (0.0, 1.0), 0.0),
        (1e3, (0.0, 1.0), 1.0),
        (-1e6, (0.0, INF), 0.0),
        (1e6, (-INF, 1.0), 1.0),
        (-1e3, (-2.0, 3.0), -2.0),
    ],
)
def test_mixture_outside_its_bounds_gathers_at_the_nearer_one(mean, bounds, near):
    m = mixture([0.5, 0.5], [mean, mean], [1.0, 0.5], *bounds)
    y = m.quantile(np.array([0.01, 0.5, 0.99]))
    assert np.abs(y - near).max() < 0.2
    assert abs(m.moments()[0] - near) < 0.1
    np.testing.assert_allclose(m.cdf(y), [0.01, 0.5, 0.99], atol=1e-9)
    total = quad(density(m), max(bounds[0], near - 1), min(bounds[1], near + 1))[0]
    assert total == pytest.approx(1, abs=1e-6)


def test_component_outside_the_bounds_does_not_count():
    inside = mixture([1.0], [0.5], [0.1], 0, INF)
    both = mixture([0.5, 0.5], [-100.0, 0.5], [1.0, 0.1], 0, INF)
    for q in (0.01, 0.5, 0.99):
        assert both.quantile(q) == pytest.approx(inside.quantile(q), abs=1e-12)


@pytest.mark.parametrize("low", [-INF, -1.0, 0.5])
@pytest.mark.parametrize("high", [INF, 1.0, 2.5])
def test_one_component_agrees_with_scipy(low, high):
    mean, std = 0.3, 0.7
    m = mixture([1.0], [mean], [std], low, high)
    a, b = (low - mean) / std, (high - mean) / std
    wanted = stats.truncnorm(a, b, mean, std)
    if np.isinf(low) and np.isinf(high):
        wanted = stats.norm(mean, std)
    y = np.linspace(-2, 4, 41)
    np.testing.assert_allclose(m.log_prob(y), wanted.logpdf(y), atol=1e-10)
    np.testing.assert_allclose(m.cdf(y), wanted.cdf(y), atol=1e-12)
    np.testing.assert_allclose(m.quantile(EXTREME), wanted.ppf(EXTREME), rtol=1e-6)
    np.testing.assert_allclose(m.moments(), [wanted.mean(), wanted.std()], atol=1e-10)


def test_values_without_density():
    m = mixture([1.0], [0.0], [1.0])
    np.testing.assert_array_equal(m.log_prob(np.array([-INF, INF, 1e200])), -INF)
    np.testing.assert_array_equal(m.cdf(np.array([-INF, INF])), [0, 1])
    bounded = mixture([1.0], [0.5], [1.0], 0, 1)
    np.testing.assert_array_equal(bounded.log_prob(np.array([-0.1, 1.1])), -INF)
    np.testing.assert_array_equal(bounded.cdf(np.array([-0.1, 1.1])), [0, 1])


def test_shapes_broadcast():
    shape = (4, 3)
    m = mixture(np.ones((*shape, 2)), np.zeros((*shape, 2)), np.ones((*shape, 2)))
    m = m._replace(low=np.zeros(shape), high=np.ones(shape))
    assert m.quantile(np.full((5, 1, 1), 0.5)).shape == (5, *shape)
    assert m.quantile(0.5).shape == m.cdf(0.5).shape == shape
    assert m.log_prob(np.zeros((2, *shape))).shape == (2, *shape)


def test_quantiles_do_not_depend_on_how_many_are_asked_for(monkeypatch):
    one = np.ones((5, 7, 3))
    wide = Mixture(
        one / 3, np.arange(105.0).reshape(5, 7, 3), one, -one[..., 0] * 50, one[..., 0]
    )
    levels = np.array([0.0, 0.05, 0.5, 1.0])[:, None, None]
    whole = wide.quantile(levels)
    monkeypatch.setattr("lcpfn.mixture.AT_ONCE", 4)
    np.testing.assert_array_equal(wide.quantile(levels), whole)
    assert whole.shape == (4, 5, 7)
