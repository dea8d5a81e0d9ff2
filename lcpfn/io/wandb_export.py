"""Weights & Biases: histories and charts as they are exported.

A history (`run.history()`, `run.scan_history()`, the run's history artifact) is a table
with the column `_step` and one column per metric, empty where a metric was not logged.
It is one run, named after the file, unless a column names the run.

A chart (exported as CSV in the browser) has its x axis in the first column and, for
every run, `RUN - METRIC`, `RUN - METRIC__MIN` and `RUN - METRIC__MAX`; the first of the
three is read.

Sources: docs.wandb.ai (export, history artifacts); the header of a chart's CSV as
quoted in public notebooks.
"""

from collections.abc import Iterator
from itertools import chain

from lcpfn.curves import Run
from lcpfn.io.packed import GZIP
from lcpfn.io.request import Request
from lcpfn.io.rows import Row, csv_rows, jsonl_rows, parquet_rows
from lcpfn.io.scalar_log import Log
from lcpfn.io.tables import number_in

STEP = "_step"
RUN_COLUMNS = ("run", "run_id", "run_name", "_run")
BETWEEN = " - "
SPREAD = ("__MIN", "__MAX")


def is_chart(columns: list[str]) -> bool:
    """Whether these are the columns of an exported chart."""
    return any(c.endswith(SPREAD[0]) and BETWEEN in c for c in columns[1:])


def rows_of(request: Request) -> Iterator[Row]:
    """Rows of a CSV, JSON lines or Parquet file, by its content."""
    with request.path.open("rb") as file:
        start = file.read(64).lstrip()
    names = {".jsonl", ".ndjson"} & set(request.path.suffixes)
    if start.startswith(b"PAR1"):
        return parquet_rows(request)
    if start.startswith(b"{") or (start.startswith(GZIP) and names):
        return jsonl_rows(request)
    return csv_rows(request)


def read_wandb(request: Request) -> list[Run]:
    """Runs of the chosen metric."""
    rows = rows_of(request)
    first = next(rows, None)
    if first is None:
        raise ValueError("has no rows")
    both, log = chain([first], rows), Log(request.metric)
    if is_chart(list(first)):
        _read_chart(both, log)
    elif STEP in first:
        _read_history(both, log, request)
    else:
        raise ValueError(f"has no column {STEP} and is no exported chart")
    return log.runs(request)


def _read_chart(rows: Iterator[Row], log: Log) -> None:
    for number, row in enumerate(rows, 1):
        axis, *columns = row
        step = number_in(row[axis], number)
        for column in columns:
            run, between, metric = column.rpartition(BETWEEN)
            # `_step` and the like are axes that are exported beside the metric.
            if not between or metric.endswith(SPREAD) or metric.startswith("_"):
                continue
            if log.wants(metric) and step is not None:
                value = number_in(row[column], number)
                if value is not None:
                    log.add(metric, run, step, value)


def _read_history(rows: Iterator[Row], log: Log, request: Request) -> None:
    for number, row in enumerate(rows, 1):
        run = next((str(row[c]) for c in RUN_COLUMNS if row.get(c)), request.stem)
        step = number_in(row.get(STEP), number)
        if step is None:
            raise ValueError(f"row {number} has no {STEP}")
        for column, cell in row.items():
            # pandas writes its index into a column without a name.
            if not column or column.startswith("_") or column in RUN_COLUMNS:
                continue
            if cell in (None, ""):
                continue
            if request.metric is None and not _is_number(cell):
                continue  # an image, a table or a text that was logged
            if log.wants(column) and (value := number_in(cell, number)) is not None:
                log.add(column, run, step, value)


def _is_number(cell: object) -> bool:
    try:
        return number_in(cell, 0) is not None
    except ValueError:
        return False
