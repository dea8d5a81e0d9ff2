"""JSON documents that look like something else."""

import json

import pytest

from lcpfn.io.documents import is_document
from lcpfn.io.growing import BLOCK
from tests.io.test_tables import curve, read

VALUES = [1.9, 1.6, 1.5, 1.45]


@pytest.mark.parametrize("count", [2, 4])
def test_steps_and_values_in_pairs(tmp_path, count):
    pairs = [[10 * i, y] for i, y in enumerate(VALUES[:count])]
    found = curve(tmp_path, json.dumps(pairs), "a.json")
    assert found == ([0, 10, 20, 30][:count], VALUES[:count])


@pytest.mark.parametrize("name", ["values", "loss"])
def test_pairs_within_an_object(tmp_path, name):
    pairs = [[10 * i, y] for i, y in enumerate(VALUES)]
    found = curve(tmp_path, json.dumps({name: pairs}), "a.json")
    assert found == ([0, 10, 20, 30], VALUES)


@pytest.mark.parametrize("began", [0.5, 1.7e9])
def test_times_steps_and_values(tmp_path, began):
    rows = [[began + i, 10 * i, y] for i, y in enumerate(VALUES)]
    for indent in (None, 1):
        found = curve(tmp_path, json.dumps(rows, indent=indent), "a.json")
        assert found == ([0, 10, 20, 30], VALUES)


@pytest.mark.parametrize(
    "curves",
    [
        [[0.5, 0.4], [0.6, 0.5], [0.7, 0.2]],
        [[1, 2], [3, 4]],
        [[3, 2], [2, 1], [1, 0]],
        [[0.5, 0.6, 0.7], [0.6, 0.7, 0.8], [0.7, 0.8, 0.9]],
    ],
)
def test_short_curves_are_no_steps(tmp_path, curves):
    found = read(tmp_path, json.dumps(curves), "a.json")
    assert [run.values.tolist() for run in found] == curves


def test_a_document_may_be_cut_anywhere():
    row = {"epoch": 1, "note": 'a, "b" \u00e9 [x]', "loss": -1.5, "ok": True, "n": None}
    words = json.dumps([row, float("-inf"), float("nan")])[1:-1]
    for shift in range(len(words) + 2):
        text = "[" + " " * shift + f"{words}, " * (BLOCK // len(words) + 2)
        assert is_document(text.encode()[:BLOCK])
    assert not is_document(b'{"epoch": 1, "va\n{"epoch": 2}\n')


def test_columns_of_different_lengths_say_what_to_write(tmp_path):
    history = json.dumps({"loss": [3, 2, 1, 0.5], "val_loss": [2, 1]})
    message = r"different lengths \(loss 4, val_loss 2\).* write each as .*steps"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, history, "history.json", metric="val_loss")
