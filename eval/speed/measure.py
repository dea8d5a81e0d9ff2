"""How much is measured and how: calls in turn, rows that pair a figure with a rival."""

import datetime
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import numpy as np

import lcpfn
from lcpfn.eval.tables import table


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    repeats: int = 7  # of every timed call
    curves: int = 8  # streamed, after one to warm up
    batch: int = 256  # curves of a batched forecast
    rival_batch: int = 16  # curves that the rival network takes at a time
    rival_layers: int = 12
    prior_sizes: tuple[int, ...] = (1024, 2048, 4096)  # the fastest counts
    prior_curves: int = 4000  # drawn by the NumPy loop per repetition
    observations: int = 4000  # of the longest stream
    batches: tuple[int, ...] = (1, 8, 64, 256, 1024, 4096)
    logs: tuple[int, ...] = (1_000, 10_000, 100_000)  # observations of a watched log
    logged: tuple[int, ...] = (1, 300)  # runs of it
    looks: int = 10  # at one more observation each
    runs: int = 1024  # of a search, forecast in one call
    run_observations: int = 40  # how far they are advanced
    train_steps: int = 10  # of pre-training per repetition
    train_batch: int = 8  # curves of the rival's training step; the paper's is 100
    preset: str = "domhan"  # of the pre-training


QUICK = Settings(
    repeats=1,
    curves=1,
    batch=8,
    rival_batch=2,
    rival_layers=2,
    prior_sizes=(64,),
    prior_curves=50,
    observations=140,
    batches=(1, 8),
    logs=(20, 40),
    logged=(1, 2),
    looks=1,
    runs=8,
    run_observations=4,
    train_steps=1,
    train_batch=2,
    preset="tiny",
)


class Row(NamedTuple):
    """One figure, beside what it was measured against in the same run.

    Attributes:
        figure: group of the table.
        name: what was measured.
        value: the measurement.
        unit: of both values.
        against: what it is compared with.
        reference: the measurement of that.
        goal: smallest ratio wanted, or None.
        limit: value wanted or a better one, or None.
    """

    figure: str
    name: str
    value: float
    unit: str
    against: str
    reference: float
    goal: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float:
        """How many times better the measurement is than what it is compared with."""
        if more_is_better(self.unit):
            return self.value / self.reference
        return self.reference / self.value

    @property
    def met(self) -> bool | None:
        """Whether goal and limit are met; None where there is neither."""
        if self.goal is None and self.limit is None:
            return None
        fast = self.goal is None or self.ratio >= self.goal
        if self.limit is None:
            return fast
        off = self.value - self.limit
        return fast and (off >= 0 if more_is_better(self.unit) else off <= 0)


def more_is_better(unit: str) -> bool:
    """True of units per second, which are better when high; all others when low."""
    return unit.endswith("/s")


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of one call, whose result must have been waited for."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began


def interleaved(
    calls: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, float]:
    """Median seconds of every call: each once to warm up, then all in turn."""
    for call in calls.values():
        seconds(call)
    times = [
        {name: seconds(call) for name, call in calls.items()} for _ in range(repeats)
    ]
    return {name: float(np.median([t[name] for t in times])) for name in calls}


def machine(device: jax.Device) -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine."""
    return {
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device.device_kind,
        "python": platform.python_version(),
        "jax": version("jax"),
        "lcpfn": lcpfn.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def to_markdown(results: dict[str, Any]) -> str:
    """The results of `bench` as tables, a goal beside every figure that has one."""
    facts = results["machine"] | results["settings"]
    rows = []
    for row in results["rows"]:
        goals = []
        if row["limit"] is not None:
            sign = ">=" if more_is_better(row["unit"]) else "<="
            goals.append(f"{sign} {row['limit']:g} {row['unit']}")
        if row["goal"] is not None:
            goals.append(f">= {row['goal']:g}x")
        rows.append(
            (
                f"{row['figure']}: {row['name']}",
                f"{row['value']:.4g} {row['unit']}",
                f"{row['against']}: {row['reference']:.4g} {row['unit']}",
                f"{row['ratio']:.3g}x",
                " and ".join(goals),
                {True: "met", False: "**not met**", None: ""}[row["met"]],
            )
        )
    head = ("figure", "measured", "against", "ratio", "goal", "")
    settings = ", ".join(f"{name} {value}" for name, value in facts.items())
    return f"{settings}\n\n{table(head, rows)}\n"
