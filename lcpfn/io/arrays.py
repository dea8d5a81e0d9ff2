"""Curves as NumPy arrays in one `.npz`, without pickles.

    curves   (n, t)  values in order, NaN after the end; the only one that is needed
    length   (n,)    number of values; by default up to the last one that is not NaN
    x        (n, t)  step of each value, in any order; by default 1, 2, ...
    task, metric, mode, run_id   (n,)  text
    config   (n,)    hyperparameters as JSON text, may be empty

Where `mode` says which way is better, bounds follow from the name of the metric and all
of its values in the file: accuracies within [0, 1] and percentages have both bounds,
losses and bits per byte are at least 0 if none is negative.
"""

import sys
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.json_stream import parse
from lcpfn.io.packed import damage
from lcpfn.io.request import Request, epochs, numbers, one_of
from lcpfn.io.scalar_log import in_order
from lcpfn.metric import Bounds, Metric

# Reading takes up to four times as much memory.
MOST_ARRAYS = 1 << 29
TEXTS = ("task", "metric", "mode", "config", "run_id")
# What NumPy and zipfile raise for an archive that is damaged, encrypted or larger than
# it says.
BROKEN = (
    *(KeyError, MemoryError, OverflowError, RuntimeError, SyntaxError),
    *(SystemError, TokenError, TypeError, ValueError),
)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a `.npz`.

    Raises:
        ValueError: if it is damaged, holds pickles, or claims to be enormous.
    """
    with path.open("rb") as file, damage(path.name, *BROKEN):
        size = sum(entry.file_size for entry in zipfile.ZipFile(file).infolist())
    if size > MOST_ARRAYS:
        raise ValueError(f"{path.name} unpacks to {size} bytes")
    with path.open("rb") as file, damage(path.name, *BROKEN):
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    if others := [n for n, array in found.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{path.name} holds {others[0]!r}, which is no array")
    return found


def texts(array: np.ndarray, name: str) -> list[str]:
    """The strings in an array of text `(n,)`."""
    if array.dtype.kind not in "SU" or array.ndim != 1:
        raise ValueError(
            f"`{name}` must be text of one dimension, got {array.dtype} of shape "
            f"{array.shape}"
        )
    with damage(f"`{name}`", *BROKEN):
        text = array.astype(str)
        # NumPy hands on what is no character, and Python breaks on it later.
        if text.size and text.view(np.uint32).max() > sys.maxunicode:
            raise ValueError("it holds numbers that are no characters")
        return text.tolist()


def implied_bounds(metric: str, values: np.ndarray) -> Bounds | None:
    """Range of a metric by its name, if none of its values contradicts it."""
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    name = metric.lower()
    if name.endswith("_pct"):
        return (0.0, 100.0) if low >= 0 and high <= 100 else None
    if "accuracy" in name:
        return (0.0, 1.0) if low >= 0 and high <= 1 else None
    if "loss" in name or "bpb" in name or "cross_entropy" in name:
        return (0.0, None) if low >= 0 else None
    return None


def lengths_of(curves: np.ndarray) -> np.ndarray:
    """How many values every row has up to its last that is not NaN, `(n,)`."""
    known = ~np.isnan(curves[:, ::-1])
    return np.where(known.any(1), curves.shape[1] - known.argmax(1), 0)


@lru_cache(maxsize=1024)
def _config(text: str) -> Any:
    return parse(text, "config") if text else None


def _in_order(
    steps: np.ndarray | None, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Steps (default: 1, 2, ...) and values; steps not finite are refused later."""
    if steps is None:
        return epochs(len(values)), values
    steps = numbers(steps, "`x`")
    return in_order(steps, values) if np.isfinite(steps).all() else (steps, values)


def read_npz(request: Request) -> Iterator[Run]:
    """Every run, or those of one metric."""
    arrays = load_arrays(request.path)
    curves = arrays.get("curves")
    if curves is None or curves.ndim != 2 or curves.dtype.kind not in "fiu":
        raise ValueError(
            "needs an array `curves` of numbers, one row per run; there are "
            f"{', '.join(arrays) or 'no arrays'}"
        )
    if not curves.size:
        raise ValueError(f"`curves` must not be empty, got shape {curves.shape}")
    count, most = curves.shape
    columns = {name: texts(arrays[name], name) for name in TEXTS if name in arrays}
    x = arrays.get("x")
    length: Any = arrays.get("length", lengths_of(curves))
    for name, column in (*columns.items(), ("length", length)):
        if np.shape(column) != (count,):
            raise ValueError(
                f"`{name}` must have shape ({count},), got {np.shape(column)}"
            )
    if x is not None and x.shape != curves.shape:
        raise ValueError(f"`x` must have shape {curves.shape}, got {x.shape}")
    if length.dtype.kind not in "iu" or (length < 1).any() or (length > most).any():
        raise ValueError(f"`length` must hold whole numbers in 1..{most}")

    metrics = columns.get("metric", [""] * count)
    if request.metric is not None:
        one_of(metrics, request.metric)
    bounds = {
        metric: implied_bounds(metric, curves[[m == metric for m in metrics]])
        for metric in set(metrics)
    }
    for i in range(count):
        metric, n = metrics[i], int(length[i])
        if request.metric not in (None, metric):
            continue
        row = {name: column[i] for name, column in columns.items()}
        yield request.run(
            row.get("run_id", f"row {i}"),
            *_in_order(None if x is None else x[i, :n], curves[i, :n]),
            Metric(row["mode"], bounds[metric]) if "mode" in row else None,
            task=row.get("task", ""),
            metric=metric,
            config=_config(row.get("config", "")),
        )
