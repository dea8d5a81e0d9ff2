"""Curves as NumPy arrays in one `.npz`, without pickles.

    curves   (n, t)  values in order, NaN after the end; the only one that is needed
    length   (n,)    number of values; by default up to the last one that is not NaN
    x        (n, t)  step of each value, in any order; by default 1, 2, ...
    task, metric, mode, run_id   (n,)  text
    config   (n,)    hyperparameters as JSON text, may be empty

Where `mode` says which way is better, bounds follow from the name of the metric and all
of its values on a task: accuracies, rates of errors, areas under curves and such lie
within [0, 1], or within [0, 100] if the name says per cent or most of them exceed 1;
losses, squared errors and perplexities are at least 0. A value outside, or a word such
as "gain" or "log", says that the name means something else. A range that is wrong makes
a forecast wrong and one that is missing hardly does, so where there is doubt there is
none.
"""

import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
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
# What names of metrics hold: parts of some, and words that are too short for that.
SHARES = ("accuracy", "error_rate", "success_rate", "precision", "recall", "err_top")
SHARE_WORDS = frozenset("acc ap auc auroc dice f1 iou miou".split())
PERCENT = frozenset("% pct percent percentage".split())
POSITIVE = ("loss", "bpb", "cross_entropy", "perplexity")
POSITIVE_WORDS = frozenset("err error mae mse ppl rmse".split())
# With one of these it is another quantity, which may lie anywhere.
OTHERWISE = frozenset(
    "bias bits change delta diff difference drop gain grad gradient improvement ln log "
    "neg negative norm policy ratio reduction rel relative reward signed size td "
    "time".split()
)
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
    lower = re.sub(r"log[\W_]+loss", "logloss", metric.lower())
    parts = re.findall(r"[a-z0-9]+|%", lower)
    # "acc5" and "top1" are words with a number.
    words = {*parts, *(part.rstrip("0123456789") for part in parts)}
    if not len(finite) or finite.min() < 0 or words & OTHERWISE:
        return None
    name, most = "_".join(parts), finite.max()
    # Else "map" is a picture or a function.
    is_map = "mAP" in metric or name == "map"
    if is_map or words & SHARE_WORDS or any(part in name for part in SHARES):
        percent = bool(words & PERCENT)
        if most <= 1 and not percent:
            return (0.0, 1.0)
        percent = percent or np.median(finite) > 1
        return (0.0, 100.0) if percent and most <= 100 else None
    if words & POSITIVE_WORDS or any(part in name for part in POSITIVE):
        return (0.0, None)
    return None


def lengths_of(curves: np.ndarray) -> np.ndarray:
    """How many values every row has up to its last that is not NaN, `(n,)`."""
    known = ~np.isnan(curves[:, ::-1])
    return np.where(known.any(1), curves.shape[1] - known.argmax(1), 0)


def _bounds_of(
    kinds: Sequence[tuple[str, str]], curves: np.ndarray
) -> dict[tuple[str, str], Bounds | None]:
    """Range of every metric and task; `kinds` are those of the rows of `curves`."""
    rows: dict[tuple[str, str], list[int]] = {}
    for i, kind in enumerate(kinds):
        rows.setdefault(kind, []).append(i)
    found = {kind: implied_bounds(kind[0], curves[own]) for kind, own in rows.items()}
    in_percent = {metric for (metric, _), known in found.items() if known == (0, 100)}
    # Beside a task in per cent this is one in fractions, or has only begun.
    doubtful = [
        k for k, known in found.items() if k[0] in in_percent and known == (0, 1)
    ]
    return found | dict.fromkeys(doubtful)


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


def _check_lengths(length: np.ndarray, most: int, are_given: bool) -> None:
    if not are_given and not length.all():
        raise ValueError(f"row {length.argmin()} of `curves` holds no number")
    if length.dtype.kind not in "iu" or (length < 1).any() or (length > most).any():
        raise ValueError(f"`length` must hold whole numbers in 1..{most}")


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
    _check_lengths(length, most, "length" in arrays)

    metrics = columns.get("metric", [""] * count)
    if request.metric is not None:
        one_of(metrics, request.metric)
    kinds = list(zip(metrics, columns.get("task", metrics), strict=True))
    in_length = np.arange(most) < length[:, None]
    bounds = _bounds_of(kinds, np.where(in_length, curves, np.nan))
    for i in range(count):
        metric, n = metrics[i], int(length[i])
        if request.metric not in (None, metric):
            continue
        row = {name: column[i] for name, column in columns.items()}
        yield request.run(
            row.get("run_id", f"row {i}"),
            *_in_order(None if x is None else x[i, :n], curves[i, :n]),
            Metric(row["mode"], bounds[kinds[i]]) if "mode" in row else None,
            task=row.get("task", ""),
            metric=metric,
            config=_config(row.get("config", "")),
        )
