"""What goes wrong while checkpoints are saved: kills, errors, several at once."""

import json
import subprocess
import threading
import time

import jax
import numpy as np
import pytest

from lcpfn.checkpoint import CheckpointError, restore, save, weights_of
from tests.interrupted_saves import SMALL, constant
from tests.makers import start_python

NAMES = {"old": 1, "new": 2, "next": 3}
SECONDS = 4.0


def name_of(path):
    """Which checkpoint this is; all of its weights are the ones of that name."""
    params, _, card = restore(path)
    values = np.unique(np.concatenate([x.ravel() for x in jax.tree.leaves(params)]))
    assert values.tolist() == [NAMES[card["name"]]]
    return card["name"]


def make_format_1(path):
    weights_of(path).rename(path / "weights")
    card = (path / "card.json").read_text()
    (path / "card.json").write_text(card.replace('"format": 2', '"format": 1'))


def interrupted(tmp_path, before, how):
    """What was found after each save, and whether the save said that it was done."""
    old, folder = tmp_path / "old", tmp_path / "saves"
    folder.mkdir()
    if before != "none":
        save(old, constant(1), SMALL, {"name": "old"})
    if before == "format 1":
        make_format_1(old)
    words = ("-m", "tests.interrupted_saves", old, folder, how)
    out, _ = start_python(*words, stdout=subprocess.PIPE, text=True).communicate()
    for number, done in enumerate(json.loads(out), 1):
        path = folder / str(number)
        try:
            name = name_of(path)
        except CheckpointError as error:
            name = "none" if "it has no card.json" in str(error) else str(error)
        yield path, name, done
        # Nothing that was left behind is in the way, or stays.
        save(path, constant(3), SMALL, {"name": "next"})
        assert name_of(path) == "next"
        assert {p.name for p in path.iterdir()} == {"card.json", weights_of(path).name}


def test_killed_while_the_checkpoint_is_swapped(tmp_path):
    found = [name for _, name, _ in interrupted(tmp_path, "old", "swap")]
    turn = found.index("new")
    assert 3 <= turn < len(found) - 1
    assert found == ["old"] * turn + ["new"] * (len(found) - turn)


@pytest.mark.slow
@pytest.mark.parametrize("before", ["old", "none", "format 1"])
def test_killed_before_any_operation_on_a_file(tmp_path, before):
    found = [name for _, name, _ in interrupted(tmp_path, before, "kill")]
    first = "none" if before == "none" else "old"
    turn = found.index("new")
    assert len(found) > 15
    assert 0 < turn
    assert found == [first] * turn + ["new"] * (len(found) - turn)


@pytest.mark.slow
@pytest.mark.parametrize("before", ["old", "none"])
def test_an_error_in_any_operation_on_a_file(tmp_path, before):
    count = 0
    for _, name, done in interrupted(tmp_path, before, "error"):
        count += 1
        if done:
            assert name == "new"
        assert name in (before, "new")
    assert count > 50


def save_and_load(path, name, end, found):
    """Saves and loads until the end; notes what was loaded, and every error."""
    number = NAMES[name]
    try:
        while time.monotonic() < end:
            save(path, constant(number), SMALL, {"name": name})
            found.append(name_of(path))
    except Exception as error:  # noqa: BLE001  whatever it is, it is wrong
        found.append(error)


SAVING = """
import sys, time
from pathlib import Path
from tests.test_checkpoint_faults import save_and_load
path, name, end, found = Path(sys.argv[1]), sys.argv[2], time.monotonic() + 6, []
save_and_load(path, name, end, found)
print(*found, sep="\\n")
"""


def test_several_save_and_load_at_once(tmp_path):
    path, found = tmp_path / "shared", []
    save(path, constant(1), SMALL, {"name": "old"})
    others = [
        start_python("-c", SAVING, path, name, stdout=subprocess.PIPE, text=True)
        for name in ("new", "next")
    ]
    time.sleep(2)
    end = time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=save_and_load, args=(path, name, end, found))
        for name in NAMES
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found.append(name_of(path))
    for process in others:
        found += process.communicate()[0].splitlines()
        assert not process.returncode
    print(f"loaded {len(found)} times")  # noqa: T201
    assert set(found) == set(NAMES)
    name_of(path)
    assert {p.name for p in path.iterdir()} == {"card.json", weights_of(path).name}
