"""How results are written: at once, and as JSON with null for numbers that it lacks."""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def finite(value: Any) -> Any:
    """JSON values with null in place of every NaN and infinity."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text of a value; NaN and infinity become null."""
    return json.dumps(finite(value), indent=indent, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Writes a file at once or not at all, and makes its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def begun(path: Path | None, about: dict[str, Any]) -> dict[str, Any]:
    """What a results file already has of the same thing, else `about` alone.

    Args:
        path: of the file; None: there is none.
        about: what says that it is the same.
    """
    if path is not None and path.exists():
        before: dict[str, Any] = json.loads(path.read_text())
        if all(before.get(name) == value for name, value in about.items()):
            return before
    return dict(about)


def add_part(
    results: dict[str, Any],
    at: Sequence[str],
    make: Callable[[], Any],
    path: Path | None,
) -> None:
    """Makes a part of results unless they have it, and writes them to a file if any.

    Args:
        results: changed in place.
        at: keys from the outermost on, the last is that of the part.
        make: the part.
        path: of the file.
    """
    *sections, name = at
    part = results
    for section in sections:
        part = part.setdefault(section, {})
    if name not in part:
        part[name] = make()
        if path is not None:
            write_json(path, results)


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Writes a value as a JSON file that ends in a newline; see `to_json`."""
    write_text(path, to_json(value, indent) + "\n")
