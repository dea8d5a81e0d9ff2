"""TensorBoard event files: a directory with one run per sub-directory.

An event file is a sequence of records, each a protocol buffer framed by its length and
two checksums. Scalars are read in both forms that writers use: a plain number (PyTorch,
tensorboardX) and a tensor of rank 0 (TensorFlow 2, Keras). `metric` is the tag.

Source: tensorflow/core/lib/io/record_writer.h and event.proto; the protocol buffers are
those of tensorboardX.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.packed import bar
from lcpfn.io.request import Request
from lcpfn.io.scalar_log import Log

PATTERN = "*tfevents*"
# `types.proto`: DT_FLOAT and DT_DOUBLE.
TENSORS = {1: ("float_val", "<f4"), 2: ("double_val", "<f8")}


class Library(NamedTuple):
    """What tensorboardX is used for.

    Attributes:
        parse: an event from its bytes.
        checksum: of bytes, as the frame holds it.
        error: what `parse` raises.
    """

    parse: Callable[[bytes], Any]
    checksum: Callable[[bytes], int]
    error: type[Exception]


def _library() -> Library:
    try:
        from google.protobuf.message import DecodeError
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "event files need tensorboardX: pip install 'lcpfn-jax[readers]'"
        ) from None
    return Library(Event.FromString, masked_crc32c, DecodeError)


def event_files(path: Path) -> list[Path]:
    """The file itself, or all event files below a directory, by run and time."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob(PATTERN) if p.is_file())


def events(
    path: Path, library: Library, seen: Callable[[int], Any] = lambda _: None
) -> Iterator[Any]:
    """Events with a summary in one file.

    Raises:
        ValueError: naming the file, if it is damaged or cut off.
    """
    size, at = path.stat().st_size, 0
    if not size:
        raise ValueError(f"{path.name} is empty")
    with path.open("rb") as file:
        while at < size:
            frame = file.read(12)
            if len(frame) < 12:
                raise ValueError(f"{path.name} is cut off at byte {at}")
            length, check = struct.unpack("<QI", frame)
            if check != library.checksum(frame[:8]):
                raise ValueError(f"{path.name} is no event file, or damaged at {at}")
            # Compared before anything of that length is read.
            if length > size - at - 16:
                raise ValueError(f"{path.name} is cut off at byte {at}")
            payload = file.read(length)
            (check,) = struct.unpack("<I", file.read(4))
            try:
                event = library.parse(payload)
            except library.error:
                raise ValueError(f"{path.name} is damaged at byte {at}") from None
            # Checksums in Python are slow, and only these events are used.
            if event.HasField("summary"):
                if any(map(_is_number, event.summary.value)) and (
                    check != library.checksum(payload)
                ):
                    raise ValueError(f"{path.name} is damaged at byte {at}")
                yield event
            seen(length + 16)
            at += length + 16


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


def scalars(path: Path) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of every complete scalar in one file that may be growing."""
    library = _library()
    found = events(path, library)
    while True:
        try:
            event = next(found)
        except (StopIteration, ValueError):  # the end, or half an event
            return
        for value in filter(_is_number, event.summary.value):
            yield value.tag, event.step, _number(value)


def read_tensorboard(request: Request) -> list[Run]:
    """One run per directory; several files of one directory are one run, resumed."""
    library, log = _library(), Log(request.metric)
    for path in event_files(request.path):
        root = request.path if request.path.is_dir() else path.parent
        run = path.parent.relative_to(root).as_posix()
        run = root.resolve().name if run == "." else run
        with bar(path, request.progress) as shown:
            for event in events(path, library, shown.update):
                for value in filter(_is_number, event.summary.value):
                    if log.wants(value.tag):
                        log.add(value.tag, run, event.step, _number(value))
    return log.runs(request)
