"""Logs that grow, are cut off, replaced or written anew, and directories of them."""

import gzip
import json
import os
import time

import numpy as np
import pytest

from lcpfn.io import SkippedWarning, growing, read_curves
from lcpfn.io.follow import Logs
from lcpfn.io.request import Request
from lcpfn.io.sources import Whole, open_source
from lcpfn.io.studies import Studies


def table(values, first=1, name="val_loss"):
    rows = (f"{i},{v}\n" for i, v in enumerate(values, first))
    return f"epoch,{name}\n" + "".join(rows)


class Board:
    """The curves that observations add up to."""

    def __init__(self, logs):
        self.logs, self.curves = logs, {}

    def look(self, **options):
        for run, step, value, anew in self.logs.poll(**options):
            if anew:
                self.curves.pop(run, None)
            self.curves.setdefault(run, {})[step] = value
        for run in self.logs.gone:
            self.curves.pop(run)
        return self.curves


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.csv"


@pytest.fixture
def board(tmp_path):
    return Board(Logs(tmp_path, "val_loss"))


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_a_job_that_starts_again_replaces_its_run(path, board):
    path.write_text(table([1.9, 1.6]))
    board.look()
    path.write_text(table([2.9, 2.6, 2.45, 2.4]))
    assert board.look() == {"a": {1: 2.9, 2: 2.6, 3: 2.45, 4: 2.4}}


def test_another_file_with_the_same_beginning_is_told_apart(path, board):
    long = table(np.ones(2000).tolist())
    path.write_text(long + "2001,5\n")
    board.look()
    path.write_text(long + "2002,6\n2003,7\n")
    assert board.look()["a"] == {**dict.fromkeys(range(1, 2001), 1), 2002: 6, 2003: 7}


def test_the_same_size_and_other_content(path, board):
    path.write_text(table([1.9, 1.6]))
    board.look()
    path.write_text(table([1.8, 1.5]))
    os.utime(path, ns=(1, 1))
    assert board.look() == {"a": {1: 1.8, 2: 1.5}}


def test_a_copy_in_its_place_is_no_news(path, board, tmp_path):
    path.write_text(table([1.9, 1.6]))
    board.look()
    other = tmp_path / "copy"
    other.write_text(table([1.9, 1.6, 1.5]))
    other.rename(path)
    assert [(r.step, r.anew) for r in board.logs.poll()] == [(3, False)]


def test_late_observations_take_their_place(path, board):
    path.write_text("epoch,val_loss\n2,1.6\n")
    board.look()
    append(path, "1,1.9\n")
    assert [(r.step, r.anew) for r in board.logs.poll()] == [(1, True), (2, False)]


def test_a_run_that_goes_back_to_a_checkpoint(path, board):
    path.write_text(table([1.9, 1.6, 1.5]))
    board.look()
    append(path, "2,1.7\n3,1.4\n4,1.3\n")
    assert board.look() == {"a": {1: 1.9, 2: 1.7, 3: 1.4, 4: 1.3}}


def test_columns_that_come_later(path, board):
    path.write_text("epoch,val_loss\n1,1.9\n2,1.6\n")
    board.look()
    append(path, "epoch,lr,val_loss\n3,0.1,1.5\n")
    board.look()
    append(path, "4,0.1,1.4\n")
    assert board.look() == {"a": {1: 1.9, 2: 1.6, 3: 1.5, 4: 1.4}}


def test_rows_of_training_first(tmp_path, board):
    path = tmp_path / "a.jsonl"
    path.write_text('{"epoch":1,"val_loss":1.9}\n{"epoch":2,"train_loss":1.5}\n')
    board.look()
    append(path, '{"epoch":2,"val_loss":1.6}\n')
    assert board.look() == {"a": {1: 1.9, 2: 1.6}}
    assert not board.logs.trouble


def test_trouble_stands_for_as_long_as_the_fault(path, board):
    path.write_text(table([1.9]) + "broken line\n")
    for _ in range(3):
        board.look()
        assert "skipped 1 line: line 3" in board.logs.trouble["a"]
    path.write_text(table([1.9, 1.8]))
    board.look()
    assert not board.logs.trouble


def test_the_last_line_of_a_finished_file(path, board):
    path.write_text(table([1.9, 1.6]).rstrip())
    assert board.look() == {"a": {1: 1.9}}
    long_ago = time.time() - 60
    os.utime(path, (long_ago, long_ago))
    assert board.look() == {"a": {1: 1.9, 2: 1.6}}
    append(path, "25\n3,1.5\n")  # it was not finished after all
    assert board.look() == {"a": {1: 1.9, 2: 1.625, 3: 1.5}}


def test_one_look_takes_all(path):
    path.write_text(table([1.9, 1.6]).rstrip())
    assert Board(Logs(path)).look(final=True) == {"a": {1: 1.9, 2: 1.6}}


def test_byte_by_byte(path):
    content = table([1.9, 1.625, 1.5]).encode("utf-16")
    board = Board(Logs(path))
    for byte in content:
        with path.open("ab") as file:
            file.write(bytes([byte]))
        board.look()
    assert board.curves == {"a": {1: 1.9, 2: 1.625, 3: 1.5}}


def test_a_better_step_axis_may_show_later(path):
    path.write_text("steps,episode,reward\n200,1,3\n")
    board = Board(Logs(path, "reward"))
    assert board.look() == {"a": {1: 3}}
    path.write_text("episode,step,reward\n1,9,3\n2,9,4\n")
    board.look()
    append(path, "3,9,5\n")
    assert board.look() == {"a": {1: 3, 2: 4, 3: 5}}


def test_several_runs_in_one_file(path, board):
    path.write_text("run,epoch,val_loss\nx,1,1.9\ny,1,1.8\n")
    board.look()
    append(path, "x,2,1.5\n")
    assert board.look() == {"a:x": {1: 1.9, 2: 1.5}, "a:y": {1: 1.8}}


def test_a_document_is_read_again(tmp_path):
    path = tmp_path / "trainer_state.json"
    board = Board(Logs(tmp_path, "eval_loss"))
    for count in (1, 3):
        rows = ", ".join(f'{{"step": {i}, "eval_loss": {i}}}' for i in range(count))
        path.write_text(f'{{"log_history": [{rows}],\n"best": 1}}')
        assert len(board.look()["trainer_state"]) == count


def test_gzipped_logs_are_read_again(tmp_path):
    path = tmp_path / "a.csv.gz"
    board = Board(Logs(tmp_path, "val_loss"))
    for values in ([1.9], [1.9, 1.6]):
        path.write_bytes(gzip.compress(table(values).encode()))
        assert len(board.look()["a"]) == len(values)
    path.write_bytes(path.read_bytes()[:-9])
    board.look()
    assert "damaged or cut off" in board.logs.trouble["a"]


def test_lines_without_end_are_left_out(path, board, monkeypatch):
    monkeypatch.setattr(growing, "MOST_LINE", 1000)
    monkeypatch.setattr(growing, "BLOCK", 256)
    path.write_text(table([1.9]) + "x" * 50_000)
    board.look()
    append(path, "x" * 50_000 + "\n2,1.6\n")
    assert board.look() == {"a": {1: 1.9, 2: 1.6}}
    assert "1 lines that are too long" in board.logs.trouble["a"]


# Directories


def test_a_directory_is_read_by_every_command(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.csv").write_text(table([1.9, 1.6]))
    (tmp_path / "b" / "log.jsonl").write_text('{"epoch": 1, "val_loss": 2}')
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(table([3]).encode()))
    (tmp_path / "bad.csv").write_text("epoch,acc\n1,2\n")
    (tmp_path / "config.json").write_text('{"lr": 0.1}')
    (tmp_path / "notes.md").write_text("no log")
    with pytest.warns(SkippedWarning) as warned:
        found = read_curves(tmp_path, mode="min", metric="val_loss")
    assert {run.name: run.values.tolist() for run in found.runs} == {
        "a": [1.9, 1.6],
        "b/log": [2],
        "c": [3],
    }
    text = " ".join(str(warning.message) for warning in warned)
    assert "bad: no metric 'val_loss'; there are acc" in text
    assert "other files: no curves in config" in text
    with pytest.raises(ValueError, match=r"holds no curves; a: no metric 'f1'"):
        read_curves(tmp_path, mode="min", metric="f1")


@pytest.mark.parametrize(
    "name", ["checkpoint-5/trainer_state.json", "history.json", "a.log", "a.txt"]
)
def test_every_door_reads_the_same_directory(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    row = {"epoch": 1, "loss": 0.5}
    content = {"log_history": [row]} if "state" in name else [row]
    path.write_text(json.dumps(content) if "json" in name else "epoch,loss\n1,0.5\n")
    (tmp_path / "0.json").write_text("\n")
    source = open_source(request(tmp_path))
    watched = Board(source).look(final=True)
    with pytest.warns(SkippedWarning, match="no curves in 0"):
        found = read_curves(tmp_path, mode="min").runs
    assert {run.name: {1.0: 0.5} for run in found} == watched
    assert list(watched) == [name.rpartition(".")[0]]


def test_runs_of_different_metrics_are_not_ranked_together(tmp_path):
    (tmp_path / "a.csv").write_text(table([1.9]))
    (tmp_path / "b.csv").write_text(table([0.5], name="acc"))
    board = Board(Logs(tmp_path))
    assert board.look() == {}
    assert board.logs.trouble["all files"].endswith("(--metric) one of acc, val_loss")
    with pytest.raises(ValueError, match=r"which metric.* one of acc, val_loss"):
        read_curves(tmp_path, mode="min")
    assert Board(Logs(tmp_path, "acc")).look() == {"b": {1: 0.5}}
    (tmp_path / "b.csv").unlink()
    assert board.look() == {"a": {1: 1.9}}


def test_what_is_not_read_is_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    source = open_source(request(tmp_path))
    assert source.poll() == []
    assert "alone, not its directory: a.parquet" in source.trouble["not read"]
    with pytest.raises(ValueError, match=r"alone, not its directory: a\.parquet"):
        read_curves(tmp_path, mode="min")
    blank = tmp_path / "blank.csv"
    blank.write_text("\n\n")
    source = open_source(request(blank))
    assert source.poll(final=True) == []
    assert source.trouble == {"blank": "holds no rows"}


def test_two_endings_of_one_name_are_two_runs(tmp_path, board):
    (tmp_path / "a.csv").write_text(table([1.9]))
    (tmp_path / "a.tsv").write_text(table([1.8]).replace(",", "\t"))
    assert board.look() == {"a.csv": {1: 1.9}, "a.tsv": {1: 1.8}}


def test_links_to_elsewhere_are_not_followed(tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("pass word,x\n")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.csv").symlink_to(secret)
    found = Logs(logs)
    assert found.poll() == []
    assert found.trouble == {"a.csv": "is a link to elsewhere"}


def test_a_name_that_is_no_text(tmp_path, board):
    name = os.fsdecode(b"run\xff\x1b[31m.csv")
    (tmp_path / name).write_text(table([1.9]))
    ((run, _),) = board.look().items()
    assert run.isprintable()


# Event files


@pytest.fixture
def writer():
    return pytest.importorskip("tensorboardX", reason="needs tensorboardX")


def write_events(writer, folder, **scalars):
    with writer.SummaryWriter(str(folder)) as log:
        for tag, values in scalars.items():
            for step, value in enumerate(values):
                log.add_scalar(tag, value, step)


def test_tags_are_never_mixed(writer, tmp_path):
    write_events(writer, tmp_path / "run1", loss=[2.0, 1.5], val=[3.0, 2.5])
    logs = Logs(tmp_path)
    assert logs.poll() == []
    assert "which metric" in logs.trouble["run1"]
    assert "loss, val" in logs.trouble["run1"]
    wrong = Logs(tmp_path, "acc")
    wrong.poll()
    assert wrong.trouble == {"run1": "no metric 'acc'; there are loss, val"}
    assert Board(Logs(tmp_path, "val")).look() == {"run1": {0: 3, 1: 2.5}}


def test_events_without_a_step_are_counted(writer, tmp_path):
    with writer.SummaryWriter(str(tmp_path / "c")) as log:
        for value in (3.0, 2.0, 1.0):
            log.add_scalar("val", value)
    assert Board(Logs(tmp_path)).look() == {"c": {1: 3, 2: 2, 3: 1}}
    (run,) = read_curves(tmp_path, mode="min").runs
    assert run.steps.tolist() == [1, 2, 3]


def test_events_are_read_on(writer, tmp_path, monkeypatch):
    log = writer.SummaryWriter(str(tmp_path / "a"))
    board, read = Board(Logs(tmp_path)), []
    blocks = growing.GrowingFile.blocks

    def counted(self, seen=lambda _: None):
        for block in blocks(self, seen):
            read.append(len(block))
            yield block

    monkeypatch.setattr(growing.GrowingFile, "blocks", counted)
    for step in range(5):
        log.add_scalar("val", float(step), step)
        log.flush()
        board.look()
    log.close()
    board.look()
    (file,) = (tmp_path / "a").iterdir()
    assert sum(read) == file.stat().st_size
    assert len(board.curves["a"]) == 5


def test_damaged_events_are_named(writer, tmp_path):
    write_events(writer, tmp_path / "a", val=[3.0, 2.0, 1.0])
    (file,) = (tmp_path / "a").iterdir()
    content = bytearray(file.read_bytes())
    content[-20] ^= 255
    file.write_bytes(content)
    board = Board(Logs(tmp_path))
    assert len(board.look()["a"]) == 2
    assert "is damaged at byte" in board.logs.trouble["a"]


def test_a_torn_event_file_is_read_to_there_and_named(writer, tmp_path):
    write_events(writer, tmp_path / "a", val=[3.0, 2.0, 1.0])
    write_events(writer, tmp_path / "b", val=[3.0])
    (file,) = (tmp_path / "a").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(SkippedWarning, match=r"a: .* is cut off at byte \d+"):
        found = read_curves(tmp_path, mode="min").runs
    assert [run.values.tolist() for run in found] == [[3, 2], [3]]
    board = Board(Logs(tmp_path))
    board.look()
    assert not board.logs.trouble  # the rest may be still to come
    board.look(final=True)
    assert "is cut off at byte" in board.logs.trouble["a"]


# Sources


def request(path, **options):
    return Request(path, "min", progress=False, **options)


def test_sources_by_what_there_is(tmp_path):
    for name, kind in (("a.csv", Logs), ("a.jsonl", Logs), ("a.npz", Whole)):
        path = tmp_path / name
        if kind is Whole:
            np.savez(path, curves=np.ones((2, 3)))
        else:
            path.touch()  # a log that has not begun
        assert type(open_source(request(path))) is kind
    assert type(open_source(request(tmp_path))) is Logs
    with pytest.raises(ValueError, match="there is no"):
        open_source(request(tmp_path / "none"))


def test_any_format_can_be_watched(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, curves=[[3.0, 2.0, np.nan]])
    board = Board(open_source(request(path)))
    assert board.look() == {"row 0": {1: 3, 2: 2}}
    assert board.logs.poll() == []
    np.savez(path, curves=[[3.0, 2.0, 1.0]])
    os.utime(path, ns=(1, 1))
    assert [r.step for r in board.logs.poll()] == [3]


def test_a_file_that_is_half_written_is_read_later(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, curves=[[3.0, 2.0]])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    source = open_source(request(path))
    assert source.poll() == []
    assert "a.npz cannot be read" in source.trouble["files"]
    path.write_bytes(whole)
    assert len(source.poll()) == 2
    path.write_bytes(whole[:90])
    for _ in range(2):
        assert source.poll() == []
        assert source.trouble
    path.unlink()
    assert source.poll() == []
    assert "No such file" in source.trouble["files"]
    path.write_bytes(whole)
    assert source.poll() == []
    assert not source.trouble


def test_pipes_and_pointers_are_refused_by_name(tmp_path):
    pipe, pointer = tmp_path / "pipe.json", tmp_path / "a.csv"
    os.mkfifo(pipe)
    pointer.write_text("version https://git-lfs.github.com/spec/v1\nsize 12\n")
    for path, why in (
        (pipe, r"pipe\.json: is a pipe"),
        (pointer, r"a\.csv: .*Git LFS"),
    ):
        with pytest.raises(ValueError, match=why):
            read_curves(path, mode="min", format="csv")
        with pytest.raises(ValueError, match=why):
            open_source(request(path))
    with pytest.raises(
        ValueError, match=r"holds no curves; a: is a pointer of Git LFS"
    ):
        read_curves(tmp_path, mode="min")


def test_what_no_look_can_mend_is_refused_at_once(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, curves=[[3.0, 2.0]])
    with pytest.raises(ValueError, match="no format 'x'"):
        open_source(request(path), "x")
    for format in (None, "npz"):
        with pytest.raises(ValueError, match="leave out step="):
            open_source(request(path, step="epoch"), format)
    path = path.rename(tmp_path / "a.xyz")
    with pytest.raises(ValueError, match="no known format"):
        open_source(request(path))


def test_a_journal_of_optuna(tmp_path):
    optuna = pytest.importorskip("optuna", reason="needs optuna")
    from optuna.storages.journal import JournalFileBackend

    path = tmp_path / "journal.log"
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    trial.report(0.5, 1)
    source = open_source(request(path))
    assert type(source) is Studies
    board = Board(source)
    assert board.look() == {"trial 0": {1: 0.5}}
    trial.report(0.4, 2)
    study.tell(trial, 0.4)
    assert board.look() == {"trial 0": {1: 0.5, 2: 0.4}}
    assert source.ended == {"trial 0": "complete"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal.log"]
