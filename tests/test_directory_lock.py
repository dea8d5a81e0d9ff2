"""One writer at a time, however it ends."""

import errno
import signal
import subprocess
import threading

import pytest

from lcpfn.directory_lock import DirectoryBusy, directory_lock
from tests.makers import start_python

HOLDER = """
import sys, time
from pathlib import Path
from lcpfn.directory_lock import directory_lock
with directory_lock(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time_in_one_process(tmp_path):
    with directory_lock(tmp_path, wait=False) as is_held:
        assert is_held
        with pytest.raises(DirectoryBusy, match="is in use by another"):
            directory_lock(tmp_path, wait=False).__enter__()
    with directory_lock(tmp_path, wait=False):
        pass
    assert not list(tmp_path.iterdir())


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    process = start_python("-c", HOLDER, tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(DirectoryBusy):
        directory_lock(tmp_path, wait=False).__enter__()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with directory_lock(tmp_path, wait=False) as is_held:
        assert is_held


def test_everyone_gets_a_turn(tmp_path):
    inside, most, turns = [], [], []

    def work():
        for _ in range(20):
            with directory_lock(tmp_path, wait=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                turns.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(turns) == 80
    assert max(most) == 1


def test_where_the_file_system_knows_no_locks(tmp_path, monkeypatch):
    def unknown(file):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("lcpfn.directory_lock._lock", unknown)
    with directory_lock(tmp_path, wait=False) as is_held:
        assert not is_held
