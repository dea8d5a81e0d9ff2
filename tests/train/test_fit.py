"""The pre-training loop: what it writes, how it goes on, what it refuses.

Tests of the loop alone put a cheap step in the place of the real one.
"""

import dataclasses
import json

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from lcpfn import checkpoint, network
from lcpfn.config import ModelConfig
from lcpfn.directory_lock import DirectoryBusy, directory_lock
from lcpfn.eval.evaluate_curves import from_fresh_weights
from lcpfn.train.fit import NonFiniteLoss, batch_sharding, fit
from lcpfn.train.presets import TINY
from lcpfn.train.run_log import Journal, read_log
from tests.makers import cheap_step

SMALL = dataclasses.replace(
    TINY,
    model=ModelConfig(
        width=8, layers=1, heads=1, hidden=8, head_hidden=8, components=2, context=100
    ),
    steps=8,
    log_every=2,
    save_every=4,
    validation=16,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run of the preset."""
    return fit(TINY, tmp_path_factory.mktemp("tiny"), progress=False)


def test_one_run_at_a_time(tmp_path, cheap):
    with directory_lock(tmp_path, wait=False):
        with pytest.raises(DirectoryBusy, match=r"in use .* give another directory"):
            fit(SMALL, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())
    fit(SMALL, tmp_path, progress=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", "log.jsonl", "release", "state"}


@pytest.mark.parametrize("text", ["", "{", "[]", "\0\0"])
def test_a_damaged_configuration_is_named(tmp_path, cheap, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config.json is damaged .*; restore it"):
        fit(SMALL, tmp_path, progress=False)


@pytest.mark.parametrize(
    "end", [b'{"step": 3', b"\0\0\xff", b"[3]", b"{}", b'{"step": []}']
)
def test_a_log_with_a_torn_end(tmp_path, end):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n' + end)
    assert [entry["step"] for entry in read_log(path, 9)] == [1, 2]


class Interrupted(Exception):
    """Stands in for whatever ends a run."""


def interrupt_at(monkeypatch, number):
    """Ends a run when it writes the log line of a step."""
    write = Journal.write

    def interrupted(self, *line):
        if self._number >= number:
            raise Interrupted
        write(self, *line)

    monkeypatch.setattr(Journal, "write", interrupted)


def assert_same_weights(one, other):
    one, other = checkpoint.restore(one)[0], checkpoint.restore(other)[0]
    jax.tree.map(np.testing.assert_array_equal, one, other)


# --- real runs


def test_tiny_learns_and_logs(finished):
    lines = read_log(finished.parent / "log.jsonl", TINY.steps)
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    assert [line["curves"] for line in lines] == [80, 160, 240, 320, 400, 480]
    assert lines[-1]["loss"] < lines[0]["loss"] - 1
    for line in lines:
        scored = {"gap_10", "gap_20", "gap_40", "gap_80"} & set(line)
        assert len(scored) == (4 if line["step"] % 20 == 0 else 0)
        assert all(np.isfinite(value) for value in line.values())
    assert lines[-1]["gap_40"] < lines[1]["gap_40"]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)


def test_release_says_what_it_is(finished):
    _, config, card = checkpoint.restore(finished)
    assert config == TINY.model
    assert card["training"]["seed"] == TINY.seed
    assert card["prior"]["name"] == "lcpfn"
    assert card["metric"] == {"mode": "max", "bounds": [0.0, 1.0], "hard_bounds": False}
    assert card["figures"]["step"] == TINY.steps
    assert card["figures"]["devices"] == jax.device_count()


def test_interrupted_run_ends_with_the_same_bits(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 30)
        with pytest.raises(Interrupted):
            fit(TINY, tmp_path, progress=False)
    assert not (tmp_path / "release").exists()
    begun = read_log(tmp_path / "log.jsonl", 20)
    # What a killed run may leave behind: lines after the checkpoint and a torn one.
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 30, "loss": 9.0, "seconds": 1.0}\n{"step": 4')
    release = fit(TINY, tmp_path, progress=False)
    assert_same_weights(release, finished)
    assert read_log(tmp_path / "log.jsonl", 20) == begun  # it did not start again
    names = ("step", "loss", "grad_norm", "gap_10", "gap_80")
    logs = [
        [{name: line.get(name) for name in names} for line in read_log(path, 60)]
        for path in (tmp_path / "log.jsonl", finished.parent / "log.jsonl")
    ]
    assert logs[0] == logs[1]


def test_finished_run_is_released_again_and_not_trained_on(finished):
    text = (finished.parent / "log.jsonl").read_text()
    params = checkpoint.restore(finished)[0]
    assert fit(TINY, finished.parent, progress=False) == finished
    jax.tree.map(np.testing.assert_array_equal, checkpoint.restore(finished)[0], params)
    assert (finished.parent / "log.jsonl").read_text() == text


# --- the loop alone


def test_only_the_newest_checkpoints_are_kept(cheap, tmp_path):
    fit(dataclasses.replace(SMALL, steps=18, keep=3), tmp_path, progress=False)
    kept = sorted(int(path.name) for path in (tmp_path / "state").iterdir())
    assert kept == [12, 16, 18]


def test_a_run_interrupted_before_its_first_checkpoint_starts_again(
    cheap, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 4)
        with pytest.raises(Interrupted):
            fit(SMALL, tmp_path, progress=False)
    fit(SMALL, tmp_path, progress=False)
    lines = read_log(tmp_path / "log.jsonl", 8)
    assert [line["step"] for line in lines] == [2, 4, 6, 8]


def test_a_run_interrupted_at_its_last_checkpoint_has_a_whole_log(
    cheap, tmp_path, monkeypatch
):
    def killed(*_):
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(Interrupted):
            fit(SMALL, tmp_path, progress=False)
    *_, card = checkpoint.restore(fit(SMALL, tmp_path, progress=False))
    assert card["figures"]["step"] == 8


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (cheap_step(bad_loss=6), "the loss became nan at step 6"),
        (cheap_step(bad_norm=6), "the gradient norm became inf at step 6"),
    ],
)
def test_non_finite_loss_keeps_the_last_good_checkpoint(
    cheap, tmp_path, monkeypatch, step, what
):
    with monkeypatch.context() as patch:
        patch.setattr("lcpfn.train.fit.train_step", step)
        with pytest.raises(NonFiniteLoss, match=f"{what}; .* checkpoint: step 4 in"):
            fit(SMALL, tmp_path, progress=False)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["4"]
    assert not (tmp_path / "release").exists()
    params = checkpoint.restore(fit(SMALL, tmp_path, progress=False))[0]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_non_finite_loss_in_a_step_that_saves_is_not_saved(
    cheap, tmp_path, monkeypatch
):
    monkeypatch.setattr("lcpfn.train.fit.train_step", cheap_step(bad_norm=4))
    with pytest.raises(NonFiniteLoss, match="at step 4; last good checkpoint: step no"):
        fit(SMALL, tmp_path, progress=False)
    assert not list((tmp_path / "state").iterdir())


def test_start_begins_with_given_weights_and_leaves_them_alone(cheap, tmp_path):
    start = network.init(SMALL.model, jax.random.key(99))
    config = dataclasses.replace(SMALL, steps=1)
    release = fit(config, tmp_path, start=start, progress=False)
    params = checkpoint.restore(release)[0]
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y + 1e-3, atol=1e-7),
        params,
        jax.tree.map(np.asarray, start),
    )


def test_a_run_that_is_ended_releases_its_newest_checkpoint(
    cheap, tmp_path, monkeypatch
):
    with pytest.raises(
        ValueError, match=r"there is no checkpoint in .* to release yet"
    ):
        fit(SMALL, tmp_path, progress=False, ended=True)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 6)
        with pytest.raises(Interrupted):
            fit(SMALL, tmp_path, progress=False)
    release = fit(SMALL, tmp_path, progress=False, ended=True)
    found, _, card = checkpoint.restore(release)
    assert card["figures"]["step"] == 4
    assert "platform" not in card["figures"]  # it may have been trained elsewhere
    whole = checkpoint.restore(fit(SMALL, tmp_path, progress=False))[0]
    first, last = (np.asarray(jax.tree.leaves(tree)[0]) for tree in (found, whole))
    np.testing.assert_allclose(last, first + 4e-3, atol=1e-6)


def test_the_card_keeps_what_was_before(cheap, tmp_path):
    first = fit(SMALL, tmp_path / "first", progress=False)
    for name in ("second", "third"):
        start, _, card = checkpoint.restore(first)
        config = dataclasses.replace(SMALL, steps=4, origin=name)
        first = fit(config, tmp_path / name, start=start, card=card, progress=False)
        found = checkpoint.restore(first)[2]
        assert found["training"]["origin"] == name
        assert found["before"]["checksum"] == card["checksum"]
        assert found["before"]["training"] == card["training"]
    log = from_fresh_weights(found)
    assert log == card["before"]["history"]
    assert log[-1]["step"] == 8


def test_another_configuration_is_refused_in_the_same_directory(cheap, tmp_path):
    fit(SMALL, tmp_path, progress=False)
    other = dataclasses.replace(SMALL, seed=1, learning_rate=0.5)
    with pytest.raises(ValueError, match=r"another .*differs in learning_rate, seed\)"):
        fit(other, tmp_path, progress=False)


def test_a_run_from_before_a_field_existed_goes_on(cheap, tmp_path):
    fit(SMALL, tmp_path, progress=False)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["origin"]
    path.write_text(json.dumps(config))
    fit(SMALL, tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"differs in origin"):
        fit(dataclasses.replace(SMALL, origin="x"), tmp_path, progress=False)


def test_batch_must_fit_the_devices(monkeypatch, tmp_path):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(ValueError, match="multiple of the number of devices, got 8"):
        fit(SMALL, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_sharding_covers_all_devices():
    sharded, replicated = batch_sharding(8)
    assert isinstance(sharded.mesh, Mesh)
    assert sharded.mesh.size == jax.device_count()
    assert replicated.is_fully_replicated


def test_tensorboard_writes_events(cheap, tmp_path):
    pytest.importorskip("tensorboardX")
    fit(SMALL, tmp_path, progress=False, tensorboard=True)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert events.name.startswith("events.out.tfevents")
    assert events.stat().st_size > 300
    assert b"grad_norm" in events.read_bytes()


def test_tensorboard_names_the_package_it_needs(cheap, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .*tensorboard"):
        fit(SMALL, tmp_path, progress=False, tensorboard=True)


def test_unknown_prior_is_refused_before_anything_is_written(tmp_path):
    config = dataclasses.replace(SMALL, prior="nothing")
    with pytest.raises(ValueError, match="module:function"):
        fit(config, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
