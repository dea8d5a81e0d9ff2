"""Configurations that cannot be trained are refused by name."""

import pytest

from lcpfn.train.config import Augment, TrainConfig


@pytest.mark.parametrize("name", ["thinned", "pooled", "truncated", "shortened"])
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_augment_refuses(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\], got {value}"):
        Augment(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a positive integer, got 0"),
        ({"batch": 2.5}, "batch must be a positive integer, got 2.5"),
        ({"chunk": 0}, "chunk must be a positive integer, got 0"),
        ({"keep": 0}, "keep must be a positive integer, got 0"),
        ({"targets": 1}, "targets must be at least 2"),
        ({"batch": 11, "chunk": 4}, "equal chunks, got 11 curves in chunks of 4"),
        ({"planned": True}, "planned needs a network that knows plans"),
        ({"crps": -1.0}, "crps must be finite and 0 or more, got -1.0"),
        ({"crps": float("nan")}, "crps must be finite and 0 or more, got nan"),
        ({"learning_rate": 1.5}, r"learning_rate must lie in \(0, 1\), got 1.5"),
        ({"learning_rate": float("nan")}, "learning_rate must lie in"),
    ],
)
def test_config_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)
