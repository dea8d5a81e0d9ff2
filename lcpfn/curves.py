"""Recorded curves: the user's records, and every check of what a user hands in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcpfn.metric import Bounds


@dataclass(frozen=True)
class Run:
    """One recorded run.

    Attributes:
        name: identity of the run.
        steps: strictly increasing `(n,)` float64.
        values: the metric at these steps `(n,)` float64, the user's units.
        mode: "max" or "min".
        bounds: of the metric, or None.
    """

    name: str
    steps: np.ndarray
    values: np.ndarray
    mode: str
    bounds: Bounds | None = None
