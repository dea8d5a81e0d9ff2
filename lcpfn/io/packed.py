"""Compressed and large files, read in pieces and never to disk.

What a file claims to hold is not trusted: every reader here stops at a limit, and all
that can go wrong inside a damaged archive becomes one ValueError.
"""

import bz2
import errno
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from tqdm import tqdm

from lcpfn.io.cells import printable

# Far above real files: 1.4 MB for NATS-Bench, less than 1 MB a line of PD1.
MOST_BZ2 = 1 << 25
MOST_LINE = 1 << 24
MOST_UNPACKED = 1 << 33
GZIP = b"\x1f\x8b"
DAMAGE = (
    EOFError,
    OSError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def damage(name: object, *others: type[Exception]) -> Iterator[None]:
    """Errors of decompression as one ValueError; errors of the disk stay as they are.

    Args:
        name: what is being read.
        others: further exceptions that a library raises for a damaged file.
    """
    try:
        yield
    except DAMAGE + others as error:
        # A damaged archive sends its reader to impossible places of the file.
        inside = (None, errno.EINVAL)
        if isinstance(error, OSError) and error.errno not in inside:
            raise
        raise ValueError(
            f"{name} cannot be read, is it damaged or cut off? {error}"
        ) from None


class Limited(io.RawIOBase):
    """A readable stream that stops with an error after `most` bytes."""

    def __init__(self, stream: IO[bytes], most: int, name: object) -> None:
        self._stream, self._left, self._name = stream, most, name

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        """The next bytes of the stream."""
        block = self._stream.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise ValueError(f"{self._name} unpacks to far more than such a file holds")
        buffer[: len(block)] = block
        return len(block)


def unpack_bz2(path: Path) -> bytes:
    """The content of a small .bz2 file.

    Raises:
        ValueError: if it is damaged or unpacks to more than `MOST_BZ2` bytes.
    """
    with path.open("rb") as file, damage(path.name):
        content = bz2.BZ2File(file).read(MOST_BZ2 + 1)
    if len(content) > MOST_BZ2:
        raise ValueError(f"{path.name} unpacks to more than {MOST_BZ2} bytes")
    return content


def unpacked(file: io.BufferedReader, name: object) -> IO[bytes]:
    """The stream itself, or at most `MOST_UNPACKED` bytes of what is in it if gzip."""
    if not file.peek(len(GZIP)).startswith(GZIP):
        return file
    content = cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return io.BufferedReader(Limited(content, MOST_UNPACKED, name), 1 << 20)


def lines(stream: IO[bytes], name: object) -> Iterator[str]:
    """Lines of text, each of a bounded length.

    Raises:
        ValueError: if the stream is damaged, not UTF-8, or has an endless line.
    """
    encoding = "utf-8-sig"
    with damage(name):
        while line := stream.readline(MOST_LINE + 1):
            if len(line) > MOST_LINE:
                raise ValueError(f"{name} has a line of more than {MOST_LINE} bytes")
            try:
                yield line.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(f"{name} is not text: {error}") from None
            encoding = "utf-8"


def file_lines(path: Path, progress: bool) -> Iterator[str]:
    """Lines of a text file, gzipped or not, behind a bar of bytes."""
    with path.open("rb") as file, bar(path, progress) as shown:
        for line in lines(unpacked(file, path.name), path.name):
            yield line
            shown.update(file.tell() - shown.n)


def bar(path: Path, progress: bool) -> "tqdm[None]":
    """A bar of the bytes of a file, on standard error if that is a terminal."""
    return tqdm(
        total=path.stat().st_size,
        desc=printable(path.name),
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if progress else True,
    )
