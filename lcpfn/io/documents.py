"""JSON documents that hold curves, whoever wrote them, as rows of a table.

[0.5, 0.6]                                     one curve
[[0.5, 0.6], [0.4]]                            several
[[10, 0.5], [20, 0.4], [30, 0.3]]              one, of steps and values
[[1.7e9, 10, 0.5], [1.7e9, 20, 0.4]]           one, with times: TensorBoard's download
{"name": ..., "steps": [...], "values": [...]} one; or a list of these
{"loss": [...], "val_loss": [...]}             Keras' `History.history`
{"log_history": [{...}, ...]}                  Hugging Face's `trainer_state.json`
[{"epoch": 1, "loss": 0.5}, ...]               rows
"""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from lcpfn.io.cells import listed, shown
from lcpfn.io.growing import BLOCK, LineDecoder
from lcpfn.io.json_stream import parse
from lcpfn.io.packed import damage, unpacked
from lcpfn.io.rows import Row

NAMED = 4
# Bytes of a document, and values and what holds them: Python needs up to 100 times as
# much memory for an object as its text is long.
MOST_DOCUMENT, MOST_PARTS = 1 << 25, 1 << 21
# Characters of the longest word of JSON, -Infinity, and of a \\uXXXX in a string.
LONGEST_WORD = 10
# Seconds since 1970 as of 2001, which no step of a few logged ones is.
WALL_TIME = 1e9


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
        # An object or array that goes on below ends its first line in the middle; one
        # line that was not read to its end may end in the middle of a word as well.
        is_cut = len(lines) == 1 and len(start) >= BLOCK
        if error.pos < len(first) - 1 and not (is_cut and _is_cut_off(first, error)):
            return False
        if first[0] == "[" or len(lines) > 1:
            return first[0] == "[" or not lines[1].startswith("{")
        return False if is_all else None
    except ValueError:
        return False
    return first[0] == "["


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether JSON is wrong since it ends within a string, a number or a word."""
    in_string = error.msg.startswith("Unterminated string")
    return in_string or error.pos >= len(text) - LONGEST_WORD


def read_document(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows of a document, and where they are.

    Raises:
        ValueError: if it is too large, is not JSON, or holds no curves.
    """
    with path.open("rb") as file, damage(path.name):
        content = unpacked(file, path.name).read(MOST_DOCUMENT + 1)
    if len(content) > MOST_DOCUMENT:
        raise ValueError(f"is a JSON document of more than {MOST_DOCUMENT} bytes")
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_PARTS:
        raise ValueError(
            f"is a JSON document of more than {MOST_PARTS} values; write an object per "
            "line, of which there may be any number"
        )
    decoder = LineDecoder(MOST_DOCUMENT)
    text = "\n".join([*decoder.feed(content), decoder.rest])
    data = parse(text, "it")
    if not isinstance(data, list):
        data = [data]
    if not data:
        raise ValueError("no curves in it")
    if all(not isinstance(entry, list | dict) for entry in data):
        data = [data]
    if _are_steps(data):
        for i, (*_, step, value) in enumerate(data, 1):
            yield f"entry {i}", {"step": step, "value": value}
        return
    for i, entry in enumerate(data, 1):
        for row in _entry(entry, f"curve {i}"):
            yield f"entry {i}", row


def _are_steps(data: Sequence[Any]) -> bool:
    """Whether all entries are a step and a value, or a time, a step and a value."""
    sizes = {len(entry) if isinstance(entry, list) else 0 for entry in data}
    if len(sizes) != 1 or not sizes <= {2, 3}:
        return False
    if any(isinstance(x, bool | list | dict) for entry in data for x in entry):
        return False
    steps = [entry[-2] for entry in data]
    whole = all(isinstance(s, int | float) and s >= 0 and s == s // 1 for s in steps)
    rises = all(before < after for before, after in pairwise(steps)) if whole else False
    if sizes == {2}:
        known = [entry[1] for entry in data if isinstance(entry[1], int | float)]
        fractions = len(data) > 1 and all(value != value // 1 for value in known)
        return rises and (len(data) > 2 or fractions)
    times = [entry[0] for entry in data]
    if not whole or not all(isinstance(t, int | float) for t in times):
        return False
    late = min(times) > WALL_TIME
    later = all(before <= after for before, after in pairwise(times))
    return late or (rises and later and len(data) > 2)


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
    pairs = row.get("values")
    if isinstance(pairs, list) and _are_steps(pairs):
        *_, steps, values = zip(*pairs, strict=True)
        row = {**row, "steps": list(steps), "values": list(values)}
    log = row.get("log_history")
    if isinstance(log, list):
        yield from (entry for entry in log if isinstance(entry, dict))
        return
    if isinstance(row.get("history"), dict):
        yield from rows_in(row["history"], where)
        return
    columns = {name: x for name, x in row.items() if isinstance(x, list)}
    if columns and len(columns) == len(row) and "values" not in row:
        if all(map(_are_steps, columns.values())):
            for name, column in columns.items():
                yield from ({"step": x[-2], name: x[-1]} for x in column)
            return
        if len({len(column) for column in columns.values()}) > 1:
            lengths = [f"{name} {len(x)}" for name, x in columns.items()]
            raise ValueError(
                f"{where} has columns of different lengths ({listed(lengths, NAMED)}), "
                "so their steps are not known; write each as "
                '{"name": ..., "steps": [...], "values": [...]}'
            )
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
