"""Rows of a text or Parquet file, one mapping from column to cell each."""

import csv
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from lcpfn.io.json_stream import parse
from lcpfn.io.packed import bar, damage, file_lines
from lcpfn.io.request import Request

Row = Mapping[str, Any]


def csv_rows(request: Request) -> Iterator[Row]:
    """Rows of a CSV file with a header, separated by commas, semicolons or tabs."""
    text = file_lines(request.path, request.progress)
    first = next(text, "")
    if not first.strip():
        raise ValueError("is empty")
    separator = max(",;\t", key=first.count)
    table = csv.reader(chain([first], text), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(table)]
        if repeated := {name for name in header if header.count(name) > 1}:
            raise ValueError(f"several columns have the name {min(repeated)!r}")
        for cells in table:
            if cells and len(cells) != len(header):
                raise ValueError(
                    f"line {table.line_num} has {len(cells)} cells, the header "
                    f"{len(header)}; is the file cut off?"
                )
            if any(cells):
                yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"line {table.line_num}: {error}") from None


def jsonl_rows(request: Request) -> Iterator[Row]:
    """Objects of a file with one JSON document per line."""
    text = file_lines(request.path, request.progress)
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        row = parse(line, f"line {number}")
        if not isinstance(row, dict):
            raise ValueError(f"line {number} must be an object, got {line:.40}")
        yield row


def parquet_rows(request: Request) -> Iterator[Row]:
    """Rows of a Parquet file; needs pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Parquet needs pyarrow: pip install 'lcpfn-jax[readers]'"
        ) from None
    path = request.path
    with path.open("rb") as file, bar(path, request.progress) as shown:
        with damage(path.name, pa.ArrowException):
            for batch in pq.ParquetFile(file).iter_batches():
                shown.update(file.tell() - shown.n)
                yield from batch.to_pylist()
