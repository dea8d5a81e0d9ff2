"""Configurations as numbers: what the runs of a task have in common, and what not.

No ranges, logarithms or encodings are asked for: numbers are compared by rank and
everything else by equality. Which hyperparameters matter is taken from the runs at
hand. Distances are traced by JAX.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lcpfn.statistics import Array

CONFIG_FEATURES = 4
Config = Mapping[str, Any]


class Configs(NamedTuple):
    """Configurations of M runs in P hyperparameters.

    Attributes:
        values: numbers, or the number of a category; NaN where missing `(M, P)`.
        categorical: which hyperparameters are categories `(P,)`.
    """

    values: np.ndarray
    categorical: np.ndarray


def check_config(config: Any, name: str) -> Config | None:
    """A configuration, or None if there is none.

    Raises:
        ValueError: it is no mapping from names to numbers, strings, bools and None.
    """
    if config is None:
        return None
    if not isinstance(config, Mapping):
        raise ValueError(
            f"config of {name} must map names of hyperparameters to their values, got "
            f"{type(config).__name__}"
        )
    for field, value in config.items():
        if not isinstance(field, str):
            raise ValueError(
                f"names of hyperparameters must be strings, got {field!r:.80} in the "
                f"config of {name}"
            )
        if not (value is None or isinstance(value, str | bool) or _is_number(value)):
            raise ValueError(
                f"hyperparameter {field!r} of {name} must be a number, a string, a "
                f"bool or None, got {type(value).__name__}; leave it out or give its "
                "parts one by one"
            )
    return config


def usable_config(
    config: Any, warn_once: Callable[[str, str], None]
) -> dict[str, Any] | None:
    """What of a host's configuration can be compared; the rest is said once.

    Parts of nested mappings are named `outer.inner`.
    """
    if not isinstance(config, Mapping):
        return None
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            inner = usable_config(value, warn_once) or {}
            found |= {f"{name}.{key}": part for key, part in inner.items()}
        elif value is None or isinstance(value, str | bool) or _is_number(value):
            found[str(name)] = value
        else:
            warn_once(
                "config",
                f"hyperparameter {str(name)!r:.80} is left out: only numbers, strings, "
                f"bools and None are compared, not {type(value).__name__}",
            )
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    return value is None or (_is_number(value) and math.isnan(value))


def encode_configs(configs: Sequence[Config | None]) -> Configs:
    """Checked configurations as numbers; without any, one that is missing everywhere.

    A hyperparameter whose known values are all numbers is one, every other is a
    category.
    """
    fields = sorted({field for config in configs for field in config or ()})
    values = np.full((len(configs), max(len(fields), 1)), np.nan)
    categorical = np.zeros(max(len(fields), 1), bool)
    for column, field in enumerate(fields):
        given = [(config or {}).get(field) for config in configs]
        known = {i: value for i, value in enumerate(given) if not _is_missing(value)}
        if all(map(_is_number, known.values())):
            for i, value in known.items():
                values[i, column] = value
            continue
        categorical[column] = True
        # True and 1 are equal, but one category each.
        keys = {i: (type(value).__name__, value) for i, value in known.items()}
        numbers = {key: float(n) for n, key in enumerate(sorted(set(keys.values())))}
        for i, key in keys.items():
            values[i, column] = numbers[key]
    return Configs(values, categorical)


class Placed(NamedTuple):
    """Configurations of runs, and their places among all of the task `(M, P)`.

    Attributes:
        value: numbers, NaN where missing; categories as whole numbers.
        rank: in [0, 1], see `ranks`.
    """

    value: Array
    rank: Array


def _apart(one: Placed, two: Placed, categorical: Array) -> tuple[Array, Array]:
    """Distances by hyperparameter, and which are equal `(M, N, P)`.

    Numbers are compared by rank, categories by equality; what is missing in either is
    half a rank apart.
    """
    both = ~jnp.isnan(one.value)[:, None] & ~jnp.isnan(two.value)[None]
    equal = one.value[:, None] == two.value[None]
    apart = jnp.abs(one.rank[:, None] - two.rank[None])
    apart = jnp.where(categorical, jnp.where(equal, 0.0, 1.0), apart)
    return jnp.where(both, apart, 0.5), equal


def what_matters(configs: Placed, categorical: Array, outcome: Array) -> Array:
    """Weights of hyperparameters `(P,)`: of those in which unlike runs ended unlike.

    Args:
        configs: of M runs.
        categorical: which hyperparameters are categories `(P,)`.
        outcome: what each run has reached; NaN where unknown `(M,)`.

    Returns:
        0 for a hyperparameter that is the same in all runs.
    """
    known = ~jnp.isnan(configs.value)
    low, high = (
        f(jnp.where(known, configs.value, end), axis=0)
        for f, end in ((jnp.min, jnp.inf), (jnp.max, -jnp.inf))
    )
    apart, _ = _apart(configs, configs, categorical)
    ended = ranks(outcome[:, None])[:, 0]
    unlike = jnp.abs(ended[:, None] - ended[None])
    pairs = ~(jnp.isnan(outcome)[:, None] | jnp.isnan(outcome)[None])
    pairs &= ~jnp.eye(len(outcome), dtype=bool)
    matters = _correlation(apart, unlike[..., None], pairs[..., None])
    return jnp.where(low < high, jnp.maximum(matters, 0) + 1e-3, 0)


def config_distances(
    one: Placed, two: Placed, categorical: Array, matters: Array
) -> Array:
    """How unlike configurations are.

    Args:
        one: of M runs.
        two: of N runs.
        categorical: which hyperparameters are categories `(P,)`.
        matters: their weights, from `what_matters` `(P,)`.

    Returns:
        `(M, N, CONFIG_FEATURES)`: the mean distance weighted by what matters, the plain
        mean, that in the dimension that matters most, and the share of equal ones.
    """
    apart, same = _apart(one, two, categorical)
    varies = matters > 0
    count = jnp.maximum(varies.sum(), 1)
    weighted = (apart * matters).sum(-1) / jnp.maximum(matters.sum(), 1e-6)
    plain = (apart * varies).sum(-1) / count
    most = apart[..., jnp.argmax(matters)] * (matters.max() > 0)
    equal = (same & varies).sum(-1) / count
    return jnp.stack([weighted, plain, most, equal], -1)


def ranks(x: Array) -> Array:
    """Ranks along the first axis in [0, 1], equal ones alike; one half where NaN."""
    known = ~jnp.isnan(x)
    below = (x[None] < x[:, None]) & known[None]
    same = (x[None] == x[:, None]) & known[None]
    count = jnp.maximum(known.sum(0) - 1, 1)
    rank = (below.sum(1) + 0.5 * (same.sum(1) - 1)) / count
    return jnp.where(known, rank, 0.5)


def _correlation(x: Array, y: Array, weight: Array) -> Array:
    """Correlation over the first two axes where `weight` holds."""
    total = jnp.maximum(weight.sum((0, 1)), 1)
    mean = lambda z: (jnp.where(weight, z, 0)).sum((0, 1)) / total
    dx, dy = x - mean(x), y - mean(y)
    spread = jnp.sqrt(mean(dx**2) * mean(dy**2))
    return mean(dx * dy) / jnp.maximum(spread, 1e-6)
