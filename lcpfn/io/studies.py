"""Intermediate values of the trials of an Optuna storage: SQLite, a URL or a journal.

A storage is only ever read: a file of SQLite is opened read-only, and a journal is not
locked, so a study that is running is not disturbed.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.cells import number_in, printable, shown, step_in
from lcpfn.io.follow import Observation, news
from lcpfn.io.places import is_address, is_journal
from lcpfn.io.request import Request
from lcpfn.io.scalar_log import Curve, as_run


class Studies:
    """The trials of a storage, read again and again.

    Args:
        place: URL such as `sqlite:///study.db`, or a file of SQLite or a journal.
        mode: "max" or "min".

    Attributes:
        trouble: what could not be read, by study or trial.
        ended: how trials ended of which no more observations will come.
        gone: none, as trials are never deleted.
        curves: by trial, the task being the study.
        params: of the trials with curves.

    Raises:
        ModuleNotFoundError: if Optuna is missing.
        ValueError: if there is no such file, or the address cannot be one.
    """

    def __init__(self, place: str, mode: str) -> None:
        try:
            from optuna.exceptions import OptunaError  # noqa: F401
            from sqlalchemy.exc import ArgumentError
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "an Optuna storage needs optuna: pip install 'lcpfn-jax[optuna]'"
            ) from None
        self.place, self.mode = place, mode
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.gone: set[str] = set()
        self.curves: dict[str, Curve] = {}
        self.params: dict[str, dict[str, Any]] = {}
        self.storage: Any = None
        self._engine = {} if _is_journal_at(place) else _engine(place)
        try:
            self._open()
        except (ArgumentError, ImportError) as error:
            raise ValueError(f"{place}: {_why(error)}") from None
        except Exception:  # noqa: BLE001
            # It may be whole at the next look, which says what is wrong if it is not.
            self.storage = None

    def _open(self) -> None:
        from optuna.storages import JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend

        if self._engine:
            self.storage = RDBStorage(
                **self._engine,
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
        else:
            self.storage = JournalStorage(JournalFileBackend(self.place))

    def poll(self, final: bool = False) -> list[Observation]:
        """What is new in any of the trials. `final` changes nothing."""
        import optuna

        found: list[Observation] = []
        self.trouble.clear()
        at = self.place
        try:
            if self.storage is None:
                self._open()
            names = optuna.get_all_study_names(self.storage)
            if not names:
                self.trouble[at] = "holds no study; is its beginning missing?"
            for name in names:
                at = str(name)
                study = optuna.load_study(study_name=name, storage=self.storage)
                if why := self._unfit(study):
                    self.trouble[printable(at)] = why
                    continue
                for trial in study.get_trials(deepcopy=False):
                    run = f"trial {trial.number}"
                    run = run if len(names) == 1 else f"{name}/{run}"
                    found += self._new(printable(run), at, trial)
        # Optuna checks nothing of what it reads, so a damaged storage raises anything.
        except Exception as error:  # noqa: BLE001
            # What a journal was read to cannot be told after an error.
            self.storage = None
            self.trouble[printable(at)] = printable(_refusal(error))
        return found

    def _unfit(self, study: Any) -> str:
        """Why the trials of a study are not read, or nothing."""
        if len(study.directions) > 1:
            return "has several objectives, so no one curve"
        if study.direction.name != self.mode.upper() + "IMIZE":
            return f"is to be {study.direction.name.lower()}d, not --mode {self.mode}"
        return ""

    def _new(self, run: str, study: str, trial: Any) -> list[Observation]:
        values = trial.intermediate_values
        if trial.state.is_finished() and values:
            self.ended[run] = trial.state.name.lower()
        kept, wrong = _observations(values)
        if wrong:
            self.trouble[run] = f"left out {len(wrong)} values; the first: {wrong[0]}"
        if not kept:
            return []
        steps = np.array(sorted(kept), np.float64)
        curve = Curve(run, study, "", steps, np.array([kept[s] for s in sorted(kept)]))
        self.params[run] = dict(trial.params)
        return news(self.curves, {run: curve})


def read_optuna(request: Request) -> Iterator[Run]:
    """One run per trial that reported intermediate values; the task is the study."""
    if request.metric is not None:
        raise ValueError(
            "an Optuna storage has one value per step, without a name; leave out "
            "metric= (--metric)"
        )
    studies = Studies(str(request.place), str(request.mode))
    studies.poll()
    trouble = [f"{name}: {what}" for name, what in studies.trouble.items()]
    if not studies.curves:
        raise ValueError("; ".join(trouble or ["no trial has an intermediate value"]))
    for run, curve in studies.curves.items():
        yield as_run(curve, request, studies.params[run])
    request.skipped.extend(trouble)


def _observations(values: dict[Any, Any]) -> tuple[dict[float, float], list[str]]:
    """Values by step, and what is wrong with those that are left out."""
    kept: dict[float, float] = {}
    wrong: list[str] = []
    for step, value in values.items():
        at = step_in(step)
        if at != at:
            wrong.append(f"step {shown(step)} is none")
            continue
        try:
            number = number_in(value)
        except ValueError as error:
            wrong.append(f"at step {at:g}, {error}")
            continue
        if number is not None:
            kept[at] = number
    return kept, wrong


def _why(error: Exception) -> str:
    """The first line of what lies behind an error of the storage."""
    behind = error.__cause__ or error
    return str(behind).partition("\n")[0] or type(behind).__name__


def _refusal(error: Exception) -> str:
    """What is wrong with a storage, and what to do."""
    why = _why(error)
    if "no such table" in why:
        return f"is no storage of Optuna: {why}; export its curves to CSV"
    return (
        f"Optuna cannot read it, is it damaged, cut off or locked? {why}; restore it, "
        "or export its trials to CSV with the version of Optuna that wrote it"
    )


def _is_journal_at(place: str) -> bool:
    return not is_address(place) and Path(place).is_file() and is_journal(Path(place))


def _engine(place: str) -> dict[str, Any]:
    """How a storage is opened: a file of SQLite such that nothing can be written."""
    path = place.removeprefix("sqlite:///")
    if is_address(path):
        return {"url": place}
    if not Path(path).is_file():
        raise ValueError(f"there is no {path}")
    # A name with a question mark would end early in a URL of SQLAlchemy.
    file = f"{Path(path).resolve().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(file, uri=True, check_same_thread=False)

    return {"url": "sqlite:///read-only", "engine_kwargs": {"creator": connect}}
