"""Finished tables: text, Parquet, directories of logs; by the rules of `collect`."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from lcpfn.curves import Run
from lcpfn.io.collect import Collector
from lcpfn.io.follow import OTHERS, TABLES, Logs
from lcpfn.io.packed import bar, damage
from lcpfn.io.request import STDIN, Request
from lcpfn.io.rows import Row
from lcpfn.io.scalar_log import Curve, as_run
from lcpfn.io.text_log import TextLog


def read_text(request: Request) -> Iterator[Run]:
    """A table, JSON lines or a JSON document."""
    if str(request.path) == STDIN:
        with tempfile.NamedTemporaryFile() as copy:
            binary = getattr(sys.stdin, "buffer", None)  # text alone in some hosts
            copy.write(binary.read() if binary else sys.stdin.read().encode())
            copy.flush()
            yield from _read_file(Path(copy.name), request)
    else:
        yield from _read_file(request.path, request)


def _read_file(path: Path, request: Request) -> Iterator[Run]:
    with bar(path, request.progress) as shown:
        log = TextLog(path, lambda: _collector(request), shown.update)
        log.update(final=True)
    yield from _runs(log.curves(), request)
    if trouble := log.trouble():
        request.skipped.append(trouble)


def read_logs(request: Request) -> Iterator[Run]:
    """All text and event files below a directory."""
    logs = Logs(request.path, request.metric, request.step, request.percent)
    found = logs.changed(final=True)
    for curves in found.values():
        yield from _runs(curves, request)
    trouble = [f"{name}: {what}" for name, what in logs.trouble.items()]
    if not found:
        if not trouble:
            trouble = [f"a directory is read for {', '.join(TABLES + OTHERS)}, events"]
        raise ValueError("; ".join(["holds no curves", *trouble]))
    request.skipped.extend(trouble)


def read_table(request: Request) -> Iterator[Run]:
    """A table as text or as Parquet, by its content."""
    with request.path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    return read_parquet(request) if is_parquet else read_text(request)


def read_parquet(request: Request) -> Iterator[Run]:
    """A Parquet file."""
    collector = _collector(request)
    for number, row in enumerate(parquet_rows(request), 1):
        collector.add(row, f"row {number}")
    yield from _runs(collector.curves(), request)
    request.skipped.extend(collector.left_out())


def parquet_rows(request: Request) -> Iterator[Row]:
    """Rows of a Parquet file; needs pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Parquet needs pyarrow: pip install 'lcpfn-jax[readers]'"
        ) from None
    path = request.path
    with path.open("rb") as file, bar(path, request.progress) as shown:
        with damage(path.name, pa.ArrowException):
            for batch in pq.ParquetFile(file).iter_batches():
                shown.update(file.tell() - shown.n)
                yield from batch.to_pylist()


def _collector(request: Request) -> Collector:
    return Collector(request.metric, request.step, request.percent)


def _runs(curves: Iterable[Curve], request: Request) -> Iterator[Run]:
    for curve in curves:
        yield as_run(curve._replace(run=curve.run or request.stem), request)
