"""Calibration of classifiers."""

import numpy as np
import pytest

from lcpfn.eval.nas.calibration import expected_error, temperature


def confident(share, count=1000):
    """Logits of probability `share` for class 0 of two."""
    return np.tile([np.log(share / (1 - share)), 0.0], (count, 1))


def test_the_error_is_the_distance_of_confidence_and_accuracy():
    labels = np.r_[np.zeros(900, int), np.ones(100, int)]
    assert expected_error(confident(0.9), labels) == pytest.approx(0, abs=1e-3)
    assert expected_error(confident(0.99), labels) == pytest.approx(0.09, abs=1e-3)
    both = np.r_[confident(0.99), confident(0.6)]
    twice = np.r_[labels, labels]
    assert expected_error(both, twice) == pytest.approx((0.09 + 0.3) / 2, abs=1e-3)
    # In one bin they make up for each other.
    assert expected_error(both, twice, 1) == pytest.approx(0.105, abs=1e-3)


def test_the_temperature_makes_confidence_what_it_should_be():
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, (4000, 3))
    chances = np.exp(true) / np.exp(true).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=p) for p in chances])
    assert temperature(true, labels) == pytest.approx(1, abs=0.1)
    assert temperature(4 * true, labels) == pytest.approx(4, abs=0.4)
