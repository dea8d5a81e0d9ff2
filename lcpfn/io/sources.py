"""Where records come from beside growing logs: a study's storage, recorded runs."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from lcpfn.curves import Run
from lcpfn.io.tail import Report

SQLITE = b"SQLite format 3\0"


class Source(Protocol):
    """What a board is fed from.

    Attributes:
        trouble: what could not be read, by file or run.
        ended: how runs ended of which no more records will come.
    """

    trouble: dict[str, str]
    ended: dict[str, str]

    def poll(self) -> list[Report]:
        """Everything new. What was read before may come again."""


class Recorded:
    """Runs that are known as a whole: all is new at the first poll."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self._waiting = [
            Report(run.name, float(step), float(value))
            for run in runs
            for step, value in zip(run.steps, run.values, strict=True)
        ]

    def poll(self) -> list[Report]:
        """All records, once."""
        new, self._waiting = self._waiting, []
        return new


def is_storage(place: str) -> bool:
    """Whether this is the address of an Optuna storage, or the file of one."""
    if "://" in place:
        return True
    path = Path(place)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


class Studies:
    """Intermediate values of the trials of an Optuna storage; only ever reads it.

    A file of SQLite is opened read-only, so a study that is running is not disturbed.

    Args:
        place: URL such as `sqlite:///study.db`, or a file of SQLite.
        mode: "max" or "min".

    Raises:
        ModuleNotFoundError: if Optuna is missing.
        ValueError: if there is no such file.
    """

    def __init__(self, place: str, mode: str) -> None:
        try:
            from optuna.exceptions import OptunaError
            from optuna.storages import RDBStorage
            from sqlalchemy.exc import SQLAlchemyError
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "an Optuna storage needs optuna: pip install 'lcpfn-jax[optuna]'"
            ) from None
        self.errors = (OptunaError, SQLAlchemyError)
        self.place, self.mode = place, mode
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self._seen: dict[str, int] = {}
        try:
            self.storage = RDBStorage(
                **_engine(place),
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
        except (*self.errors, ImportError) as error:
            raise ValueError(f"{place}: {_why(error)}") from None

    def poll(self) -> list[Report]:
        """Records of all trials that have new ones."""
        import optuna

        reports: list[Report] = []
        self.trouble.clear()
        try:
            names = optuna.get_all_study_names(self.storage)
            for name in names:
                study = optuna.load_study(study_name=name, storage=self.storage)
                if len(study.directions) > 1:
                    self.trouble[name] = "has several objectives, so no one curve"
                    continue
                if study.direction.name != self.mode.upper() + "IMIZE":
                    self.trouble[name] = (
                        f"is to be {study.direction.name.lower()}d, not --mode "
                        f"{self.mode}"
                    )
                    continue
                for trial in study.get_trials(deepcopy=False):
                    run = f"trial {trial.number}"
                    run = run if len(names) == 1 else f"{name}/{run}"
                    reports += self._new(run, trial)
        except self.errors as error:
            self.trouble[self.place] = _why(error)
        return reports

    def _new(self, run: str, trial: Any) -> list[Report]:
        values = trial.intermediate_values
        if trial.state.is_finished() and values:
            self.ended[run] = trial.state.name.lower()
        if self._seen.get(run) == len(values):
            return []
        self._seen[run] = len(values)
        return [Report(run, float(step), values[step]) for step in sorted(values)]


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
