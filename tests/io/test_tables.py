"""Tables, JSON lines and JSON documents as people really have them."""

import codecs
import gzip
import json
import math

import numpy as np
import pytest

from lcpfn.io import SkippedWarning, read_curves
from lcpfn.io.cells import number_in, printable


def read(tmp_path, text, name="run.csv", mode="min", **options):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_curves(path, mode=mode, progress=False, **options).runs


def curve(tmp_path, text, name="run.csv", **options):
    (run,) = read(tmp_path, text, name, **options)
    return run.steps.tolist(), run.values.tolist()


@pytest.mark.parametrize(
    ("text", "steps", "values"),
    [
        ("0.5\n0.6\n0.7\n", [1, 2, 3], [0.5, 0.6, 0.7]),
        ("epoch,accuracy\n1,0.5\n3,0.6\n", [1, 3], [0.5, 0.6]),
        ("step;value\n10;0.5\n20;nan\n", [10, 20], [0.5, math.nan]),
        ("10\t0.5\n20\t0.6\n", [10, 20], [0.5, 0.6]),
        ("value\n1e30\n\n-inf\n", [1, 2], [1e30, -math.inf]),
        ("[0.5, 0.6]", [1, 2], [0.5, 0.6]),
        ('{"values": [0.5, null, 0.7]}', [1, 3], [0.5, 0.7]),
        ('{"values": [0.5, null, 0.6], "steps": [5, 6, 7]}', [5, 7], [0.5, 0.6]),
        ('{"values": [0.5, NaN], "steps": [5, 6]}', [5, 6], [0.5, math.nan]),
        ("  epoch val_loss\n      5      1.9\n     10      1.6\n", [5, 10], [1.9, 1.6]),
        ("epoch|val_loss\n5|1.9\n10|1.6\n", [5, 10], [1.9, 1.6]),
        ("epoch;val_loss\n5;1,9\n10;1,6\n", [5, 10], [1.9, 1.6]),
        ('step,loss\n"1,000",2.5\n"12,000",2.1\n', [1000, 12000], [2.5, 2.1]),
        ("epoch,acc\n1,52.1%\n2,61%\n", [1, 2], [52.1, 61]),
        ("epoch,loss\r\n1,0.5\r\n2,0.4\r\n", [1, 2], [0.5, 0.4]),
        ("epoch,loss\r1,0.5\r2,0.4\r", [1, 2], [0.5, 0.4]),
        ("# seed 1\nepoch,loss\n1,0.5\n# saved\n2,0.4\n", [1, 2], [0.5, 0.4]),
        ("# step loss\n5 0.5\n10 0.4\n", [5, 10], [0.5, 0.4]),
        ("epoch,loss\n1,0.5\n2,0.4", [1, 2], [0.5, 0.4]),
        ("epoch,loss,\n1,0.5,\n2,0.4,\n", [1, 2], [0.5, 0.4]),
        ('epoch,note,loss\n1,"a\nb",0.5\n2,"c, d",0.4\n', [1, 2], [0.5, 0.4]),
        ('" epoch" , "loss"\n1 , 0.5\n2 , 0.4\n', [1, 2], [0.5, 0.4]),
        ("Wall time,Step,Value\n1.7e9,10,0.5\n1.8e9,20,0.4\n", [10, 20], [0.5, 0.4]),
        ("loss\nNone\n0.5\nN/A\n0.4\n", [2, 4], [0.5, 0.4]),
        (",loss\n0,0.5\n1,0.4\n", [1, 2], [0.5, 0.4]),
    ],
)
def test_layouts(tmp_path, text, steps, values):
    found = curve(tmp_path, text)
    np.testing.assert_array_equal(found, (steps, values))


TABLE = "epoch,loss\n" + "".join(f"{i},{2 / i}\n" for i in range(1, 6))
EXPECTED = ([1, 2, 3, 4, 5], [2 / i for i in range(1, 6)])
ENCODED = {
    "utf-8 with a mark": codecs.BOM_UTF8 + TABLE.encode(),
    "utf-16": TABLE.encode("utf-16"),
    "utf-16 big endian": codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"),
    "utf-16 without a mark": TABLE.encode("utf-16-le"),
    "utf-32": TABLE.encode("utf-32"),
    "latin-1": TABLE.replace("epoch", "\u00e9poque,epoch")
    .replace("\n", "\n0,")[: -len("0,")]
    .encode("latin-1"),
    "zero bytes of a crash": TABLE.encode() + bytes(5000),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_encodings(tmp_path, kind):
    metric = "loss"
    assert curve(tmp_path, ENCODED[kind], metric=metric) == EXPECTED
    packed = gzip.compress(ENCODED[kind])
    assert curve(tmp_path, packed, "run.csv.gz", metric=metric) == EXPECTED


@pytest.mark.parametrize("name", ["run.log", "run.txt", "run.json", "run.jsonl"])
def test_json_lines_by_any_name(tmp_path, name):
    text = '{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": 0.4}\n'
    assert curve(tmp_path, text, name) == ([1, 2], [0.5, 0.4])
    with pytest.warns(SkippedWarning, match="line 1: it is no JSON object"):
        found = curve(tmp_path, "started at noon\n" + text, "run.log")
    assert found == ([1, 2], [0.5, 0.4])


@pytest.mark.parametrize("name", ["run.log", "run.txt", "run.tsv", "run.csv.gz"])
def test_tables_by_any_name(tmp_path, name):
    text = TABLE.encode()
    text = gzip.compress(text) if name.endswith("gz") else text
    assert curve(tmp_path, text, name) == EXPECTED


# Rows of several kinds


def test_rows_of_train_and_validation(tmp_path):
    rows = [
        {"env": "3.7", "seed": None},
        {"epoch": 1, "train_loss": 2.1},
        {"epoch": 1, "val_loss": "1.9"},
        {"epoch": 2, "train_loss": 1.7},
        {"epoch": 2, "val_loss": 1.6},
    ]
    text = "\n".join(map(json.dumps, rows)) + "\n"
    found = curve(tmp_path, text, "run.jsonl", metric="val_loss")
    assert found == ([1, 2], [1.9, 1.6])
    with pytest.raises(ValueError, match=r"which column of values.* train_loss, val_"):
        read(tmp_path, text, "run.jsonl")
    with pytest.raises(ValueError, match=r"no metric 'acc'; there are .*train_loss"):
        read(tmp_path, text, "run.jsonl", metric="acc")


def test_splits_are_never_mixed(tmp_path):
    rows = [
        {"mode": mode, "epoch": epoch, "loss": epoch + shift}
        for epoch in (1, 2, 3)
        for mode, shift in (("train", 0.1), ("val", 0.2))
    ]
    text = "\n".join(map(json.dumps, rows))
    with pytest.raises(ValueError, match="there are train/loss, val/loss"):
        read(tmp_path, text, "run.jsonl", metric="loss")
    found = curve(tmp_path, text, "run.jsonl", metric="val/loss")
    assert found == ([1, 2, 3], [1.2, 2.2, 3.2])
    # A file of validation alone needs no choice.
    text = "\n".join(json.dumps(row) for row in rows if row["mode"] == "val")
    assert curve(tmp_path, text, "run.jsonl", metric="loss")[1] == [1.2, 2.2, 3.2]


def test_nested_objects_are_reached_by_a_dot(tmp_path):
    text = '{"epoch": 1, "val": {"loss": 0.5}}\n{"epoch": 2, "val": {"loss": 0.4}}\n'
    found = curve(tmp_path, text, "run.jsonl", metric="val.loss")
    assert found == ([1, 2], [0.5, 0.4])


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("epoch,l,val\n1,0,1\n2,0,2\nepoch,l,val\n3,0,3\n", [1, 2, 3]),
        ("epoch,l,val\n1,0,1\n2,0,2\nval,epoch\n3,3\n4,4\n", [1, 2, 3, 4]),
        ("epoch,l,val\n1,0,1\nepoch,l,lr,val\n2,0,9,2\n3,0,9,3\n", [1, 2, 3]),
    ],
    ids=["again", "another order", "wider"],
)
def test_a_header_may_come_again(tmp_path, text, steps):
    found = curve(tmp_path, text, metric="val")
    assert found == (steps, [float(s) for s in steps])


@pytest.mark.parametrize("line", ["junk", "2,x", "2,0.4,0.5", '2,"0.4', "2", "{[", "]"])
@pytest.mark.parametrize("at", [2, 3, 6])
def test_a_bad_line_costs_one_line_and_is_named(tmp_path, line, at):
    lines = TABLE.splitlines()
    lines.insert(at, line)
    with pytest.warns(SkippedWarning, match=f"skipped 1 line: line {at + 1}: "):
        assert curve(tmp_path, "\n".join(lines) + "\n") == EXPECTED


def test_many_bad_lines_are_counted(tmp_path):
    with pytest.warns(SkippedWarning, match="skipped 500 lines: .*; and 497 more"):
        assert curve(tmp_path, TABLE + "junk\n" * 500) == EXPECTED


def test_deep_lines_are_no_observations(tmp_path):
    text = '{"loss": 1}\n' + "[" * 100_000 + "\n" + '{"a":' * 100_000
    with pytest.warns(SkippedWarning, match="skipped 2 lines"):
        assert curve(tmp_path, text + '\n{"loss": 2}\n', "a.jsonl")[1] == [1, 2]


# The step axis


@pytest.mark.parametrize(
    ("text", "metric", "steps"),
    [
        ("epoch,step,loss\n0,99,3\n1,199,2\n", "loss", [99, 199]),
        ("episode,reward,steps\n1,3,200\n2,4,180\n3,5,190\n", "reward", [1, 2, 3]),
        ("epoch,iter,mAP\n1,120,3\n2,120,4\n3,120,5\n", "mAP", [1, 2, 3]),
        ("step,loss\n300,3\n100,1\n200,2\n", "loss", [100, 200, 300]),
        ("global_step,epoch,loss\n5,0,3\n7,0,2\n", "loss", [5, 7]),
        ("trainer/global_step,val/loss\n5,3\n7,2\n", "val/loss", [5, 7]),
        ("id,epoch,loss\n101,1,3\n102,2,2\n", "loss", [1, 2]),
        ("step,t,loss\n1,5,3\n2,6,2\n1,7,4\n2,8,1\n3,9,0\n", "loss", [1, 2, 3]),
        ("step,loss\n0,3\n0,2\n0,1\n", "loss", [1, 2, 3]),
        ("time,loss\n17e8,3\n18e8,2\n", "loss", [17e8, 18e8]),
    ],
)
def test_one_rule_for_steps(tmp_path, text, metric, steps):
    assert curve(tmp_path, text, metric=metric)[0] == steps


def test_neither_epoch_nor_iteration_alone_is_a_step(tmp_path):
    rows = [(e, i, 5 - e) for e in range(1, 5) for i in (50, 100, 150)]
    text = "epoch,iter,loss\n" + "".join(f"{e},{i},{v}\n" for e, i, v in rows)
    assert curve(tmp_path, text)[0] == list(range(1, 13))


def test_the_step_can_be_chosen(tmp_path):
    text = "epoch,step,loss\n0,99,3\n1,199,2\n"
    assert curve(tmp_path, text, step="epoch")[0] == [0, 1]
    with pytest.raises(ValueError, match="no column 'batch'; there are epoch, loss"):
        read(tmp_path, text, step="batch")
    np.savez(tmp_path / "a.npz", curves=np.ones((1, 3)))
    with pytest.raises(ValueError, match="npz has one step axis"):
        read_curves(tmp_path / "a.npz", mode="min", step="epoch")


# Several runs


def test_an_id_names_a_run_only_if_it_repeats(tmp_path):
    text = "id,epoch,loss\n" + "".join(f"{i},{e},{e}\n" for e in (1, 2) for i in "ab")
    assert [(r.name, r.steps.tolist()) for r in read(tmp_path, text)] == [
        ("a", [1, 2]),
        ("b", [1, 2]),
    ]
    (run,) = read(tmp_path, "id,epoch,loss\n7,1,3\n8,2,2\n")
    assert (run.name, run.steps.tolist()) == ("run", [1, 2])


# What frameworks write


def test_keras(tmp_path):
    history = {"loss": [0.8, 0.7], "val_loss": [0.9, 0.85]}
    for content in (history, {"params": {}, "history": history, "epoch": [0, 1]}):
        text = json.dumps(content, indent=1)
        found = curve(tmp_path, text, "history.json", metric="val_loss")
        assert found == ([1, 2], [0.9, 0.85])


def test_lightning(tmp_path):
    text = "epoch,step,train_loss,val_loss\n0,9,,1.3\n0,9,0.2,\n1,11,0.1,\n1,19,,0.8\n"
    assert curve(tmp_path, text, metric="val_loss") == ([9, 19], [1.3, 0.8])


def test_hugging_face(tmp_path):
    log = [
        {"epoch": 0.5, "loss": 2.0, "step": 10},
        {"epoch": 1.0, "eval_loss": 1.5, "eval_runtime": 2.0, "step": 20},
        {"epoch": 2.0, "eval_loss": 1.2, "eval_runtime": 2.0, "step": 40},
        {"epoch": 2.0, "train_runtime": 9.0, "step": 40},
    ]
    for indent in (None, 2):
        text = json.dumps({"best_metric": 1.2, "log_history": log}, indent=indent)
        found = curve(tmp_path, text, "trainer_state.json", metric="eval_loss")
        assert found == ([20, 40], [1.5, 1.2])


def test_rows_of_a_data_frame(tmp_path):
    text = json.dumps([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}], indent=1)
    assert curve(tmp_path, text, "frame.json") == ([1, 2], [0.5, 0.4])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1, 2], 3]", "curve 2 must be a list of values"),
        ('{"a": [1], "b": [1, 2]}', "different lengths"),
        ("[]", "no curves in it"),
        ("[1, 2", "is not JSON|holds no"),
        ("{\n", "is not JSON|holds no"),
        ('{"seed": "a"}', "holds no|not a number"),
    ],
)
def test_documents_without_curves(tmp_path, text, message):
    with pytest.raises(ValueError, match="run.json: .*(" + message + ")"):
        read(tmp_path, text, "run.json")


# Numbers and text


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", None),
        (" NA ", None),
        ("null", None),
        ("None", None),
        (None, None),
        ("nan", math.nan),
        ("-Infinity", -math.inf),
        ("1,234,567.5", 1234567.5),
        ("52.1 %", 52.1),
        (7, 7.0),
    ],
)
def test_numbers(cell, expected):
    np.testing.assert_equal(number_in(cell), expected)


@pytest.mark.parametrize("cell", ["x", "1_000", "1,23", "%", True, [1], {}, 10**400])
def test_what_is_no_number(cell):
    with pytest.raises(ValueError, match=r"is (not|too large for) a number"):
        number_in(cell)


def test_a_comma_may_be_ambiguous():
    assert number_in("0,5", decimal_comma=True) == 0.5
    with pytest.raises(ValueError, match=r"may be 1\.234 or 1234"):
        number_in("1,234", decimal_comma=True)


def test_percent_of_a_fraction(tmp_path):
    text = "epoch,acc\n1,52.1%\n2,61%\n"
    found = curve(tmp_path, text, mode="max", bounds=(0, 1))
    assert found == ([1, 2], [0.521, 0.61])


def test_nothing_controls_a_terminal(tmp_path):
    assert printable("a\x1b[31m\x9b\u202eb\udcffc") == r"a\x1b[31m\x9b\u202eb\udcffc"
    text = "epoch,lo\x1b[31mss,x\x9b,b\n1,0.5,1,\u202e\n"
    with pytest.raises(ValueError, match="which column") as caught:
        read(tmp_path, text)
    assert str(caught.value).isprintable()
