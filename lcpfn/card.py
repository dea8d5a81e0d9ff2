"""The card of a checkpoint: what it says of itself, and which weights it vouches for.

format      of the checkpoint
model       size of the network, see `lcpfn.config.ModelConfig`
metric      whether bounds are hard
checksum    of the weights
prior, training, figures, history   where the weights come from
before      the same of the weights that this training began with, if any
planned     of a part for plans that was trained alone: where it comes from, and `of`,
            the checksum of the weights it was added to
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CARD, FORMAT = "card.json", 2
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
MOST_CARD = 1 << 26


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, foreign or newer than this library."""


def read_card(path: Path) -> dict:
    """The card of a checkpoint directory, checked for what this module needs of it.

    Raises:
        CheckpointError: naming the path and what is wrong.
    """
    file = path / CARD
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_CARD + 1)
        if len(content) > MOST_CARD:
            raise ValueError(f"more than {MOST_CARD} bytes")
        card = json.loads(content.decode())
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not an lcpfn checkpoint: it has no {CARD}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    found = card.get("format") if isinstance(card, dict) else None
    missing = {"checksum", "model"} - set(card if isinstance(card, dict) else ())
    if type(found) is not int or found < 1 or missing:
        raise CheckpointError(f"{file} is not the card of an lcpfn checkpoint")
    if found > FORMAT:
        raise CheckpointError(
            f"{path} has format {found}, this lcpfn reads up to {FORMAT}: "
            "pip install --upgrade lcpfn-jax"
        )
    _check_card(file, card)
    return card


def _check_card(file: Path, card: Mapping[str, Any]) -> None:
    """Refuses fields of another type than they are saved with."""
    if not CHECKSUM.fullmatch(str(card["checksum"])):
        raise CheckpointError(
            f"{file} is damaged: checksum must be sha256: and 64 hexadecimal digits, "
            f"got {card['checksum']!r:.80}"
        )
    for name in ("metric", "training", "before"):
        if not isinstance(card.get(name, {}), dict):
            raise CheckpointError(
                f"{file} is damaged: {name} must be an object, got {card[name]!r:.80}"
            )
    hard = card.get("metric", {}).get("hard_bounds", True)
    if not isinstance(hard, bool):
        raise CheckpointError(
            f"{file} is damaged: hard_bounds must be true or false, got {hard!r:.80}"
        )


def scored(card: Mapping[str, Any]) -> str:
    """The checksum whose results are those of these weights where no plan is given."""
    checksum: str = card.get("planned", {}).get("of", card["checksum"])
    return checksum


def weights_name(card: Mapping[str, Any]) -> str:
    """Name of the directory of the weights that a card vouches for."""
    if card["format"] == 1:
        return "weights"
    return f"weights-{card['checksum'].removeprefix('sha256:')[:16]}"
