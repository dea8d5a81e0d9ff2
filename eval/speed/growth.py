"""How time and memory grow with the length of a curve and the size of a batch."""

import sys
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from tqdm import tqdm

from lcpfn.eval.speed.measure import Row, compared, interleaved
from lcpfn.eval.speed.reference_prior import example_curves
from lcpfn.model import Model


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
        middle, most = (float(np.median(part)), "ms"), (max(part), "ms")
        name = f"a stream after {end} observations"
        held = (f"after {ends[0]} observations", sizes[0])
        rows += [
            compared("growth", f"update, {span}", middle, first),
            compared("growth", f"worst update, {span}", most, first),
            compared("growth", name, (size, "MB"), held),
        ]
    return rows


def batch_sizes(model: Model, batches: Sequence[int], repeats: int) -> list[Row]:
    """Time per curve against the size of the batch."""
    curves = example_curves(max(batches))[:, :10]
    calls = {
        str(n): partial(model.extrapolate, curves[:n], 100, mode="max", bounds=(0, 1))
        for n in batches
    }
    times = interleaved(calls, repeats)
    smallest = str(min(batches))
    against = (f"batches of {smallest}", int(smallest) / times[smallest])
    return [
        compared("growth", f"batches of {n}", (int(n) / took, "curves/s"), against)
        for n, took in times.items()
    ]
