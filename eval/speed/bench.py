"""Speed and memory, every figure beside a rival measured in the same run.

The rivals are LC-PFN's 12 x 512 network on the same questions and its prior's NumPy
loop; for start-up and memory, a bare interpreter and a bare JAX. Figures are medians,
and the calls that are compared take turns.

    results = bench(lcpfn.load())
    to_markdown(results)
"""

import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lcpfn.eval.speed import reference_network as rival
from lcpfn.eval.speed.fresh import cold_start, memory, training
from lcpfn.eval.speed.growth import batch_sizes, long_streams
from lcpfn.eval.speed.measure import (
    Row,
    faster,
    interleaved,
    machine,
    seconds,
    to_markdown,
)
from lcpfn.eval.speed.reference_prior import example_curves, timed_draw
from lcpfn.model import Model
from lcpfn.priors import LCPFN_PRIOR, draw
from lcpfn.run_pool import RunPool
from lcpfn.stopping.early_stopping import EarlyStopping

__all__ = ["Settings", "bench", "to_markdown"]

HORIZON = 100


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        repeats: of every timed call.
        curves: streamed, after one to warm up.
        batch: curves of a batched forecast.
        rival_batch: curves that the rival network takes at a time.
        rival_layers: of the rival network.
        prior_sizes: batches of prior curves; the fastest counts.
        prior_curves: drawn by the NumPy loop per repetition.
        records: of the longest stream.
        batches: sizes of batches whose time is measured.
        pool, pool_records: runs advanced in one call, and how far.
        train_steps: steps of pre-training per repetition.
        train_batch: curves of the rival's training step; the paper's is 100.
        preset: of the pre-training.
    """

    repeats: int = 7
    curves: int = 8
    batch: int = 256
    rival_batch: int = 16
    rival_layers: int = 12
    prior_sizes: tuple[int, ...] = (1024, 2048, 4096)
    prior_curves: int = 4000
    records: int = 4000
    batches: tuple[int, ...] = (1, 8, 64, 256, 1024, 4096)
    pool: int = 1024
    pool_records: int = 40
    train_steps: int = 10
    train_batch: int = 8
    preset: str = "domhan"


QUICK = Settings(
    repeats=1,
    curves=1,
    batch=8,
    rival_batch=2,
    rival_layers=2,
    prior_sizes=(64,),
    prior_curves=50,
    records=140,
    batches=(1, 8),
    pool=8,
    pool_records=4,
    train_steps=1,
    train_batch=2,
    preset="tiny",
)


class Rival:
    """The 12 x 512 network with random weights, asked about the same curves."""

    def __init__(self, device: jax.Device, layers: int = 12) -> None:
        self.config = rival.ReferenceConfig(layers=layers)
        self.name = f"{layers} x {self.config.width} network"
        params = rival.init(self.config, jax.random.key(0))
        self.params = jax.device_put(params, device)

    def forward(
        self, y: np.ndarray, cutoff: int, *, first: int = 0, final: bool = False
    ) -> jax.Array:
        """Bins of the steps after `first`, or of the last step alone; `y` `(B, T)`."""
        steps = np.broadcast_to(np.arange(1, HORIZON + 1, dtype=np.float32), y.shape)
        keep = np.arange(HORIZON) if not final else np.append(np.arange(cutoff), -1)
        steps, y = steps[:, keep], y[:, keep].astype(np.float32)
        observed = np.broadcast_to(np.arange(len(keep)) < cutoff, y.shape)
        return rival.apply(self.config, self.params, steps, y, observed, first=first)


def streaming(model: Model, net: Rival, settings: Settings) -> list[Row]:
    """One more record and the decision on it, against one forward pass."""
    curves = example_curves(settings.curves + 1)
    updates: list[float] = []
    forward: list[float] = []
    for number, curve in enumerate(curves):
        stopper = EarlyStopping(HORIZON, "max", (0, 1), beat=0.9, model=model)
        for cutoff, value in enumerate(curve[:-1], 1):
            took = seconds(partial(stopper.update, value))
            if number:
                updates.append(took)
            if cutoff % 10 == 1:
                took = seconds(partial(net.forward, curve[None], cutoff))
                if number:
                    forward.append(took)
    against = (f"forward pass of the {net.name}", 1e3 * float(np.median(forward)))
    middle, late = (float(q) for q in 1e3 * np.quantile(updates, [0.5, 0.95]))
    return [
        faster("streaming", "update, median", (middle, "ms"), against, 50.0, 1.0),
        faster("streaming", "update, 95 %", (late, "ms"), against),
    ]


def batched(model: Model, net: Rival, settings: Settings) -> list[Row]:
    """Forecasts of many curves at once, against the rival on the same questions."""
    curves, rows = example_curves(settings.batch), []
    few = curves[: settings.rival_batch]
    for cutoff in tqdm((10, 20, 50), desc="batched", file=sys.stderr, leave=False):
        ask = partial(
            model.extrapolate, curves[:, :cutoff], HORIZON, mode="max", bounds=(0, 1)
        )
        answers = partial(net.forward, few, cutoff, first=cutoff)
        times = interleaved(
            {
                "all": ask,
                "final": partial(ask, at=[HORIZON]),
                "rival": answers,
                "rival final": partial(answers, final=True),
            },
            settings.repeats,
        )
        for what, label in (("", "all remaining steps"), (" final", "final step only")):
            ours = len(curves) / times[what.strip() or "all"]
            theirs = len(few) / times[f"rival{what}"]
            rows.append(
                faster(
                    "batched",
                    f"{len(curves)} curves at step {cutoff}, {label}",
                    (ours, "curves/s"),
                    (f"{net.name}, {len(few)} at a time", theirs),
                    None if what else 200.0,
                )
            )
    return rows


def searching(model: Model, settings: Settings) -> list[Row]:
    """Runs in progress advanced in one call, against one stream at a time."""
    curves = example_curves(settings.pool)
    pool = RunPool(HORIZON, "max", (0, 1), model=model)
    stream = model.stream(HORIZON, mode="max", bounds=(0, 1))
    stream.extend(curves[0, :1], [1])
    alone: list[float] = []
    took: dict[str, list[float]] = {"updates": [], "scores": []}
    for number, values in enumerate(curves.T[: settings.pool_records]):
        report = dict(enumerate(values.tolist()))
        update = seconds(partial(pool.update, report))
        score = seconds(pool.expected_improvement)
        if number:
            alone.append(seconds(partial(stream.extend, values[:1], [number + 1])))
        # The first records compile, and whenever the cache has grown.
        if number > 1 and number & (number - 1):
            took["updates"].append(update)
            took["scores"].append(score)
    each = 1 / float(np.median(alone))
    return [
        faster(
            "search",
            f"{what} of {len(curves)} runs in one call",
            (len(curves) / float(np.median(times)), "runs/s"),
            ("one stream at a time, without a forecast", each),
        )
        for what, times in took.items()
    ]


def sampling(settings: Settings) -> list[Row]:
    """Accepted curves of LC-PFN's prior per second, against the NumPy loop."""
    run = jax.jit(lambda key, n: draw(LCPFN_PRIOR, key, n).y, static_argnames="n")
    key, count = jax.random.key(0), settings.prior_curves
    sizes = {n: partial(run, key, n=n) for n in settings.prior_sizes}
    with multiprocessing.get_context("spawn").Pool(2) as pool:

        def two_cores() -> None:
            pool.starmap(timed_draw, [(seed, count // 2) for seed in (1, 2)], 1)

        calls: dict[str, Callable[[], Any]] = {
            "one": lambda: timed_draw(0, count),
            "two": two_cores,
        }
        calls |= {str(n): call for n, call in sizes.items()}
        times = interleaved(calls, settings.repeats)
    ours, best = max((n / times[str(n)], n) for n in sizes)
    name = f"accepted curves, {best} at a time"
    return [
        faster(
            "prior",
            name,
            (ours, "curves/s"),
            (f"NumPy loop, processes: {cores}", count / times[label]),
        )
        for cores, label in ((1, "one"), (2, "two"))
    ]


def bench(model: Model, quick: bool = False) -> dict[str, Any]:
    """Measures everything; minutes, on an otherwise idle machine.

    Args:
        model: to measure.
        quick: measure little, against a smaller rival, to see that it works.

    Returns:
        "machine", "settings", and "rows": `Row` as dicts with "met" added.
    """
    settings = QUICK if quick else Settings()
    net = Rival(model.device, settings.rival_layers)
    figures = {
        "streaming": lambda: streaming(model, net, settings),
        "batched": lambda: batched(model, net, settings),
        "search": lambda: searching(model, settings),
        "prior": lambda: sampling(settings),
        "training": lambda: training(
            settings.preset,
            settings.train_steps,
            settings.train_batch,
            settings.rival_layers,
            settings.repeats,
        ),
        "memory": lambda: memory(model),
        "start": lambda: cold_start(model, settings.repeats),
        "long streams": lambda: long_streams(model, settings.records),
        "batch sizes": lambda: batch_sizes(model, settings.batches, settings.repeats),
    }
    rows: list[Row] = []
    with tqdm(figures.items(), file=sys.stderr) as bar:
        for name, measure in bar:
            bar.set_description(name)
            rows += measure()
    return {
        "machine": machine(model.device),
        "settings": {"model": repr(model)} | asdict(settings),
        "rows": [row._asdict() | {"met": row.met} for row in rows],
    }
