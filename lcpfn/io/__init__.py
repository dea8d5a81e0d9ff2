"""Readers for real learning curves: every format to one `CurveSet`, in its own units.

    read_curves("mlruns", metric="val_loss", mode="min")
    read_curves("NATS-tss-v1_0-3ffb9-simple", metric="x-valid_accuracy_pct")

| format | what |
|---|---|
| csv, jsonl | tables with any delimiter, JSON lines; also gzipped (`rows`, `collect`) |
| json | lists of values, `trainer_state.json`, Keras' history (`documents`) |
| logs | a directory of these and of event files (`follow`) |
| parquet | tables (`tables`) |
| wandb | exported histories and charts of Weights & Biases, which are tables |
| npz | arrays of curves (`arrays`) |
| optuna | storages: SQLite, an address, a journal (`studies`) |
| tensorboard | event files, a directory per run (`events`) |
| mlflow | local file store of MLflow (`mlflow_store`) |
| lcbench | `data_2k.json` (`lcbench`) |
| nats | NATS-Bench, NAS-Bench-201: `*.pickle.pbz2` (`nats`) |
| taskset | JSON or npz per task (`taskset`) |
| pd1 | JSON lines, also inside `pd1.tar.gz` (`pd1`) |

Files are read front to back, never unpacked to disk and never trusted: nothing in them
is run, and one that is empty, cut off or hostile is a ValueError that names it. In a
table a damaged line costs that line alone, and is named in a warning; an event file is
read to where it is damaged.
"""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from lcpfn.curves import CurveSet, Run
from lcpfn.io.arrays import read_npz
from lcpfn.io.cells import printable
from lcpfn.io.detect import format_of
from lcpfn.io.events import read_tensorboard
from lcpfn.io.lcbench import read_lcbench
from lcpfn.io.mlflow_store import read_mlflow
from lcpfn.io.nats import read_nats
from lcpfn.io.pd1 import read_pd1
from lcpfn.io.places import check_file, is_address, named
from lcpfn.io.request import STDIN, Request
from lcpfn.io.studies import read_optuna
from lcpfn.io.tables import read_logs, read_parquet, read_table, read_text
from lcpfn.io.taskset import read_taskset
from lcpfn.metric import Bounds, Metric

__all__ = ["FORMATS", "SkippedWarning", "read", "read_curves"]


class SkippedWarning(UserWarning):
    """Something in a file could not be read; the rest was."""


class Format(NamedTuple):
    """How a format is read.

    Attributes:
        read: all its runs.
        directed: whether it may say which way a metric is better.
        table: whether it has columns, one of which is the step axis.
    """

    read: Callable[[Request], Iterable[Run]]
    directed: bool = False
    table: bool = False


FORMATS = {
    "csv": Format(read_text, table=True),
    "json": Format(read_text, table=True),
    "jsonl": Format(read_text, table=True),
    "lcbench": Format(read_lcbench, directed=True),
    "logs": Format(read_logs, table=True),
    "mlflow": Format(read_mlflow),
    "nats": Format(read_nats, directed=True),
    "npz": Format(read_npz, directed=True),
    "optuna": Format(read_optuna),
    "parquet": Format(read_parquet, table=True),
    "pd1": Format(read_pd1, directed=True),
    "taskset": Format(read_taskset, directed=True),
    "tensorboard": Format(read_tensorboard),
    "wandb": Format(read_table, table=True),
}


def read_curves(
    path: str | Path,
    *,
    mode: str | None = None,
    bounds: Bounds | None = None,
    format: str | None = None,
    metric: str | None = None,
    step: str | None = None,
    progress: bool = True,
) -> CurveSet:
    """Reads every curve in a file or directory.

    Args:
        path: of one of the formats above, or the address of an Optuna storage; "-" for
            standard input.
        mode: "max" or "min". Needed where the format does not say; where it does, it
            must agree.
        bounds: range of the metric, in the units of the file; by default what the
            format says.
        format: one of `FORMATS`; by default found by name and content.
        metric: which one to read. By default all whose direction the format knows, or
            the only one.
        step: column of the step axis, in tables. By default the first of the usual
            names that increases (`lcpfn.io.columns.STEP_NAMES`).
        progress: whether to show a bar on standard error, if that is a terminal.

    Returns:
        The runs, in the order of the file or of sorted file names, as a set with the
        name of the file. Observations are in the order of their steps. Empty, NA and
        null cells are none; a written nan or inf is one.

    Raises:
        ValueError: naming the file and what is wrong with it or with the arguments.
        OSError: if it cannot be read.
        ModuleNotFoundError: if an optional package is missing, saying which.

    Warns:
        SkippedWarning: naming the lines or files that could not be read.
    """
    bounds = None if bounds is None else (bounds[0], bounds[1])
    request = Request(path, mode, bounds, metric, step, progress)
    curves = read(request, format)
    for what in request.skipped:
        warnings.warn(what, SkippedWarning, stacklevel=2)
    return curves


def read(request: Request, format: str | None = None) -> CurveSet:
    """The same for programs: what was left out is in `request.skipped`, no warnings.

    Raises:
        ValueError, OSError, ModuleNotFoundError: as `read_curves`.
    """
    if request.mode is not None:
        Metric(request.mode, request.bounds)
    check_format(format)
    path = str(request.place or request.path)
    try:
        if path != STDIN:
            check_file(request.path)
        if format is None:
            format = "optuna" if is_address(path) else format_of(request.path)
        check_options(format, request)
        runs = tuple(FORMATS[str(format)].read(request))
        if not runs:
            raise ValueError("holds no curves")
    except ValueError as error:
        raise ValueError(named(path, error)) from None
    request.skipped[:] = [printable(f"{path}: {what}") for what in request.skipped]
    return CurveSet(request.stem, runs)


def check_format(format: str | None) -> None:
    """Refuses a name that is no format.

    Raises:
        ValueError: listing what there is.
    """
    if format not in (None, *FORMATS):
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")


def check_options(found: str | None, request: Request) -> None:
    """Refuses what no content of a file could mend.

    Raises:
        ValueError: if the format is unknown, or lacks what is asked of it.
    """
    if found is None:
        raise ValueError(
            "is of no known format; give format= (--format) one of "
            + ", ".join(FORMATS)
        )
    format = FORMATS[found]
    if request.mode is None and not format.directed:
        raise ValueError(
            f"{found} does not say which way the metric is better; give "
            'mode="max" or mode="min"'
        )
    if request.step is not None and not format.table:
        raise ValueError(f"{found} has one step axis; leave out step= (--step)")
