"""How JAX starts when it is lcpfn that starts it.

A forecast often runs inside somebody else's training process. By default JAX would
reserve three quarters of the GPU's memory at its first operation.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_home: int | None = None  # the process in which this library first used JAX


def check_process() -> None:
    """Refuses to use JAX in a forked child: XLA's threads do not survive a fork.

    Raises:
        RuntimeError: saying what to do instead.
    """
    global _home
    if _home is None:
        _home = os.getpid()
    elif _home != os.getpid():
        raise RuntimeError(
            f"lcpfn was used in process {_home} and is now used in its fork "
            f"{os.getpid()}, where JAX would hang; start workers with the "
            '"spawn" or "forkserver" method and call lcpfn.load() in each of them'
        )


def float64(function: Callable[P, R]) -> Callable[P, R]:
    """Computes in float64 where the arguments do, whatever JAX does elsewhere.

    A curve with a large offset has its shape in digits that float32 does not have.
    """

    @functools.wraps(function)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        import jax

        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wide


def confine_jax() -> None:
    """Keeps JAX off the accelerators if nobody else in this process uses JAX.

    Whoever imported jax before, or set JAX_PLATFORMS, is left alone; the model is then
    placed on the CPU device explicitly.
    """
    if "jax" in sys.modules or "JAX_PLATFORMS" in os.environ:
        return
    import jax

    jax.config.update("jax_platforms", "cpu")


def enable_compilation_cache() -> None:
    """Keeps compiled programs on disk between processes.

    In `LCPFN_CACHE`, by default `$XDG_CACHE_HOME/lcpfn`; an empty LCPFN_CACHE turns it
    off. A cache set up by the user through JAX itself is left alone. Used by the
    command line; libraries should not write to disk unasked.
    """
    default = os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lcpfn"
    )
    folder = os.environ.get("LCPFN_CACHE", default)
    if not folder:
        return
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
