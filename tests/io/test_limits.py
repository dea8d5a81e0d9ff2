"""What a file may cost: memory and time of reading end at stated limits."""

import bz2
import io
import json
import time
import zipfile

import numpy as np
import pytest

from lcpfn.io import (
    SkippedWarning,
    collect,
    documents,
    events,
    growing,
    read_curves,
    rows,
)
from lcpfn.io.pickled import MOST_OPCODES, plain_data

SECONDS = 20
# Sixty tuples, each of the last one twice: printed or hashed they would not end.
NESTED = b")q\0" + b"".join(
    b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60)
)


def read(path, **options):
    return read_curves(path, mode="min", progress=False, **options).runs


@pytest.fixture(autouse=True)
def in_time():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (NESTED + b"X\1\0\0\0a\x93.", "by a name that is no text"),
        (NESTED + b")R.", "refused: it calls a tuple"),
        (b"ccollections\nOrderedDict\n" + NESTED + b"R.", "refused: how it calls"),
        (b"}" + NESTED + b"K\1s.", "neither text, a number nor a flat tuple"),
        (b"]" * (MOST_OPCODES + 1) + b".", "more than 524288 instructions"),
    ],
)
def test_pickles_that_would_not_end(program, message):
    with pytest.raises(ValueError, match=message):
        plain_data(b"\x80\4" + program)


def text(x):
    return b"X" + len(x).to_bytes(4, "little") + x


@pytest.mark.parametrize("where", ["value", "arch"])
def test_architectures_of_more_than_numbers(tmp_path, where):
    value = NESTED if where == "value" else b"G?\xe0" + b"\0" * 6
    arch = NESTED if where == "arch" else text(b"arch")
    curve = b"}(K\0" + value + b"K\1" + value + b"u"
    result = b"}(" + b"".join(
        text(name) + curve for name in (b"train_acc1es", b"train_losses")
    )
    result += text(b"eval_acc1es") + b"}" + text(b"eval_losses") + b"}u"
    results = b"}" + text(b"cifar") + b"K\7\x86" + result + b"s"
    body = b"}(" + text(b"arch_index") + b"K\0" + text(b"arch_str") + arch
    body += text(b"all_results") + results + b"u"
    path = tmp_path / "000000.pickle.pbz2"
    path.write_bytes(bz2.compress(b"\x80\4}" + text(b"12") + body + b"s."))
    with pytest.raises(ValueError, match=r"values must be numbers|more than text"):
        read_curves(path, progress=False)


def test_many_columns(tmp_path):
    path = tmp_path / "run.csv"
    names = [f"m{i}" for i in range(20_000)]
    lines = [",".join([str(i), *["0.5"] * 20_000]) for i in range(4)]
    path.write_text("\n".join([",".join(["epoch", *names]), *lines]) + "\n")
    with pytest.raises(ValueError, match="which column of values"):
        read(path)
    assert len(read(path, metric="m7")[0].values) == 4


def test_a_row_with_too_many_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "MOST_COLUMNS", 10)
    path = tmp_path / "run.jsonl"
    wide = {f"k{i}": i for i in range(11)}
    objects = [{"step": 1, "loss": 0.5}, wide, {"step": 2, "loss": 0.4}]
    path.write_text("".join(json.dumps(x) + "\n" for x in objects))
    with pytest.warns(SkippedWarning, match="line 2: it has more than 10 columns"):
        (run,) = read(path)
    assert run.steps.tolist() == [1, 2]


def test_too_many_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "MOST_RUNS", 100)
    path = tmp_path / "runs.csv"
    path.write_text("run,step,loss\n" + "".join(f"r{i},1,0.5\n" for i in range(101)))
    with pytest.raises(ValueError, match="holds more than 100 runs"):
        read(path)


def test_headers_without_end(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(
        "step,loss\n1,0.5\n" + "step,loss,a\nstep,loss,b\n" * 500 + "2,1,3\n"
    )
    (run,) = read(path, metric="loss")
    assert run.steps.tolist() == [1, 2]
    parser = rows.RowParser(rows.Skipped())
    for line in path.read_text().splitlines():
        list(parser.feed(line))
    assert len(parser.headers) <= rows.MOST_HEADERS


def test_a_document_on_one_long_line(tmp_path, monkeypatch):
    path, count = tmp_path / "run.json", 400_000
    path.write_text("[" + "0.5, " * count + "0.5]")
    monkeypatch.setattr(growing, "MOST_LINE", growing.BLOCK + 1)
    (run,) = read(path)
    assert len(run.values) == count + 1
    monkeypatch.setattr(documents, "MOST_DOCUMENT", 1000)
    with pytest.raises(ValueError, match="a JSON document of more than 1000 bytes"):
        read(path)
    monkeypatch.setattr(documents, "MOST_PARTS", 1000)
    monkeypatch.setattr(documents, "MOST_DOCUMENT", 1 << 22)
    with pytest.raises(ValueError, match="of more than 1000 values; write an object"):
        read(path)


def test_no_more_is_read_of_what_is_no_event_file(tmp_path, monkeypatch):
    path = tmp_path / "x.tfevents.1"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    file = events.EventFile(path, None)
    assert file.update()
    assert "is no event file" in file.trouble()


@pytest.mark.parametrize("shape", [(10**30, 2), (2, 2**63), (10**12, 0), (0, 10**12)])
def test_arrays_of_impossible_shapes(tmp_path, shape):
    header = io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    path = tmp_path / "curves.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("curves.npy", header.getvalue())
    with pytest.raises(ValueError, match=r"curves.npz"):
        read(path)
