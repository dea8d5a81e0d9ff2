"""Configurations as numbers: what the runs of a task have in common, and what not.

No ranges, logarithms or encodings are asked for: numbers are compared by rank and
everything else by equality. Which hyperparameters matter is taken from the runs at
hand. Distances are computed in training by JAX and at inference, for any number of
runs, by NumPy: `xp` is one or the other.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def check_config(config: Any, name: str) -> dict[str, Any] | None:
    """A configuration in plain values; None if there is none.

    NaN counts as missing, infinity as the largest number.

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
    found = {}
    for field, value in config.items():
        if not isinstance(field, str):
            raise ValueError(
                f"names of hyperparameters must be strings, got {field!r:.80} in the "
                f"config of {name}"
            )
        plain = _plain(value)
        if plain is NotImplemented:
            raise ValueError(
                f"hyperparameter {field!r} of {name} must be a number, a string, a "
                f"bool or None, got {type(value).__name__}; leave it out or give its "
                "parts one by one"
            )
        found[field] = plain
    return found


def check_candidates(candidates: Iterable[Any]) -> list[Config]:
    """Configurations that may be started; None is one of which nothing is known.

    Raises:
        ValueError: they are no list of configurations.
    """
    if isinstance(candidates, str | Mapping) or not isinstance(candidates, Iterable):
        kind = type(candidates).__name__
        raise ValueError(f"candidates must be a list of configurations, got {kind}")
    return [
        check_config(config, f"candidate {i}") or {}
        for i, config in enumerate(candidates)
    ]


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
        plain = _plain(value)
        if isinstance(value, Mapping):
            inner = usable_config(value, warn_once) or {}
            found |= {f"{name}.{key}": part for key, part in inner.items()}
        elif plain is NotImplemented:
            warn_once(
                "config",
                f"hyperparameter {str(name)!r:.80} is left out: only numbers, strings, "
                f"bools and None are compared, not {type(value).__name__}",
            )
        else:
            found[str(name)] = plain
    return found


def _plain(value: Any) -> Any:
    """A hyperparameter as str, bool, float or None; else NotImplemented."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool):
        return value
    if not isinstance(value, int | float):
        return NotImplemented
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    most = sys.float_info.max
    return None if math.isnan(number) else min(max(number, -most), most)


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
        known = {i: value for i, value in enumerate(given) if value is not None}
        if all(type(value) is float for value in known.values()):
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
    """Configurations of runs, and their places among those that count `(M, P)`.

    Attributes:
        value: numbers, NaN where missing; categories as whole numbers.
        rank: in [0, 1], see `place`.
    """

    value: Array
    rank: Array


def place(values: Array, counted: Array, xp: Any = jnp) -> Placed:
    """Ranks in [0, 1] of values `(M, P)` among those of the runs counted `(M,)`.

    Equal values have one rank, the middle of theirs; a value that is not counted lies
    half a place above those below it. One half where missing.
    """

    def ranks(column: Array) -> Array:
        known = ~xp.isnan(column)
        order = xp.sort(xp.where(known & counted, column, xp.inf))
        below = xp.searchsorted(order, column, side="left")
        same = xp.searchsorted(order, column, side="right") - below
        most = xp.maximum((known & counted).sum() - 1, 1)
        rank = xp.clip((below + 0.5 * (same - 1)) / most, 0.0, 1.0)
        return xp.where(known, rank, 0.5)

    return Placed(values, xp.stack([ranks(column) for column in values.T], 1))


def varying(values: Array, counted: Array, xp: Any = jnp) -> Array:
    """In which hyperparameters the runs counted differ `(P,)`."""
    known = ~xp.isnan(values) & counted[:, None]
    low = xp.where(known, values, xp.inf).min(0)
    return low < xp.where(known, values, -xp.inf).max(0)


def _apart(
    one: Placed, two: Placed, categorical: Array, xp: Any
) -> tuple[Array, Array]:
    """Distances by hyperparameter, and which are equal `(M, N, P)`.

    Numbers are compared by rank, categories by equality; what is missing in either is
    half a rank apart.
    """
    both = ~xp.isnan(one.value)[:, None] & ~xp.isnan(two.value)[None]
    equal = one.value[:, None] == two.value[None]
    apart = xp.abs(one.rank[:, None] - two.rank[None])
    apart = xp.where(categorical, xp.where(equal, 0.0, 1.0), apart)
    return xp.where(both, apart, 0.5), equal


def what_matters(
    configs: Placed, categorical: Array, outcome: Array, varies: Array, xp: Any = jnp
) -> Array:
    """Weights of hyperparameters `(P,)`: of those in which unlike runs ended unlike.

    Args:
        configs: of M runs.
        categorical: which hyperparameters are categories `(P,)`.
        outcome: what each run has reached; NaN where unknown `(M,)`.
        varies: which hyperparameters are not the same in all runs `(P,)`.
        xp: jax.numpy or numpy.

    Returns:
        0 for a hyperparameter that does not vary.
    """
    apart, _ = _apart(configs, configs, categorical, xp)
    known = ~xp.isnan(outcome)
    ended = place(outcome[:, None], known, xp).rank[:, 0]
    unlike = xp.abs(ended[:, None] - ended[None])[..., None]
    pairs = known[:, None] & known[None] & ~xp.eye(len(outcome), dtype=bool)
    pairs = pairs[..., None]
    total = xp.maximum(pairs.sum(), 1)
    mean = lambda x: xp.where(pairs, x, 0).sum((0, 1)) / total
    dx, dy = apart - mean(apart), unlike - mean(unlike)
    spread = xp.sqrt(mean(dx**2) * mean(dy**2))
    matters = mean(dx * dy) / xp.maximum(spread, 1e-6)
    return xp.where(varies, xp.maximum(matters, 0) + 1e-3, 0)


def config_distances(
    one: Placed, two: Placed, categorical: Array, matters: Array, xp: Any = jnp
) -> Array:
    """How unlike configurations are.

    Args:
        one: of M runs.
        two: of N runs.
        categorical: which hyperparameters are categories `(P,)`.
        matters: their weights, from `what_matters`: `(P,)`, or `(M, 1, P)`.
        xp: jax.numpy or numpy.

    Returns:
        `(M, N, CONFIG_FEATURES)`: the mean distance weighted by what matters, the plain
        mean, that in the dimension that matters most, and the share of equal ones.
    """
    apart, same = _apart(one, two, categorical, xp)
    varies = matters > 0
    count = xp.maximum(varies.sum(-1), 1)
    weighted = (apart * matters).sum(-1) / xp.maximum(matters.sum(-1), 1e-6)
    plain = (apart * varies).sum(-1) / count
    top = xp.arange(matters.shape[-1]) == xp.argmax(matters, -1)[..., None]
    most = (apart * (top & varies)).sum(-1)
    equal = (same & varies).sum(-1) / count
    return xp.stack([weighted, plain, most, equal], -1)
