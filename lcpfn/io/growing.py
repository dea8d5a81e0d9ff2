"""Files that grow, are cut off, replaced or written anew, read from where one was.

What was read before is recognised by its content, not by its size: the beginning of
the file and the piece before the place where reading stopped must be as they were.
"""

import codecs
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from lcpfn.io.packed import GZIP, damage, unpacked

BLOCK = 1 << 20
REMEMBERED = 1 << 12
# Seconds after which an end that is not whole is taken as it is.
QUIET = 10.0
# Longer lines are left out, so that a file without line ends does not fill the memory.
MOST_LINE = 1 << 24
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class GrowingFile:
    """Bytes of a file that are new since the last time.

    Attributes:
        modified: when it was last written, seconds since 1970.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.modified = path, 0.0
        self._seen: tuple[int, int, int] | None = None
        self.restart()

    def restart(self) -> None:
        """Reads from the beginning next time."""
        self._at, self._start, self._end = 0, b"", b""

    def changed(self) -> bool:
        """Whether anything may have happened since the last time; costs nothing.

        Raises:
            OSError: if the file cannot be looked at.
        """
        stat = self.path.stat()
        self.modified = stat.st_mtime
        state = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        changed, self._seen = state != self._seen, state
        return changed

    def is_quiet(self) -> bool:
        """Whether nothing was written for a while."""
        return time.time() - self.modified > QUIET

    def is_anew(self) -> bool:
        """Whether this is another file than the one that was read; then all is new.

        A compressed file always is, as it cannot be read from the middle.
        """
        if not self._at:
            return False
        with self.path.open("rb") as file:
            before = file.read(len(self._start))
            file.seek(self._at - len(self._end))
            same = before == self._start and file.read(len(self._end)) == self._end
        if same and not before.startswith(GZIP):
            return False
        self.restart()
        return True

    def blocks(self, seen: Callable[[int], Any] = lambda _: None) -> Iterator[bytes]:
        """What is new, in pieces of at most `BLOCK` bytes.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it is compressed and damaged.
        """
        with self.path.open("rb") as file, damage(self.path.name):
            if not self._at:
                self._start = file.read(REMEMBERED)
            file.seek(self._at)
            stream: IO[bytes] = file
            if self._start.startswith(GZIP):
                stream = unpacked(file, self.path.name)
            while block := stream.read(BLOCK):
                self._end = (self._end + block)[-REMEMBERED:]
                seen(file.tell() - self._at)
                self._at = file.tell()
                yield block
        if self._start.startswith(GZIP):
            self._end = b""


class LineDecoder:
    """Complete lines of text from pieces of bytes, in the encoding that its mark says.

    Without a mark it is UTF-8, and zero bytes are left out: a crash leaves them behind,
    and plain text in UTF-16 without a mark is read as well.

    Args:
        most: characters of a line; longer ones are left out. Default: `MOST_LINE`.

    Attributes:
        overlong: how many lines were left out since they are too long.
    """

    def __init__(self, most: int | None = None) -> None:
        self.overlong, self._most = 0, MOST_LINE if most is None else most
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._rest, self._skipping, self._is_marked = "", False, False

    @property
    def rest(self) -> str:
        """The line that is not complete."""
        return "" if self._skipping else self._rest

    def feed(self, block: bytes) -> list[str]:
        """The lines that are complete with this piece."""
        if self._decoder is None:
            mark, name = next(
                ((m, n) for m, n in ENCODINGS if block.startswith(m)), (b"", "utf-8")
            )
            decoder = codecs.getincrementaldecoder(name)("replace")
            self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
            block, self._is_marked = block[len(mark) :], bool(mark)
        if not self._is_marked:
            block = block.translate(None, b"\0")
        text = str(self._decoder.decode(block))
        first, *others = text.split("\n")
        if not others and len(self._rest) + len(first) > self._most:
            self.overlong += not self._skipping
            self._rest, self._skipping = "", True
            return []
        lines = [self._rest + first, *others]
        self._rest = lines.pop()
        if lines and self._skipping:
            self._skipping = False
            del lines[0]
        if self._skipping:
            self._rest = ""
        return lines
