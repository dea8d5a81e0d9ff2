"""Where watched runs come from: growing logs, a study's storage, any other file."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lcpfn.io import read
from lcpfn.io.cells import printable
from lcpfn.io.detect import format_of
from lcpfn.io.follow import Logs, Observation, news
from lcpfn.io.request import STDIN, Request
from lcpfn.io.scalar_log import Curve

SQLITE = b"SQLite format 3\0"
# Read on from where they ended; all other formats are read as a whole.
GROWING = ("csv", "json", "jsonl", "logs", "tensorboard", "wandb")


class Source(Protocol):
    """What a board is fed from.

    Attributes:
        trouble: what could not be read, by file or run.
        ended: how runs ended of which no more observations will come.
    """

    trouble: dict[str, str]
    ended: dict[str, str]

    def poll(self, final: bool = False) -> list[Observation]:
        """Everything new. `final`: nothing will be written any more."""


def open_source(place: str, request: Request, format: str | None = None) -> Source:
    """The source of what a user points to.

    Args:
        place: a path, or the address of an Optuna storage.
        request: the same path, and what is known of the files.
        format: of the files; by default found by name and content.

    Raises:
        ValueError: if there is nothing of that name, or it is of no known format.
        ModuleNotFoundError: if an optional package is missing, saying which.
    """
    path = request.path
    if is_storage(place):
        if request.step:
            raise ValueError(f"--step is for tables and logs, which {place} is not")
        return Studies(place, str(request.mode))
    if place == STDIN:
        return Whole(request, format)
    if not path.exists():
        raise ValueError(f"there is no {printable(place)}")
    # An empty directory or file is a log that has not begun.
    empty = not (any(path.iterdir()) if path.is_dir() else path.stat().st_size)
    found = format or ("logs" if empty else format_of(path))
    if found is None and path.is_dir():
        found = "logs"
    if found in GROWING and path.suffix != ".parquet":
        return Logs(path, request.metric, request.step, request.percent)
    return Whole(request, found)


class Whole:
    """A file or directory that is read as a whole, again when it has changed."""

    def __init__(self, request: Request, format: str | None) -> None:
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self._request, self._format = request, format
        self._state: object = None
        self._given: dict[str, Curve] = {}

    def poll(self, final: bool = False) -> list[Observation]:
        """What is new in any of the runs.

        Raises:
            ValueError: if there is nothing to read.
        """
        path = self._request.path
        state = None if str(path) == STDIN else _state_of(path)
        if self._state is not None and self._state == (state,):
            return []
        self._state, found = (state,), []
        request = replace(self._request, skipped=[])
        curves = read(request, self._format)
        self.trouble = {"files": "; ".join(request.skipped)} if request.skipped else {}
        for run in curves.runs:
            curve = Curve(run.name, run.task, run.metric, run.steps, run.values)
            name = printable(run.name)
            found += news(name, self._given.get(name), curve)
            self._given[name] = curve
        return found


def _state_of(path: Path) -> tuple[int, int, int]:
    """How many files, bytes and when: changes whenever anything is written."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    stats = [file.stat() for file in files]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return len(stats), sum(stat.st_size for stat in stats), newest


def is_storage(place: str) -> bool:
    """Whether this is the address of an Optuna storage, or the file of one."""
    if "://" in place:
        return True
    path = Path(place)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE or _is_journal(path)


def _is_journal(path: Path) -> bool:
    """Whether a file begins as a journal of Optuna does."""
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"op_code", "worker_id"} <= set(found)


class Studies:
    """Intermediate values of the trials of an Optuna storage; only ever reads it.

    A file of SQLite is opened read-only, and a journal is not locked, so a study that
    is running is not disturbed.

    Args:
        place: URL such as `sqlite:///study.db`, or a file of SQLite or a journal.
        mode: "max" or "min".

    Raises:
        ModuleNotFoundError: if Optuna is missing.
        ValueError: if there is no such file.
    """

    def __init__(self, place: str, mode: str) -> None:
        try:
            from optuna.exceptions import OptunaError
            from optuna.storages import JournalStorage, RDBStorage
            from optuna.storages.journal import JournalFileBackend
            from sqlalchemy.exc import SQLAlchemyError
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "an Optuna storage needs optuna: pip install 'lcpfn-jax[optuna]'"
            ) from None
        self.errors = (OptunaError, SQLAlchemyError)
        self.place, self.mode = place, mode
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self._given: dict[str, Curve] = {}
        self.storage: Any
        try:
            if "://" not in place and _is_journal(Path(place)):
                self.storage = JournalStorage(JournalFileBackend(place))
                return
            self.storage = RDBStorage(
                **_engine(place),
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
        except (*self.errors, ImportError, KeyError, TypeError) as error:
            raise ValueError(f"{place}: {_why(error)}") from None

    def poll(self, final: bool = False) -> list[Observation]:
        """What is new in any of the trials."""
        import optuna

        found: list[Observation] = []
        self.trouble.clear()
        try:
            names = optuna.get_all_study_names(self.storage)
            for name in names:
                study = optuna.load_study(study_name=name, storage=self.storage)
                if why := self._unfit(study):
                    self.trouble[printable(name)] = why
                    continue
                for trial in study.get_trials(deepcopy=False):
                    run = f"trial {trial.number}"
                    run = run if len(names) == 1 else f"{name}/{run}"
                    found += self._new(printable(run), trial)
        except self.errors as error:
            self.trouble[self.place] = printable(_why(error))
        return found

    def _unfit(self, study: Any) -> str:
        """Why the trials of a study are not read, or nothing."""
        if len(study.directions) > 1:
            return "has several objectives, so no one curve"
        if study.direction.name != self.mode.upper() + "IMIZE":
            return f"is to be {study.direction.name.lower()}d, not --mode {self.mode}"
        return ""

    def _new(self, run: str, trial: Any) -> list[Observation]:
        values = trial.intermediate_values
        if trial.state.is_finished() and values:
            self.ended[run] = trial.state.name.lower()
        before = self._given.get(run)
        if len(values) == (0 if before is None else len(before.steps)):
            return []
        steps = np.array(sorted(values), np.float64)
        curve = Curve(run, "", "", steps, np.array([values[s] for s in sorted(values)]))
        self._given[run] = curve
        return news(run, before, curve)


def _why(error: Exception) -> str:
    """The first line of what lies behind an error of the storage."""
    return str(error.__cause__ or error).partition("\n")[0]


def _engine(place: str) -> dict[str, Any]:
    """How a storage is opened: a file of SQLite such that nothing can be written."""
    path = place.removeprefix("sqlite:///")
    if "://" in path:
        return {"url": place}
    if not Path(path).is_file():
        raise ValueError(f"there is no {path}")
    # A name with a question mark would end early in a URL of SQLAlchemy.
    file = f"{Path(path).resolve().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(file, uri=True, check_same_thread=False)

    return {"url": "sqlite:///read-only", "engine_kwargs": {"creator": connect}}
