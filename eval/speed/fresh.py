"""Figures that need a process of their own: start-up and memory."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import lcpfn
from lcpfn import checkpoint
from lcpfn.eval.speed import reference_network
from lcpfn.eval.speed.measure import Row
from lcpfn.model import Model
from lcpfn.network import parameter_count

ROOT = str(Path(lcpfn.__file__).absolute().parent.parent)


def fresh_process(name: str, *arguments: str, cache: str = "") -> tuple[float, Any]:
    """Runs a function of `processes.py` in a new interpreter.

    Args:
        name: of the function.
        arguments: of it.
        cache: directory of the compilation cache; empty for none.

    Returns:
        Seconds from the start of the process to its output, and the output.

    Raises:
        RuntimeError: with its standard error, if it fails.
    """
    path = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "LCPFN_CACHE": cache}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    script = str(Path(__file__).with_name("processes.py"))
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, script, name, *arguments],
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


@contextlib.contextmanager
def saved(model: Model) -> Iterator[Path]:
    """Where the checkpoint of a model lies on disk."""
    if model.path is not None:
        yield model.path
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        checkpoint.save(path, model.params, model.config, model.card)
        yield path


def memory(model: Model) -> list[Row]:
    """Peak resident memory of a process, and the weights on disk."""
    with saved(model) as path:
        _, found = fresh_process("memory", str(path))
        files = [p for p in checkpoint.weights_of(path).rglob("*") if p.is_file()]
        size = sum(p.stat().st_size for p in files) / 1e6
    rival = reference_network.ReferenceConfig()
    shapes = jax.eval_shape(lambda: reference_network.init(rival, jax.random.key(0)))
    weights = ("weights of the 12 x 512 network", 4 * parameter_count(shapes) / 1e6)
    names = {"import": "import lcpfn", "load": "after load"}
    names["forecasts"] = "after forecasts"
    return [
        Row("memory", name, found[key], "MiB", "bare JAX", found["jax"])
        for key, name in names.items()
    ] + [Row("memory", "weights on disk", size, "MB", *weights)]


def cold_start(model: Model, repeats: int) -> list[Row]:
    """From the start of a process to an import, and to the first forecast."""
    times: dict[str, list[float]] = {}
    with saved(model) as path, tempfile.TemporaryDirectory() as cache:
        forecast = ("first_forecast", str(path))
        calls = {
            "bare": (("bare_interpreter",), ""),
            "import": (("import_lcpfn",), ""),
            "jax": (("import_jax",), ""),
            "cold": (forecast, ""),
            "warm": (forecast, cache),
        }
        fresh_process(*forecast, cache=cache)
        for _ in tqdm(range(repeats), desc="start", file=sys.stderr, leave=False):
            for name, (call, folder) in calls.items():
                times.setdefault(name, []).append(fresh_process(*call, cache=folder)[0])
        assert os.listdir(cache)
    median = {name: float(np.median(values)) for name, values in times.items()}
    jax_alone = ("import of JAX and one operation", median["jax"])
    rows = {
        "process with import lcpfn": ("import", ("bare interpreter", median["bare"])),
        "first forecast, nothing cached": ("cold", jax_alone),
        "first forecast, warm cache": ("warm", jax_alone),
    }
    return [
        Row("start", name, median[key], "s", *rival)
        for name, (key, rival) in rows.items()
    ]
