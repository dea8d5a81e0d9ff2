"""Configurations as numbers: what the runs of a task have in common, and what not.

No ranges, logarithms or encodings are asked for: numbers are compared by rank and
everything else by equality (see `lcpfn.pairs.config_distances`), so all that is found
out here is which hyperparameters are numbers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

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
                values[i, column] = float(value)
            continue
        categorical[column] = True
        # True and 1 are equal, but one category each.
        keys = {i: (type(value).__name__, value) for i, value in known.items()}
        numbers = {key: float(n) for n, key in enumerate(sorted(set(keys.values())))}
        for i, key in keys.items():
            values[i, column] = numbers[key]
    return Configs(values, categorical)
