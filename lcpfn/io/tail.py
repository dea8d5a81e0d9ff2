"""Reads what is being logged, again and again: only what is new, whatever happens.

A directory is looked through at every poll, so files may appear later. A file may grow,
end in half a line, be cut off or written anew, or hold rubbish: what can be read counts
and each kind of trouble is kept in `Logs.trouble` by file.

CSV          with a header; Keras' and Lightning's logs among them
JSON lines   one object a line
others       through `readers`, by the pattern of the file's name
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lcpfn.io.text import RUN_NAMES, STEP_NAMES, VALUE_NAMES
from lcpfn.stopping.observations import number

TEXT = {".csv": ",", ".tsv": "\t", ".jsonl": "", ".ndjson": ""}
# What other formats are read by: run, step, value of all records of a file.
Reader = Callable[[Path, str | None], Iterator[tuple[str, float, float]]]


class Report(NamedTuple):
    """One record of one run; a NaN step is the one after the last."""

    run: str
    step: float
    value: float


class Tail:
    """The new lines of one growing text file."""

    def __init__(self, path: Path) -> None:
        self.path, self.at, self.rest, self.first = path, 0, b"", b""
        self.header: list[str] = []

    def lines(self) -> Iterator[str]:
        """Complete lines that came since the last time; all if it was written anew.

        A file is that is shorter, or begins with another line: Lightning writes its
        log anew when a metric is logged for the first time.
        """
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size < self.at or file.read(len(self.first)) != self.first:
                self.at, self.rest, self.header, self.first = 0, b"", [], b""
            file.seek(self.at)
            new = file.read()
        if not self.at:
            self.first = new[: new.find(b"\n") + 1]
        self.at += len(new)
        *complete, self.rest = (self.rest + new).split(b"\n")
        for line in complete:
            text = line.decode("utf-8", "replace").strip()
            if text:
                yield text

    def rows(self) -> Iterator[Mapping[str, object]]:
        """New records as names and cells.

        Raises:
            ValueError: at a line that is neither; the lines behind it come next time.
        """
        separator = TEXT[self.path.suffix.lower()]
        wrong = 0
        for line in self.lines():
            if not separator:
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict):
                    yield row
                else:
                    wrong += 1
                continue
            cells = next(csv.reader([line], delimiter=separator))
            if not self.header:
                self.header = [cell.strip() for cell in cells]
            elif len(cells) == len(self.header):
                yield dict(zip(self.header, cells, strict=True))
            elif cells != self.header:
                wrong += 1
        if wrong:
            raise ValueError(f"{wrong} lines are no records")


class Logs:
    """All that is logged below a directory, or in one file.

    Args:
        root: the directory or file.
        metric: name of the value in the records; None where there is only one.
        readers: of further formats, by file name pattern.
        step: name of the steps in text files; None: the first of `STEP_NAMES`.

    Attributes:
        trouble: what could not be read, by file.
        ended: how runs ended, which logs do not say.
    """

    def __init__(
        self,
        root: Path,
        metric: str | None = None,
        readers: Mapping[str, Reader] | None = None,
        step: str | None = None,
    ) -> None:
        self.root, self.metric, self.readers = root, metric, dict(readers or {})
        self.step = step
        self.trouble: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self._tails: dict[Path, Tail] = {}
        self._sizes: dict[Path, int] = {}

    def poll(self) -> list[Report]:
        """Everything new. What was read before may come again."""
        reports: list[Report] = []
        for path, read in self._files():
            name = self._name(path)
            try:
                for report in read(path, name):
                    reports.append(report)
                self.trouble.pop(name, None)
            except (OSError, ValueError, csv.Error) as error:
                self.trouble[name] = str(error)
        return reports

    def _files(self) -> list[tuple[Path, Callable[[Path, str], Iterator[Report]]]]:
        if self.root.is_file():
            found = [self.root]
        else:
            found = sorted(path for path in self.root.rglob("*") if path.is_file())
        return [
            (path, self._text if path.suffix.lower() in TEXT else self._other)
            for path in found
            if path.suffix.lower() in TEXT or any(map(path.match, self.readers))
        ]

    def _name(self, path: Path) -> str:
        if path == self.root:
            return path.stem
        return str(path.relative_to(self.root).with_suffix(""))

    def _text(self, path: Path, name: str) -> Iterator[Report]:
        tail = self._tails.setdefault(path, Tail(path))
        for row in tail.rows():
            lower = {key.lower(): key for key in row}
            key = self._value_key(row, lower)
            value = number(row.get(key)) if key else None
            if value is None:  # such as a row of training metrics alone
                continue
            step = self._step(row, lower)
            run = next((str(row[lower[r]]) for r in RUN_NAMES if r in lower), "")
            yield Report(
                f"{name}:{run}" if run else name,
                math.nan if step is None else step,
                value,
            )

    def _step(
        self, row: Mapping[str, object], lower: Mapping[str, str]
    ) -> float | None:
        if self.step is None:
            return next((number(row[lower[s]]) for s in STEP_NAMES if s in lower), None)
        if self.step not in row:
            raise ValueError(f"no {self.step!r} in it; there are {', '.join(row)}")
        return number(row[self.step])

    def _value_key(
        self, row: Mapping[str, object], lower: Mapping[str, str]
    ) -> str | None:
        if self.metric is not None:
            if self.metric in row:
                return self.metric
            names = ", ".join(row)
            raise ValueError(f"no {self.metric!r} in it; there are {names}")
        taken = STEP_NAMES + RUN_NAMES
        rest = [key for name, key in lower.items() if name not in taken]
        named = [lower[name] for name in VALUE_NAMES if name in lower]
        for candidates in (rest, named):
            if len(candidates) == 1:
                return candidates[0]
        raise ValueError(
            f"which is the metric? Give --metric, one of {', '.join(rest)}"
        )

    def _other(self, path: Path, name: str) -> Iterator[Report]:
        size = path.stat().st_size
        if self._sizes.get(path) == size:
            return
        self._sizes[path] = size
        reader = next(r for p, r in self.readers.items() if path.match(p))
        folder = str(Path(name).parent)
        for run, step, value in reader(path, self.metric):
            yield Report(run or (name if folder == "." else folder), step, value)
