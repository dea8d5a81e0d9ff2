"""Checkpoints: an orbax directory of weights and a JSON card that vouches for it.

    NAME/card.json      format, model size, metric, prior, training figures, checksum
    NAME/weights/       orbax (OCDBT) pytree

Nothing in it is code, and nothing is executed by reading it. The checksum covers every
file below `weights/`, so a truncated or altered checkpoint is refused before orbax sees
it. Writing goes to a sibling directory that is renamed when complete.
"""

import hashlib
import importlib.util
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lcpfn.config import ModelConfig
from lcpfn.network import Params, init

FORMAT = 1
# What `load()` without a name takes: the first of these that is bundled.
DEFAULTS = ("default", "domhan")


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, foreign or newer than this library."""


def checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        digest.update(
            f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode()
        )
        digest.update(content)
    return digest.hexdigest()


def save(path: str | Path, params: Params, config: ModelConfig, card: dict) -> None:
    """Writes a checkpoint, replacing an older one at `path` only when complete.

    Args:
        path: directory of the checkpoint.
        params: weights, a nested dict of arrays.
        config: size of the network.
        card: what else to record; JSON values.
    """
    from orbax.checkpoint import v1 as ocp

    path = Path(path).absolute()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        ocp.save(part / "weights", jax.tree.map(np.asarray, params))
        # Orbax notes the absolute path it wrote to, which is nobody else's business.
        for mark in part.rglob("commit_success.txt"):
            mark.write_text("committed\n")
        own = {"format": FORMAT, "model": asdict(config)}
        full = own | card | own  # the card may come from another checkpoint
        full["checksum"] = f"sha256:{checksum(part / 'weights')}"
        (part / "card.json").write_text(json.dumps(full, indent=2) + "\n")
        if path.exists():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            part.rename(path)
            shutil.rmtree(old)
        else:
            part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def bundled() -> dict[str, Path]:
    """Directories of the checkpoints that come with the package, by name."""
    spec = importlib.util.find_spec("lcpfn.checkpoints")
    folders = (spec and spec.submodule_search_locations) or ()
    cards = [card for folder in folders for card in Path(folder).glob("*/card.json")]
    return {card.parent.name: card.parent for card in sorted(cards)}


def find(name: str | Path | None) -> Path:
    """Directory of a checkpoint: a path, the name of a bundled one, or the default."""
    known = bundled()
    if name is None:
        for default in DEFAULTS:
            if default in known:
                return known[default]
        raise CheckpointError("no checkpoint is bundled here; reinstall lcpfn-jax")
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if path.is_dir():
        return path
    raise CheckpointError(
        f"no checkpoint {str(name)!r}: neither a directory nor one of the bundled "
        f"{', '.join(known) or '(none)'}"
    )


def read_card(path: Path) -> dict:
    """The card of a checkpoint directory, checked for format but not for content.

    Raises:
        CheckpointError: naming the path and what is wrong.
    """
    file = path / "card.json"
    try:
        card = json.loads(file.read_text())
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not an lcpfn checkpoint: it has no card.json"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    found = card.get("format") if isinstance(card, dict) else None
    if not isinstance(found, int) or "checksum" not in card or "model" not in card:
        raise CheckpointError(f"{file} is not the card of an lcpfn checkpoint")
    if found > FORMAT:
        raise CheckpointError(
            f"{path} has format {found}, this lcpfn reads up to {FORMAT}: "
            "pip install --upgrade lcpfn-jax"
        )
    return card


def _name(way: tuple) -> str:
    return jax.tree_util.keystr(way, simple=True, separator="/")


def _by_path(tree: Params) -> dict[str, Any]:
    return {_name(way): leaf for way, leaf in jax.tree.leaves_with_path(tree)}


def _size(leaf: Any) -> str:
    return "missing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"


def restore(path: str | Path) -> tuple[Params, ModelConfig, dict]:
    """Reads a checkpoint.

    Returns:
        Weights as a nested dict of NumPy arrays, the size of the network, the card.

    Raises:
        CheckpointError: if anything about it is not as it was saved.
    """
    path = Path(path).absolute()
    card = read_card(path)
    weights = path / "weights"
    if not weights.is_dir():
        raise CheckpointError(f"{path} is damaged: it has no weights")
    found = f"sha256:{checksum(weights)}"
    if found != card["checksum"]:
        raise CheckpointError(
            f"{path} is damaged: its weights have checksum {found[:19]}..., its card "
            f"says {str(card['checksum'])[:19]}...; restore it from its source"
        )
    try:
        config = ModelConfig(**card["model"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: bad model size in card.json: {error}") from None

    from orbax.checkpoint import v1 as ocp

    try:
        stored = _by_path(ocp.load(weights))
    except Exception as error:  # orbax has no common base class for its errors
        raise CheckpointError(
            f"{path} cannot be read: {type(error).__name__}: {error}"
        ) from error
    # orbax itself would cut or fill arrays of another shape without a word.
    shapes = jax.eval_shape(lambda: init(config, jax.random.key(0)))
    wanted = _by_path(shapes)
    for name in sorted(wanted.keys() | stored.keys()):
        here, there = (_size(tree.get(name)) for tree in (stored, wanted))
        if here != there:
            raise CheckpointError(
                f"{path} does not fit this network: {name} is {here}, expected {there}"
            )
    params = jax.tree.map_with_path(lambda way, _: stored[_name(way)], shapes)
    return params, config, card
