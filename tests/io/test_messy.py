"""Logs made at random, with a known truth and every kind of mess that is met.

What is read equals the truth, by the whole-file reader and by one that follows the file
as it grows.
"""

import contextlib
import json
import math
import warnings
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lcpfn.io import SkippedWarning, read_curves
from lcpfn.io.follow import Logs
from tests.io.test_follow import Board

VALUES = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e-300]),
)
JUNK = ["junk", "---", "{[", "]", '"', "Traceback (most recent call last):", "\x1b[0m"]


class Messy(NamedTuple):
    """A log.

    Attributes:
        content: of the file.
        ending: of its name.
        steps, values: the truth, in order.
        bad: how many of its lines are no rows.
    """

    content: bytes
    ending: str
    steps: list[float]
    values: list[float]
    bad: int


@st.composite
def observations(draw):
    """Steps in order, values, and which rows have none."""
    count = draw(st.integers(2, 12))
    steps = np.cumsum(
        draw(st.lists(st.integers(1, 50), min_size=count, max_size=count))
    )
    values = draw(st.lists(VALUES, min_size=count, max_size=count))
    missing = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    missing[0] = False
    return [
        (int(s), None if gone else v)
        for s, v, gone in zip(steps, values, missing, strict=True)
    ]


def truth(rows):
    known = [(float(step), value) for step, value in rows if value is not None]
    return [step for step, _ in known], [value for _, value in known]


def number(draw, value):
    """A number as someone may have written it."""
    if value is None:
        return draw(st.sampled_from(["", "NA", "null", "None", "n/a", " "]))
    return draw(st.sampled_from([repr(value), f"{value:.17g}", f" {value!r} "]))


@st.composite
def tables(draw):
    """A delimited table with everything that goes wrong in one."""
    rows = draw(observations())
    delimiter = draw(st.sampled_from(list(",;\t|")))
    columns = ["epoch", "lr", "val_loss", "note"]
    lines, bad = [delimiter.join(columns)], 0
    for step, value in rows:
        # At least one row stands below the first header.
        if len(lines) > 1 and draw(st.booleans()):
            columns = draw(st.permutations(columns))
            if draw(st.booleans()) and "extra" not in columns:
                columns = [*columns, "extra"]
            lines.append(delimiter.join(columns))
        cells = {
            "epoch": str(step),
            "lr": "0.1",
            "val_loss": number(draw, value),
            "note": draw(st.sampled_from(["", "ok", f'"a{delimiter} b"'])),
            "extra": "7",
        }
        lines.append(delimiter.join(cells[column] for column in columns))
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(st.sampled_from(JUNK)))
            bad += 1
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(st.sampled_from(["", "   ", "# saved"])))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(lines) + draw(st.sampled_from([end, ""]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    ending = draw(st.sampled_from([".csv", ".tsv", ".log", ".txt"]))
    return Messy(text.encode(encoding), ending, *truth(rows), bad)


@st.composite
def json_lines(draw):
    """Objects of several kinds, in any order of their names."""
    rows = draw(observations())
    lines, bad = [], 0
    for step, value in rows:
        if draw(st.booleans()):
            lines.append(json.dumps({"epoch": step, "train_loss": 0.5}))
        row = {"epoch": step, "val_loss": value, "note": {"deep": [1, 2]}}
        if value is not None and draw(st.booleans()):
            row["val_loss"] = repr(value)
        names = draw(st.permutations(list(row)))
        lines.append(json.dumps({name: row[name] for name in names}))
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(st.sampled_from([*JUNK, '{"epoch": 1, "val', "[1, 2]"])))
            bad += 1
    text = "\n".join(lines) + draw(st.sampled_from(["\n", ""]))
    ending = draw(st.sampled_from([".jsonl", ".log", ".json"]))
    return Messy(text.encode(), ending, *truth(rows), bad)


LOGS = st.one_of(tables(), json_lines())


def write(tmp_path, log):
    path = tmp_path / f"run{log.ending}"
    path.write_bytes(log.content)
    return path


@given(log=LOGS)
@settings(max_examples=150)
def test_the_truth_is_read(tmp_path, log):
    path = write(tmp_path, log)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkippedWarning)
        (run,) = read_curves(path, mode="min", metric="val_loss", progress=False).runs
    np.testing.assert_array_equal(run.steps, log.steps)
    np.testing.assert_array_equal(run.values, log.values)
    if log.bad:
        lines = "line" if log.bad == 1 else "lines"
        assert f"skipped {log.bad} {lines}" in str(caught[0].message)
    else:
        assert not caught
    path.unlink()


@given(log=LOGS, data=st.data())
@settings(max_examples=60)
def test_the_truth_is_read_as_it_grows(tmp_path, log, data):
    path = tmp_path / f"run{log.ending}"
    path.write_bytes(b"")
    board = Board(Logs(path, "val_loss"))
    cuts = data.draw(st.lists(st.integers(0, len(log.content)), max_size=5))
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True):
        with path.open("ab") as file:
            file.write(log.content[begin:end])
        board.look(final=end is None)
    (curve,) = board.curves.values()
    np.testing.assert_array_equal(list(curve), log.steps)
    np.testing.assert_array_equal(list(curve.values()), log.values)
    path.unlink()


@given(
    content=st.binary(max_size=300), ending=st.sampled_from([".csv", ".json", ".log"])
)
@settings(max_examples=150)
def test_rubbish_is_refused_or_read(tmp_path, content, ending):
    path = tmp_path / f"run{ending}"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ValueError):
            found = read_curves(path, mode="min", progress=False)
            assert all(len(run.steps) for run in found.runs)
