"""Markdown tables from results."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from lcpfn.io.cells import printable_lines
from lcpfn.json_files import write_json


class _NumbersOrDash(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "-"
        return super().format_field(value, format_spec)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of a header and rows of cells."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def columns_table(
    labels: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Mapping[str, Any]]],
    columns: Mapping[str, str],
) -> str:
    """A table whose cells are made from templates.

    Args:
        labels: headers of the first columns.
        rows: the cells of these, and the figures of the row.
        columns: header -> template of `str.format`, filled with the figures.
    """
    made = [
        (*first, *(fill(template, row) for template in columns.values()))
        for first, row in rows
    ]
    return table((*labels, *columns), made)


def fill(template: str, row: Mapping[str, Any]) -> str:
    """A template of `str.format` with the figures of a row; "-" for null and NaN."""
    return _NumbersOrDash().vformat(template, (), row)


def cells(
    rows: Mapping[str, Mapping[str, Any]], template: str, keys: Iterable[str]
) -> list[str]:
    """The template filled with `rows[key]` for every key; "-" where there is none."""
    return [fill(template, rows[key]) if key in rows else "-" for key in keys]


def report(results: Mapping[str, Any], table: str, out: Path | None) -> None:
    """Prints a table, and writes what it is made of."""
    if out is not None:
        write_json(out, results)
        sys.stderr.write(f"wrote {out}\n")
    sys.stdout.write(printable_lines(table) + "\n")
