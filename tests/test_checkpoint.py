"""Checkpoints: what is read back is what was written, or a refusal by name."""

import json

import jax
import numpy as np
import pytest

from lcpfn import checkpoint
from lcpfn.card import FORMAT, CheckpointError
from lcpfn.checkpoint import find, restore, save, weights_of
from lcpfn.config import ModelConfig
from lcpfn.network import init

SMALL = ModelConfig(width=8, layers=1, heads=2, hidden=8, head_hidden=8, components=2)
CARD = {"name": "small", "metric": {"hard_bounds": True}, "figures": [1.5, None]}


@pytest.fixture(scope="module")
def small():
    return jax.jit(init, static_argnums=0)(SMALL, jax.random.key(0))


@pytest.fixture
def saved(small, tmp_path):
    path = tmp_path / "small"
    save(path, small, SMALL, CARD)
    return path


def edit(path, **changes):
    card = json.loads((path / "card.json").read_text())
    (path / "card.json").write_text(json.dumps(card | changes))


def assert_refused(path, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        restore(path)
    assert str(path) in str(caught.value)


def test_round_trip_is_exact(saved, small):
    params, config, card = restore(saved)
    assert config == SMALL
    assert jax.tree.structure(params) == jax.tree.structure(small)
    for one, two in zip(jax.tree.leaves(params), jax.tree.leaves(small), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert card | CARD == card
    assert card["format"] == FORMAT
    assert card["model"]["width"] == 8


def test_nothing_else_is_left_behind(saved):
    assert [p.name for p in saved.parent.iterdir()] == ["small"]
    assert {p.name for p in saved.iterdir()} == {"card.json", weights_of(saved).name}


def test_replacing_a_checkpoint(saved, small):
    doubled = jax.tree.map(lambda x: 2 * x, small)
    save(saved, doubled, SMALL, CARD | {"name": "doubled"})
    params, _, card = restore(saved)
    assert card["name"] == "doubled"
    for one, two in zip(jax.tree.leaves(params), jax.tree.leaves(doubled), strict=True):
        np.testing.assert_array_equal(one, two)
    assert [p.name for p in saved.parent.iterdir()] == ["small"]


def test_a_failed_save_keeps_the_old_checkpoint(saved, small):
    with pytest.raises(TypeError):
        save(saved, small, SMALL, {"not JSON": object()})
    assert restore(saved)[2]["name"] == "small"
    assert [p.name for p in saved.parent.iterdir()] == ["small"]


def test_a_card_of_another_checkpoint_vouches_for_nothing(saved, small):
    """Saving on with the card that was read must not keep its size or format."""
    _, _, card = restore(saved)
    card = card | {"format": 0, "model": {"width": 999}}
    save(saved, small, SMALL, card)
    assert restore(saved)[1] == SMALL


def test_weights_that_were_cut_short(saved):
    largest = max(saved.rglob("*"), key=lambda p: p.stat().st_size * p.is_file())
    largest.write_bytes(largest.read_bytes()[:-7])
    assert_refused(saved, "damaged: its weights have checksum")


def test_one_flipped_bit_anywhere(saved):
    files = sorted(p for p in weights_of(saved).rglob("*") if p.stat().st_size)
    for file in (p for p in files if p.is_file()):
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        file.write_bytes(flipped)
        assert_refused(saved, "damaged: its weights have checksum")
        file.write_bytes(whole)
    restore(saved)


def test_files_that_are_missing_or_too_many(saved):
    extra = weights_of(saved) / "extra"
    extra.write_text("")
    assert_refused(saved, "damaged")
    extra.unlink()
    weights_of(saved).rename(saved / "elsewhere")
    assert_refused(saved, "damaged: it has no weights")


def test_a_missing_card(saved):
    (saved / "card.json").unlink()
    assert_refused(saved, "not an lcpfn checkpoint: it has no card.json")


def test_foreign_directories(tmp_path):
    assert_refused(tmp_path, "not an lcpfn checkpoint")
    assert_refused(tmp_path / "nowhere", "not an lcpfn checkpoint")
    file = tmp_path / "weights.bin"
    file.write_bytes(b"0")
    assert_refused(file, "cannot be read")


@pytest.mark.parametrize("text", ["", "{", "not JSON", '{"format": 1', "\xff"])
def test_a_card_that_is_not_json(saved, text):
    (saved / "card.json").write_bytes(text.encode("latin-1"))
    assert_refused(saved, "card.json cannot be read")


NOT_CARDS = ["[]", "3", "null", "{}", '{"format": "1"}', '{"format": true}']


@pytest.mark.parametrize("text", NOT_CARDS)
def test_a_card_of_something_else(saved, text):
    (saved / "card.json").write_text(text)
    assert_refused(saved, "card.json is not the card of an lcpfn checkpoint")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checksum": 3}, "checksum must be sha256: and 64 hexadecimal digits, got 3"),
        ({"checksum": "sha256:../../../../etc/cron.d"}, "checksum must be sha256:"),
        ({"metric": []}, r"metric must be an object, got \[\]"),
        ({"metric": {"hard_bounds": "no"}}, "hard_bounds must be true or false"),
        ({"training": "long"}, "training must be an object"),
        ({"before": ["default"]}, "before must be an object"),
        ({"format": -1}, "is not the card of an lcpfn checkpoint"),
    ],
)
def test_fields_of_another_type(saved, changes, message):
    edit(saved, **changes)
    assert_refused(saved, message)


def test_cards_that_are_nested_or_large(saved, monkeypatch):
    (saved / "card.json").write_text("[" * 100_000)
    assert_refused(saved, "card.json cannot be read: maximum recursion depth")
    monkeypatch.setattr("lcpfn.card.MOST_CARD", 1000)
    assert_refused(saved, "card.json cannot be read: more than 1000 bytes")


def test_format_1_is_read(saved, small):
    weights_of(saved).rename(saved / "weights")
    edit(saved, format=1)
    params, config, card = restore(saved)
    assert (config, card["format"]) == (SMALL, 1)
    assert jax.tree.all(jax.tree.map(np.array_equal, params, small))


def test_other_files_beside_a_checkpoint_stay(saved, small):
    (saved / "notes.txt").write_text("mine")
    (saved / "weights-of-mine").mkdir()
    save(saved, small, SMALL, CARD)
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "weights-of-mine").is_dir()


def test_what_cannot_be_written_is_an_error(saved, small, monkeypatch):
    """Orbax hides some errors; a checkpoint is read back before it counts."""
    from orbax.checkpoint import v1

    monkeypatch.setattr(v1, "load", lambda path: jax.tree.map(np.zeros_like, small))
    with pytest.raises(OSError, match=r"was not written whole: .* is not "):
        save(saved, small, SMALL, CARD | {"name": "other"})
    monkeypatch.undo()
    assert restore(saved)[2]["name"] == "small"


def test_weights_that_vanish_while_they_are_read(saved, small, monkeypatch):
    """A reader that held the old card takes the new one."""
    read, calls = checkpoint.checksum, []

    def replaced_meanwhile(folder):
        calls.append(folder)
        if len(calls) == 1:
            monkeypatch.setattr(checkpoint, "checksum", read)
            save(saved, small, SMALL, CARD | {"name": "newer"})
            monkeypatch.setattr(checkpoint, "checksum", replaced_meanwhile)
        return read(folder)

    monkeypatch.setattr(checkpoint, "checksum", replaced_meanwhile)
    assert restore(saved)[2]["name"] == "newer"
    assert len(calls) == 2


def test_a_newer_format(saved):
    edit(saved, format=FORMAT + 1)
    assert_refused(saved, f"format {FORMAT + 1}, .* up to {FORMAT}: pip install")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"width": 16},
            r"does not fit .*: ask1/bias is float32\[4\], expected .*\[8\]",
        ),
        ({"layers": 2}, "does not fit this network: blocks/1/.* is missing"),
        ({"components": 3}, r"does not fit this network: out/bias is float32\[6\]"),
        ({"width": -8}, "bad model size in card.json: width must be"),
        ({"depth": 3}, "bad model size in card.json"),
    ],
)
def test_weights_of_another_size(saved, model, message):
    card = json.loads((saved / "card.json").read_text())
    edit(saved, model=card["model"] | model)
    assert_refused(saved, message)


@pytest.mark.parametrize("model", [None, [], "small"])
def test_a_size_that_is_none(saved, model):
    edit(saved, model=model)
    assert_refused(saved, "bad model size")


def test_find_takes_paths_and_names_what_it_knows(saved):
    assert find(saved) == find(str(saved)) == saved
    with pytest.raises(CheckpointError, match="no checkpoint 'nowhere'"):
        find("nowhere")


def test_refusals_are_value_errors():
    assert issubclass(CheckpointError, ValueError)


def test_no_file_names_the_folder_it_was_written_in(model, tmp_path):
    path = tmp_path / "small"
    save(path, model.params, model.config, model.card)
    for file in path.rglob("*"):
        assert file.is_dir() or str(tmp_path).encode() not in file.read_bytes(), file
