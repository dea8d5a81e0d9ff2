"""Which format a file or directory has, by its name and first bytes."""

import json
import re
import zipfile
from pathlib import Path

from lcpfn.io.arrays import BROKEN
from lcpfn.io.columns import STEP_NAMES, is_chart
from lcpfn.io.documents import is_document
from lcpfn.io.events import PATTERN, event_files
from lcpfn.io.follow import OTHERS, TABLES, Logs, ending_of
from lcpfn.io.growing import BLOCK, LineDecoder
from lcpfn.io.mlflow_store import run_folders
from lcpfn.io.nats import ENDING
from lcpfn.io.packed import damage, unpacked
from lcpfn.io.places import is_storage
from lcpfn.io.request import STDIN, Request
from lcpfn.io.tables import parquet_rows

LCBENCH = re.compile(rb'\s*(\{\s*"[^"]*"\s*:\s*){2}\{\s*"(config|log|results)"')
TASKSET = re.compile(rb'\s*\[\s*\{\s*"(hp|train|valid|test)"\s*:\s*\{')
PD1 = {"global_step", "trial_dir"}
WANDB_STEP = STEP_NAMES[0]


def format_of(path: Path) -> str | None:
    """Name of the format, or None.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is empty or damaged.
    """
    if str(path) == STDIN:
        return "csv"
    if path.is_dir():
        return _directory(path)
    if is_storage(path):
        return "optuna"
    ending = ending_of(path)
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
    if ending == ".parquet":
        columns = list(next(parquet_rows(Request(path, progress=False)), ()))
        return "wandb" if WANDB_STEP in columns else "parquet"
    return _text(path) if ending in TABLES + OTHERS else None


def _directory(path: Path) -> str:
    if any(path.glob(f"*{ENDING}")):
        return "nats"
    if any(run_folders(path)):
        return "mlflow"
    if any(path.rglob("*_replica*.npz")):
        return "taskset"
    first = next(iter(sorted(path.glob("*.json"))), None)
    if first and first.is_file() and _is_taskset(first):
        return "taskset"
    # Whatever else there is, and it may be to come.
    only_events = event_files(path) and not Logs(path).has_text()
    return "tensorboard" if only_events else "logs"


def _is_taskset(path: Path) -> bool:
    """Whether a file in a directory is one of TaskSet, whatever is wrong with it."""
    try:
        return format_of(path) == "taskset"
    except ValueError:
        return False


def _text(path: Path) -> str | None:
    """A table or JSON, or one of the benchmarks and logs that look like one."""
    with path.open("rb") as file, damage(path.name):
        start = unpacked(file, path.name).read(BLOCK)
    decoder = LineDecoder()
    lines = [x for x in [*decoder.feed(start), decoder.rest] if x.strip()]
    if not start.strip():
        raise ValueError("is empty")
    if not lines:  # nothing that can be seen, a mark of the encoding perhaps
        return "csv"
    if LCBENCH.match(start):
        return "lcbench"
    if TASKSET.match(start):
        return "taskset"
    if is_document(start):
        return "json"
    if lines[0].lstrip().startswith("{"):
        try:
            columns = [*json.loads(lines[0])]
        except (ValueError, RecursionError):
            columns = []
        if PD1 <= set(columns):
            return "pd1"
        return "wandb" if WANDB_STEP in columns else "jsonl"
    cells = [cell.strip() for cell in lines[0].replace('"', "").split(",")]
    return "wandb" if WANDB_STEP in cells or is_chart(tuple(cells)) else "csv"
