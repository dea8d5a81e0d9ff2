"""Readers for real learning curves: round trips, real files, damaged and hostile ones.

Every writer below makes a tiny file in the layout of its format, holding the curves of
`CURVES`. One set of contract tests runs over all of them.
"""

import bz2
import contextlib
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from lcpfn.io import FORMATS, SkippedWarning, growing, json_stream, packed, read_curves
from lcpfn.io.arrays import implied_bounds
from lcpfn.io.detect import format_of

STEPS = [1.0, 2.0, 4.0]
TEXT = (".csv", ".jsonl")
# Two runs with a value that no float32 holds, a NaN and an infinity.
CURVES = {"a": [0.1, 0.25, 0.5], "b": [0.2, float("nan"), float("inf")]}
CSV_LONG = "run,step,value\n" + "".join(
    f"{run},{step:g},{value!r}\n"
    for run, values in CURVES.items()
    for step, value in zip(STEPS, values, strict=True)
)


class Written(NamedTuple):
    """A file in some format: what to read, what to damage, and how to read it."""

    path: Path
    file: Path
    options: dict
    exact: bool = True


def text_file(path, text):
    path.write_text(text)
    return path


def csv_long(tmp):
    path = text_file(tmp / "long.csv", CSV_LONG)
    return Written(path, path, {"mode": "min"})


def csv_wide(tmp):
    rows = ["run,1,2,4"] + [
        ",".join([run, *map(repr, values)]) for run, values in CURVES.items()
    ]
    path = text_file(tmp / "wide.csv", "\n".join(rows) + "\n")
    return Written(path, path, {"mode": "min"})


def rows():
    for run, values in CURVES.items():
        for step, value in zip(STEPS, values, strict=True):
            yield {"run": run, "step": step, "value": value}


def jsonl_long(tmp):
    path = text_file(tmp / "long.jsonl", "\n".join(map(json.dumps, rows())) + "\n")
    return Written(path, path, {"mode": "min"})


def jsonl_lists(tmp):
    lines = [
        json.dumps({"name": run, "steps": STEPS, "values": values})
        for run, values in CURVES.items()
    ]
    path = tmp / "lists.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return Written(path, path, {"mode": "min"})


def json_list(tmp):
    entries = [
        {"name": run, "steps": STEPS, "values": values}
        for run, values in CURVES.items()
    ]
    path = text_file(tmp / "some.json", json.dumps(entries))
    return Written(path, path, {"mode": "min"})


def parquet(tmp):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.Table.from_pylist(list(rows())), tmp / "long.parquet")
    return Written(tmp / "long.parquet", tmp / "long.parquet", {"mode": "min"})


def npz(tmp):
    path = tmp / "some.npz"
    np.savez(
        path,
        curves=[[*values, np.nan] for values in CURVES.values()],
        length=np.array([3, 3]),
        x=[[*STEPS, np.nan]] * 2,
        task=["t", "t"],
        metric=["val_loss"] * 2,
        mode=["min"] * 2,
        config=['{"lr": 0.5}', ""],
        run_id=list(CURVES),
    )
    return Written(path, path, {})


def tensorboard(tmp):
    writers = pytest.importorskip("tensorboardX")
    for run, values in CURVES.items():
        with writers.SummaryWriter(str(tmp / "logs" / run)) as writer:
            for step, value in zip(STEPS, values, strict=True):
                writer.add_scalar("val/loss", value, int(step))
                writer.add_scalar("val/accuracy", 1.0, int(step))
            writer.add_histogram("weights", np.arange(9.0), 4)
            writer.add_text("note", "no scalar", 4)
    file = next((tmp / "logs" / "a").glob("*tfevents*"))
    # Event files hold float32.
    options = {"mode": "min", "metric": "val/loss"}
    return Written(tmp / "logs", file, options, exact=False)


def history():
    for row in rows():
        row = {"_step": row["step"], "run": row["run"], "val/loss": row["value"]}
        yield row | {"_timestamp": 1.7e9, "media": {"_type": "image-file"}}
        yield row | {"_step": row["_step"] + 0.5, "val/loss": None, "lr": 0.1}


def wandb_jsonl(tmp):
    path = text_file(tmp / "history.jsonl", "\n".join(map(json.dumps, history())))
    return Written(path, path, {"mode": "min", "metric": "val/loss"})


def wandb_csv(tmp):
    lines = ["_step,run,val/loss,lr"]
    for row in history():
        value = "" if row["val/loss"] is None else row["val/loss"]
        lines.append(f"{row['_step']},{row['run']},{value},{row.get('lr', '')}")
    path = text_file(tmp / "history.csv", "\n".join(lines) + "\n")
    return Written(path, path, {"mode": "min", "metric": "val/loss"})


def wandb_parquet(tmp):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = [{k: v for k, v in row.items() if k != "media"} for row in history()]
    pq.write_table(pa.Table.from_pylist(table), tmp / "0000.parquet")
    options = {"mode": "min", "metric": "val/loss"}
    return Written(tmp / "0000.parquet", tmp / "0000.parquet", options)


def wandb_chart(tmp):
    header = ["epoch"]
    for run in CURVES:
        for metric in ("_step", "val/loss"):
            header += [f"{run} - {metric}{end}" for end in ("", "__MIN", "__MAX")]
    lines = [",".join(f'"{name}"' for name in header)]
    for i, step in enumerate(STEPS):
        cells = [step] + [
            x for values in CURVES.values() for x in [9] * 3 + [values[i]] * 3
        ]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    path = text_file(tmp / "wandb_export.csv", "\n".join(lines) + "\n")
    return Written(path, path, {"mode": "min"})


def mlflow(tmp):
    store = tmp / "mlruns"
    experiment = store / "717"
    for run, values in CURVES.items():
        folder = experiment / run
        (folder / "metrics" / "val").mkdir(parents=True)
        (folder / "params").mkdir()
        (folder / "params" / "lr").write_text("0.5")
        (folder / "params" / "optimizer").write_text("adam")
        (folder / "meta.yaml").write_text("lifecycle_stage: active\nrun_id: x\n")
        (folder / "metrics" / "accuracy").write_text("1700000000000 0.5 1\n")
        lines = [
            f"170000000000{i} {value} {step:g}\n"
            for i, (step, value) in enumerate(zip(STEPS, values, strict=True))
        ]
        # The newest versions add the data set.
        lines[-1] = lines[-1].rstrip() + " digits 1a2b\n"
        (folder / "metrics" / "val" / "loss").write_text("".join(lines))
    deleted = experiment / "gone" / "metrics"
    deleted.mkdir(parents=True)
    (deleted.parent / "meta.yaml").write_text("lifecycle_stage: deleted\n")
    (deleted / "loss").write_text("1700000000000 1.0 1\n")
    (experiment / "meta.yaml").write_text("name: 'digits: it''s'\n")
    file = experiment / "a" / "metrics" / "val" / "loss"
    return Written(store, file, {"mode": "min", "metric": "val/loss"})


def lcbench(tmp):
    data = {
        "adult": {
            run: {
                "config": {"batch_size": 16, "learning_rate": 0.5},
                "log": {
                    "time": [0.0, 1.0, 2.0],
                    "epoch": STEPS,
                    "Train/val_cross_entropy": values,
                    "Train/val_accuracy": [10.0, 50.0, 99.9],
                    "Train/val_balanced_accuracy": [0.1, 0.5, 0.9],
                },
                "results": {"final_val_accuracy": 99.9},
            }
            for run, values in CURVES.items()
        }
    }
    path = text_file(tmp / "data_2k.json", json.dumps(data))
    return Written(path, path, {"metric": "Train/val_cross_entropy"})


def training(values):
    """One entry of "all_results", with the NumPy scalars of the real files."""
    return {
        "name": "cifar10-valid",
        "train_acc1es": {i: 10.0 * i for i in range(len(values))},
        "train_losses": dict(enumerate(values)),
        "train_times": OrderedDict(enumerate(values)),
        "params": np.float64(0.129306),
        "latency": [np.float64(0.5), np.int64(3)],
        "seed": "0777",
        "epochs": len(values),
        "eval_names": ["x-valid", "x-test"],
        # At the end alone, as in the real files.
        "eval_acc1es": {"x-test@2": 90.0},
        "eval_losses": {"x-test@2": 0.1},
        "net_state_dict": None,
    }


def pbz2(path, data):
    path.write_bytes(bz2.compress(pickle.dumps(data, protocol=4)))
    return path


def nats(tmp):
    folder = tmp / "NATS-tss-simple"
    folder.mkdir()
    pbz2(folder / "meta.pickle.pbz2", {"meta_archs": ["|a|"], "total_archs": 1})
    results = {
        ("cifar10-valid", 777): training(CURVES["a"]),
        ("cifar10-valid", 888): training(CURVES["b"]),
    }
    trained = {"arch_index": 7, "arch_str": "|a|", "all_results": results}
    file = pbz2(folder / "000007.pickle.pbz2", OrderedDict({"3": trained}))
    return Written(folder, file, {"metric": "train_loss"})


def taskset_json(tmp):
    entries = [
        {
            "hp": {"learning_rate": 0.5},
            "train": {"loss": [1.0, 2.0, 3.0]},
            "valid": {"loss": values},
            "test": {"loss": [1.0, 2.0, 3.0]},
        }
        for values in CURVES.values()
    ]
    path = text_file(tmp / "FixedTextRNN.json", json.dumps(entries))
    return Written(path, path, {"metric": "valid_loss"})


def taskset_npz(tmp):
    path = tmp / "FixedTextRNN" / "adam8p_wide_grid_1k_10000_replica5.npz"
    path.parent.mkdir()
    ys = np.zeros((1, 2, 3, 4))
    ys[0, :, :, 2] = list(CURVES.values())
    np.savez(path, optimizers=np.array([b"adam_seed0"]), xs=np.array(STEPS), ys=ys)
    return Written(path, path, {"metric": "valid_outer_loss"})


def trials():
    for run, values in CURVES.items():
        yield {
            "dataset": "mnist",
            "model": "cnn",
            "study_group": "mnist,cnn,256",
            "trial_dir": run,
            "status": "done",
            "hps.lr_hparams.initial_value": 0.5,
            "global_step": [1, 2, 4],
            "valid/ce_loss": values,
            "valid/error_rate": [0.5, None, 0.1],
            "train_cost": [1.0, 2.0, 3.0],
        }
    yield {
        "trial_dir": "c",
        "status": "diverged",
        "global_step": None,
        "valid/ce_loss": None,
    }


def pd1_lines(tmp):
    path = tmp / "pd1_matched_phase0_results.jsonl"
    text_file(path, "\n".join(map(json.dumps, trials())))
    return Written(path, path, {"metric": "valid/ce_loss"})


def pd1_archive(tmp):
    path = tmp / "pd1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (
            ("pd1/README.txt", b"read me"),
            (
                "pd1/pd1_matched_phase0_results.jsonl.gz",
                gzip.compress("\n".join(map(json.dumps, trials())).encode()),
            ),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Written(path, path, {"metric": "valid/ce_loss"})


WRITERS = [
    *(csv_long, csv_wide, jsonl_long, jsonl_lists, json_list, parquet, npz),
    *(tensorboard, wandb_jsonl, wandb_csv, wandb_parquet, wandb_chart, mlflow),
    *(lcbench, nats, taskset_json, taskset_npz, pd1_lines, pd1_archive),
]
FORMAT = {w.__name__: w.__name__.split("_")[0] for w in WRITERS}
# Where the names of runs or the steps are not those of `CURVES`.
NAMES = {
    "lcbench": ["adult/a", "adult/b"],
    "nats": ["000007/3/cifar10-valid/777", "000007/3/cifar10-valid/888"],
    "taskset_json": ["FixedTextRNN/0", "FixedTextRNN/1"],
    "taskset_npz": ["FixedTextRNN/adam_seed0/0", "FixedTextRNN/adam_seed0/1"],
}
STEPS_OF = {"nats": [1.0, 2.0, 3.0], "taskset_json": [0.0, 200.0, 400.0]}
TASKS = {
    "npz": "t",
    "mlflow": "digits: it's",
    "lcbench": "adult",
    "nats": "cifar10-valid-3",
    "taskset_json": "FixedTextRNN",
    "taskset_npz": "FixedTextRNN",
    "pd1_lines": "mnist,cnn,256",
    "pd1_archive": "mnist,cnn,256",
}


@pytest.fixture(params=WRITERS, ids=lambda w: w.__name__)
def kind(request):
    return request.param.__name__


@pytest.fixture
def written(kind, tmp_path):
    return globals()[kind](tmp_path)


def read(written, **more):
    return read_curves(written.path, **written.options | more)


def test_every_format_has_a_writer():
    # A directory is of the format `logs`, see test_follow.py; Optuna: test_sources.py.
    assert set(FORMAT.values()) | {"logs", "optuna"} == set(FORMATS)


def test_what_is_written_is_read(kind, written):
    found = read(written)
    assert format_of(written.path) == FORMAT[kind]
    assert found.name == written.path.name.split(".")[0]
    assert [run.name for run in found.runs] == NAMES.get(kind, list(CURVES))
    for run, values in zip(found.runs, CURVES.values(), strict=True):
        if not written.exact:
            values = np.float32(values)
        np.testing.assert_array_equal(run.values, np.float64(values))
        np.testing.assert_array_equal(run.steps, STEPS_OF.get(kind, STEPS))
        assert run.values.dtype == run.steps.dtype == np.float64
        assert run.mode == "min"
        assert run.task == TASKS.get(kind, "")
        assert run.bounds in ((0.0, None), None)


def test_the_format_can_be_named(kind, written):
    assert len(read(written, format=FORMAT[kind])) == 2


def test_the_mode_is_never_guessed(kind, written):
    options = written.options | {"mode": None}
    if FORMATS[FORMAT[kind]].directed:
        with pytest.raises(ValueError, match="has mode='min' in this format"):
            read(written, mode="max")
    else:
        with pytest.raises(ValueError, match="give mode="):
            read_curves(written.path, **options)


def test_bounds_of_the_caller_go_first(written):
    assert read(written, bounds=(0, None)).runs[0].bounds == (0, None)
    with pytest.raises(ValueError, match=r"within bounds=\(0, 0.15\), got 0.25"):
        read(written, bounds=(0, 0.15))


def test_an_unknown_metric_is_refused(kind, written):
    if kind in ("csv_wide", "json_list"):
        pytest.skip("has no names of metrics")
    with pytest.raises(ValueError, match=r"no (metric|column) 'f1'; there are"):
        read(written, metric="f1")


@pytest.mark.parametrize("content", [b"", b"\n"], ids=["empty", "blank"])
def test_an_empty_file_is_named(written, content):
    written.file.write_bytes(content)
    if written.file.parent != written.path:  # the other runs are read
        assert_named(written)
        return
    with pytest.raises(ValueError, match=str(written.path)):
        read(written)


def test_a_file_of_something_else_is_named(kind, written):
    for content in (
        b"\x00\xff\xfe\x80" * 40,
        b"{[(" * 40,
        written.file.read_bytes()[15:],
    ):
        written.file.write_bytes(content)
        for options in ({}, {"format": FORMAT[kind]}):
            assert_named(written, **options)


def assert_named(written, **options):
    """A file that is not what it was is refused, or what is damaged is told of."""
    alone = written.path.is_file() and written.file.suffix not in TEXT
    if alone or "_replica" in written.file.name:
        with pytest.raises(ValueError, match=str(written.path)):
            read(written, **options)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkippedWarning)
        messages = []
        try:
            read(written, **options)
        except ValueError as error:
            messages.append(str(error))
    messages += [str(warning.message) for warning in caught]
    assert any(str(written.path) in message for message in messages)


def test_a_number_too_large_for_one_is_named(kind, written):
    """It is no infinity, which would be a run that diverged."""
    content = written.file.read_bytes()
    if b"0.25" not in content:
        pytest.skip("holds no numbers as text")
    written.file.write_bytes(content.replace(b"0.25", b"1e400"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkippedWarning)
        try:
            values = [value for run in read(written).runs for value in run.values]
            message = str(caught[0].message)
        except ValueError as error:
            message, values = str(error), []
    assert str(written.path) in message
    assert "1e400" in message
    assert np.isinf(values).sum() <= 1  # written so, in the second curve


def test_a_file_that_is_cut_off_is_named(kind, written):
    content = written.file.read_bytes()
    if b"," in content and "csv" in written.file.name:
        cuts = [content.rindex(b",")]
    elif kind.startswith(("jsonl_long", "wandb_jsonl", "pd1_lines", "mlflow")):
        cuts = [len(content) - 4]  # whole lines are a shorter file
    else:
        cuts = [len(content) // 3, len(content) // 2, len(content) - 9]
    for cut in cuts:
        written.file.write_bytes(content[:cut])
        assert_named(written)


@pytest.mark.filterwarnings("ignore::lcpfn.io.SkippedWarning")
def test_flipped_bytes_never_leak_another_error(written):
    content = bytearray(written.file.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(len(content), size=3):
            damaged[at] = rng.integers(256)
        written.file.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            read(written)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_curves(tmp_path / "none.csv", mode="min")


def test_unknown_formats_are_listed(tmp_path):
    path = text_file(tmp_path / "curves.xyz", "what")
    with pytest.raises(ValueError, match=r"of no known format; .*csv, json, .*wandb"):
        read_curves(path, mode="min")
    with pytest.raises(ValueError, match=r"holds no curves; a directory is .* \.csv,"):
        read_curves(tmp_path, mode="min")
    with pytest.raises(ValueError, match="no format 'xls'; there are csv"):
        read_curves(path, format="xls")
    with pytest.raises(ValueError, match='mode must be "max"'):
        read_curves(path, mode="up")


# Tables


def table(tmp_path, text, **options):
    return read_curves(text_file(tmp_path / "t.csv", text), mode="max", **options).runs


def test_a_table_with_tasks_and_metrics(tmp_path):
    text = (
        "run;task;metric;step;value\na;x;acc;1;0.5\nb;x;acc;1;0.6\n"
        "a;y;acc;1;0.7\na;x;acc;2;0.8\na;x;loss;1;9\n"
    )
    runs = table(tmp_path, text, metric="acc")
    assert [(r.name, r.task, r.metric, *r.values) for r in runs] == [
        ("a", "x", "acc", 0.5, 0.8),
        ("b", "x", "acc", 0.6),
        ("a", "y", "acc", 0.7),
    ]
    with pytest.raises(ValueError, match=r"which metric.* acc, loss"):
        table(tmp_path, text)


def test_a_column_is_chosen_and_empty_cells_are_no_records(tmp_path):
    text = "epoch,step,train_loss,val_acc\n0,10,1.5,\n0,20,1.2,0.5\n1,30,,nan\n"
    (run,) = table(tmp_path, text, metric="val_acc")
    np.testing.assert_array_equal(run.steps, [20, 30])
    np.testing.assert_array_equal(run.values, [0.5, np.nan])
    assert (run.name, run.metric) == ("t", "val_acc")
    with pytest.raises(ValueError, match=r"which column of values.* train_loss, v"):
        table(tmp_path, text)


def test_wide_rows_may_be_of_any_length(tmp_path):
    runs = table(tmp_path, "name,1,2,3\na,0.1,0.2,\nb,0.1,,0.3\n")
    np.testing.assert_array_equal(runs[0].steps, [1, 2])
    np.testing.assert_array_equal(runs[1].steps, [1, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,value\n1,x\n", "line 2: 'x' is not a number"),
        ("step,value\n,0.5\n", "line 2 has no step"),
        ("step,value\n1\n", "line 2: it has 1 cells, the header 2"),
        ("a,a\n1,2\n", "several columns have the name 'a'"),
        ("run,1,0.5\na,2,0.6\n", "numbers in the header, line 1"),
        ("step,value\n", "holds no rows"),
        ("step,value\n1,\n", "holds no observations"),
        ('step,value\n1,"0.5', "line 2"),
    ],
)
def test_tables_that_make_no_curves(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"t.csv.*{message}"):
        table(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,value\n1,0.5\n2,x\n", "line 3: 'x' is not a number"),
        ("step,value\n1,0.5\n2\n", "line 3: it has 1 cells, the header 2"),
        ('step,value\n1,0.5\n2,"0.6\n', "line 3: a quoted cell does not end"),
        ("step,value\n1,0.5\n,0.6\n", "1 observations without a step"),
    ],
)
def test_a_damaged_line_costs_that_line(tmp_path, text, message):
    with pytest.warns(SkippedWarning, match=f"t.csv: skipped .*{message}"):
        (run,) = table(tmp_path, text)
    assert (run.steps.tolist(), run.values.tolist()) == ([1], [0.5])


# Arrays


@pytest.mark.parametrize(
    ("x", "values", "steps"),
    [
        # Logged again after a resume, with the same or other values.
        ([0, 0, 200, 200, 400], [3, 3, 2, 2, 1], [0, 200, 400]),
        ([200, 400, 200, 400, 600], [3, 2, 2.5, 2, 1], [200, 400, 600]),
        ([3, 1, 2, 5, 4], [1, 3, 2, 0.5, 0.75], [1, 2, 3, 4, 5]),
        ([7, 7, 7, 7, 7], [5, 4, 3, 2, 1], [1, 2, 3, 4, 5]),  # no axis at all
    ],
)
def test_steps_of_arrays_take_their_place(tmp_path, x, values, steps):
    np.savez(tmp_path / "odd.npz", curves=[np.float64(values)], x=[np.float64(x)])
    (run,) = read_curves(tmp_path / "odd.npz", mode="min").runs
    assert run.steps.tolist() == steps
    assert (np.diff(run.values) < 0).all()


def test_steps_of_arrays_that_are_no_numbers_are_refused(tmp_path):
    np.savez(tmp_path / "odd.npz", curves=[[3.0, 2.0]], x=[["one", "two"]])
    with pytest.raises(ValueError, match="`x` must be numbers"):
        read_curves(tmp_path / "odd.npz", mode="min")


def test_arrays_may_be_few(tmp_path):
    np.savez(tmp_path / "few.npz", curves=[[3.0, 2.0, np.nan], [5.0, np.nan, 4.0]])
    runs = read_curves(tmp_path / "few.npz", mode="min").runs
    np.testing.assert_array_equal(runs[0].steps, [1, 2])
    np.testing.assert_array_equal(runs[1].values, [5, np.nan, 4])
    assert runs[0].bounds is None
    with pytest.raises(ValueError, match=r"few.npz: .*give mode="):
        read_curves(tmp_path / "few.npz")


def test_configurations_are_read(tmp_path):
    runs = read(npz(tmp_path)).runs
    assert [run.config for run in runs] == [{"lr": 0.5}, None]


@pytest.mark.parametrize(
    ("metric", "values", "bounds"),
    [
        ("val_accuracy", [0.1, np.nan, 1.0], (0.0, 1.0)),
        ("val_accuracy", [0.1, 93.0, 94.0], (0.0, 100.0)),
        ("val_accuracy", [0.1, 0.2, 93.0], None),
        ("val_accuracy", [0.1, 193.0], None),
        ("val_accuracy", [], None),
        ("err-top1", [0.1], (0.0, 1.0)),
        ("acc5", [55.0], (0.0, 100.0)),
        ("val_f1_macro", [0.1], (0.0, 1.0)),
        ("val_error_rate", [0.1], (0.0, 1.0)),
        ("val_error", [0.1], (0.0, None)),
        ("val_rmse", [2.0], (0.0, None)),
        ("mapped", [0.5], None),
        ("mAP", [0.5], (0.0, 1.0)),
        ("disparity_map", [0.5], None),
        ("Val Accuracy (%)", [0.1, 0.9], (0.0, 100.0)),
        ("percent_error_rate", [0.1, 93.0], (0.0, 100.0)),
        ("accuracy_gain", [0.1], None),
        ("improvement_pct", [12.0, 42.0], None),
        ("acc_reward", [0.1, 0.9], None),
        ("val_log_loss", [0.1, 0.9], (0.0, None)),
        ("validation log loss", [0.1, 0.9], (0.0, None)),
        ("cross-entropy", [0.1, 0.9], (0.0, None)),
        ("log_mse", [2.0, 0.5], None),
        ("td_error", [0.9, 0.4], None),
        ("val_nll", [1.3, 0.1], None),
        ("val_accuracy_pct", [0.1, 93.0], (0.0, 100.0)),
        ("val_loss", [0.1, np.inf], (0.0, None)),
        ("val_loss", [0.1, -3.0], None),
        ("val_bpb", [0.9], (0.0, None)),
        ("reward", [0.5], None),
    ],
)
def test_bounds_follow_from_name_and_values(metric, values, bounds):
    assert implied_bounds(metric, np.array(values)) == bounds


def test_beside_a_task_in_per_cent_one_below_one_is_in_doubt(tmp_path):
    about = {"metric": ["acc"] * 2, "mode": ["max"] * 2, "task": ["a", "b"]}
    np.savez(tmp_path / "two.npz", curves=[[0.3, 0.9], [30.0, 90.0]], **about)
    runs = read_curves(tmp_path / "two.npz").runs
    assert [run.bounds for run in runs] == [None, (0, 100)]


def test_what_is_behind_the_length_implies_no_bounds(tmp_path):
    about = {"metric": ["acc"], "mode": ["max"], "length": [2]}
    np.savez(tmp_path / "padded.npz", curves=[[50.0, 60.0, 0.0, 0.0, -1.0]], **about)
    (run,) = read_curves(tmp_path / "padded.npz").runs
    assert run.bounds == (0, 100)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3)}, "needs an array `curves`.* y"),
        ({"curves": np.zeros(3)}, "needs an array `curves`"),
        ({"curves": np.zeros((0, 10**12))}, "`curves` must not be empty"),
        ({"curves": np.zeros((10**9, 0))}, "`curves` must not be empty"),
        ({"curves": np.zeros((2, 3)), "task": ["a"]}, r"`task` must have shape \(2,\)"),
        ({"curves": np.zeros((2, 3)), "x": np.zeros((3, 2))}, "`x` must have shape"),
        ({"curves": np.zeros((1, 3)), "length": np.array([9])}, "`length` must hold"),
        ({"curves": [[1.0], [np.nan]]}, "row 1 of `curves` holds no number"),
        ({"curves": np.zeros((1, 3)), "config": ["{"]}, "config is not JSON"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=f"bad.npz: {message}"):
        read_curves(tmp_path / "bad.npz", mode="min")


# Logs


def test_a_log_names_its_metrics(tmp_path):
    found = tensorboard(tmp_path)
    with pytest.raises(ValueError, match=r"which metric.* val/accuracy, val/loss"):
        read_curves(found.path, mode="min")
    single = read_curves(found.file, mode="max", metric="val/accuracy")
    assert [run.name for run in single.runs] == ["a"]


def test_a_resumed_run_counts_the_later_records(tmp_path):
    writers = pytest.importorskip("tensorboardX")
    for part, (steps, value) in enumerate([((1, 2, 3), 0.0), ((2, 3, 4), 1.0)]):
        with writers.SummaryWriter(str(tmp_path), filename_suffix=f".{part}") as writer:
            for step in steps:
                writer.add_scalar("loss", value, step)
    # Two files of the same second are read in the order of their names.
    (run,) = read_curves(tmp_path, mode="min").runs
    np.testing.assert_array_equal(run.steps, [1, 2, 3, 4])
    np.testing.assert_array_equal(run.values, [0, 1, 1, 1])


def event_file(path, payload):
    masked = pytest.importorskip("tensorboardX.record_writer").masked_crc32c
    length = struct.pack("<Q", len(payload))
    frame = length + struct.pack("<I", masked(length))
    path.write_bytes(frame + payload + struct.pack("<I", masked(payload)))
    return path


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize("dtype", [1, 2])
def test_scalars_of_tensorflow_2(tmp_path, dtype, content):
    """A tensor of rank 0, its number as bytes or as a field."""
    events = pytest.importorskip("tensorboardX.proto.event_pb2")
    event = events.Event(step=7)
    value = event.summary.value.add(tag="epoch_loss")
    value.metadata.plugin_data.plugin_name = "scalars"
    value.tensor.dtype = dtype
    if content:
        value.tensor.tensor_content = struct.pack("<f" if dtype == 1 else "<d", 0.25)
    else:
        getattr(value.tensor, "float_val" if dtype == 1 else "double_val").append(0.25)
    other = event.summary.value.add(tag="histogram")
    other.tensor.dtype = dtype
    other.tensor.tensor_shape.dim.add(size=3)
    path = event_file(tmp_path / "events.out.tfevents.1.v2", event.SerializeToString())
    (run,) = read_curves(path, mode="min").runs
    assert (run.steps, run.values, run.metric) == ([7], [0.25], "epoch_loss")


def test_parameters_of_mlflow(tmp_path):
    run = read(mlflow(tmp_path)).runs[0]
    assert run.config == {"lr": 0.5, "optimizer": "adam"}
    experiment = read_curves(tmp_path / "mlruns" / "717", mode="min", metric="val/loss")
    assert len(experiment) == 2


def test_a_torn_line_of_mlflow_costs_itself_alone(tmp_path):
    found = mlflow(tmp_path)
    found.file.write_text("1 0.5 1\n2 0.25 nan\n3 x 3\n4 0.5 2\n5 0.4")
    with pytest.warns(SkippedWarning, match="skipped 3 lines: a/metrics/val/loss, l"):
        run = read(found).runs[0]
    assert run.values.tolist() == [0.5, 0.5]
    found.file.write_text("")
    with pytest.warns(SkippedWarning, match="a/metrics/val/loss: is empty"):
        assert [run.name for run in read(found).runs] == ["b"]


def test_old_stores_have_no_steps(tmp_path):
    found = mlflow(tmp_path)
    found.file.write_text("1700000000000 0.5\n1700000000001 0.25\n")
    run = read(found).runs[0]
    np.testing.assert_array_equal(run.steps, [1, 2])


# Benchmarks


def test_directions_and_units_of_lcbench(tmp_path):
    found = lcbench(tmp_path)
    runs = read_curves(found.path).runs
    assert {run.metric: (run.mode, run.bounds) for run in runs} == {
        "Train/val_cross_entropy": ("min", (0.0, None)),
        "Train/val_accuracy": ("max", (0.0, 100.0)),
        "Train/val_balanced_accuracy": ("max", (0.0, 1.0)),
    }
    assert runs[0].config == {"batch_size": 16, "learning_rate": 0.5}
    with pytest.raises(ValueError, match="does not say which way time is better"):
        read_curves(found.path, metric="time")
    assert len(read_curves(found.path, metric="time", mode="min")) == 2


def test_large_json_is_read_in_pieces(tmp_path, monkeypatch):
    found = lcbench(tmp_path)
    whole = read(found)
    for block in (1, 7, 64):
        monkeypatch.setattr(json_stream, "BLOCK", block)
        for one, two in zip(whole.runs, read(found).runs, strict=True):
            np.testing.assert_array_equal(one.values, two.values)
    monkeypatch.setattr(json_stream, "MOST_ENTRY", 100)
    with pytest.raises(ValueError, match="not JSON or cut off"):
        read(found)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": {"config": {}, "log": {}}}} x',
        '{"a": {"b": {"config": {}, "log": {}}},}',
        '{"a": {"b": {"log": {}}}}',
        '{"a": {1: {}}}',
        '{"a": [{}, 2]}',
        '{"a": {"b": 1}}',
        '{"a" {"b": {}}}',
        '{"a": {"b": {} {}}}',
    ],
)
def test_json_of_another_layout(tmp_path, text):
    path = text_file(tmp_path / "bad.json", text)
    with pytest.raises(ValueError, match=r"bad.json: "):
        read_curves(path, format="lcbench")


def test_deep_json_is_refused(tmp_path):
    for format, text in (
        ("lcbench", '{"a": {"b": ' + "[" * 200_000),
        ("json", "[" * 200_000),
        ("jsonl", "[" * 200_000),
    ):
        path = text_file(tmp_path / "deep.json", text)
        with pytest.raises(ValueError, match=r"deep.json"):
            read_curves(path, format=format, mode="min")


def test_taskset_losses_may_be_negative(tmp_path):
    found = taskset_json(tmp_path)
    text = found.path.read_text().replace("0.25", "-0.25")
    found.path.write_text(text)
    runs = read_curves(found.path).runs
    assert {run.metric: run.bounds for run in runs} == {
        "train_loss": (0.0, None),
        "valid_loss": None,
        "test_loss": (0.0, None),
    }
    text_file(tmp_path / "Other.json", text)
    assert read_curves(tmp_path).tasks == ("FixedTextRNN", "Other")


def test_all_of_pd1(tmp_path):
    runs = read_curves(pd1_archive(tmp_path).path).runs
    assert {run.metric: run.bounds for run in runs} == {
        "valid/ce_loss": (0.0, None),
        "valid/error_rate": (0.0, 1.0),
    }
    np.testing.assert_array_equal(runs[1].values, [0.5, np.nan, 0.1])
    assert runs[0].config == {"hps.lr_hparams.initial_value": 0.5}
    assert os.listdir(tmp_path) == ["pd1.tar.gz"]


def test_all_of_nats(tmp_path):
    found = nats(tmp_path)
    runs = read_curves(found.path).runs
    assert {run.metric: (run.mode, run.bounds) for run in runs} == {
        "train_accuracy_pct": ("max", (0.0, 100.0)),
        "train_loss": ("min", (0.0, None)),
    }
    assert runs[0].config == {"arch": "|a|", "epochs": 3, "seed": 777}
    assert len(read_curves(found.file, metric="train_loss")) == 2


# Hostile files


class Hostile:
    """Runs a command wherever it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def refused(tmp_path, data, message):
    folder = tmp_path / "hostile"
    folder.mkdir(exist_ok=True)
    file = folder / "000000.pickle.pbz2"
    content = data if isinstance(data, bytes) else pickle.dumps(data, protocol=4)
    file.write_bytes(bz2.compress(content))
    with pytest.raises(ValueError, match=f"000000.pickle.pbz2: .*{message}"):
        read_curves(folder)


def test_a_hostile_pickle_does_not_run(tmp_path):
    proof = tmp_path / "proof"
    hostile = {"12": Hostile(f"touch {proof}")}
    refused(tmp_path, hostile, f"asks for {os.system.__module__}.system")
    assert not proof.exists()
    # It would have: the same bytes, read as pickles are meant to be.
    pickle.loads(pickle.dumps(hostile))
    assert proof.exists()


def nats_result(result):
    return {"12": {"arch_index": 1, "all_results": {("a", 1): result}}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.arange(3), r"asks for numpy\._?core\.(multiarray|numeric)"),
        (np.float64, "asks for numpy.float64"),
        ({"x": Path("a")}, "asks for pathlib"),
        (b"cbuiltins\neval\n(V1\ntR.", "asks for builtins.eval"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.", "asks for builtins.exec"),
        (b"\x80\x04(i__main__\nf\n.", "instruction INST is not data"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", "refused: how it calls"),
        (b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.", "refused: how it calls"),
        (b"\x80\x02}}b.", "refused: it sets the state of a dict"),
        (b"\x80\x02K\x01K\x02.", "not a pickle of plain data"),
        (b"\x80\x02R.", "not a pickle of plain data"),
        (b"\x80\x02h\x07.", "not a pickle of plain data"),
        (b"\x80\x02}]K\x01s.", "a key that is neither"),
        (b"\x80\x02}K\x01" + b"\x85" * 300_000 + b"K\x01s.", "a key that is neither"),
        (b"\x80\x02K\x01" + b"\x85" * 300_000 + b")R.", "not a pickle of plain data"),
        (b"\x80\x02K\x05.", "must be a dictionary, got int"),
        (b"\x80\x02" + b"N" * (1 << 22) + b".", "more than 524288 instructions"),
        ({"12": {"all_results": {"x": {}}}}, "no data set and seed"),
        ({"12": {"all_results": 3}}, "all_results must be a dictionary"),
        (nats_result(3), "000001/12/a/1 must be a dictionary"),
        (nats_result({"train_acc1es": 1}), "train_acc1es must be a dictionary"),
        (
            nats_result({"train_acc1es": {0: 1.0, "1": 2.0}, "eval_acc1es": {}}),
            "epochs must be whole numbers",
        ),
        (
            nats_result({"train_acc1es": {0: 1.0, 1: {}}, "eval_acc1es": {}}),
            "values must be numbers",
        ),
        (
            nats_result({"train_acc1es": {0: 1.0, 1: 101.0}, "eval_acc1es": {}}),
            "must lie within bounds",
        ),
        (
            nats_result({"train_acc1es": {}, "eval_acc1es": {"x-valid": 3.0}}),
            "no epoch in 'x-valid'",
        ),
    ],
)
def test_pickles_of_anything_else_are_refused(tmp_path, data, message):
    refused(tmp_path, data, message)


def test_a_numpy_array_of_objects_is_refused(tmp_path):
    proof = tmp_path / "proof"
    curves = np.array([Hostile(f"touch {proof}")], dtype=object)
    np.savez(tmp_path / "hostile.npz", curves=curves)
    with pytest.raises(ValueError, match=r"hostile.npz: .*allow_pickle=False"):
        read_curves(tmp_path / "hostile.npz", mode="min")
    assert not proof.exists()


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "MOST_UNPACKED", 1 << 16)
    monkeypatch.setattr("lcpfn.io.arrays.MOST_ARRAYS", 1 << 16)
    monkeypatch.setattr(packed, "MOST_BZ2", 1 << 16)
    zeros = b" " * (1 << 20)
    for name, content in (
        ("000000.pickle.pbz2", bz2.compress(zeros)),
        ("rows.jsonl.gz", gzip.compress(zeros)),
        ("pd1.tar.gz", gzip.compress(zeros)),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} unpacks to"):
            read_curves(path, mode="min")
    np.savez_compressed(tmp_path / "z.npz", curves=np.zeros((9, 9999)))
    with pytest.raises(ValueError, match=r"z.npz: .*unpacks to"):
        read_curves(tmp_path / "z.npz", mode="min")
    monkeypatch.setattr(growing, "MOST_LINE", 100)
    text = text_file(tmp_path / "line.jsonl", '{"a": "' + "x" * 200)
    with pytest.raises(ValueError, match="1 lines that are too long"):
        read_curves(text, mode="min")
    monkeypatch.setattr(packed, "MOST_LINE", 100)
    with pytest.raises(ValueError, match="a line of more than 100 bytes"):
        read_curves(text, mode="min", format="pd1")


def test_an_archive_within_an_archive_is_limited(tmp_path, monkeypatch):
    path = tmp_path / "pd1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        content = gzip.compress(b"\n" * (1 << 24))
        member = tarfile.TarInfo("pd1/x.jsonl.gz")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(packed, "MOST_UNPACKED", 1 << 16)
    with pytest.raises(ValueError, match=r"pd1/x.jsonl.gz unpacks to"):
        read_curves(path)


def test_an_event_of_absurd_length_is_not_allocated(tmp_path):
    masked = pytest.importorskip("tensorboardX.record_writer").masked_crc32c
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(length + struct.pack("<I", masked(length)) + b"x" * 99)
    with pytest.raises(ValueError, match=r"events.out.tfevents.1 is cut off at byte 0"):
        read_curves(path, mode="min")


def test_a_number_too_large_for_a_float(tmp_path):
    path = text_file(tmp_path / "t.jsonl", '{"values": [1' + "0" * 400 + "]}")
    with pytest.raises(
        ValueError, match=r"line 1: 10+\.\.\. is too large for a number"
    ):
        read_curves(path, mode="max")
    digits = "9" * 5000
    text_file(path, f'{{"step": 1, "y": 2}}\n{{"step": 2, "y": {digits}}}\n')
    with pytest.warns(SkippedWarning, match=r"line 2: no JSON: .*digits"):
        assert len(read_curves(path, mode="max").runs[0].values) == 1


# Real files


@pytest.fixture(scope="module")
def sample():
    folder = Path(__file__).parents[3] / "shared" / "formats" / "nats-tss-sample"
    if not folder.is_dir():
        pytest.skip(f"needs the sample of NATS-Bench in {folder}")
    return read_curves(folder)


def test_the_real_sample_of_nats(sample):
    assert len(sample.tasks) == 8
    assert {run.metric: (run.mode, run.bounds) for run in sample.runs} == {
        f"{part}_{what}": known
        for part in ("train", "x-valid", "x-test", "ori-test")
        for what, known in (
            ("accuracy_pct", ("max", (0.0, 100.0))),
            ("loss", ("min", (0.0, None))),
        )
    }


def test_the_real_sample_agrees_with_the_arrays(sample, curves):
    """The arrays were made by another program; they hold float32."""
    arrays = read_curves(curves / "nats_sample.npz").runs
    theirs = {
        (run.name, run.metric): run for run in arrays if run.name.startswith("tss/")
    }
    ours = {(f"tss/{run.name}", run.metric): run for run in sample.runs}
    assert set(ours) == set(theirs)
    for key, run in theirs.items():
        np.testing.assert_array_equal(np.float32(ours[key].values), run.values)
        np.testing.assert_array_equal(ours[key].steps, run.steps)
        assert (ours[key].mode, ours[key].bounds) == (run.mode, run.bounds)
        assert f"nats-tss/{ours[key].task}" == run.task


@pytest.mark.parametrize(
    ("name", "count", "tasks"),
    [
        ("lcbench", 10_000, 20),
        ("taskset", 3_000, 6),
        ("deepobs", 810, 4),
        ("olmo_ladder", 954, 25),
        ("nats_sample", 576, 20),
    ],
)
def test_the_real_arrays(curves, name, count, tasks):
    found = read_curves(curves / f"{name}.npz")
    with np.load(curves / f"{name}.npz") as arrays:
        raw, length = arrays["curves"], arrays["length"]
    assert (len(found), len(found.tasks)) == (count, tasks)
    for run, values, n in zip(found.runs, raw, length, strict=True):
        np.testing.assert_array_equal(run.values, values[:n].astype(np.float64))
        assert len(run.steps) == n
        assert run.config
        low, high = run.bounds
        assert low == 0
        assert high == {"accuracy_pct": 100, "accuracy": 1}.get(
            run.metric.partition("_")[2], None
        )


def test_steps_in_a_header_may_be_shares(tmp_path):
    (tmp_path / "runs.csv").write_text("run,10%,20%,1e3\na,0.5,0.6,0.7\n")
    (run,) = read_curves(tmp_path / "runs.csv", mode="max").runs
    assert run.steps.tolist() == [10, 20, 1000]


@pytest.mark.parametrize("first", ["1,3,3,2", "3,3,2"])
def test_numbers_that_do_not_increase_are_no_header_of_steps(tmp_path, first):
    rows = [first, *(",".join("1" for _ in first.split(",")) for _ in range(2))]
    (tmp_path / "runs.csv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="columns without a header; name them"):
        read_curves(tmp_path / "runs.csv", mode="min")


def test_a_second_run_of_one_name_is_named_and_not_glued_to_the_first(tmp_path):
    entries = [{"name": "a", "values": [0.1, 0.2]}, {"name": "a", "values": [0.5, 0.6]}]
    for name, text in (
        ("d.json", json.dumps(entries)),
        ("d.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries)),
    ):
        path = text_file(tmp_path / name, text)
        with pytest.warns(SkippedWarning, match="another run named 'a'"):
            (run,) = read_curves(path, mode="max").runs
        np.testing.assert_array_equal(run.values, [0.1, 0.2])
