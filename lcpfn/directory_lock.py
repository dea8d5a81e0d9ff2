"""One writer at a time in a directory, among threads, processes and hosts."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = ".lock"
PAUSE = 0.02
# What file systems say that know no locks.
UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class DirectoryBusy(RuntimeError):
    """Somebody else holds a directory."""


@contextmanager
def directory_lock(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Holds a directory, which must exist, until the end of the block.

    A process that dies holds nothing any more, however it dies.

    Args:
        folder: the directory.
        wait: until nobody else holds it; else an error says that somebody does.

    Yields:
        Whether it is held; False where the file system knows no locks.

    Raises:
        DirectoryBusy: if somebody else holds it.
        OSError: if nothing can be written there.
    """
    path = folder / NAME
    while (file := _claim(path)) is None:
        if not wait:
            raise DirectoryBusy(f"{folder} is in use by another process")
        time.sleep(PAUSE)
    try:
        yield file >= 0
    finally:
        if file >= 0:
            # First remove it, then let go: else the next holder's may be removed.
            # Windows refuses, and keeps an empty file.
            with suppress(OSError):
                path.unlink()
            os.close(file)


def _claim(path: Path) -> int | None:
    """The locked file; None if somebody else has it, -1 where there are no locks."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    result = None
    try:
        _lock(file)
        # Whoever held this file may have removed it meanwhile.
        if os.path.samestat(os.fstat(file), path.stat()):
            result = file
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        result = -1
    finally:
        if result != file:
            os.close(file)
    return result
