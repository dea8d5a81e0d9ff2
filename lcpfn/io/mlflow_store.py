"""MLflow's local file store: `mlruns/EXPERIMENT/RUN/{metrics,params}/NAME`.

A metric is a text file with a line "timestamp value step" per record, where old
versions left out the step and new ones may add the data set. A parameter is a file that
holds its value. Names with a slash are directories. Deleted runs are left out. A store
in a database is not read; `MlflowClient.get_metric_history` exports it.

Source: mlflow/store/tracking/file_store.py.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcpfn.curves import Run
from lcpfn.io.cells import number_in, shown, step_in
from lcpfn.io.packed import lines
from lcpfn.io.request import Request
from lcpfn.io.rows import Skipped
from lcpfn.io.scalar_log import Log, as_run

DELETED = "lifecycle_stage: deleted"
MOST_PARAM = 1 << 16


def run_folders(path: Path) -> Iterator[Path]:
    """Runs in a store, an experiment or a run itself."""
    for pattern in ("meta.yaml", "*/meta.yaml", "*/*/meta.yaml"):
        for meta in sorted(path.glob(pattern)):
            # Models have metrics too; deleted experiments are moved to `.trash`.
            elsewhere = {"models", ".trash"} & set(meta.relative_to(path).parts)
            if (meta.parent / "metrics").is_dir() and not elsewhere:
                if DELETED not in _text(meta):
                    yield meta.parent


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_PARAM).decode(errors="replace").strip()


def _experiment(run: Path) -> str:
    """Name of the experiment of a run, or its number."""
    meta = run.parent / "meta.yaml"
    for line in _text(meta).splitlines() if meta.is_file() else ():
        key, _, value = line.partition(":")
        if key == "name" and value.strip():
            name = value.strip()
            quoted = name[0] == name[-1] == "'" and len(name) > 1
            return name[1:-1].replace("''", "'") if quoted else name
    return run.parent.name


def _params(run: Path) -> dict[str, Any]:
    """Parameters of a run, numbers where they are numbers."""
    params: dict[str, Any] = {}
    for path in sorted((run / "params").rglob("*")):
        if path.is_file():
            text = _text(path)
            try:
                value: Any = float(text)
            except ValueError:
                value = text
            params[path.relative_to(run / "params").as_posix()] = value
    return params


def _records(path: Path, name: str, skipped: Skipped) -> Iterator[tuple[float, float]]:
    """Step and value of every line of a metric; a damaged line costs itself alone."""
    if not path.stat().st_size:
        skipped.add(name, "is empty")
    with path.open("rb") as file:
        try:
            for number, line in enumerate(lines(file, path.name), 1):
                if record := _record(line):
                    yield record
                    continue
                skipped.add(
                    f"{name}, line {number}",
                    f'must be "timestamp value step", got {shown(line.strip())}; is '
                    "the file cut off?",
                )
        except ValueError as error:  # no text from here on
            skipped.add(name, error)


def _record(line: str) -> tuple[float, float] | None:
    """Step and value of a line; None if it is damaged."""
    parts = line.split()
    if len(parts) not in (2, 3, 5) or not line.endswith("\n"):
        return None
    try:
        int(parts[0])
        value = float(parts[1])
        if math.isinf(value):
            number_in(parts[1])  # refuses one that is too large
    except ValueError:
        return None
    step = step_in(parts[2]) if len(parts) > 2 else 0.0
    return None if step != step else (step, value)


def read_mlflow(request: Request) -> list[Run]:
    """Runs of one metric, named by their id; the task is the experiment."""
    log, skipped = Log(request.metric), Skipped()
    about, runs = {}, []
    for run in run_folders(request.path.resolve()):
        about[run.name] = _experiment(run), _params(run)
        for path in sorted((run / "metrics").rglob("*")):
            metric = path.relative_to(run / "metrics").as_posix()
            if path.is_file() and log.wants(metric):
                name = f"{run.name}/metrics/{metric}"
                for step, value in _records(path, name, skipped):
                    log.add(metric, run.name, step, value)
    if not about:
        raise ValueError("holds no MLflow runs (EXPERIMENT/RUN/meta.yaml and metrics/)")
    try:
        for curve in log.curves():
            task, config = about[curve.run]
            runs.append(as_run(curve._replace(task=task), request, config))
    except ValueError as error:
        raise ValueError(f"{error}; {skipped}" if skipped.count else error) from None
    if skipped.count:
        request.skipped.append(str(skipped))
    return runs
