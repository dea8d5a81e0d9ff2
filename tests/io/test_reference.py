"""Files as public tools write them, read here and by independent readers.

pyarrow reads tables, JSON lines and Parquet, the standard library JSON documents,
TensorBoard its own event files.
"""

import csv
import io
import json
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcpfn.io import SkippedWarning, read_curves

pa = pytest.importorskip("pyarrow")
pa_csv = pytest.importorskip("pyarrow.csv")
pa_json = pytest.importorskip("pyarrow.json")
pa_parquet = pytest.importorskip("pyarrow.parquet")

rng = np.random.default_rng(7)
COUNT = 12
LOSS = (0.2 + 2 / np.arange(1, COUNT + 1) + rng.normal(0, 0.02, COUNT)).tolist()
SCORE = (1 - 1 / np.arange(2, COUNT + 2)).tolist()
NULLS = ["", "NA", "null", "None", "nan?"]


class Case(NamedTuple):
    """A file.

    Attributes:
        content: of the file.
        metric: what to read.
        step: the column that ought to be chosen as the axis; None: rows are counted.
        ending: of its name.
        table: the rows by an independent reader.
        run: column that names the run, and which one to compare.
    """

    content: bytes
    metric: str
    step: str | None
    ending: str
    table: Callable[[bytes], list[dict]]
    run: tuple[str, str] | None = None


def by_arrow(delimiter=",", skip=0):
    """Rows of a delimited file by pyarrow."""

    def rows(content):
        table = pa_csv.read_csv(
            io.BytesIO(content),
            read_options=pa_csv.ReadOptions(skip_rows=skip),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter),
            convert_options=pa_csv.ConvertOptions(null_values=NULLS),
        )
        return table.rename_columns([c.strip() for c in table.column_names]).to_pylist()

    return rows


def by_arrow_json(content):
    return pa_json.read_json(io.BytesIO(content)).to_pylist()


def by_arrow_parquet(content):
    return pa_parquet.read_table(io.BytesIO(content)).to_pylist()


def columns_of(document):
    """Rows of a JSON object of columns."""
    names = list(document)
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*document.values(), strict=True)
    ]


def text(header, *columns, delimiter=",", quoting=csv.QUOTE_MINIMAL):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=quoting)
    writer.writerow(header.split())
    writer.writerows(zip(*columns, strict=True))
    return file.getvalue().encode()


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(**columns):
    file = io.BytesIO()
    pa_parquet.write_table(pa.table(columns), file)
    return file.getvalue()


epochs, steps = range(COUNT), [100 * (i + 1) for i in range(COUNT)]
rates = [0.1 * 0.9**i for i in range(COUNT)]
every_other = [x if i % 2 else "NA" for i, x in enumerate(SCORE)]
gaps = [x if i % 3 == 2 else "" for i, x in enumerate(LOSS)]
CASES = {
    "keras": Case(
        text(
            "epoch accuracy loss val_accuracy val_loss",
            epochs,
            SCORE,
            LOSS,
            SCORE,
            LOSS,
        ),
        *("val_loss", "epoch", ".csv", by_arrow()),
    ),
    "keras with a validation every other epoch": Case(
        text("epoch loss val_accuracy", epochs, LOSS, every_other),
        *("val_accuracy", "epoch", ".csv", by_arrow()),
    ),
    "lightning": Case(
        text("epoch step train_loss val_loss", epochs, steps, LOSS, gaps),
        *("val_loss", "step", ".csv", by_arrow()),
    ),
    "stable baselines progress": Case(
        text(
            "time/iterations rollout/ep_rew_mean time/total_timesteps train/loss",
            *(
                range(1, COUNT + 1),
                SCORE,
                [2048 * i for i in range(1, COUNT + 1)],
                LOSS,
            ),
        ),
        *("rollout/ep_rew_mean", "time/total_timesteps", ".csv", by_arrow()),
    ),
    "stable baselines monitor": Case(
        b'#{"t_start": 1.5, "env_id": "None"}\n' + text("r l t", SCORE, steps, rates),
        *("r", None, ".csv", by_arrow(skip=1)),
    ),
    "ray tune": Case(
        text(
            "loss training_iteration time_total_s config",
            *(LOSS, range(1, COUNT + 1), steps, ['{"lr": 0.1, "b": [1, 2]}'] * COUNT),
        ),
        *("loss", "training_iteration", ".csv", by_arrow()),
    ),
    "yolo": Case(
        b"  epoch,   train/box_loss,   metrics/mAP50\n"
        + b"".join(
            b"%7d,%18.5f,%18.5f\n" % row
            for row in zip(epochs, LOSS, SCORE, strict=True)
        ),
        *("metrics/mAP50", "epoch", ".csv", by_arrow()),
    ),
    "weights and biases history": Case(
        text(
            "_step loss _runtime _timestamp",
            epochs,
            LOSS,
            steps,
            steps,
            quoting=csv.QUOTE_ALL,
        ),
        *("loss", "_step", ".csv", by_arrow()),
    ),
    "weights and biases chart": Case(
        b'"Step","wise-sun-1 - loss","wise-sun-1 - loss__MIN"\n'
        + text("", steps, LOSS, LOSS).partition(b"\n")[2],
        *("loss", "Step", ".csv", by_arrow()),
    ),
    "tensorboard download": Case(
        b"Wall time,Step,Value\n"
        + text("", [1.7e9 + i for i in epochs], steps, LOSS).partition(b"\n")[2],
        *("Value", "Step", ".csv", by_arrow()),
    ),
    "mlflow history": Case(
        text("key value step timestamp", ["loss"] * COUNT, LOSS, epochs, steps),
        *("value", "step", ".csv", by_arrow()),
    ),
    "xgboost": Case(
        text("iteration train-logloss valid-logloss", epochs, SCORE, LOSS),
        *("valid-logloss", "iteration", ".csv", by_arrow()),
    ),
    "catboost": Case(
        text("iter Logloss", epochs, LOSS, delimiter="\t"),
        *("Logloss", "iter", ".tsv", by_arrow("\t")),
    ),
    "fastai": Case(
        text(
            "epoch train_loss valid_loss time", epochs, SCORE, LOSS, ["00:12"] * COUNT
        ),
        *("valid_loss", "epoch", ".csv", by_arrow()),
    ),
    "spinning up": Case(
        text(
            "Epoch AverageEpRet TotalEnvInteracts", epochs, SCORE, steps, delimiter="\t"
        ),
        *("AverageEpRet", "Epoch", ".txt", by_arrow("\t")),
    ),
    "timm": Case(
        text("epoch train_loss eval_loss eval_top1", epochs, SCORE, LOSS, SCORE),
        *("eval_loss", "epoch", ".csv", by_arrow()),
    ),
    "all quoted": Case(
        text("epoch loss", epochs, LOSS, quoting=csv.QUOTE_ALL),
        *("loss", "epoch", ".csv", by_arrow()),
    ),
    "quoted delimiters": Case(
        text("note epoch loss", ['a, "b", c'] * COUNT, epochs, LOSS),
        *("loss", "epoch", ".csv", by_arrow()),
    ),
    "small, large and infinite": Case(
        text("step loss", steps[:5], [1e-300, 1.5e300, "inf", "-inf", -0.0]),
        *("loss", "step", ".csv", by_arrow()),
    ),
    "steps far from zero": Case(
        text("timestep global_step loss", epochs, [10**9 + s for s in steps], LOSS),
        *("loss", "global_step", ".csv", by_arrow()),
    ),
    "several runs": Case(
        text(
            "run step loss",
            ["a", "b"] * (COUNT // 2),
            np.repeat(steps, 2)[:COUNT],
            LOSS,
        ),
        *("loss", "step", ".csv", by_arrow(), ("run", "b")),
    ),
    "one row per value": Case(
        text(
            "step metric value", np.repeat(steps, 2)[:COUNT], ["loss", "acc"] * 6, LOSS
        ),
        *("acc", "step", ".csv", by_arrow(), ("metric", "acc")),
    ),
    "detectron": Case(
        lines(
            {"iteration": s, "total_loss": y, "lr": r, "eta_seconds": 1.5}
            for s, y, r in zip(steps, LOSS, rates, strict=False)
        ),
        *("total_loss", "iteration", ".json", by_arrow_json),
    ),
    "mmdetection": Case(
        lines(
            row
            for i, y in enumerate(SCORE)
            for row in (
                {"mode": "train", "epoch": i + 1, "iter": 50, "loss": 1.0},
                {"mode": "val", "epoch": i + 1, "iter": 99, "bbox_mAP": y},
            )
        ),
        *("bbox_mAP", "epoch", ".log", by_arrow_json),
    ),
    "json lines with nulls": Case(
        lines(
            {"step": s, "loss": y if i % 3 else None}
            for i, (s, y) in enumerate(zip(steps, LOSS, strict=False))
        ),
        *("loss", "step", ".jsonl", by_arrow_json),
    ),
    "json lines with objects inside": Case(
        lines(
            {"step": s, "loss": y, "config": {"lr": 0.1}, "tags": ["a", "b"]}
            for s, y in zip(steps, LOSS, strict=False)
        ),
        *("loss", "step", ".jsonl", by_arrow_json),
    ),
    "hugging face": Case(
        json.dumps(
            {
                "best_metric": 0.5,
                "log_history": [
                    row
                    for s, y in zip(steps, LOSS, strict=False)
                    for row in ({"step": s, "loss": 9.0}, {"step": s, "eval_loss": y})
                ],
            },
            indent=2,
        ).encode(),
        *("eval_loss", "step", ".json", lambda c: json.loads(c)["log_history"]),
    ),
    "keras history": Case(
        json.dumps({"loss": LOSS, "val_loss": SCORE}).encode(),
        *("val_loss", None, ".json", lambda c: columns_of(json.loads(c))),
    ),
    "parquet": Case(
        parquet(epoch=list(epochs), loss=LOSS, lr=rates),
        *("loss", "epoch", ".parquet", by_arrow_parquet),
    ),
    "weights and biases parquet": Case(
        parquet(_step=steps, loss=[y if i % 2 else None for i, y in enumerate(LOSS)]),
        *("loss", "_step", ".parquet", by_arrow_parquet),
    ),
}


def expected(case):
    """Steps and values by the independent reader."""
    rows, metric = case.table(case.content), case.metric
    if case.run is not None:
        rows = [row for row in rows if row[case.run[0]] == case.run[1]]
        metric = "value" if case.run[0] == "metric" else metric
    metric = next(name for name in rows[-1] if name.endswith(metric))
    found = [
        (float(number if case.step is None else row[case.step]), float(row[metric]))
        for number, row in enumerate(rows, 1)
        if row.get(metric) is not None
    ]
    return np.transpose(found)


@pytest.mark.parametrize("name", CASES)
def test_as_public_tools_write_them(tmp_path, name):
    case = CASES[name]
    path = tmp_path / f"log{case.ending}"
    path.write_bytes(case.content)
    curves = read_curves(path, mode="min", metric=case.metric, progress=False)
    runs = {run.name: run for run in curves.runs}
    run = runs[case.run[1]] if case.run and len(runs) > 1 else curves.runs[0]
    np.testing.assert_array_equal([run.steps, run.values], expected(case))


NUMBER = st.floats(-1e9, 1e9).map(lambda x: x + 0.0)
DEFECTS = ["1,2", "1,2,3,4,5", "killed", "a,b,c,d,e,f", "Epoch 3:  50%|###"]


@given(
    values=st.lists(st.none() | NUMBER, min_size=2, max_size=30),
    defects=st.lists(
        st.tuples(st.integers(1, 30), st.sampled_from(DEFECTS)), max_size=6
    ),
    missing=st.sampled_from(NULLS[:-1]),
)
@settings(max_examples=100)
def test_tables_with_rows_of_another_length(tmp_path, values, defects, missing):
    values[0] = 0.5
    rows = [
        f"{i},0.1,{missing if v is None else repr(v)}" for i, v in enumerate(values)
    ]
    for place, junk in defects:
        rows.insert(max(1, min(place, len(rows))), junk)
    path = tmp_path / "run.csv"
    path.write_text("\n".join(["epoch,lr,loss", *rows]) + "\n")
    theirs = pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(invalid_row_handler=lambda row: "skip"),
        convert_options=pa_csv.ConvertOptions(null_values=NULLS),
    ).to_pylist()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkippedWarning)
        (run,) = read_curves(path, mode="min", metric="loss", progress=False).runs
    known = [(r["epoch"], r["loss"]) for r in theirs if r["loss"] is not None]
    np.testing.assert_array_equal([run.steps, run.values], np.transpose(known))
    assert bool(caught) == bool(defects)
    path.unlink()


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "loss": st.none() | NUMBER,
                "lr": NUMBER,
                "note": st.text(max_size=5),
                "other": st.lists(st.integers(), max_size=2),
            },
        ),
        min_size=1,
        max_size=20,
    ),
    torn=st.booleans(),
)
@settings(max_examples=100)
def test_json_lines_of_many_kinds(tmp_path, rows, torn):
    numbered = [{"step": i} | row for i, row in enumerate([{"loss": 0.5}, *rows])]
    content = lines(numbered)
    theirs = pa_json.read_json(
        io.BytesIO(content),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema({"step": pa.float64(), "loss": pa.float64()}),
            unexpected_field_behavior="ignore",
        ),
    ).to_pylist()
    path = tmp_path / "run.jsonl"
    path.write_bytes(content + (b'{"step": 99, "lo' if torn else b""))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkippedWarning)
        (run,) = read_curves(path, mode="min", metric="loss", progress=False).runs
    known = [(r["step"], r["loss"]) for r in theirs if r["loss"] is not None]
    np.testing.assert_array_equal([run.steps, run.values], np.transpose(known))
    assert bool(caught) == torn
    path.unlink()


@pytest.mark.parametrize("values", [LOSS, [0.5, math.nan, math.inf, 1e-30]])
def test_event_files_by_their_own_reader(tmp_path, values):
    tensorboard_x = pytest.importorskip("tensorboardX")
    loader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_file_loader"
    )
    with tensorboard_x.SummaryWriter(str(tmp_path)) as writer:
        for step, value in zip(steps, values, strict=False):
            writer.add_scalar("loss", value, step)
            writer.add_scalar("lr", 0.1, step)
    (path,) = tmp_path.iterdir()
    theirs = [
        (event.step, value.tensor.float_val[0])
        for event in loader.EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == "loss"
    ]
    (run,) = read_curves(path, mode="min", metric="loss", progress=False).runs
    np.testing.assert_array_equal([run.steps, run.values], np.transpose(theirs))
