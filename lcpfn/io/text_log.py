"""One text file with curves, which may grow: a table, JSON lines or a JSON document."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lcpfn.io.cells import shown
from lcpfn.io.collect import Collector
from lcpfn.io.documents import is_document, read_document, rows_in
from lcpfn.io.growing import BLOCK, GrowingFile, LineDecoder
from lcpfn.io.rows import Row, RowParser
from lcpfn.io.scalar_log import Curve


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
                self._begin()
            self._guarded(self._read_on)
        undecided = self._is_document is None and self._start
        unfinished = undecided or self._decoder.rest.strip() or self._parser.is_waiting
        quiet = final or self._file.is_quiet()
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

    def _take(self, rows: Iterator[tuple[str, Row]]) -> None:
        for where, row in rows:
            self._collector.decimal_comma = self._parser.decimal_comma
            for part in rows_in(row, where):
                self._collector.add(part, where)

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
        parts = self._collector.left_out()
        metric, headers = self._collector.column, self._parser.headers
        if headers and metric in headers[0][1]:
            parts += [
                f"there is no {shown(metric)} from {where} on"
                for where, header in headers[1:]
                if metric not in header
            ]
        if count := self._decoder.overlong:
            parts.append(f"skipped {count} lines that are too long")
        return "; ".join(parts)
