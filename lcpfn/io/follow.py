"""Logs, read again and again: only what is new, whatever happens to them.

A directory is looked through at every poll, so files may appear later. A file may grow,
end in half a line, be cut off or written anew, or hold rubbish: what can be read
counts, and what cannot is kept in `Logs.trouble` for as long as it stands.

text          tables with any delimiter and JSON lines; JSON documents, read as a whole
event files   of TensorBoard; all in one directory are one run
"""

from collections import Counter
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
# By log, its runs and their curves.
Changed = dict[Path, list[tuple[str, Curve]]]


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
        self._followed: dict[Path, TextLog | EventLog] = {}
        self._metrics: dict[Path, str] = {}
        self._news: Changed = {}
        self._failures: dict[Path, str] = {}
        self._storages: set[Path] = set()
        self._alone: list[str] = []
        self._names: dict[Path, str] = {}
        self._runs: dict[Path, set[str]] = {}
        self._given: dict[str, Curve] = {}

    def poll(self, final: bool = False) -> list[Observation]:
        """Everything new.

        Args:
            final: whether the logs will not grow any more.
        """
        curves: dict[str, Curve] = {}
        before: set[str] = set()
        for path, named in self.changed(final).items():
            runs = {printable(name): curve for name, curve in named}
            before |= self._runs.get(path, set())
            self._runs[path] = {*runs}
            curves |= runs
        self.gone = before - curves.keys()
        for run in self.gone:
            self._given.pop(run, None)
        found: list[Observation] = []
        for run, curve in curves.items():
            found += news(run, self._given.get(run), curve)
            self._given[run] = curve
        return found

    def changed(self, final: bool = False) -> Changed:
        """Logs in which anything is new, and all their curves by the names of runs.

        None, if they are of several metrics and none was chosen.
        """
        self.trouble, others = {}, []
        paths = self._paths()
        alone = [*self._alone]
        for known in (self._followed, self._metrics, self._news, self._names):
            for path in known.keys() - paths:
                del known[path]
        for path, name in paths.items():
            log = self._followed.get(path) or self._open(path)
            self._followed[path] = log
            self._update(log, path, name, final)
            failure = self._failures.get(path)
            if path in self._storages and path != self.root:
                alone.append(path.relative_to(self.root).as_posix())
            elif failure and path != self.root and ending_of(path) in OTHERS:
                others.append(name)
            elif trouble := failure or log.trouble():
                self.trouble[printable(name)] = printable(trouble)
        self._name_others(others, alone)
        metrics = set(self._metrics.values()) - NAMELESS
        if self._metric is None and len(metrics) > 1:
            self.trouble["all files"] = printable(which(sorted(metrics)))
            return {}
        new, self._news = self._news, {}
        return new

    def _update(
        self, log: TextLog | EventLog, path: Path, name: str, final: bool
    ) -> None:
        """Reads on in one log, and keeps its curves or why there are none."""
        try:
            # Where a second log of its name shows, its runs are called otherwise.
            renamed = self._names.get(path, name) != name
            self._names[path] = name
            if log.update(final) or renamed:
                self._failures.pop(path, None)
                self._metrics.pop(path, None)
                self._storages.discard(path)
                check_file(path)
                if is_storage(path):
                    self._storages.add(path)
                    raise ValueError("is a storage of Optuna now; start again")
                curves = log.curves()
                self._news[path] = [
                    (f"{name}:{curve.run}" if curve.run else name, curve)
                    for curve in curves
                ]
                self._metrics[path] = curves[0].metric
        except (OSError, ValueError) as error:
            self._failures[path] = str(error)

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


def news(run: str, before: Curve | None, now: Curve) -> list[Observation]:
    """What is new in a curve; all of it, anew, if it does not go on as it was."""
    known = 0 if before is None else len(before.steps)
    if before is not None and not _begins_as(now, before):
        known = 0
    anew = before is not None and not known
    new = zip(now.steps[known:].tolist(), now.values[known:].tolist(), strict=True)
    return [
        Observation(run, step, value, anew and i == 0)
        for i, (step, value) in enumerate(new)
    ]


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
