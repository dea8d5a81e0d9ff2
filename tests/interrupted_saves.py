"""Saves a checkpoint again and again, each time stopped one file operation later.

    python -m tests.interrupted_saves OLD FOLDER HOW

FOLDER/1, FOLDER/2, ... begin as copies of OLD, if there is one, and the N-th save ends
before its N-th operation on any file there: HOW is "kill" or "error". A kill before an
operation that only reads leaves the same behind as a later one and is left out; "swap"
is a kill before an operation outside of the directory that is being prepared. The last
save is not stopped. Prints for each whether it says that it has saved.
"""

import errno
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
from orbax.checkpoint import v1  # noqa: F401  imported before it forks

from lcpfn.checkpoint import PART, save
from lcpfn.config import ModelConfig
from lcpfn.network import shapes

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}
SWAPS = {"os.mkdir", "os.rename", "os.remove", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SMALL = ModelConfig(width=8, layers=1, heads=2, hidden=8, head_hidden=8, components=2)


def constant(value, config=SMALL):
    """Weights that are all of one value."""
    return jax.tree.map(lambda x: np.full(x.shape, value, x.dtype), shapes(config))


class Stopper:
    """Hears of every operation on files, and stops one of them."""

    def __init__(self, folder, how):
        self.folder, self.how, self.left = str(folder), how, 0
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if not self.left or not self.counts(event, arguments):
            return
        self.left -= 1
        if self.left:
            return
        if self.how != "error":
            os._exit(9)
        raise OSError(errno.ENOSPC, f"no space left, says the test: {event}")

    def counts(self, event, arguments):
        if self.how == "swap":
            target = str(arguments[event == "os.rename"]) if arguments else ""
            top = self.folder in target and PART not in target
            return top and event in SWAPS
        # Directories are removed by names relative to them.
        here = event in ("os.remove", "os.rmdir")
        here = here or any(self.folder in str(x) for x in arguments)
        if event == "open":
            return here and (self.how == "error" or arguments[2] & WRITING)
        return here and (self.how == "error" or event in CHANGES)


def has_saved(stopper, path, number):
    """Saves; whether that ends without an error. The stopper keeps what is left."""
    params = constant(2)
    stopper.left = number
    try:
        save(path, params, SMALL, {"name": "new"})
    except OSError as error:
        if not any(x in str(error) for x in ("says the test", "not written whole")):
            raise
        return False
    return True


def in_child(function, *arguments):
    """Whether a function is true in a process of its own that is not killed."""
    child = os.fork()
    if not child:
        os._exit(0 if function(*arguments) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main(old, folder, how):
    stopper, saved = Stopper(folder, how), []
    for number in itertools.count(1):
        path = folder / str(number)
        if old.is_dir():
            shutil.copytree(old, path)
        if how != "error":
            saved.append(in_child(has_saved, stopper, path, number))
            is_last = saved[-1]
        else:
            saved.append(has_saved(stopper, path, number))
            is_last, stopper.left = stopper.left > 0, 0
        if is_last:
            break
    print(json.dumps(saved), flush=True)  # noqa: T201
    os._exit(0)  # threads of orbax that were stopped wait for minutes


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
