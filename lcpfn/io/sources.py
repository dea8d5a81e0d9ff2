"""Where watched runs come from: growing logs, a study's storage, any other file."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from lcpfn.io import check_format, check_options, read
from lcpfn.io.cells import printable
from lcpfn.io.detect import format_of
from lcpfn.io.follow import OTHERS, TABLES, Logs, Observation, ending_of, news
from lcpfn.io.places import check_file, is_storage, named
from lcpfn.io.request import STDIN, Request
from lcpfn.io.scalar_log import Curve
from lcpfn.io.studies import Studies

# Read on from where they ended; all other formats are read as a whole.
GROWING = ("csv", "json", "jsonl", "logs", "tensorboard", "wandb")


class Source(Protocol):
    """What a board is fed from.

    Attributes:
        trouble: what could not be read, by file or run.
        ended: how runs ended of which no more observations will come.
        gone: runs that the last look no longer found in what is still there.
    """

    trouble: dict[str, str]
    ended: dict[str, str]
    gone: set[str]

    def poll(self, final: bool = False) -> list[Observation]:
        """Everything new. `final`: nothing will be written any more."""


def open_source(request: Request, format: str | None = None) -> Source:
    """The source of what a user points to.

    Args:
        request: the place, and what is known of the files.
        format: of the files; by default found by name and content.

    Raises:
        ValueError: if there is nothing of that name, or it is of no known format.
        ModuleNotFoundError: if an optional package is missing, saying which.
    """
    check_format(format)
    place, path = str(request.place), request.path
    if format in (None, "optuna") and is_storage(place):
        if request.step or request.metric:
            name = "--step" if request.step else "--metric"
            raise ValueError(f"{name} is for tables and logs, which {place} is not")
        return Studies(place, str(request.mode))
    if place == STDIN:
        return Whole(request, format)
    if not path.exists():
        raise ValueError(f"there is no {printable(place)}")
    try:
        check_file(path)
        # An empty directory or file is a log that has not begun.
        empty = not (any(path.iterdir()) if path.is_dir() else path.stat().st_size)
        found = _format_of(path, request, format or ("logs" if empty else None))
    except ValueError as error:
        raise ValueError(named(path, error)) from None
    if found in GROWING and path.suffix != ".parquet":
        return Logs(path, request.metric, request.step, request.percent)
    return Whole(request, found)


def _format_of(path: Path, request: Request, format: str | None) -> str | None:
    """The format, found where it is not given; None where a file is half-written.

    Raises:
        ValueError: if it is of no known format, or lacks what is asked of it.
    """
    try:
        found = format or format_of(path)
    except ValueError:
        return "logs" if ending_of(path) in TABLES + OTHERS else None
    check_options(found, request)
    return found


class Whole:
    """A file or directory that is read as a whole, again when it has changed.

    It may be met while it is written anew, so what a reader refuses is trouble until
    it changes again.
    """

    def __init__(self, request: Request, format: str | None) -> None:
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.gone: set[str] = set()
        self._request, self._format = request, format
        self._state: object = ()
        self._given: dict[str, Curve] = {}

    def poll(self, final: bool = False) -> list[Observation]:
        """What is new in any of the runs.

        Raises:
            ValueError: if standard input holds nothing to read.
        """
        path, self.gone = self._request.path, set()
        request = replace(self._request, skipped=[])
        try:
            state = None if str(path) == STDIN else _state_of(path)
            if state == self._state:
                return []
            self._state = state
            curves = read(request, self._format)
        except (OSError, ValueError) as error:
            if str(path) == STDIN:  # cannot be read again
                raise
            self.trouble = {"files": printable(str(error))}
            return []
        self.trouble = {"files": "; ".join(request.skipped)} if request.skipped else {}
        now = {
            printable(run.name): Curve(
                run.name, run.task, run.metric, run.steps, run.values
            )
            for run in curves.runs
        }
        self.gone = self._given.keys() - now.keys()
        for name in self.gone:
            del self._given[name]
        return news(self._given, now)


def _state_of(path: Path) -> tuple[int, int, int]:
    """How many files, bytes and when: changes whenever anything is written."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    stats = [file.stat() for file in files]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return len(stats), sum(stat.st_size for stat in stats), newest
