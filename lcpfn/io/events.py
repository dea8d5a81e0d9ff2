"""TensorBoard event files: a directory with one run per sub-directory.

An event file is a sequence of records, each a protocol buffer framed by its length and
two checksums. Scalars are read in both forms that writers use: a plain number (PyTorch,
tensorboardX) and a tensor of rank 0 (TensorFlow 2, Keras). `metric` is the tag.

Source: tensorflow/core/lib/io/record_writer.h and event.proto; the protocol buffers are
those of tensorboardX.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.growing import GrowingFile
from lcpfn.io.packed import bar
from lcpfn.io.request import Request
from lcpfn.io.scalar_log import Curve, Log, as_run

PATTERN = "*tfevents*"
# `types.proto`: DT_FLOAT and DT_DOUBLE.
TENSORS = {1: ("float_val", "<f4"), 2: ("double_val", "<f8")}
FRAME = 16
MOST_EVENT = 1 << 26


class EventFile:
    """The scalars of one event file, which may grow.

    Args:
        path: the file.
        metric: the tag to keep; None for all.
        seen: told how many bytes were read.

    Raises:
        ModuleNotFoundError: if tensorboardX is missing.

    Attributes:
        tags: all of them so far.
        scalars: tag, step and value of every scalar that is kept.
        failure: why reading ended before the end of the file.
    """

    def __init__(
        self,
        path: Path,
        metric: str | None,
        seen: Callable[[int], Any] = lambda _: None,
    ) -> None:
        self.path, self._metric, self._seen = path, metric, seen
        try:
            from google.protobuf.message import DecodeError
            from tensorboardX.proto.event_pb2 import Event
            from tensorboardX.record_writer import masked_crc32c
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "event files need tensorboardX: pip install 'lcpfn-jax[readers]'"
            ) from None
        self._event, self._checksum, self._damage = Event, masked_crc32c, DecodeError
        self._file = GrowingFile(path)
        self._begin()

    def _begin(self) -> None:
        self.tags: set[str] = set()
        self.scalars: list[tuple[str, int, float]] = []
        self.failure, self._at, self._rest = "", 0, b""

    def update(self) -> bool:
        """Reads on; whether there is anything new.

        Raises:
            OSError: if it cannot be read.
        """
        if not self._file.changed():
            return False
        if self._file.is_anew():
            self._begin()
        for block in self._file.blocks(self._seen):
            if self.failure:
                break
            try:
                self._parse(self._rest + block)
            except ValueError as error:
                self.failure = f"{self.path.name} {error}"
        return True

    def trouble(self, final: bool = False) -> str:
        """Why it was not read to its end, if that is so.

        Args:
            final: whether it will not grow any more. It does not either where nothing
                was written for a while.
        """
        is_whole = self._at and not self._rest
        if self.failure or is_whole or not (final or self._file.is_quiet()):
            return self.failure
        what = f"is cut off at byte {self._at}" if self._rest else "is empty"
        return f"{self.path.name} {what}"

    def _parse(self, content: bytes) -> None:
        """Takes all events that are complete."""
        at = 0
        while len(content) - at >= 12:
            length, check = struct.unpack_from("<QI", content, at)
            if check != self._checksum(content[at : at + 8]):
                raise ValueError(f"is no event file, or damaged at {self._at}")
            if length > MOST_EVENT:
                raise ValueError(
                    f"is cut off at byte {self._at}: an event of {length} bytes"
                )
            if length > len(content) - at - FRAME:
                break
            payload = content[at + 12 : at + 12 + length]
            (check,) = struct.unpack_from("<I", content, at + 12 + length)
            self._take(payload, check)
            at += length + FRAME
            self._at += length + FRAME
        self._rest = content[at:]

    def _take(self, payload: bytes, check: int) -> None:
        try:
            event = self._event.FromString(payload)
        except self._damage:
            raise ValueError(f"is damaged at byte {self._at}") from None
        numbers = [v for v in event.summary.value if _is_number(v)]
        # Checksums in Python are slow, and only these events are used.
        if numbers and check != self._checksum(payload):
            raise ValueError(f"is damaged at byte {self._at}")
        self.tags.update(v.tag for v in numbers)
        self.scalars += [
            (v.tag, event.step, _number(v))
            for v in numbers
            if self._metric in (None, v.tag)
        ]

    def add_to(self, log: Log, run: str, start: int = 0) -> None:
        """Puts its scalars into a log, from the `start`-th on."""
        for tag in self.tags:
            log.wants(tag)
        for tag, step, value in self.scalars[start:]:
            log.add(tag, run, step, value)


def _is_number(value: Any) -> bool:
    """Whether a value of a summary is a scalar, in either form."""
    if value.HasField("simple_value"):
        return True
    tensor = value.tensor
    return (
        value.HasField("tensor")
        and tensor.dtype in TENSORS
        and not tensor.tensor_shape.dim
    )


def _number(value: Any) -> float:
    """The scalar in a value of a summary."""
    if value.HasField("simple_value"):
        return value.simple_value
    field, dtype = TENSORS[value.tensor.dtype]
    if content := value.tensor.tensor_content:
        found = np.frombuffer(content[: np.dtype(dtype).itemsize], dtype)
    else:
        found = np.array(getattr(value.tensor, field))
    if found.shape != (1,):
        raise ValueError(f"a scalar of {value.tag!r} holds {len(found)} numbers")
    return float(found[0])


def event_files(path: Path) -> list[Path]:
    """The file itself, or all event files below a directory, by run and time."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob(PATTERN) if p.is_file())


class EventLog:
    """The event files of one directory, which are one run, resumed.

    Args:
        path: the directory, or one file.
        metric: the tag; None for the only one.
    """

    def __init__(self, path: Path, metric: str | None) -> None:
        self._path, self._metric = path, metric
        self._files: dict[Path, EventFile] = {}
        self._final = False
        self._log = Log(metric)
        # The scalars of each file that are in the log, and how many.
        self._taken: list[tuple[list[tuple[str, int, float]], int]] = []

    def update(self, final: bool = False) -> bool:
        """Reads on; whether there is anything new. `final`: it will not grow any more.

        Raises:
            OSError: if a file cannot be read.
            ModuleNotFoundError: if tensorboardX is missing.
        """
        paths, self._final = [self._path], final
        if self._path.is_dir():
            paths = sorted(p for p in self._path.glob(PATTERN) if p.is_file())
        self._files = {
            p: self._files.get(p) or EventFile(p, self._metric) for p in paths
        }
        return any([file.update() for file in self._files.values()])

    def curves(self) -> list[Curve]:
        """The curve of the chosen tag.

        Raises:
            ValueError: if there is none, or several tags and no choice.
        """
        self._take()
        trouble = self.trouble()
        if trouble and not self._log.observed:
            raise ValueError(trouble)
        return self._log.curves()

    def _take(self) -> None:
        """Puts what is new behind what is in the log, or all in its order anew."""
        files = [*self._files.values()]
        known = zip(self._taken, files, strict=False)
        goes_on = all(scalars is file.scalars for (scalars, _), file in known)
        older = all(len(scalars) == count for scalars, count in self._taken[:-1])
        if len(self._taken) > len(files) or not (goes_on and older):
            self._log, self._taken = Log(self._metric), []
        starts = [count for _, count in self._taken]
        starts += [0] * (len(files) - len(starts))
        for file, start in zip(files, starts, strict=True):
            file.add_to(self._log, "", start)
        self._taken = [(file.scalars, len(file.scalars)) for file in files]

    def trouble(self) -> str:
        """Which files are damaged."""
        found = [file.trouble(self._final) for file in self._files.values()]
        return "; ".join(filter(None, found))


def read_tensorboard(request: Request) -> list[Run]:
    """One run per directory; several files of one directory are one run, resumed."""
    log = Log(request.metric)
    trouble: list[str] = []
    for path in event_files(request.path):
        root = request.path if request.path.is_dir() else path.parent
        run = path.parent.relative_to(root).as_posix()
        run = root.resolve().name if run == "." else run
        with bar(path, request.progress) as shown:
            file = EventFile(path, request.metric, shown.update)
            file.update()
        if what := file.trouble(final=True):
            trouble.append(f"{run}: {what}")
        file.add_to(log, run)
    if trouble and not log.observed:
        raise ValueError("; ".join(trouble))
    request.skipped.extend(trouble)
    return [as_run(curve, request) for curve in log.curves()]
