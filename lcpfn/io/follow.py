"""Logs, read again and again: only what is new, whatever happens to them.

A directory is looked through at every poll, so files may appear later. A file may grow,
end in half a line, be cut off or written anew, or hold rubbish: what can be read
counts, and what cannot is kept in `Logs.trouble` for as long as it stands.

text          tables with any delimiter and JSON lines; JSON documents, read as a whole
event files   of TensorBoard; all in one directory are one run
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lcpfn.io.cells import printable, shown
from lcpfn.io.collect import Collector
from lcpfn.io.documents import is_document, read_document, rows_in
from lcpfn.io.events import PATTERN, EventLog
from lcpfn.io.growing import BLOCK, GrowingFile, LineDecoder
from lcpfn.io.rows import Row, RowParser
from lcpfn.io.scalar_log import Curve

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
# In a directory these may be anything, and are told of in one sentence.
OTHERS = (".txt", ".log", ".json")
# Seconds after which a last line without an end is taken as it is.
QUIET = 10.0
NAMED = 3


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


class TextLog:
    """A text file with a table, JSON lines or a JSON document.

    Args:
        path: the file.
        collector: makes a new collector of its rows.
        seen: told how many bytes were read.
    """

    def __init__(
        self,
        path: Path,
        collector: Callable[[], Collector],
        seen: Callable[[int], Any] = lambda _: None,
    ) -> None:
        self._new_collector, self._seen = collector, seen
        self._file = GrowingFile(path)
        self._begin()

    def _begin(self) -> None:
        self._collector, self._decoder = self._new_collector(), LineDecoder()
        self._parser = RowParser(self._collector.skipped)
        self._is_document: bool | None = None
        self._start = b""
        self._ended, self._failure = False, ""

    def update(self, final: bool = False) -> bool:
        """Reads on; whether there is anything new.

        Args:
            final: whether a last line without an end is whole. It is too where nothing
                was written for a while.

        Raises:
            OSError: if it cannot be read.
        """
        changed = self._file.changed()
        if changed:
            # A last line that was taken for whole may have gone on.
            if self._file.is_anew() or self._ended:
                self._file.restart()
                self._file.changed()
                self._begin()
            self._guarded(self._read_on)
        undecided = self._is_document is None and self._start
        unfinished = undecided or self._decoder.rest.strip() or self._parser.is_waiting
        quiet = final or time.time() - self._file.modified > QUIET
        if not (unfinished and quiet) or self._ended:
            return changed
        self._guarded(self._finish)
        return True

    def _guarded(self, read: Callable[[], None]) -> None:
        """What is wrong with the file as a whole is told of by `curves`."""
        try:
            read()
        except ValueError as error:
            self._failure = str(error)

    def _read_on(self) -> None:
        for block in self._file.blocks(self._seen):
            if self._is_document is None:
                self._start += block
                self._decide(len(self._start) >= BLOCK)
            elif not self._is_document:
                self._decode(block)

    def _decide(self, is_all: bool) -> None:
        """Whether this is a document, as soon as that is evident."""
        self._is_document = is_document(self._start, is_all)
        if self._is_document is False:
            self._decode(self._start)
        if self._is_document:
            self._ended = True
            for where, row in read_document(self._file.path):
                self._collector.add(row, where)

    def _decode(self, block: bytes) -> None:
        for line in self._decoder.feed(block):
            self._take(self._parser.feed(line))

    def _finish(self) -> None:
        if self._is_document is None:
            self._decide(is_all=True)
        if not self._is_document:
            self._ended = True
            self._take(self._parser.feed(self._decoder.rest))
            self._take(self._parser.finish())

    def _take(self, rows: Iterator[tuple[int, Row]]) -> None:
        for number, row in rows:
            for part in rows_in(row, f"line {number}"):
                self._collector.add(part, f"line {number}", self._parser.decimal_comma)

    def curves(self) -> list[Curve]:
        """All its curves.

        Raises:
            ValueError: if there are none.
        """
        if self._failure:
            raise ValueError(self._failure)
        try:
            return self._collector.curves()
        except ValueError as error:
            trouble = self.trouble()
            raise ValueError(f"{error}; {trouble}" if trouble else error) from None

    def trouble(self) -> str:
        """What was left out."""
        parts = [str(self._collector.skipped)]
        metric, headers = self._collector.metric, self._parser.headers
        if headers and metric in headers[0][1]:
            parts += [
                f"there is no {shown(metric)} from line {number} on"
                for number, header in headers[1:]
                if metric not in header
            ]
        if count := self._collector.without_step:
            parts.append(f"skipped {count} observations without a step")
        if count := self._decoder.overlong:
            parts.append(f"skipped {count} lines that are too long")
        return "; ".join(part for part in parts if part)


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
        self._followed: dict[Path, TextLog | EventLog] = {}
        self._failures: dict[Path, str] = {}
        self._given: dict[str, Curve] = {}

    def poll(self, final: bool = False) -> list[Observation]:
        """Everything new.

        Args:
            final: whether the logs will not grow any more.
        """
        found: list[Observation] = []
        for name, curve in self.changed(final):
            run = printable(f"{name}:{curve.run}" if curve.run else name)
            found += news(run, self._given.get(run), curve)
            self._given[run] = curve
        return found

    def changed(self, final: bool = False) -> Iterator[tuple[str, Curve]]:
        """Names of the logs in which anything is new, with each of their curves."""
        self.trouble, others = {}, []
        paths = self._paths()
        self._followed = {p: log for p, log in self._followed.items() if p in paths}
        for path, name in paths.items():
            log = self._followed.get(path) or self._open(path)
            self._followed[path] = log
            try:
                if log.update(final):
                    self._failures.pop(path, None)
                    yield from ((name, curve) for curve in log.curves())
            except (OSError, ValueError) as error:
                self._failures[path] = str(error)
            failure = self._failures.get(path)
            if failure and path != self.root and ending_of(path) in OTHERS:
                others.append(name)
            elif trouble := failure or log.trouble():
                self.trouble[printable(name)] = printable(trouble)
        if others:
            listed = ", ".join(others[:NAMED]) + (
                ", ..." if len(others) > NAMED else ""
            )
            self.trouble["other files"] = printable(f"no curves in {listed}")

    def has_text(self) -> bool:
        """Whether there is any file with a table."""
        return any(ending_of(path) in TABLES for path in self._paths())

    def _open(self, path: Path) -> "TextLog | EventLog":
        if path.is_dir() or path.match(PATTERN):
            return EventLog(path, self._metric)
        return TextLog(path, self._collector)

    def _paths(self) -> dict[Path, str]:
        """Logs and their names; event files by their directory."""
        if not self.root.is_dir():
            return {self.root: stem_of(self.root)}
        found: dict[Path, str] = {}
        inside = self.root.resolve()
        for path in sorted(self.root.rglob("*")):
            below = path.relative_to(self.root)
            is_event = path.match(PATTERN)
            if not is_event and ending_of(path) not in TABLES + OTHERS:
                continue
            if not path.is_file() or any(part[0] == "." for part in below.parts):
                continue
            if not path.resolve().is_relative_to(inside):
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
    if before is not None and not (
        np.array_equal(before.steps, now.steps[:known])
        and np.array_equal(before.values, now.values[:known], equal_nan=True)
    ):
        known = 0
    anew = before is not None and not known
    new = zip(now.steps[known:].tolist(), now.values[known:].tolist(), strict=True)
    return [
        Observation(run, step, value, anew and i == 0)
        for i, (step, value) in enumerate(new)
    ]
