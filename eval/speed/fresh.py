"""Figures that need a process of their own: training, memory, start-up."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from lcpfn import checkpoint
from lcpfn.eval.speed import reference_network as rival
from lcpfn.eval.speed.measure import Row, faster, fresh_process
from lcpfn.model import Model
from lcpfn.network import parameter_count

# Training and evaluation never import each other, so the step is timed from outside.
TRAINING = """
import json, sys
from functools import partial
import jax, numpy as np
from lcpfn.eval.speed import reference_network as rival
from lcpfn.eval.speed.measure import interleaved
from lcpfn.priors import LCPFN_PRIOR, PRIORS, draw
from lcpfn.train.presets import PRESETS
from lcpfn.train.data import make_feeds
from lcpfn.train.step import init_state, train_step

preset, (steps, batch, layers, repeats) = sys.argv[1], map(int, sys.argv[2:])
config = PRESETS[preset]
feeds = make_feeds(config, PRIORS[config.prior])
step = jax.jit(partial(train_step, config, feeds), donate_argnums=0)
state, key = init_state(config), jax.random.key(1)
# The average starts as the same buffers, and a buffer is donated once.
state = state._replace(average=jax.tree.map(lambda x: x.copy(), state.params))

def ours():
    global state
    for _ in range(steps):
        state, metrics = step(state, key)
    return metrics["loss"]

big = rival.ReferenceConfig(layers=layers)
params = rival.init(big, jax.random.key(0))
y = draw(LCPFN_PRIOR, jax.random.key(0), batch).y
grid = np.broadcast_to(np.arange(1, 101, dtype=np.float32), y.shape)
times = interleaved(
    {"ours": ours, "rival": lambda: rival.gradients(big, params, grid, y, cutoff=50)},
    repeats,
)
print(json.dumps({
    "ours": steps * config.batch / times["ours"],
    "batch": config.batch,
    "rival": batch / times["rival"],
}), flush=True)
"""

PEAK = """
import json, resource, sys

def peak():
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except OSError:
        unit = 2**20 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
"""

MEMORY = (
    PEAK
    + """
import lcpfn
found = {"bare": peak()}
import jax
jax.config.update("jax_platforms", "cpu")
(jax.numpy.ones(2) + 1).block_until_ready()
found["jax"] = peak()
model = lcpfn.load(sys.argv[1])
found["load"] = peak()
curve = [0.5 + 0.01 * i for i in range(20)]
model.extrapolate([curve] * 64, horizon=100, mode="max", bounds=(0, 1)).mean()
stream = model.stream(horizon=100, mode="max", bounds=(0, 1))
for value in curve:
    stream.update(value)
found["forecasts"] = peak()
print(json.dumps(found))
"""
)

BARE = "print(0, flush=True)"
IMPORT = "import lcpfn; print(0, flush=True)"
IMPORT_JAX = "import jax; jax.numpy.ones(2).block_until_ready(); print(0, flush=True)"
FORECAST = """
import sys
import lcpfn
from lcpfn.jax_setup import confine_jax, enable_compilation_cache
confine_jax()
enable_compilation_cache()
model = lcpfn.load(sys.argv[1])
curve = [0.52, 0.61, 0.66, 0.69]
model.extrapolate(curve, horizon=50, mode="max", bounds=(0, 1)).mean()
print(0, flush=True)
"""


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


def training(
    preset: str, steps: int, batch: int, layers: int, repeats: int
) -> list[Row]:
    """Pre-training with fresh curves and the optimizer, against the rival's gradients.

    Args:
        preset: run whose step is timed.
        steps: of it per repetition.
        batch: curves of the rival's step; the paper's is 100.
        layers: of the rival.
        repeats: repetitions.
    """
    arguments = (preset, *map(str, (steps, batch, layers, repeats)))
    _, found = fresh_process(TRAINING, *arguments)
    return [
        faster(
            "training",
            f"{preset}, {found['batch']} curves a step, all cutoffs of each",
            (found["ours"], "curves/s"),
            (
                f"{layers} x 512 network, gradient of {batch} curves at one cutoff",
                found["rival"],
            ),
        )
    ]


def memory(model: Model) -> list[Row]:
    """Peak resident memory of a process, and the weights on disk."""
    with saved(model) as path:
        _, found = fresh_process(MEMORY, str(path))
        files = [p for p in (path / "weights").rglob("*") if p.is_file()]
        size = sum(p.stat().st_size for p in files) / 1e6
    against = ("bare JAX", found["jax"])
    shapes = jax.eval_shape(
        lambda: rival.init(rival.ReferenceConfig(), jax.random.key(0))
    )
    reference = ("weights of the 12 x 512 network", 4 * parameter_count(shapes) / 1e6)
    return [
        faster("memory", "import lcpfn", (found["bare"], "MiB"), against),
        faster("memory", "after load", (found["load"], "MiB"), against),
        faster("memory", "after forecasts", (found["forecasts"], "MiB"), against),
        faster("memory", "weights on disk", (size, "MB"), reference),
    ]


def cold_start(model: Model, repeats: int) -> list[Row]:
    """From the start of a process to an import, and to the first forecast."""
    times: dict[str, list[float]] = {}
    with saved(model) as path, tempfile.TemporaryDirectory() as cache:
        runs = {
            "bare": (BARE, ""),
            "import": (IMPORT, ""),
            "jax": (IMPORT_JAX, ""),
            "cold": (FORECAST, ""),
            "warm": (FORECAST, cache),
        }
        fresh_process(FORECAST, str(path), cache=cache)
        for _ in tqdm(range(repeats), desc="start", file=sys.stderr, leave=False):
            for name, (script, folder) in runs.items():
                took, _ = fresh_process(script, str(path), cache=folder)
                times.setdefault(name, []).append(took)
        assert os.listdir(cache)
    median = {name: float(np.median(values)) for name, values in times.items()}
    against = ("import of JAX and one operation", median["jax"])
    return [
        faster(
            "start",
            "process with import lcpfn",
            (median["import"], "s"),
            ("bare interpreter", median["bare"]),
        ),
        faster(
            "start", "first forecast, nothing cached", (median["cold"], "s"), against
        ),
        faster("start", "first forecast, warm cache", (median["warm"], "s"), against),
    ]
