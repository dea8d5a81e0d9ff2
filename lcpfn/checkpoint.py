"""Checkpoints: an orbax directory of weights and a JSON card that vouches for it.

    NAME/card.json           says which weights are meant, see `lcpfn.card`
    NAME/weights-CHECKSUM/   orbax (OCDBT) pytree; the name has 16 digits of the
                             checksum, in format 1 it is `weights`

Nothing in it is code, and nothing is executed by reading it. The checksum covers every
file below the weights, so a truncated or altered checkpoint is refused before orbax
sees it. Saving writes new weights beside the old ones; then the card is replaced, which
is one operation of the file system. So whoever reads finds the old checkpoint or the
new one, whole, whatever happens to whoever writes.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lcpfn.card import CARD, FORMAT, CheckpointError, read_card, weights_name
from lcpfn.config import ModelConfig
from lcpfn.directory_lock import directory_lock
from lcpfn.network import Params, shapes

# What `load()` without a name takes: the first of these that is bundled.
DEFAULTS = ("default", "domhan")
PART = ".part-"
WEIGHTS = re.compile(r"weights(-[0-9a-f]{16})?")
# How often a checkpoint may be replaced while it is read.
TRIES = 20
# Two threads in orbax at once write to directories that are not there yet.
_ORBAX = threading.Lock()


def checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def save(path: str | Path, params: Params, config: ModelConfig, card: dict) -> None:
    """Writes a checkpoint, or replaces the one at `path`, at once or not at all.

    Several may save there at the same time: one waits for the other.

    Args:
        path: directory of the checkpoint.
        params: weights, a nested dict of arrays.
        config: size of the network.
        card: what else to record; JSON values.

    Raises:
        OSError: if it cannot be written; an older checkpoint is as it was.
    """
    path = Path(path).absolute()
    json.dumps(card)  # fails before anything is written
    path.mkdir(parents=True, exist_ok=True)
    with directory_lock(path, wait=True) as is_alone:
        part = Path(tempfile.mkdtemp(prefix=PART, dir=path))
        try:
            _write(part, params, config, card)
            _publish(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        if is_alone:
            _remove_stale(path)


def _write(part: Path, params: Params, config: ModelConfig, card: dict) -> None:
    """A whole checkpoint in a directory that nobody looks into."""
    from orbax.checkpoint import v1 as ocp

    weights, params = part / "weights", jax.tree.map(np.asarray, params)
    with _ORBAX:
        ocp.save(weights, params)
    # Orbax does not always say that something could not be written.
    try:
        stored, written = _by_path(_load(weights)), _by_path(params)
        lost = [n for n, x in written.items() if stored[n].tobytes() != x.tobytes()]
    except Exception as error:  # orbax has no common base class for its errors
        raise OSError(f"{weights} was not written whole: {error}") from error
    if lost:
        raise OSError(f"{weights} was not written whole: {lost[0]} is not what it was")
    # Orbax notes the absolute path it wrote to, which others need not know.
    for mark in weights.rglob("commit_success.txt"):
        mark.write_text("committed\n")
    own = {"format": FORMAT, "model": asdict(config)}
    full = own | card | own  # the card may come from another checkpoint
    full["checksum"] = f"sha256:{checksum(weights)}"
    weights.rename(part / weights_name(full))
    (part / CARD).write_text(json.dumps(full, indent=2) + "\n")
    for file in part.rglob("*"):
        _sync(file)


def _publish(part: Path, path: Path) -> None:
    """Makes what was written the checkpoint at `path`."""
    for weights in part.glob("weights-*"):
        weights.rename(path / weights.name)
    _sync(path)
    os.replace(part / CARD, path / CARD)
    _sync(path)


def _sync(path: Path) -> None:
    """Waits until a file or directory is on the disk, where one can."""
    if os.name != "posix":
        return
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError:
        if not path.is_dir():  # some file systems have nothing to wait for
            raise
    finally:
        os.close(file)


def _remove_stale(path: Path) -> None:
    """Removes older weights, and what was left behind by those that were killed."""
    with suppress(OSError, CheckpointError):
        kept = weights_name(read_card(path))
        for entry in path.iterdir():
            is_stale = WEIGHTS.fullmatch(entry.name) and entry.name != kept
            if is_stale or entry.name.startswith(PART):
                shutil.rmtree(entry, ignore_errors=True)


def bundled() -> dict[str, Path]:
    """Directories of the checkpoints that come with the package, by name."""
    spec = importlib.util.find_spec("lcpfn.checkpoints")
    folders = (spec and spec.submodule_search_locations) or ()
    cards = [card for folder in folders for card in Path(folder).glob(f"*/{CARD}")]
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


def _load(weights: Path) -> Any:
    from orbax.checkpoint import v1 as ocp

    with _ORBAX:
        return ocp.load(weights)


def weights_of(path: Path, card: Mapping[str, Any] | None = None) -> Path:
    """Directory of the weights of a checkpoint, by default those that its card names.

    Raises:
        CheckpointError: naming the path and what is wrong.
    """
    weights = path / weights_name(read_card(path) if card is None else card)
    if not weights.is_dir():
        raise CheckpointError(f"{path} is damaged: it has no weights")
    return weights


def _name(way: tuple) -> str:
    return jax.tree_util.keystr(way, simple=True, separator="/")


def _by_path(tree: Params) -> dict[str, Any]:
    return {_name(way): leaf for way, leaf in jax.tree.leaves_with_path(tree)}


def _size(leaf: Any) -> str:
    return "missing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"


def restore(path: str | Path) -> tuple[Params, ModelConfig, dict]:
    """Reads a checkpoint, the newest if it is replaced meanwhile.

    Returns:
        Weights as a nested dict of NumPy arrays, the size of the network, the card.

    Raises:
        CheckpointError: if anything about it is not as it was saved.
    """
    path = Path(path).absolute()
    card = read_card(path)
    for _ in range(TRIES):
        try:
            config = _config(path, card)
            return _params(path, card, config), config, card
        except CheckpointError:
            before, card = card["checksum"], read_card(path)
            if card["checksum"] == before:
                raise
    raise CheckpointError(f"{path} is replaced faster than it can be read; try later")


def _config(path: Path, card: Mapping[str, Any]) -> ModelConfig:
    try:
        return ModelConfig(**card["model"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: bad model size in {CARD}: {error}") from None


def _params(path: Path, card: Mapping[str, Any], config: ModelConfig) -> Params:
    try:
        weights = weights_of(path, card)
        found = f"sha256:{checksum(weights)}"
        if found != card["checksum"]:
            raise CheckpointError(
                f"{path} is damaged: its weights have checksum {found[:19]}..., its "
                f"card says {str(card['checksum'])[:19]}...; restore it from its source"
            )
        stored = _by_path(_load(weights))
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read: {type(error).__name__}: {error}"
        ) from error
    # orbax itself would cut or fill arrays of another shape without a word.
    empty = shapes(config)
    wanted = _by_path(empty)
    for name in sorted(wanted.keys() | stored.keys()):
        here, there = (_size(tree.get(name)) for tree in (stored, wanted))
        if here != there:
            raise CheckpointError(
                f"{path} does not fit this network: {name} is {here}, expected {there}"
            )
    return jax.tree.map_with_path(lambda way, _: stored[_name(way)], empty)
