"""Options of a search of which the host tells later which way is better."""

import pickle

import numpy as np
import pytest

import lcpfn
from lcpfn.stopping.either_direction import EitherDirection


@pytest.mark.parametrize("mode", ["max", "min"])
def test_runs_of_before_may_be_of_one_direction(mode):
    runs = [lcpfn.Run(np.linspace(0.1, 0.5, 9), mode=mode)]
    searches = EitherDirection(horizon=9, others=runs)
    assert searches.any is searches.of(mode)
    assert searches.any.mode == mode
    other = {"max": "min", "min": "max"}[mode]
    with pytest.raises(ValueError, match=f"recorded with mode '{mode}'"):
        searches.of(other)


def test_a_direction_has_one_monitor():
    searches = EitherDirection(horizon=9)
    assert searches.of("min") is searches.of("min") is not searches.of("max")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"horizon": -1}, ValueError, "horizon"),
        ({"horizon": 9, "confidnce": 0.9}, TypeError, "there is no option 'confidnce'"),
        (
            {"horizon": 9, "alone": True, "others": [lcpfn.Run([0.1, 0.2])]},
            ValueError,
            "forecast alone",
        ),
    ],
)
def test_what_is_impossible_either_way_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        EitherDirection(**options)


def test_copies_hold_no_network(model):
    copy = pickle.loads(pickle.dumps(EitherDirection(horizon=9, model="default")))
    assert copy.of("max").options["model"] == "default"
