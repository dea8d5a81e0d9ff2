"""Curves from small text files: CSV and JSON.

CSV, with or without a header:

    value            one column: steps 1..n
    step, value      names such as step, epoch, iteration are recognised
    run, step, value several runs below each other

JSON: a list of values, a list of such lists, or objects `{"name", "steps", "values"}`.
"""

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.curves import Run, check_steps
from lcpfn.metric import Bounds

STEP_NAMES = ("step", "steps", "epoch", "epochs", "iteration", "iter", "t", "x")
RUN_NAMES = ("run", "run_id", "name", "trial", "trial_id", "id")
VALUE_NAMES = ("value", "values", "y", "metric", "score", "loss", "accuracy")


def read_runs(
    path: str | Path, mode: str, bounds: Bounds | None = None, column: str | None = None
) -> list[Run]:
    """Reads every curve in a file.

    Args:
        path: a .csv, .txt or .json file; "-" for standard input.
        mode: "max" or "min".
        bounds: range of the metric.
        column: header of the values, where it is not evident.

    Returns:
        One run or more, in the order of the file. Empty cells and "nan" are NaN.

    Raises:
        ValueError: naming the file, the line and what is wrong with it.
        OSError: if it cannot be read.
    """
    try:
        text = (
            sys.stdin.read() if str(path) == "-" else Path(path).read_text("utf-8-sig")
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from None
    if not text.strip():
        raise ValueError(f"{path} is empty")
    is_json = text.lstrip()[0] in "[{"
    try:
        rows = _from_json(text) if is_json else _from_csv(text, column)
        return [
            Run(
                name,
                check_steps(steps, len(values), name),
                np.array(values, np.float64),
                mode,
                bounds,
            )
            for name, steps, values in rows
        ]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


Row = tuple[str, Sequence[float] | None, Sequence[float]]


def _from_json(text: str) -> list[Row]:
    data = json.loads(text)
    entries = data if isinstance(data, list) else [data]
    if not entries:
        raise ValueError("no curves in it")
    if all(not isinstance(entry, list | dict) for entry in entries):
        entries = [entries]
    return [_json_row(entry, f"curve {i + 1}") for i, entry in enumerate(entries)]


def _json_row(entry: Any, name: str) -> Row:
    if isinstance(entry, list):
        return name, None, entry
    if not isinstance(entry, dict) or "values" not in entry:
        raise ValueError(
            f'{name} must be a list of values or an object with "values" and, if they '
            'are not 1..n, "steps"'
        )
    return str(entry.get("name", name)), entry.get("steps"), entry["values"]


def _number(cell: str, line: int, header: str) -> float:
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        raise ValueError(f"line {line}, {header}: {cell!r} is not a number") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _from_csv(text: str, column: str | None) -> list[Row]:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4096], ",;\t ")
    except csv.Error:
        dialect = csv.excel
    lines = [row for row in csv.reader(io.StringIO(text), dialect) if any(row)]
    headed = not all(_is_number(cell) for cell in lines[0] if cell.strip())
    header = [cell.strip() for cell in lines[0]] if headed else []
    body = lines[1:] if headed else lines
    if not body:
        raise ValueError("no records below the header")
    if not headed:
        header = ["value"] if len(lines[0]) == 1 else ["step", "value"]
    value = _pick_value(header, lines[0], column)
    lower = [name.lower() for name in header]
    step = next((i for i, name in enumerate(lower) if name in STEP_NAMES), None)
    run = next((i for i, name in enumerate(lower) if name in RUN_NAMES), None)

    runs: dict[str, tuple[list[float], list[float]]] = {}
    for number, row in enumerate(body, 1 + headed):
        if len(row) < len(header):
            raise ValueError(
                f"line {number} has {len(row)} cells, the header {len(header)}; is the "
                "file cut off?"
            )
        steps, values = runs.setdefault(row[run] if run is not None else "", ([], []))
        if step is not None:
            steps.append(_number(row[step], number, header[step]))
        values.append(_number(row[value], number, header[value]))
    return [
        (name or "curve", steps if step is not None else None, values)
        for name, (steps, values) in runs.items()
    ]


def _pick_value(header: list[str], first: list[str], column: str | None) -> int:
    """Index of the column of values."""
    if column is not None:
        if column not in header:
            raise ValueError(f"no column {column!r}; there are {', '.join(header)}")
        return header.index(column)
    if len(first) > 2 and header == ["step", "value"]:
        raise ValueError(
            f"{len(first)} columns without a header; name them, e.g. step,value"
        )
    taken = STEP_NAMES + RUN_NAMES
    rest = [i for i, name in enumerate(header) if name.lower() not in taken]
    named = [i for i in rest if header[i].lower() in VALUE_NAMES]
    for candidates in (rest, named):
        if len(candidates) == 1:
            return candidates[0]
    raise ValueError(
        f"which column holds the values? Choose one of "
        f"{', '.join(header[i] for i in rest) or '(none)'} with --metric"
    )
