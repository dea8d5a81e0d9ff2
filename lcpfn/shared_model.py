"""Models that are loaded once per process, for all who name them."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lcpfn import load

if TYPE_CHECKING:
    from lcpfn.model import Model

_models: dict[str | None, "Model"] = {}
_loading = threading.Lock()


def name_of(model: "Model | str | Path | None") -> "Model | str | Path | None":
    """What stands for a model in a pickle: the path of one that was loaded, or itself.

    One that was made and never saved has no path.
    """
    return getattr(model, "path", None) or model


def shared_model(model: "Model | str | Path | None") -> "Model":
    """The model by this name, loaded once per process; a model is passed through."""
    if model is not None and not isinstance(model, str | Path):
        return model
    name = None if model is None else str(model)
    with _loading:
        if name not in _models:
            _models[name] = load(name)
        return _models[name]
