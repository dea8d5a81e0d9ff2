"""What is watched beside plain logs: what frameworks write, and studies of Optuna."""

import contextlib
import json
import math
import os
import sqlite3
import sys

import pytest

from lcpfn.__main__ import main
from lcpfn.io import SkippedWarning, read_curves
from lcpfn.io.follow import Logs
from lcpfn.io.places import is_storage
from lcpfn.io.studies import Studies

OPTIONS = ["--horizon", "20", "--mode", "max", "--once"]


@pytest.fixture
def optuna():
    optuna = pytest.importorskip("optuna", reason="needs optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def a_study(optuna, path, name="search", direction="maximize"):
    return optuna.create_study(
        storage=f"sqlite:///{path}", study_name=name, direction=direction
    )


def report(trial, values):
    for step, value in enumerate(values, 1):
        trial.report(value, step)


def test_a_study_is_read_as_it_grows(optuna, tmp_path):
    path = tmp_path / "study.db"
    study = a_study(optuna, path)
    trial = study.ask()
    report(trial, [0.1, 0.2])
    assert is_storage(str(path))
    studies = Studies(str(path), "max")
    assert [tuple(r) for r in studies.poll()] == [
        ("trial 0", 1, 0.1, False),
        ("trial 0", 2, 0.2, False),
    ]
    assert studies.poll() == []
    trial.report(float("nan"), 3)
    ((run, step, value, anew),) = studies.poll()
    assert (run, step, anew) == ("trial 0", 3, False)
    assert math.isnan(value)
    assert not studies.ended
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    study.ask()
    assert studies.poll() == []
    assert studies.ended == {"trial 0": "pruned"}
    assert not studies.trouble


def test_a_study_is_only_read(optuna, tmp_path):
    path = tmp_path / "study.db"
    report(a_study(optuna, path).ask(), [0.1])
    path = path.rename(tmp_path / "100% of a study?.db")
    before = path.read_bytes()
    os.chmod(path, 0o444)
    studies = Studies(f"sqlite:///{path}", "max")
    assert len(studies.poll()) == 1
    with pytest.raises(optuna.exceptions.StorageInternalError):
        studies.storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_studies_that_do_not_fit_are_named(optuna, tmp_path):
    path = tmp_path / "study.db"
    report(a_study(optuna, path).ask(), [0.1])
    report(a_study(optuna, path, "loss", "minimize").ask(), [0.1])
    optuna.create_study(
        storage=f"sqlite:///{path}", study_name="two", directions=["minimize"] * 2
    )
    studies = Studies(str(path), "max")
    assert [r.run for r in studies.poll()] == ["search/trial 0"]
    assert "is to be minimized" in studies.trouble["loss"]
    assert "several objectives" in studies.trouble["two"]


def test_a_storage_that_is_none(optuna, tmp_path, capsys):
    assert main(["watch", f"sqlite:///{tmp_path}/none.db", *OPTIONS]) == 1
    assert "there is no" in capsys.readouterr().err
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"SQLite format 3\0" + b"x" * 3000)
    assert main(["watch", str(broken), *OPTIONS]) == 1
    assert "database" in capsys.readouterr().out
    assert not is_storage(str(tmp_path))
    assert main(["watch", str(broken), *OPTIONS, "--step", "epoch"]) == 1
    assert "--step is for tables and logs" in capsys.readouterr().err


def test_optuna_is_asked_for_by_name(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna.exceptions", None)
    assert main(["watch", f"sqlite:///{tmp_path}/study.db", *OPTIONS]) == 1
    assert "pip install 'lcpfn-jax[optuna]'" in capsys.readouterr().err


def test_watch_says_what_became_of_a_trial(optuna, tmp_path, capsys):
    path = tmp_path / "study.db"
    study = a_study(optuna, path)
    report(study.ask(), [0.5, 0.6, 0.7])
    pruned = study.ask()
    report(pruned, [0.1, 0.11, 0.12])
    study.tell(pruned, state=optuna.trial.TrialState.PRUNED)
    assert main(["watch", str(path), *OPTIONS, "--json"]) == 0
    rows = {row["run"]: row for row in json.loads(capsys.readouterr().out)["runs"]}
    assert rows["trial 0"]["verdict"] == "go on"
    assert rows["trial 1"]["verdict"] == "finished"
    assert rows["trial 1"]["reason"] == "pruned at 0.12"
    assert rows["trial 1"]["chance"] is None


def test_what_keras_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="needs keras")
    import numpy as np

    x, y = np.random.default_rng(0).random((64, 4)), np.arange(64) % 2
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    log = keras.callbacks.CSVLogger(str(tmp_path / "training.log.csv"))
    kept = model.fit(
        x, y, epochs=3, validation_data=(x, y), callbacks=[log], verbose=0
    ).history["val_loss"]
    found = Logs(tmp_path, "val_loss").poll()
    assert [r.step for r in found] == [0, 1, 2]
    assert [r.value for r in found] == pytest.approx(kept, rel=1e-6)


def test_what_lightning_writes(tmp_path):
    lightning = pytest.importorskip("lightning", reason="needs lightning")
    torch = pytest.importorskip("torch", reason="needs torch")
    from lightning.pytorch.loggers import CSVLogger

    logs, seen = Logs(tmp_path, "val_loss", step="epoch"), []

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch, index):
            loss = self.layer(batch[0]).square().mean()
            self.log("train_loss", loss)
            return loss

        def on_train_start(self):
            seen.append((len(logs.poll()), dict(logs.trouble)))

        def on_train_epoch_end(self):
            seen.append((len(logs.poll()), dict(logs.trouble)))

        def validation_step(self, batch, index):
            self.log("val_loss", self.layer(batch[0]).square().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.05)

    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.rand(64, 4)), batch_size=8
    )
    lightning.Trainer(
        max_epochs=4,
        logger=CSVLogger(str(tmp_path), flush_logs_every_n_steps=2),
        log_every_n_steps=2,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    ).fit(Net(), data, data)
    counts = [count for count, _ in seen] + [len(logs.poll())]
    assert sum(counts) >= 4
    fresh = Logs(tmp_path, "val_loss", step="epoch").poll()
    assert [(r.run, r.step) for r in fresh] == [
        ("lightning_logs/version_0/metrics", epoch) for epoch in range(4)
    ]
    assert fresh[-1].value < fresh[0].value


def test_every_door_reads_a_storage(optuna, tmp_path, capsys):
    from optuna.storages.journal import JournalFileBackend

    journal = tmp_path / "journal.log"
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    for study in (
        optuna.create_study(storage=storage, direction="maximize"),
        a_study(optuna, tmp_path / "s.db"),
    ):
        for _ in range(2):
            report(study.ask(), [0.1, 0.2, 0.3])
    for place in (journal, tmp_path / "s.db", f"sqlite:///{tmp_path / 's.db'}"):
        runs = read_curves(place, mode="max").runs
        assert [run.name for run in runs] == ["trial 0", "trial 1"]
        assert runs[0].values.tolist() == [0.1, 0.2, 0.3]
        with pytest.raises(ValueError, match="leave out metric="):
            read_curves(place, mode="max", metric="acc")
    assert main(["watch", str(journal), *OPTIONS, "--metric", "acc"]) == 1
    assert "--metric is for tables and logs" in capsys.readouterr().err


def test_a_storage_in_a_directory_is_named(optuna, tmp_path):
    a_study(optuna, tmp_path / "s.db")
    (tmp_path / "j.log").write_text('{"op_code":0,"worker_id":"x","step":1}\n')
    (tmp_path / "a.csv").write_text("epoch,acc\n1,0.5\n")
    with pytest.warns(SkippedWarning, match=r"alone.* s\.db, j\.log"):
        runs = read_curves(tmp_path, mode="max").runs
    assert [run.name for run in runs] == ["a"]


GOOD = {"study_name": "s", "directions": [2], "op_code": 0, "worker_id": "x"}
TRIAL = {"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": None}
VALUE = {"op_code": 7, "worker_id": "x", "trial_id": 0}
BAD = [
    {"op_code": 99, "worker_id": "x"},
    {"op_code": 4, "worker_id": "x"},
    {**TRIAL, "state": 1, "params": [1]},
    {**TRIAL, "state": "x"},
    {**TRIAL, "datetime_start": 1},
    "rubbish",
]


@pytest.mark.parametrize("bad", BAD, ids=lambda x: str(x)[:30])
def test_a_damaged_journal_is_refused_by_name(optuna, tmp_path, bad):
    path = tmp_path / "journal.log"
    lines = [json.dumps(GOOD), bad if isinstance(bad, str) else json.dumps(bad)]
    path.write_text("\n".join([*lines, json.dumps(TRIAL)]) + "\n")
    with pytest.raises(ValueError, match=r"journal\.log: Optuna cannot read it"):
        read_curves(path, mode="max")
    source = Studies(str(path), "max")
    assert source.poll() == []
    assert "damaged, cut off" in source.trouble[str(path)]
    value = VALUE | {"step": 1, "intermediate_value": 0.5}
    path.write_text("".join(json.dumps(x) + "\n" for x in (GOOD, TRIAL, value)))
    assert [r.value for r in source.poll()] == [0.5]
    assert not source.trouble


def test_steps_that_cannot_be_are_left_out(optuna, tmp_path):
    path = tmp_path / "journal.log"
    pairs = [(1, 0.5), (-1, 0.1), ("x", 0.1), (float("nan"), 0.1), (2, "x")]
    values = [VALUE | {"step": s, "intermediate_value": v} for s, v in pairs]
    lines = (json.dumps(x) + "\n" for x in [GOOD, TRIAL, *values])
    path.write_text("".join(lines))
    source = Studies(str(path), "max")
    assert [r.value for r in source.poll()] == [0.5]
    assert "left out 4 values; the first: step -1" in source.trouble["trial 0"]


def test_damaged_databases_are_refused_by_name(optuna, tmp_path):
    path = tmp_path / "s.db"
    report(a_study(optuna, path).ask(), [0.1])
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("update trial_intermediate_values set intermediate_value_type='I'")
        base.commit()
    with pytest.raises(ValueError, match=r"s\.db: search: Optuna cannot read it"):
        read_curves(path, mode="max")
    other = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(other)) as base:
        base.execute("create table metrics (value float)")
    with pytest.raises(ValueError, match=r"mlflow\.db: is no storage of Optuna"):
        read_curves(other, mode="max")


def test_a_journal_without_its_beginning(optuna, tmp_path):
    path = tmp_path / "journal.log"
    path.write_text(json.dumps(TRIAL) + "\n")
    with pytest.raises(ValueError, match=r"journal\.log: holds no study"):
        read_curves(path, mode="max")
