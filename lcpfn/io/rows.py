"""Rows of a text file, line by line: tables with any delimiter, and JSON lines.

What the first lines are decides how all are read. A header may come again, wider or in
another order, and JSON objects may be of several kinds. A line that is damaged costs
that line and is named; what was skipped is kept in `Skipped`.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lcpfn.io.cells import MISSING, is_number, printable, shown
from lcpfn.io.columns import has_step, steps_in_header
from lcpfn.io.delimiters import (
    DECLARED,
    WHITESPACE,
    delimiter_of,
    lines_above,
    most_cells,
    split,
    split_or_whole,
)
from lcpfn.io.json_stream import DECODER

Row = Mapping[str, Any]
# Kept back until the delimiter is evident, or a quoted cell ends.
MOST_HELD = 5
MOST_QUOTED = 20
MOST_HEADERS = 20
NAMED = 3
# Cells of the line below the header of a table in Markdown.
RULE = re.compile(":?-{3,}:?|")
# What may be the name of a column; messages between the rows are mostly none.
NAME = re.compile(r"[^\W\d][\w ./@%()\[\]-]*")


class Skipped:
    """Lines that are no observations: the first few with the reason, and how many."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def add(self, where: str, why: object) -> None:
        """One more."""
        self.count += 1
        if len(self._named) < NAMED:
            self._named.append(f"{where}: {printable(str(why))}")

    def include(self, other: "Skipped") -> None:
        """Those of another part of the file."""
        self.count += other.count
        self._named = [*self._named, *other._named][:NAMED]

    def __str__(self) -> str:
        if not self.count:
            return ""
        more = f"; and {self.count - NAMED} more" if self.count > NAMED else ""
        lines = "line" if self.count == 1 else "lines"
        return f"skipped {self.count} {lines}: {'; '.join(self._named)}{more}"


class RowParser:
    """Turns lines into rows.

    Args:
        skipped: takes what is no row.

    Attributes:
        decimal_comma: whether a comma within a number may be a decimal point.
        headers: the first headers, with their lines.
    """

    def __init__(self, skipped: Skipped) -> None:
        self.skipped, self.decimal_comma = skipped, False
        self.headers: list[tuple[str, list[str]]] = []
        self._count = 0
        self._json = False
        self._delimiter = ""
        self._header: list[str] = []
        self._comment = ""
        self._held: list[tuple[str, str]] = []
        self._quoted: list[tuple[str, str]] = []

    def feed(self, line: str) -> Iterator[tuple[str, Row]]:
        """Takes the next line; yields the rows that are complete, with their lines.

        Raises:
            ValueError: if the header does not say what the columns are.
        """
        self._count += 1
        yield from self._line(f"line {self._count}", line)

    @property
    def is_waiting(self) -> bool:
        """Whether lines are held back."""
        return bool(self._held or self._quoted)

    def finish(self) -> Iterator[tuple[str, Row]]:
        """The end of the file: yields what was held back.

        Raises:
            ValueError: as `feed`.
        """
        while self._quoted:
            yield from self._give_up("a quoted cell does not end")
        if self._held:
            yield from self._decide(is_last=True)

    def _line(self, where: str, line: str) -> Iterator[tuple[str, Row]]:
        text = line.strip()
        if not text:
            return
        if text[0] == "{" and not self._quoted:
            row = self._object(where, text)
            if row is not None:
                for other, _ in self._held:
                    self.skipped.add(other, "it is no JSON object")
                self._json, self._held = True, []
                yield where, row
                return
        if self._json:
            if text[0] != "{":
                self.skipped.add(where, f"{shown(text)} is no JSON object")
            return
        if not self._quoted and self._is_aside(line):
            return
        if self._quoted or text.count('"') % 2:
            yield from self._continue_quoted(where, line)
        else:
            yield from self._whole(where, line)

    def _whole(self, where: str, text: str) -> Iterator[tuple[str, Row]]:
        """A line whose quotes are closed."""
        if self._header:
            yield from self._cells(where, text)
        else:
            self._held.append((where, text))
            yield from self._decide(is_last=False)

    def _is_aside(self, line: str) -> bool:
        """Whether a line is a comment, or says the delimiter; remembers which."""
        if line.lstrip().startswith("#"):
            self._comment = line.strip().lstrip("# ")
            return True
        declared = DECLARED.fullmatch(line)
        if declared is None or self._header or self._held:
            return False
        self._delimiter = declared[1]
        return True

    def _object(self, where: str, text: str) -> Row | None:
        """The JSON object in a line, or None; names it if objects are expected."""
        try:
            found = DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            if self._json or not (self._header or self._held):
                self._json = True
                deep = isinstance(error, RecursionError)
                why = "nested too deeply" if deep else getattr(error, "msg", error)
                self.skipped.add(where, f"no JSON: {why}")
            return None
        return found if isinstance(found, dict) else None

    def _continue_quoted(self, where: str, text: str) -> Iterator[tuple[str, Row]]:
        """A cell in quotes may hold the end of a line."""
        self._quoted.append((where, text))
        whole = "\n".join(part for _, part in self._quoted)
        if len(self._quoted) > MOST_QUOTED:
            yield from self._give_up("a quoted cell does not end")
        elif whole.count('"') % 2 == 0:
            if self._fits(whole):
                (first, _), *_ = self._quoted
                self._quoted = []
                yield from self._whole(first, whole)
            else:
                yield from self._give_up("its quotes do not match")

    def _give_up(self, why: str) -> Iterator[tuple[str, Row]]:
        """The line that opened a quoted cell is damaged; those after it may not be."""
        (where, _), *rest = self._quoted
        self._quoted = []
        self.skipped.add(where, why)
        for line in rest:
            yield from self._line(*line)

    def _fits(self, text: str) -> bool:
        """Whether it has as many cells as the first line."""
        if not (self._header or self._held):
            return True
        delimiter, count = self._delimiter, len(self._header)
        if not self._header:
            first = self._held[0][1]
            delimiter = delimiter or most_cells(first)
            count = len(split_or_whole(first, delimiter))
        try:
            return len(split(text, delimiter)) == count
        except csv.Error:
            return False

    def _decide(self, is_last: bool) -> Iterator[tuple[str, Row]]:
        """Finds delimiter and header from the lines held, if there are enough."""
        lines = [text for _, text in self._held]
        found = self._delimiter or delimiter_of(
            lines[0], None if len(lines) == 1 else lines[-1]
        )
        if found is None and (titles := lines_above(lines)):
            for where, _ in self._held[:titles]:
                self.skipped.add(where, "it stands above the header")
            self._held, lines = self._held[titles:], lines[titles:]
            found = most_cells(lines[0])
        if found is None and not is_last and len(lines) < MOST_HELD:
            return
        self._delimiter = found if found is not None else most_cells(lines[0])
        self.decimal_comma = self._delimiter not in (",", "")
        first = split_or_whole(lines[0], self._delimiter)
        held, self._held = self._held, []
        self.headers.append((held[0][0], first))
        if all(c.lower() in MISSING or is_number(c) for c in first):
            self._header = self._headerless(len(first))
        elif any(map(is_number, first)) and not steps_in_header(first):
            raise ValueError(
                f"there are numbers in the header, {held[0][0]}; name the columns, "
                "e.g. run,step,value"
            )
        else:
            self._header = _named(first)
            held = held[1:]
        for where, text in held:
            yield from self._cells(where, text)

    def _headerless(self, count: int) -> list[str]:
        """Names of columns: from a comment above them, or the usual ones."""
        if self._comment:
            names = split_or_whole(self._comment, self._delimiter)
            if len(names) == count and not any(map(is_number, names)):
                return _named(names)
        if count > 2:
            raise ValueError(
                f"{count} columns without a header; name them, e.g. step,value"
            )
        return ["step", "value"][-count:]

    def _cells(self, where: str, text: str) -> Iterator[tuple[str, Row]]:
        """One line below the header."""
        try:
            cells = split(text, self._delimiter)
        except csv.Error as error:
            self.skipped.add(where, error)
            return
        if len(cells) == len(self._header) + 1 and not cells[-1]:
            cells.pop()
        if cells == self._header:
            return
        if self._is_header(cells):
            self._header = _named(cells)
            if len(self.headers) < MOST_HEADERS:
                self.headers.append((where, cells))
        elif len(cells) != len(self._header):
            wrong = f"it has {len(cells)} cells, the header {len(self._header)}"
            self.skipped.add(where, wrong)
        elif any(cells) and not all(map(RULE.fullmatch, cells)):
            yield where, dict(zip(self._header, cells, strict=True))

    def _is_header(self, cells: list[str]) -> bool:
        """Whether this is another header: different names and no numbers.

        Some of them are known, or they stand where a step ought to. Words between
        spaces may be a message as well: half of those must be known, or the first must
        name a step.
        """
        # Of most lines the last cell is a number.
        if any(is_number(c) or c.lower() in MISSING for c in reversed(cells)):
            return False
        if len(cells) < 2 or len(set(cells)) < len(cells):
            return False
        known = len({c.lower() for c in self._header} & {c.lower() for c in cells})
        is_as_wide = len(cells) == len(self._header)
        if self._delimiter == WHITESPACE:
            return 2 * known >= len(cells) or (is_as_wide and has_step(cells[:1]))
        is_like_one = is_as_wide and all(map(NAME.fullmatch, cells))
        return known > 0 or has_step(cells) or (is_like_one and has_step(self._header))


def _named(header: list[str]) -> list[str]:
    """A header, if no two columns have one name."""
    seen: set[str] = set()
    for name in header:
        if name and name in seen:
            raise ValueError(f"several columns have the name {shown(name)}")
        seen.add(name)
    return header
