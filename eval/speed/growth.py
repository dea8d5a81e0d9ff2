"""How time and memory grow with the length of curves and logs, and with a batch."""

import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lcpfn.eval.speed.measure import Row, Settings, interleaved
from lcpfn.eval.speed.reference_prior import example_curves
from lcpfn.io.follow import Logs
from lcpfn.model import Model
from lcpfn.stopping.rule import Rule
from lcpfn.watch.board import Board


def long_streams(model: Model, total: int) -> list[Row]:
    """Time and memory of an update as the curve grows past the context."""
    values = 0.8 - 0.5 * np.arange(1, total + 1) ** -0.5
    values += 0.01 * np.random.default_rng(0).normal(size=total)
    # Ends of the ranges in which as many observations make a token.
    ends = [e for e in (128 * 2**i for i in range(total.bit_length())) if e < total]
    ends.append(total)
    for warm in (True, False):
        stream = model.stream(2 * total, mode="max")
        times, sizes = [], []
        label = "long streams, " + ("warming up" if warm else "measured")
        for value in tqdm(values, desc=label, file=sys.stderr, leave=False):
            began = time.perf_counter()
            stream.update(value).final.mean()
            times.append(1e3 * (time.perf_counter() - began))
            if len(times) in ends:
                sizes.append(stream.nbytes / 1e6)
    rows = []
    first = (f"median of observations 1..{ends[0]}", float(np.median(times[: ends[0]])))
    for start, end, size in zip([0, *ends], ends, sizes, strict=False):
        part, span = times[start:end], f"observations {start + 1}..{end}"
        name = f"a stream after {end} observations"
        held = (f"after {ends[0]} observations", sizes[0])
        rows += [
            Row("growth", f"update, {span}", float(np.median(part)), "ms", *first),
            Row("growth", f"worst update, {span}", max(part), "ms", *first),
            Row("growth", name, size, "MB", *held),
        ]
    return rows


def batch_sizes(model: Model, settings: Settings) -> list[Row]:
    """Time per curve against the size of the batch."""
    batches = settings.batches
    curves = example_curves(max(batches))[:, :10]
    calls = {
        str(n): partial(model.extrapolate, curves[:n], 100, mode="max", bounds=(0, 1))
        for n in batches
    }
    times = interleaved(calls, settings.repeats)
    smallest = str(min(batches))
    against = (f"batches of {smallest}", int(smallest) / times[smallest])
    return [
        Row("growth", f"batches of {n}", int(n) / took, "curves/s", *against)
        for n, took in times.items()
    ]


def watched_logs(model: Model, settings: Settings) -> list[Row]:
    """Time of a look of `lcpfn watch` at one new observation, and memory of the log."""
    lengths, rows = settings.logs, []
    for count in settings.logged:
        found = [_watched(model, length, count, settings.looks) for length in lengths]
        for part, unit, column in (
            ("look at one more of", "ms", 0),
            ("taking in one more of", "ms", 1),
            ("memory of", "MB", 2),
        ):
            against = (f"{lengths[0]} observations", found[0][column])
            rows += [
                Row(
                    "growth",
                    f"{part} {length} observations of {count} runs",
                    *(figures[column], unit, *against),
                )
                for length, figures in zip(lengths, found, strict=True)
            ]
    return rows


def _watched(
    model: Model, length: int, runs: int, looks: int
) -> tuple[float, float, float]:
    """Milliseconds of a look, and of its reading alone; megabytes of what was read.

    Medians of so many looks, after as many to warm up.
    """
    lines = [
        f"run {i % runs},{i // runs + 1},{2 / (i // runs + 1) ** 0.5}\n"
        for i in range(length + 2 * looks)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.write_text("run,step,loss\n" + "".join(lines[:length]))
        tracemalloc.start()
        Logs(path).poll()
        held = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        logs = Logs(path)
        board = Board(Rule(2 * len(lines), "min"), model)
        board.take(logs.poll())
        board.rows()
        times = []
        for line in lines[length:]:
            with path.open("a") as file:
                file.write(line)
            began = time.perf_counter()
            new = logs.poll()
            read = time.perf_counter()
            board.take(new, logs.gone)
            board.rows()
            times.append((time.perf_counter() - began, read - began))
    whole, reading = 1e3 * np.median(times[looks:], axis=0)
    return float(whole), float(reading), held
