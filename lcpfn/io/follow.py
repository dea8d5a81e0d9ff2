"""Logs, read again and again: only what is new, whatever happens to them.

A directory is looked through at every poll, so files may appear later. A file may grow,
end in half a line, be cut off or written anew, or hold rubbish: what can be read
counts, and what cannot is kept in `Logs.trouble` for as long as it stands.

text          tables with any delimiter and JSON lines; JSON documents, read as a whole
event files   of TensorBoard; all in one directory are one run
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lcpfn.io.cells import listed, printable
from lcpfn.io.collect import Collector
from lcpfn.io.events import PATTERN, EventLog
from lcpfn.io.places import check_file, is_storage
from lcpfn.io.request import which
from lcpfn.io.scalar_log import Curve
from lcpfn.io.text_log import TextLog

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
# In a directory these may be anything, and are told of in one sentence.
OTHERS = (".txt", ".log", ".json")
# These are read alone, and in a directory only named.
ALONE = (".parquet", ".npz", ".db", ".sqlite", ".sqlite3")
# Columns named so may hold any metric.
NAMELESS = {"", "value", "values"}
NAMED = 3
# By log, the curves of its runs.
Changed = dict[Path, list[Curve]]


class Observation(NamedTuple):
    """What a log says of a run at one step.

    Attributes:
        run: its name.
        step, value: the user's units.
        anew: whether what was said of this run before no longer holds. All of its
            observations follow, in order.
    """

    run: str
    step: float
    value: float
    anew: bool = False


@dataclass
class Followed:
    """A log, and what was found at its last look.

    Attributes:
        log: reads it.
        path: of its file, or of the directory of event files.
        name: what its runs are called by.
        news: its curves, until they are handed on.
        metric: of these.
        failure: why there are none.
        is_storage: whether it has become a storage of Optuna.
    """

    log: TextLog | EventLog
    path: Path
    name: str
    news: list[Curve] = field(default_factory=list)
    metric: str = ""
    failure: str = ""
    is_storage: bool = False

    def update(self, name: str, final: bool) -> None:
        """Reads on."""
        try:
            # Where a second log of its name shows, its runs are called otherwise.
            renamed, self.name = name != self.name, name
            if self.log.update(final) or renamed:
                self.metric, self.failure, self.is_storage = "", "", False
                check_file(self.path)
                self.is_storage = is_storage(self.path)
                if self.is_storage:
                    raise ValueError("is a storage of Optuna now; start again")
                self.news = [
                    curve._replace(run=f"{name}:{curve.run}" if curve.run else name)
                    for curve in self.log.curves()
                ]
                self.metric = self.news[0].metric
        except (OSError, ValueError) as error:
            self.failure = str(error)


class Logs:
    """All that is logged below a directory, or in one file.

    Args:
        root: the directory or file.
        metric: name of the value; None where there is only one.
        step: name of the steps in text files; None to choose it.
        percent: what 1 % is in the units of the metric.

    Attributes:
        trouble: what could not be read, by file.
        ended: how runs ended, which logs do not say.
        gone: runs that the last look found under other names, or not at all, in logs
            that are still there.
    """

    def __init__(
        self,
        root: Path,
        metric: str | None = None,
        step: str | None = None,
        percent: float = 1.0,
    ) -> None:
        self.root, self._metric = root, metric
        self._collector = lambda: Collector(metric, step, percent)
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.gone: set[str] = set()
        self._followed: dict[Path, Followed] = {}
        self._alone: list[str] = []
        self._runs: dict[Path, set[str]] = {}
        self._given: dict[str, Curve] = {}

    def poll(self, final: bool = False) -> list[Observation]:
        """Everything new.

        Args:
            final: whether the logs will not grow any more.
        """
        curves: dict[str, Curve] = {}
        before: set[str] = set()
        for path, found in self.changed(final).items():
            runs = {printable(curve.run): curve for curve in found}
            before |= self._runs.get(path, set())
            self._runs[path] = {*runs}
            curves |= runs
        self.gone = before - curves.keys()
        for run in self.gone:
            self._given.pop(run, None)
        return news(self._given, curves)

    def changed(self, final: bool = False) -> Changed:
        """Logs in which anything is new, and all their curves by the names of runs.

        None, if they are of several metrics and none was chosen.
        """
        self.trouble, others = {}, []
        paths = self._paths()
        alone = [*self._alone]
        self._followed = {
            path: self._followed.get(path) or Followed(self._open(path), path, name)
            for path, name in paths.items()
        }
        for path, found in self._followed.items():
            found.update(paths[path], final)
            if found.is_storage and path != self.root:
                alone.append(path.relative_to(self.root).as_posix())
            elif found.failure and path != self.root and ending_of(path) in OTHERS:
                others.append(found.name)
            elif trouble := found.failure or found.log.trouble():
                self.trouble[printable(found.name)] = printable(trouble)
        self._name_others(others, alone)
        metrics = {found.metric for found in self._followed.values()} - NAMELESS
        if self._metric is None and len(metrics) > 1:
            self.trouble["all files"] = printable(which(sorted(metrics)))
            return {}
        new = {path: found.news for path, found in self._followed.items() if found.news}
        for path in new:
            self._followed[path].news = []
        return new

    def _name_others(self, others: list[str], alone: list[str]) -> None:
        """Tells of files without curves, and of those to be given alone."""
        if others:
            self.trouble["other files"] = printable(
                f"no curves in {listed(others, NAMED)}"
            )
        if alone:
            self.trouble["not read"] = printable(
                f"give each of these alone, not its directory: {listed(alone, NAMED)}"
            )

    def has_text(self) -> bool:
        """Whether there is any file that may hold a table or a document."""
        return any(not log.is_dir() for log in self._paths())

    def _open(self, path: Path) -> "TextLog | EventLog":
        if path.is_dir() or path.match(PATTERN):
            return EventLog(path, self._metric)
        return TextLog(path, self._collector)

    def _paths(self) -> dict[Path, str]:
        """Logs and their names; event files by their directory."""
        if not self.root.is_dir():
            return {self.root: stem_of(self.root)}
        found: dict[Path, str] = {}
        self._alone = []
        inside = self.root.resolve()
        for path in sorted(self.root.rglob("*")):
            below = path.relative_to(self.root)
            is_event = path.match(PATTERN)
            if not is_event and ending_of(path) not in TABLES + OTHERS + ALONE:
                continue
            if not path.is_file() or any(part[0] == "." for part in below.parts):
                continue
            if not is_event and ending_of(path) in ALONE:
                self._alone.append(below.as_posix())
            elif not path.resolve().is_relative_to(inside):
                self.trouble[printable(str(below))] = "is a link to elsewhere"
            elif is_event:
                folder = below.parent.as_posix()
                found[path.parent] = inside.name if folder == "." else folder
            elif not path.is_symlink():
                found[path] = (below.parent / stem_of(path)).as_posix()
        # Two files of one name but for their endings are two runs.
        often = Counter(found.values())
        return {
            path: path.relative_to(self.root).as_posix()
            if often[name] > 1 and path != self.root
            else name
            for path, name in found.items()
        }


def ending_of(path: Path) -> str:
    """The last ending that is not .gz."""
    endings = [e.lower() for e in path.suffixes if e.lower() != ".gz"]
    return endings[-1] if endings else ""


def stem_of(path: Path) -> str:
    """Name of a file without its ending, and without .gz."""
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[:-3]
    return Path(name).stem or name


def news(given: dict[str, Curve], now: Mapping[str, Curve]) -> list[Observation]:
    """What is new in curves of runs, which are given from then on.

    It is all of a curve, anew, if that does not go on as it was.
    """
    found: list[Observation] = []
    for run, curve in now.items():
        before, known = given.get(run), 0
        if before is not None and _begins_as(curve, before):
            known = len(before.steps)
        anew = before is not None and not known
        new = zip(
            curve.steps[known:].tolist(), curve.values[known:].tolist(), strict=True
        )
        found += [
            Observation(run, step, value, anew and i == 0)
            for i, (step, value) in enumerate(new)
        ]
        given[run] = curve
    return found


def _begins_as(now: Curve, before: Curve) -> bool:
    """Whether a curve is another one, and perhaps more."""
    if now.steps is before.steps and now.values is before.values:
        return True
    if now.origin is not None and now.origin is before.origin:
        return True
    known = len(before.steps)
    return np.array_equal(before.steps, now.steps[:known]) and np.array_equal(
        before.values, now.values[:known], equal_nan=True
    )
