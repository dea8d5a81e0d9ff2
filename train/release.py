"""Writes released weights from one of several processes.

Orbax saves from all processes at once, to the same path. A release is written by one,
so it goes through a Python of its own that knows nothing of the others.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np

from lcpfn import checkpoint
from lcpfn.config import ModelConfig
from lcpfn.network import Params, shapes


def save_apart(
    path: Path, params: Params, config: ModelConfig, card: dict[str, object]
) -> None:
    """`lcpfn.checkpoint.save` for one process of several.

    Raises:
        RuntimeError: with what the writing process said.
    """
    with tempfile.TemporaryDirectory() as folder:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
        np.savez(Path(folder) / "weights.npz", *leaves)
        text = json.dumps({"model": asdict(config), "card": card})
        (Path(folder) / "card.json").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "lcpfn.train.release", folder, str(path)],
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"{path} could not be written:\n{done.stderr[-2000:]}")


def main(folder: Path, path: Path) -> None:
    """What the process of `save_apart` does."""
    about = json.loads((folder / "card.json").read_text())
    config = ModelConfig(**about["model"])
    with np.load(folder / "weights.npz") as file:
        leaves = [file[f"arr_{i}"] for i in range(len(file.files))]
    params = jax.tree.unflatten(jax.tree.structure(shapes(config)), leaves)
    checkpoint.save(path, params, config, about["card"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
