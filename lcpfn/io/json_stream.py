"""Large JSON, one entry at a time.

The outer levels of a document are walked by hand; what lies `depth` levels down is
decoded whole. Benchmarks of several gigabytes are dictionaries of small entries, so no
more than one entry is ever in memory. The decoder is the standard library's: the files
were written by it, and may hold NaN, which other JSON readers refuse.
"""

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from lcpfn.io.cells import json_number
from lcpfn.io.packed import bar

BLOCK = 1 << 20
MOST_ENTRY = 1 << 24
CLOSING = {"{": "}", "[": "]"}
SPACE = " \t\r\n"
DECODER = json.JSONDecoder(parse_float=json_number)


def parse(text: str, where: object) -> Any:
    """One JSON document.

    Raises:
        ValueError: saying where, if it is none.
    """
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from None


class _Text:
    """A document that is decoded from the front and read on demand."""

    def __init__(self, file: IO[bytes], seen: Callable[[int], object]) -> None:
        self._file, self._seen = file, seen
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._scan = DECODER.raw_decode
        self._text, self._at = "", 0

    def _grow(self) -> bool:
        """Reads on, as much again as is kept; False at the end of the file."""
        block = self._file.read(max(BLOCK, len(self._text) - self._at))
        self._seen(len(block))
        self._text = self._text[self._at :] + self._decode(block, final=not block)
        self._at = 0
        return bool(block)

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._grow():
                return ""

    def take(self, expected: str) -> None:
        """Steps over one character."""
        if (got := self.peek()) != expected:
            raise ValueError(f"not JSON or cut off: expected {expected!r}, got {got!r}")
        self._at += 1

    def value(self, opening: str) -> Any:
        """Decodes a value that begins with one of the given characters."""
        if not self.peek() or self.peek() not in opening:
            raise ValueError(f"not JSON of the expected layout: got {self.peek()!r}")
        while True:
            try:
                value, self._at = self._scan(self._text, self._at)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            except ValueError as error:
                if len(self._text) - self._at > MOST_ENTRY or not self._grow():
                    raise ValueError(f"not JSON or cut off: {error}") from None
            else:
                return value


def entries(
    path: Path, depth: int, progress: bool
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Everything `depth` levels down in a JSON document, behind a bar of bytes.

    Args:
        path: of the document, which is read once from front to back.
        depth: levels of objects or arrays above the entries.
        progress: whether to show the bar.

    Yields:
        Keys on the way, numbers for elements of an array, and the decoded entry.

    Raises:
        ValueError: if it is not JSON, is cut off, or has fewer levels.
    """
    with path.open("rb") as file, bar(path, progress) as shown:
        text = _Text(file, shown.update)
        yield from _walk(text, depth, ())
        if text.peek():
            raise ValueError(f"not JSON: {text.peek()!r} after the end")


def _walk(
    text: _Text, depth: int, keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not depth:
        yield keys, text.value("{[")
        return
    opening = text.peek()
    if opening not in CLOSING:
        raise ValueError(f"not JSON of the expected layout: got {opening!r}")
    text.take(opening)
    index = 0
    while text.peek() != CLOSING[opening]:
        if index:
            text.take(",")
        key = str(index)
        if opening == "{":
            key = text.value('"')
            text.take(":")
        yield from _walk(text, depth - 1, (*keys, key))
        index += 1
    text.take(CLOSING[opening])
