"""Readers for real learning curves: every format to one `CurveSet`, in its own units.

    read_curves("mlruns", metric="val_loss", mode="min")
    read_curves("NATS-tss-v1_0-3ffb9-simple", metric="x-valid_accuracy_pct")

| format | what |
|---|---|
| csv, jsonl, parquet | tables, long or one row per run (`tables`) |
| json | lists of values or {"name", "steps", "values"} (`lcpfn.io.text`) |
| npz | arrays of curves (`arrays`) |
| tensorboard | event files, a directory per run (`events`) |
| wandb | exported histories and charts of Weights & Biases (`wandb_export`) |
| mlflow | local file store of MLflow (`mlflow_store`) |
| lcbench | `data_2k.json` (`lcbench`) |
| nats | NATS-Bench, NAS-Bench-201: `*.pickle.pbz2` (`nats`) |
| taskset | JSON or npz per task (`taskset`) |
| pd1 | JSON lines, also inside `pd1.tar.gz` (`pd1`) |

Files are read front to back, never unpacked to disk and never trusted: nothing in them
is run, and one that is empty, cut off or hostile is a ValueError that names it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from lcpfn.curves import CurveSet, Run
from lcpfn.io.arrays import read_npz
from lcpfn.io.detect import format_of
from lcpfn.io.events import read_tensorboard
from lcpfn.io.lcbench import read_lcbench
from lcpfn.io.mlflow_store import read_mlflow
from lcpfn.io.nats import read_nats
from lcpfn.io.pd1 import read_pd1
from lcpfn.io.request import Request
from lcpfn.io.tables import read_csv, read_jsonl, read_parquet, read_small
from lcpfn.io.taskset import read_taskset
from lcpfn.io.wandb_export import read_wandb
from lcpfn.metric import Bounds, Metric

__all__ = ["FORMATS", "read_curves"]


class Format(NamedTuple):
    """How a format is read.

    Attributes:
        read: all its runs.
        directed: whether it may say which way a metric is better.
    """

    read: Callable[[Request], Iterable[Run]]
    directed: bool = False


FORMATS = {
    "csv": Format(read_csv),
    "json": Format(read_small),
    "jsonl": Format(read_jsonl),
    "lcbench": Format(read_lcbench, directed=True),
    "mlflow": Format(read_mlflow),
    "nats": Format(read_nats, directed=True),
    "npz": Format(read_npz, directed=True),
    "parquet": Format(read_parquet),
    "pd1": Format(read_pd1, directed=True),
    "taskset": Format(read_taskset, directed=True),
    "tensorboard": Format(read_tensorboard),
    "wandb": Format(read_wandb),
}


def read_curves(
    path: str | Path,
    *,
    mode: str | None = None,
    bounds: Bounds | None = None,
    format: str | None = None,
    metric: str | None = None,
    progress: bool = True,
) -> CurveSet:
    """Reads every curve in a file or directory.

    Args:
        path: of one of the formats above.
        mode: "max" or "min". Needed where the format does not say; where it does, it
            must agree.
        bounds: range of the metric, in the units of the file; by default what the
            format says.
        format: one of `FORMATS`; by default found by name and content.
        metric: which one to read. By default all whose direction the format knows, or
            the only one.
        progress: whether to show a bar on standard error, if that is a terminal.

    Returns:
        The runs, in the order of the file or of sorted file names, as a set with the
        name of the file.

    Raises:
        ValueError: naming the file and what is wrong with it or with the arguments.
        OSError: if it cannot be read.
        ModuleNotFoundError: if an optional package is missing, saying which.
    """
    path, bounds = Path(path), None if bounds is None else (bounds[0], bounds[1])
    if mode is not None:
        Metric(mode, bounds)
    if format not in (None, *FORMATS):
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    request = Request(path, mode, bounds, metric, progress)
    try:
        found = format or format_of(path)
        if found is None:
            raise ValueError(
                "is of no known format; give format= one of " + ", ".join(FORMATS)
            )
        if mode is None and not FORMATS[found].directed:
            raise ValueError(
                f"{found} does not say which way the metric is better; give "
                'mode="max" or mode="min"'
            )
        runs = tuple(FORMATS[found].read(request))
        if not runs:
            raise ValueError("holds no curves")
    except ValueError as error:
        # `lcpfn.io.text` names the file itself.
        message = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
        raise ValueError(f"{path}: {message}") from None
    return CurveSet(request.stem, runs)
