"""Which format a file or directory has, by its name and first bytes."""

import re
import zipfile
from pathlib import Path

from lcpfn.io.arrays import BROKEN
from lcpfn.io.events import PATTERN, event_files
from lcpfn.io.mlflow_store import run_folders
from lcpfn.io.nats import ENDING
from lcpfn.io.packed import damage, file_lines
from lcpfn.io.request import Request
from lcpfn.io.rows import jsonl_rows, parquet_rows
from lcpfn.io.wandb_export import STEP, is_chart

START = 1 << 12
LCBENCH = re.compile(rb'\s*(\{\s*"[^"]*"\s*:\s*){2}\{\s*"(config|log|results)"')
TASKSET = re.compile(rb'\s*\[\s*\{\s*"(hp|train|valid|test)"\s*:\s*\{')
TEXT = (".csv", ".tsv", ".txt")
LINES = (".jsonl", ".ndjson")
PD1 = {"global_step", "trial_dir"}


def format_of(path: Path) -> str | None:
    """Name of the format, or None.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is empty.
    """
    if path.is_dir():
        return _directory(path)
    with path.open("rb") as file:
        start = file.read(START).removeprefix(b"\xef\xbb\xbf")
    if not start.strip():
        raise ValueError("is empty")
    return _file(path, start)


def _directory(path: Path) -> str | None:
    if any(path.glob(f"*{ENDING}")):
        return "nats"
    if any(run_folders(path)):
        return "mlflow"
    if event_files(path):
        return "tensorboard"
    if any(path.rglob("*_replica*.npz")):
        return "taskset"
    first = next(iter(sorted(path.glob("*.json"))), None)
    return "taskset" if first and format_of(first) == "taskset" else None


def _file(path: Path, start: bytes) -> str | None:
    endings = [ending.lower() for ending in path.suffixes if ending != ".gz"]
    ending = endings[-1] if endings else ""
    if path.match(PATTERN):
        return "tensorboard"
    if path.name.endswith(ENDING):
        return "nats"
    if ending in (".tar", ".tgz"):
        return "pd1"
    if ending == ".npz":
        with damage(path.name, *BROKEN):
            names = zipfile.ZipFile(path).namelist()
        return "taskset" if "ys.npy" in names else "npz"
    if ending == ".json":
        if LCBENCH.match(start):
            return "lcbench"
        return "taskset" if TASKSET.match(start) else "json"
    return _table(path, ending)


def _table(path: Path, ending: str) -> str | None:
    """A table, or one of the logs that look like one."""
    request = Request(path, progress=False)
    if ending in TEXT:
        kind = "csv"
        header = next(file_lines(path, False), "").replace('"', "")
        columns = [column.strip() for column in header.split(",")]
    elif ending in LINES:
        kind, columns = "jsonl", list(next(jsonl_rows(request), ()))
    elif ending == ".parquet":
        kind, columns = "parquet", list(next(parquet_rows(request), ()))
    else:
        return None
    if STEP in columns or is_chart(columns):
        return "wandb"
    return "pd1" if PD1 <= set(columns) else kind
