"""JSON documents that hold curves, whoever wrote them, as rows of a table.

[0.5, 0.6]                                     one curve
[[0.5, 0.6], [0.4]]                            several
{"name": ..., "steps": [...], "values": [...]} one; or a list of these
{"loss": [...], "val_loss": [...]}             Keras' `History.history`
{"log_history": [{...}, ...]}                  Hugging Face's `trainer_state.json`
[{"epoch": 1, "loss": 0.5}, ...]               rows
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcpfn.io.cells import shown
from lcpfn.io.growing import LineDecoder
from lcpfn.io.json_stream import parse
from lcpfn.io.packed import damage, unpacked
from lcpfn.io.rows import Row

MOST_DOCUMENT = 1 << 26


def is_document(start: bytes, is_all: bool = True) -> bool | None:
    """Whether a file that begins so is one JSON document, and not lines of objects.

    Args:
        start: its first bytes.
        is_all: whether there are no more, or more than enough.

    Returns:
        None if that is not evident yet.
    """
    decoder = LineDecoder()
    complete = decoder.feed(start)
    if not is_all and not any(line.strip() for line in complete):
        return None
    lines = [line.strip() for line in (*complete, decoder.rest) if line.strip()]
    if not lines:
        return False
    first = lines[0]
    if not first.startswith(("{", "[")):
        return False
    try:
        json.loads(first)
    except RecursionError:
        return first[0] == "["
    except json.JSONDecodeError as error:
        # An object or array that goes on below ends its first line in the middle.
        if error.pos < len(first) - 1:
            return False
        if first[0] == "[" or len(lines) > 1:
            return first[0] == "[" or not lines[1].startswith("{")
        return False if is_all else None
    except ValueError:
        return False
    return first[0] == "["


def read_document(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows of a document, and where they are.

    Raises:
        ValueError: if it is too large, is not JSON, or holds no curves.
    """
    with path.open("rb") as file, damage(path.name):
        content = unpacked(file, path.name).read(MOST_DOCUMENT + 1)
    if len(content) > MOST_DOCUMENT:
        raise ValueError(f"is a JSON document of more than {MOST_DOCUMENT} bytes")
    decoder = LineDecoder(MOST_DOCUMENT)
    text = "\n".join([*decoder.feed(content), decoder.rest])
    data = parse(text, "it")
    if not isinstance(data, list):
        data = [data]
    if not data:
        raise ValueError("no curves in it")
    if all(not isinstance(entry, list | dict) for entry in data):
        data = [data]
    for i, entry in enumerate(data, 1):
        for row in _entry(entry, f"curve {i}"):
            yield f"entry {i}", row


def _entry(entry: Any, name: str) -> Iterator[Row]:
    if isinstance(entry, list):
        yield {"name": name, "values": entry}
    elif isinstance(entry, dict):
        if isinstance(entry.get("values"), list):
            entry = {"name": name} | entry
        yield from rows_in(entry, name)
    else:
        raise ValueError(
            f"{name} must be a list of values or an object, got {shown(entry)}"
        )


def rows_in(row: Row, where: str) -> Iterator[Row]:
    """The rows in an object: itself, or those that it is made of."""
    if not any(isinstance(value, list | dict) for value in row.values()):
        yield row
        return
    log = row.get("log_history")
    if isinstance(log, list):
        yield from (entry for entry in log if isinstance(entry, dict))
        return
    if isinstance(row.get("history"), dict):
        yield from rows_in(row["history"], where)
        return
    columns = {name: x for name, x in row.items() if isinstance(x, list)}
    if columns and len(columns) == len(row) and "values" not in row:
        if len({len(column) for column in columns.values()}) > 1:
            raise ValueError(f"{where} has columns of different lengths")
        for cells in zip(*columns.values(), strict=True):
            yield dict(zip(columns, cells, strict=True))
        return
    yield dict(_flat(row))


def _flat(row: Row, before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, those of objects inside behind a dot."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
