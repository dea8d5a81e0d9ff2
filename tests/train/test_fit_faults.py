"""What goes wrong in long runs: kills, full disks, other numbers of devices.

Every run is a process of its own; all of them share compiled code.
"""

import json
import os
import random
import resource
import shutil
import socket
import subprocess
import time

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from lcpfn import checkpoint
from tests.makers import FALLING, start_python

pytestmark = pytest.mark.slow

STEPS = 16
# Losses of two layouts differ by the order of sums alone, and steps carry that on:
# 2.4e-5 was the most seen, at a loss of 0.85 (XLA on CPU, eight devices).
LOSS = {"rtol": 1e-4, "atol": 1e-5}

SIZES = "width=8 layers=1 heads=1 hidden=8 head_hidden=8 components=2 context=20"
RUN = [
    *("-m", "lcpfn", "pretrain", "tiny", "--set", f"steps={STEPS}", "save_every=2"),
    *("chunk=8", "warmup=2", "log_every=1", "validation=16"),
    *(f"prior={FALLING}", "lengths=20"),
    *(f"model.{size}" for size in SIZES.split()),
]


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """Starts a run in a directory; returns its process, stderr in `OUT.err`."""
    cache = tmp_path_factory.mktemp("compiled")
    started = []

    def start(out, *hosts, devices=1, keep=2, most_bytes=0):
        flags = os.environ.get("XLA_FLAGS", "")
        env = {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={devices}",
        }
        words = [*RUN, f"keep={keep}", "--out", out, *hosts]
        # A limit is on all files of a process, so a limited one's words go nowhere.
        words_in = os.devnull if most_bytes else out.with_name(f"{out.name}.err")
        with open(words_in, "a") as err:
            process = start_python(*words, env=env, stdout=err, stderr=err)
        started.append(process)
        if most_bytes:
            limits = (most_bytes, most_bytes)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def whole(launch, tmp_path_factory):
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "out"
    finish(launch(out), out)
    return out


def finish(process, out):
    code = process.wait(timeout=300)
    assert code == 0, out.with_name(f"{out.name}.err").read_text()[-3000:]


def log_of(out):
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    return {
        name: np.array([line[name] for line in lines if name in line])
        for name in ("loss", "grad_norm", "gap_10", "gap_40")
    }


def weights_of(out):
    return jax.tree.leaves(checkpoint.restore(out / "release")[0])


def assert_same_bits(out, whole):
    for one, other in zip(weights_of(out), weights_of(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    log, expected = log_of(out), log_of(whole)
    for name, values in expected.items():
        np.testing.assert_array_equal(log[name], values)


def assert_same_up_to_rounding(out, whole):
    log, expected = log_of(out), log_of(whole)
    far = np.abs(log["loss"] - expected["loss"]).max()
    pairs = zip(weights_of(out), weights_of(whole), strict=True)
    weights = max(np.abs(one - other).max() for one, other in pairs)
    print(f"largest difference of losses {far:.2g}, of weights {weights:.2g}")  # noqa: T201
    np.testing.assert_allclose(log["loss"], expected["loss"], **LOSS)
    np.testing.assert_allclose(log["gap_40"], expected["gap_40"], rtol=1e-4)
    assert weights < 1e-4


def saved_steps(out):
    state = out / "state"
    names = [path.name for path in state.iterdir()] if state.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def half_saved(out):
    """Names of checkpoints that are being written."""
    state = out / "state"
    names = [path.name for path in state.iterdir()] if state.is_dir() else []
    return {name for name in names if not name.isdigit()}


def kill_while_saving(process, out, count):
    """Kills a run while its `count`-th checkpoint from here on is being written."""
    seen = set()
    while process.poll() is None:
        seen |= half_saved(out)
        if len(seen) >= count and half_saved(out):
            process.kill()
            break
        time.sleep(0.0005)
    return process.wait()


def kill_after(process, out, seconds):
    """Kills a run some time after it has written to its log."""
    log = out / "log.jsonl"
    before = log.stat().st_mtime if log.exists() else 0
    while process.poll() is None:
        if log.exists() and log.stat().st_mtime > before and log.stat().st_size:
            time.sleep(seconds)
            process.kill()
            break
        time.sleep(0.001)
    return process.wait()


def test_killed_run_ends_with_the_same_bits(launch, whole, tmp_path):
    out, rng, torn = tmp_path / "out", random.Random(0), 0
    for kill in range(6):
        process = launch(out)
        if kill % 2:
            code = kill_after(process, out, rng.uniform(0, 0.3))
        else:
            code = kill_while_saving(process, out, 1 + kill // 2 % 2)
        torn += bool(half_saved(out))
        print(f"kill {kill}: exit {code}, saved {saved_steps(out)}, {half_saved(out)}")  # noqa: T201
        assert code in (-9, 0), out.with_name("out.err").read_text()[-3000:]
        if code == 0:
            break
    assert torn
    finish(launch(out), out)
    assert_same_bits(out, whole)
    assert saved_steps(out) == [STEPS - 2, STEPS]
    assert not half_saved(out)


def loads(out):
    """Whether the newest checkpoint can be read."""
    with ocp.training.Checkpointer(out / "state") as saver:
        latest = saver.latest.step
        step, *_ = saver.load(latest)
    return int(step) == latest == saved_steps(out)[-1]


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for a few checkpoints, and a way to enlarge it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(words, capture_output=True, text=True)

    done = mount("size=700k")
    if done.returncode:
        pytest.skip(f"mounting a small file system: {done.stderr.strip()}")
    yield folder, lambda: mount("remount,size=64m").check_returncode()
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_loses_nothing_that_was_saved(launch, whole, small_disk):
    folder, enlarge = small_disk
    out = folder / "out"
    assert launch(out, keep=100).wait(timeout=300) > 0
    saved = saved_steps(out)
    print(f"disk full after checkpoints {saved}")  # noqa: T201
    assert saved
    assert saved[-1] < STEPS
    assert not (out / "release").exists()
    enlarge()
    assert loads(out)
    lines = (out / "log.jsonl").read_text().splitlines()[: saved[-1]]
    finish(launch(out, keep=100), out)
    # It went on, and did not start again: the times of its first steps are the same.
    assert (out / "log.jsonl").read_text().splitlines()[: saved[-1]] == lines
    assert_same_bits(out, whole)


def test_write_errors_lose_nothing_that_was_saved(launch, whole, tmp_path):
    out = tmp_path / "out"
    process = launch(out)
    while process.poll() is None and not saved_steps(out):
        time.sleep(0.001)
    process.kill()
    process.wait()
    saved = saved_steps(out)
    most = (out / "log.jsonl").stat().st_size

    assert launch(out, most_bytes=most + 400).wait(timeout=300) > 0
    assert saved_steps(out)[-1] == saved[-1] < STEPS
    assert loads(out)
    finish(launch(out), out)
    assert_same_bits(out, whole)


def test_eight_devices_train_as_one(launch, whole, tmp_path):
    out = tmp_path / "out"
    finish(launch(out, devices=8), out)
    assert checkpoint.read_card(out / "release")["figures"]["devices"] == 8
    assert_same_up_to_rounding(out, whole)
    # The run goes on where there is one device.
    shutil.rmtree(out / "state" / str(STEPS))
    shutil.rmtree(out / "release")
    finish(launch(out), out)
    assert checkpoint.read_card(out / "release")["figures"]["devices"] == 1
    assert_same_up_to_rounding(out, whole)


def test_two_processes_train_as_one(launch, whole, tmp_path):
    out = tmp_path / "out"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hosts = ["--hosts", f"127.0.0.1:{free.getsockname()[1]}", 2]
    for process in [launch(out, *hosts, index) for index in (0, 1)]:
        finish(process, out)
    assert checkpoint.read_card(out / "release")["figures"]["devices"] == 2
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json",
        "log.jsonl",
        "release",
        "state",
    ]
    assert_same_up_to_rounding(out, whole)
