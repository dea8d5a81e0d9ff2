"""What is measured in a process of its own, started by the path of this file.

    python eval/speed/processes.py NAME [CHECKPOINT]

Each function imports what it is about and nothing else; the process prints what it
returns as a line of JSON. `lcpfn.eval.speed.fresh` starts them.
"""

import json
import sys
from importlib import import_module


def bare_interpreter() -> None:
    """Nothing."""


def import_lcpfn() -> None:
    """The import alone."""
    import_module("lcpfn")


def import_jax() -> None:
    """JAX, and one operation."""
    import jax

    jax.numpy.ones(2).block_until_ready()


def first_forecast(checkpoint: str) -> None:
    """All that a user waits for before the first forecast."""
    import lcpfn
    from lcpfn.jax_setup import confine_jax, enable_compilation_cache

    confine_jax()
    enable_compilation_cache()
    curve = [0.52, 0.61, 0.66, 0.69]
    lcpfn.load(checkpoint).extrapolate(curve, 50, mode="max", bounds=(0, 1)).mean()


def memory(checkpoint: str) -> dict[str, float]:
    """Peak resident memory in MiB after each of several steps."""
    import lcpfn

    found = {"import": peak()}
    import jax

    jax.config.update("jax_platforms", "cpu")
    (jax.numpy.ones(2) + 1).block_until_ready()
    found["jax"] = peak()
    model = lcpfn.load(checkpoint)
    found["load"] = peak()
    curve = [0.5 + 0.01 * i for i in range(20)]
    model.extrapolate([curve] * 64, 100, mode="max", bounds=(0, 1)).mean()
    stream = model.stream(100, mode="max", bounds=(0, 1))
    for value in curve:
        stream.update(value)
    return found | {"forecasts": peak()}


def peak() -> float:
    """Peak resident memory of this process, MiB."""
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except OSError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(globals()[name](*arguments)), flush=True)  # noqa: T201
