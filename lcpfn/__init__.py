"""Bayesian learning-curve extrapolation.

    import lcpfn

    model = lcpfn.load()
    curve = [0.52, 0.61, 0.66]
    forecast = model.extrapolate(curve, horizon=50, mode="max", bounds=(0, 1))
    forecast.final.interval(0.9)

Importing this package loads nothing else: JAX starts with the first `load`.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.without_links import find_folders_beside

if TYPE_CHECKING:
    import jax

    from lcpfn.card import CheckpointError
    from lcpfn.curves import Run
    from lcpfn.forecast import Forecast
    from lcpfn.model import Model
    from lcpfn.stopping.decision import Decision
    from lcpfn.stopping.early_stopping import EarlyStopping
    from lcpfn.study import Study

try:
    __version__ = version("lcpfn-jax")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.0.0"

find_folders_beside()

_HOME = {
    "CheckpointError": "lcpfn.card",
    "Decision": "lcpfn.stopping.decision",
    "EarlyStopping": "lcpfn.stopping.early_stopping",
    "Forecast": "lcpfn.forecast",
    "Model": "lcpfn.model",
    "Run": "lcpfn.curves",
    "Study": "lcpfn.study",
}

__all__ = [
    "CheckpointError",
    "Decision",
    "EarlyStopping",
    "Forecast",
    "Model",
    "Run",
    "Study",
    "load",
]


def load(
    name: str | Path | None = None, *, device: "jax.Device | None" = None
) -> "Model":
    """Reads a checkpoint from disk; never from the network.

    Args:
        name: a bundled checkpoint such as "domhan", or the path of one. Default: the
            best bundled one, "default" where there is one, else "domhan".
        device: where to compute, a `jax.Device`. Default: the CPU, so that a forecast
            inside a training process never takes the accelerator's memory. If nothing
            in this process has imported JAX yet, JAX is confined to the CPU as well;
            import jax first if you use it yourself.

    Returns:
        The model; `model.card` says what it was trained on and how it scored.

    Raises:
        CheckpointError: not found, damaged, foreign, or newer than this library.
    """
    from lcpfn.jax_setup import confine_jax

    if device is None:
        confine_jax()
    from lcpfn.model import Model

    return Model.load(name, device)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'lcpfn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
