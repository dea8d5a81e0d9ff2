"""Tables: CSV, JSON lines and Parquet, read row by row.

Three layouts, told apart by the first row:

    run, step, value          long: one row per record. The columns run, step, task and
                              metric are optional; without steps, records of a run are
                              counted 1..n.
    run, 1, 2, 5, ...         wide: one row per run; two or more columns are named by a
                              number, which is the step.
    name, steps, values       one row per run with a list of values (JSON lines and
                              Parquet).

`metric` chooses the column of the values, or the rows whose column `metric` says so.
An empty cell or null is no record; "nan" is one, of a run that had diverged. Runs
without records are left out. One column per run is not read: it looks like one column
per metric.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from lcpfn.curves import Run
from lcpfn.io.packed import file_lines
from lcpfn.io.request import Request, one_of
from lcpfn.io.rows import Row, csv_rows, jsonl_rows, parquet_rows
from lcpfn.io.text import RUN_NAMES, STEP_NAMES, VALUE_NAMES, read_runs

TASK_NAMES = ("task", "task_id", "dataset", "workload")
LABEL = "metric"


def read_csv(request: Request) -> Iterable[Run]:
    """A CSV file; without a header it is read as `lcpfn.io.text` does."""
    first = next(file_lines(request.path, False), "")
    if all(map(_is_number, re.split(r"[,;\t ]+", first.strip()))):
        return read_small(request)
    return runs_of(csv_rows(request), request)


def read_small(request: Request) -> list[Run]:
    """Small text files in the layouts of `lcpfn.io.text`."""
    try:
        runs = read_runs(request.path, str(request.mode), column=request.metric)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    metric = request.metric or ""
    return [request.run(r.name, r.steps, r.values, metric=metric) for r in runs]


def read_jsonl(request: Request) -> Iterable[Run]:
    """A file of JSON lines."""
    return runs_of(jsonl_rows(request), request)


def read_parquet(request: Request) -> Iterable[Run]:
    """A Parquet file."""
    return runs_of(parquet_rows(request), request)


class Layout(NamedTuple):
    """Columns by their part; None where a table has none.

    Attributes:
        run, task, label, step, value: names of columns.
        numbered: columns that are steps, in their order.
    """

    run: str | None
    task: str | None
    label: str | None
    step: str | None
    value: str | None
    numbered: tuple[str, ...]


def layout_of(row: Row, metric: str | None) -> Layout:
    """Which part each column plays, by its name.

    Raises:
        ValueError: if it is not evident which column holds the values.
    """

    def named(names: Iterable[str]) -> str | None:
        """The column with the first of these names that there is."""
        lower = {column.lower(): column for column in row if column != metric}
        return next((lower[name] for name in names if name in lower), None)

    run, task, step = named(RUN_NAMES), named(TASK_NAMES), named(STEP_NAMES)
    # "metric" may also be the header of the values.
    label = named([LABEL])
    if label and (not isinstance(row[label], str) or _is_number(row[label])):
        label = None
    numbered = tuple(c for c in row if _is_number(c))
    if len(numbered) > 1:
        return Layout(run, task, label, None, None, numbered)
    parts = {*RUN_NAMES, *TASK_NAMES, *STEP_NAMES}
    rest = [c for c in row if c != label and c.lower() not in parts]
    usual = [c for c in rest if c.lower() in VALUE_NAMES]
    if metric is not None and (label is None or metric in row):
        value = metric if metric in row else one_of(rest, metric, "column")
    elif len(usual) == 1:
        value = usual[0]
    else:
        value = one_of(rest, None, "column of values")
    return Layout(run, task, label, step, value, ())


def runs_of(rows: Iterator[Row], request: Request) -> Iterator[Run]:
    """Runs of a table, in the order of their first records."""
    first = next(rows, None)
    if first is None:
        raise ValueError("has no rows")
    layout = layout_of(first, request.metric)
    by_column = request.metric is not None and layout.value == request.metric
    curves: dict[tuple[str, str, str], tuple[list[float], list[float]]] = {}
    passed: Counter[tuple[str, str, str]] = Counter()
    for number, row in enumerate(chain([first], rows), 1):
        name = _cell(row, layout.run) or (f"row {number}" if layout.numbered else "")
        key = name or request.stem, _cell(row, layout.task), _cell(row, layout.label)
        steps, values = curves.setdefault(key, ([], []))
        if not by_column and request.metric not in (None, key[-1]) and layout.label:
            continue
        for step, value in _records(row, layout, number):
            passed[key] += 1
            if value is not None:
                steps.append(passed[key] if step is None else step)
                values.append(value)
    if layout.label and not by_column:
        one_of((label for *_, label in curves), request.metric)
    for (name, task, label), (steps, values) in curves.items():
        if values:
            measured = label or request.metric or layout.value or ""
            yield request.run(name, steps, values, task=task, metric=measured)


def _records(
    row: Row, layout: Layout, number: int
) -> Iterator[tuple[float | None, float | None]]:
    """Steps and values in one row, None where there is none."""
    if layout.numbered:
        for column in layout.numbered:
            yield float(column), number_in(row.get(column), number)
        return
    value, step = row.get(layout.value or ""), row.get(layout.step or "")
    if isinstance(value, list):
        steps = step if isinstance(step, list) else [None] * len(value)
        if len(steps) != len(value):
            raise ValueError(f"row {number}: {len(steps)} steps, {len(value)} values")
    else:
        steps, value = [step], [value]
        if layout.step and number_in(step, number) is None:
            raise ValueError(f"row {number} has no {layout.step}")
    for at, cell in zip(steps, value, strict=True):
        yield number_in(at, number), number_in(cell, number)


def number_in(cell: Any, row: int) -> float | None:
    """The number in a cell, or None if it is empty."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"row {row}: {cell!r:.40} is not a number") from None


def _cell(row: Row, column: str | None) -> str:
    found = row.get(column) if column else None
    return "" if found is None else str(found)


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True
