"""Tables and event files that grow: what is new costs the same in longer ones."""

import struct
import time

import numpy as np
import pytest

from lcpfn.io import assemble, table_growth
from lcpfn.io.follow import Logs
from lcpfn.io.scalar_log import Curve, GrowingCurve, Log, in_order
from tests.io.test_follow import Board, append

COUNT = 120


def plain(i):
    return f"{i},{1 / (i + 1)}"


def in_turns(i):
    return f"r{i % 3},{i // 3},{1 / (i + 1)}"


def one_after_the_other(i):
    return f"r{i // 20},{i % 20},{1 / (i + 1)}"


def seeds_in_turns(i):
    return f"{i % 2},{i // 2},{1 / (i + 1)}"


def late(i):
    return f"{i ^ (i % 7 == 0)},{1 / (i + 1)}"


def resumed(i):
    return f"{i if i < 50 else i - 12},{1 / (i + 1)}"


def missing_steps(i):
    return f"{i if i % 9 else ''},{1 / (i + 1)}"


def two_axes(i):
    return f"{i // 4},{10 * i},{1 / (i + 1)}"


def notes(i):
    return f"12:{i // 60:02d}:{i % 60:02d} h,{i},{1 / (i + 1)}"


def numbered_rows(i):
    return f"{i},{i},{1 / (i + 1)}"


def ids_in_turns(i):
    return f"{'ab'[i % 2]},{i // 2},{1 / (i + 1)}"


def per_cent(i):
    return f"{i},{90 - i / 2}%"


def other_rows(i):
    return f"{i},,{1 / (i + 1)}" if i % 3 else f"{i},0.5,"


KINDS = {
    plain: "step,loss",
    in_turns: "run,step,loss",
    one_after_the_other: "run,step,loss",
    seeds_in_turns: "seed,step,loss",
    late: "step,loss",
    resumed: "step,loss",
    missing_steps: "step,loss",
    two_axes: "epoch,step,loss",
    notes: "when,step,loss",
    numbered_rows: "id,step,loss",
    ids_in_turns: "id,step,loss",
    per_cent: "step,loss",
    other_rows: "step,train,loss",
}


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.__name__)
def test_growing_row_by_row_is_reading_at_once(tmp_path, monkeypatch, row):
    monkeypatch.setattr(table_growth, "SHORT", 0)
    path = tmp_path / "a.csv"
    path.write_text(KINDS[row] + "\n")
    board = Board(Logs(path, "loss"))
    for i in range(COUNT):
        append(path, row(i) + "\n")
        fresh = Board(Logs(path, "loss"))
        assert board.look() == fresh.look()
        assert board.logs.trouble == fresh.logs.trouble


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.__name__)
def test_a_long_table_is_not_looked_at_as_a_whole(tmp_path, monkeypatch, row):
    path, looks = tmp_path / "a.csv", []
    path.write_text("\n".join([KINDS[row], *map(row, range(5000))]) + "\n")
    logs = Logs(path, "loss")
    logs.poll()
    whole = assemble.assemble
    monkeypatch.setattr(
        table_growth, "assemble", lambda *args: looks.append(1) or whole(*args)
    )
    for i in range(5000, 5040):
        append(path, row(i) + "\n")
        news = logs.poll()
        assert row in (late, missing_steps) or [x.anew for x in news] in ([], [False])
    most = {late: 12, missing_steps: 5, one_after_the_other: 0}.get(row, 0)
    assert len(looks) <= most


def test_the_run_of_a_file_that_turns_out_to_hold_two_is_gone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("seed,step,loss\n0,1,3\n0,2,2\n")
    board = Board(Logs(tmp_path, "loss"))
    assert board.look() == {"a": {1: 3, 2: 2}}
    append(path, "1,1,5\n1,2,4\n")
    assert board.look() == {
        "a:seed 0": {1: 3, 2: 2},
        "a:seed 1": {1: 5, 2: 4},
    }
    path.write_text("seed,step,loss\n7,1,3\n")
    assert board.look() == {"a": {1: 3}}


def test_a_run_called_otherwise_beside_another_of_its_name(tmp_path):
    table = "step,loss\n1,3\n"
    (tmp_path / "a.csv").write_text(table)
    board = Board(Logs(tmp_path))
    assert board.look() == {"a": {1: 3}}
    (tmp_path / "a.txt").write_text(table)
    assert board.look() == {"a.csv": {1: 3}, "a.txt": {1: 3}}
    (tmp_path / "a.txt").unlink()
    assert board.look() == {"a": {1: 3}, "a.txt": {1: 3}}


def test_steps_in_any_order():
    """The rule, observation by observation, for logs that go back again and again."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        steps = rng.integers(0, 8, rng.integers(2, 30)).astype(float)
        values = rng.choice([1.0, 2.0, np.nan], len(steps))
        kept: dict[float, float] = {}
        for step, value in zip(steps, values, strict=True):
            if step in kept and not np.array_equal(kept[step], value, equal_nan=True):
                kept = {s: v for s, v in kept.items() if s < step}
            kept.setdefault(step, value)
        expected = dict(sorted(kept.items()))
        if len(set(steps)) == 1:
            expected = dict(enumerate(values, 1))
        found = in_order(steps, values)
        np.testing.assert_array_equal(found, np.array([*expected.items()]).T)


def test_steps_that_go_back_are_put_in_order_in_time():
    count = 100_000
    steps = np.append(np.arange(count, 0, -1.0), 5.0)
    values = np.append(np.ones(count), 2.0)
    began = time.monotonic()
    found, _ = in_order(steps, values)
    assert found.tolist() == [1, 2, 3, 4, 5]
    assert time.monotonic() - began < 2


def test_a_growing_curve():
    growing = GrowingCurve(Curve("", "", "y", np.array([1.0]), np.array([9.0])))
    first = growing.curve
    assert growing.extend([2, 5], [8, 7])
    assert not growing.extend([5], [6])
    assert not growing.extend([6, np.nan], [6, 6])
    assert growing.curve.steps.tolist() == [1, 2, 5]
    assert first.steps.tolist() == [1]
    assert first.origin is growing.curve.origin


def test_a_log_of_one_step_is_counted_until_there_is_another():
    log = Log("y")
    log.wants("y")
    for count in range(1, 4):
        log.add("y", "a", 2, 1 / count)
        (curve,) = log.curves()
        assert curve.steps.tolist() == ([2] if count == 1 else [*range(1, count + 1)])
    log.add("y", "a", 7, 0.1)
    (curve,) = log.curves()
    assert curve.steps.tolist() == [2, 7]
    assert curve.values.tolist() == [1 / 3, 0.1]


def events(writers, folder, scalars):
    """The content of an event file, cut into its records."""
    with writers.SummaryWriter(str(folder)) as log:
        for step, value in scalars.items():
            log.add_scalar("val", value, step)
    (file,) = folder.iterdir()
    content, records = file.read_bytes(), []
    while content:
        size = 16 + struct.unpack_from("<Q", content)[0]
        records, content = [*records, content[:size]], content[size:]
    return records


def test_event_files_of_a_resumed_run(tmp_path):
    writers = pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    first = events(writers, tmp_path / "1", {1: 1.0, 2: 2.0, 3: 9.0})
    second = events(writers, tmp_path / "2", {2: 3.0, 4: 4.0})
    folder = tmp_path / "logs" / "a"
    folder.mkdir(parents=True)
    board = Board(Logs(tmp_path / "logs"))
    for name, record, expected in (
        ("1.tfevents", b"".join(first[:2]), {1: 1}),
        ("1.tfevents", first[2], {1: 1, 2: 2}),
        ("2.tfevents", b"".join(second[:2]), {1: 1, 2: 3}),
        ("2.tfevents", second[2], {1: 1, 2: 3, 4: 4}),
        # What was logged before the resumed run counts as before it, however late.
        ("1.tfevents", first[3], {1: 1, 2: 3, 4: 4}),
    ):
        with (folder / name).open("ab") as file:
            file.write(record)
        assert board.look()["a"] == expected
