"""What a path or address leads to, before any reader opens it."""

import json
from pathlib import Path

from lcpfn.io.cells import printable

SQLITE = b"SQLite format 3\0"
LFS_POINTER = b"version https://git-lfs"


def named(place: str | Path, error: Exception) -> str:
    """What an error says, behind the name of what it is about."""
    message = str(error).removeprefix(f"{place}: ").removeprefix(f"{place} ")
    return printable(f"{place}: {message}")


def check_file(path: Path) -> None:
    """Refuses what can be opened, but not read as curves.

    Raises:
        ValueError: if it is a pipe or a device, or stands for a file that is not there.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(
            "is a pipe or a device, which cannot be read twice; save it to a file, or "
            "send it to standard input and give - as the path"
        )
    if path.is_file():
        with path.open("rb") as file:
            is_pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
        if is_pointer:
            raise ValueError(
                "is a pointer of Git LFS, not the file itself; run git lfs pull"
            )


def is_address(place: str) -> bool:
    """Whether this is a URL, and so no path."""
    return "://" in place


def is_storage(place: str | Path) -> bool:
    """Whether this is the address of an Optuna storage, or the file of one."""
    if is_address(str(place)):
        return True
    path = Path(place)
    return path.is_file() and (is_sqlite(path) or is_journal(path))


def is_sqlite(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def is_journal(path: Path) -> bool:
    """Whether a file begins as a journal of Optuna does."""
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"op_code", "worker_id"} <= set(found)
