"""How speed is measured: interleaved calls, fresh processes, rows of a table."""

import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import lcpfn

ROOT = str(Path(lcpfn.__file__).absolute().parent.parent)


class Row(NamedTuple):
    """One figure, beside what it was measured against in the same run.

    Attributes:
        figure: group of the table.
        name: what was measured.
        value: the measurement.
        unit: of both values.
        against: what it is compared with.
        reference: the measurement of that.
        ratio: how many times better the first is.
        goal: smallest ratio wanted, or None.
        limit: largest value wanted, or None.
    """

    figure: str
    name: str
    value: float
    unit: str
    against: str
    reference: float
    ratio: float
    goal: float | None = None
    limit: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether goal and limit are met; None where there is neither."""
        if self.goal is None and self.limit is None:
            return None
        fast = self.goal is None or self.ratio >= self.goal
        return fast and (self.limit is None or self.value <= self.limit)


def faster(
    figure: str,
    name: str,
    values: tuple[float, str],
    against: tuple[str, float],
    goal: float | None = None,
    limit: float | None = None,
) -> Row:
    """A row; units per second are better when high, all others when low."""
    (value, unit), (what, reference) = values, against
    ratio = value / reference if unit.endswith("/s") else reference / value
    return Row(figure, name, value, unit, what, reference, ratio, goal, limit)


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


def fresh_process(
    script: str, *arguments: str, cache: str = ""
) -> tuple[float, dict[str, Any]]:
    """Runs a script in a new interpreter.

    Args:
        script: Python; it prints one line of JSON, then may go on.
        arguments: its `sys.argv[1:]`.
        cache: directory of the compilation cache; empty for none.

    Returns:
        Seconds from the start of the process to that line, and what it says.

    Raises:
        RuntimeError: with its standard error, if it fails.
    """
    path = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "LCPFN_CACHE": cache}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
        _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a measured process failed: {errors[-2000:]}")
    return took, json.loads(line)


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
    lines = [", ".join(f"{name} {value}" for name, value in facts.items()), ""]
    lines += [
        "| figure | measured | against | ratio | goal | |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        goals = []
        if row["limit"] is not None:
            goals.append(f"<= {row['limit']:g} {row['unit']}")
        if row["goal"] is not None:
            goals.append(f">= {row['goal']:g}x")
        verdict = {True: "met", False: "**not met**", None: ""}[row["met"]]
        lines.append(
            f"| {row['figure']}: {row['name']} | {row['value']:.4g} {row['unit']} "
            f"| {row['against']}: {row['reference']:.4g} {row['unit']} "
            f"| {row['ratio']:.3g}x | {' and '.join(goals)} | {verdict} |"
        )
    return "\n".join(lines) + "\n"
