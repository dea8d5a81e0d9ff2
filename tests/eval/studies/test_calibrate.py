"""What the calibration chooses, and that the network does what was chosen."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.config import FADED
from lcpfn.curves import Run
from lcpfn.eval.studies.calibrate import (
    NOTHING,
    Asked,
    calibrated_card,
    choose,
    corrected,
    measured,
    study,
    to_markdown,
    uncorrected,
)
from lcpfn.mixture import Mixture
from lcpfn.model import Model
from tests.conftest import CONFIG, rough_params
from tests.makers import power_laws

GRID = [(tilt, heat) for tilt in (0.0, 2.0) for heat in (1.0, 0.5)]


def asked_of(source, gain, wide, seed=0, count=400):
    """Two Gaussians at what comes, one sharp and one wide, and one far beyond it."""
    rng = np.random.default_rng(seed)
    last = rng.random(count)
    truth = last - gain + 0.02 * rng.standard_normal(count)
    mean = last[:, None] - gain * np.array([1.0, 1.0, 4.0])
    weight = np.broadcast_to([0.5, 0.2, 0.3], mean.shape)
    std = np.broadcast_to([0.02, wide, 0.02], mean.shape)
    free = np.full(count, np.inf)
    unit = np.ones(count)
    mixture = Mixture(weight, mean, std, -free, free)
    return Asked(source, 10, mixture, unit, last, truth, unit, np.abs(last - truth))


@pytest.fixture(scope="module")
def asked():
    return [
        asked_of("a", 0.2, 0.3),
        asked_of("b", 0.3, 0.5, 1),
        asked_of("c", 0.4, 0.2, 2),
    ]


def test_the_sharpest_honest_numbers_are_chosen(asked):
    found = measured(asked, GRID)
    tilt, temperature = choose(found, np.ones((1, len(asked)), bool))
    assert tilt == 2.0
    honest = [n for n in GRID if n[0] == 2.0 and found[n][:, 2].mean() >= 0.9]
    assert temperature == min(n[1] for n in honest) < 1
    # Where no interval holds there is nothing to be sharpened.
    wrong = [a._replace(truth=a.truth + 5) for a in asked]
    assert choose(measured(wrong, GRID), np.ones((1, len(asked)), bool)) == NOTHING


def test_intervals_hold_at_every_cutoff(asked):
    late = [a._replace(percent=80) for a in 3 * asked]
    # One more source, whose early runs end where the far Gaussian was.
    odd = asked_of("odd", 0.2, 0.3, 3)
    cells = [*asked, odd._replace(truth=odd.last - 0.8), *late]
    found = measured(cells, GRID)
    early = np.array([cell.percent == 10 for cell in cells])
    assert choose(found, [np.ones(len(cells), bool)])[0] == 2.0
    assert choose(found, [early, ~early])[0] == 0.0


def test_what_was_possible_stays_possible(asked):
    tilted = corrected(asked[0], (10.0, 1.0))
    far = asked[0].last - 0.8
    assert np.all(tilted.cdf(far) > 1e-9)


def test_a_source_does_not_decide_about_itself(asked):
    other = asked_of("odd", 0.2, 0.3, 3)  # where the far one is right
    other = other._replace(truth=other.last - 0.8)
    found = study([*asked, other], GRID, held=["odd"], apart=True)
    assert found["tilt"] == 2.0
    assert found["sources"]["odd"]["numbers"][0] == 2.0
    row = found["sources"]["odd"]
    assert row["after"]["error_ratio"] > row["before"]["error_ratio"]
    for name in "abc":
        row = found["sources"][name]
        assert row["after"]["crps_ratio"] < row["before"]["crps_ratio"]
    table = to_markdown({"alone": found})
    assert "| odd |" in table
    assert "alone: before → after" in table


def test_results_of_other_numbers_are_not_of_the_new_weights():
    card = {"checksum": "a", "planned": {"of": "b", "seed": 1}}
    assert calibrated_card(card, {"tilt": 0.5}) == {
        "checksum": "a",
        "planned": {"seed": 1},
        "calibration": {"tilt": 0.5},
    }
    assert calibrated_card({}, {"tilt": 0.5}) == {"calibration": {"tilt": 0.5}}


@pytest.mark.parametrize("others", [0, 3])
def test_the_network_corrects_as_the_study_does(others):
    config = replace(CONFIG, best=True, others=16)
    numbers = {"tilt": 0.7, "temperature": 0.6, "temperature_among": 0.8}
    model = Model(rough_params(config, 0, 0), replace(config, **numbers), {})
    curves = power_laws(4, 12, seed=4)
    few = np.full(4, 1.0 if others else 1 - np.log(12) / np.log(FADED))
    runs = [Run(curve) for curve in power_laws(others, 20, seed=5)]
    ask = lambda m: m.extrapolate(curves, 20, mode="min", others=runs).final.mixture
    plain, found = ask(uncorrected(model)), ask(model)
    last = np.array([curve[-1] for curve in curves])
    chosen = (0.0, 0.8) if others else (0.7, 0.6)
    expected = corrected(Asked("", 10, plain, few, last, last, last, last), chosen)
    for one, other in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)
    assert not np.allclose(found.weight, plain.weight)
