"""Adapters against the real frameworks: each stops a real training, and resumes."""

import warnings

import numpy as np
import pytest

from lcpfn.stopping.observations import MonitorWarning

# What no run can beat, so that each stops as soon as the rule allows.
HOPELESS = {"bounds": (0, 1), "beat": 1.0, "patience": 1}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype(np.float32)
Y = (X[:, 0] + 0.5 * RNG.normal(size=120) > 0).astype(np.int64)


def test_keras_ends_fit_and_goes_on_in_another_process(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="needs keras")
    from lcpfn.integrations.keras import LCEarlyStopping

    def fit(callback, **options):
        model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        history = model.fit(X, Y, epochs=20, verbose=0, callbacks=[callback], **options)
        return len(history.epoch)

    callback = LCEarlyStopping("accuracy", mode="max", **HOPELESS)
    assert fit(callback) == 2
    assert callback.stopped_epoch == 1
    assert fit(callback) == 2  # another fit is another curve
    patient = HOPELESS | {"patience": 3}
    first, second = (LCEarlyStopping("accuracy", mode="max", **patient) for _ in "12")
    assert fit(first) == 3
    second.load_state_dict(first.state_dict())
    assert fit(second, initial_epoch=3) == 1


def keras_model():
    """A tiny model, compiled."""
    keras = pytest.importorskip("keras", reason="needs keras")
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return model


def fit_one(model, callback, epoch=0, epochs=1):
    model.fit(X, Y, initial_epoch=epoch, epochs=epochs, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("counted", [False, True])
def test_keras_fit_in_a_loop_goes_on(monkeypatch, counted):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras", reason="needs keras")
    from lcpfn.integrations.keras import LCEarlyStopping

    callback = LCEarlyStopping("accuracy", mode="max", horizon=9, **HOPELESS)
    model, other = keras_model(), keras_model()
    for i in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("error", MonitorWarning)
            fit_one(model, callback, *((i, i + 1) if counted else ()))
    assert list(callback.run_monitor.observations.curve) == [1, 2, 3, 4]
    assert callback.run_monitor.stopped_at == 2
    assert callback.stopped_epoch == 3
    for _ in range(2):  # another model, and the first one compiled anew
        fit_one(other, callback, 0, 2)
        assert list(callback.run_monitor.observations.curve) == [1, 2]
        assert callback.stopped_epoch == 1
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        other = model


@pytest.mark.parametrize("counted", [False, True])
def test_keras_fit_in_a_loop_asks_for_the_horizon(monkeypatch, counted):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras", reason="needs keras")
    from lcpfn.integrations.keras import LCEarlyStopping

    callback, model = LCEarlyStopping("accuracy", mode="max", **HOPELESS), keras_model()
    fit_one(model, callback)
    with pytest.warns(MonitorWarning, match="give horizon= the epochs of all fits"):
        fit_one(model, callback, *((1, 2) if counted else ()))
    assert list(callback.run_monitor.observations.curve) == [1, 2]


def test_scikit_learn_partial_fit():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    from lcpfn.integrations.sklearn import partial_fit

    watch = partial_fit(SGDClassifier(), (X, Y), (X, Y), 20, **HOPELESS)
    assert watch.epoch == 2
    going = partial_fit(SGDRegressor(), (X, Y), (X, Y), 6, beat=-9.0, patience=9)
    assert going.epoch == 6
    with pytest.raises(ValueError, match="partial_fit expected, got object"):
        partial_fit(object(), (X, Y), (X, Y), 20)


def test_xgboost_stops_boosting_and_continues_a_model():
    xgboost = pytest.importorskip("xgboost", reason="needs xgboost")
    from lcpfn.integrations.xgboost import LCEarlyStopping

    data = xgboost.DMatrix(X, Y)
    options = {"evals": [(data, "train")], "verbose_eval": False}
    params = {"objective": "binary:logistic", "eval_metric": "auc", "max_depth": 2}
    stopping = LCEarlyStopping(30, maximize=True, **HOPELESS)
    booster = xgboost.train(params, data, 30, callbacks=[stopping], **options)
    assert booster.num_boosted_rounds() == 2
    patient = LCEarlyStopping(30, maximize=True, **HOPELESS | {"patience": 2})
    booster = xgboost.train(
        params, data, 28, callbacks=[patient], xgb_model=booster, **options
    )
    assert booster.num_boosted_rounds() < 30
    assert patient.run_monitor.stopped_at == booster.num_boosted_rounds()


def test_catboost_stops_boosting(tmp_path):
    catboost = pytest.importorskip("catboost", reason="needs catboost")
    from lcpfn.integrations.catboost import LCEarlyStopping

    stopping = LCEarlyStopping("AUC", mode="max", horizon=30, **HOPELESS)
    model = catboost.CatBoostClassifier(
        iterations=30, eval_metric="AUC", verbose=False, train_dir=str(tmp_path)
    )
    model.fit(X, Y, eval_set=(X, Y), callbacks=[stopping])
    assert model.tree_count_ < 30
    assert stopping.run_monitor.stopped_at == 2


def lightning_fit(callback, folder, limits=None, workers=2, batch=60, **options):
    """A tiny real training of 120 / `batch` batches; validation logs an accuracy."""
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    class Tiny(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 1)

        def training_step(self, batch, _):
            x, y = batch
            score = self.layer(x)[:, 0]
            return torch.nn.functional.binary_cross_entropy_with_logits(
                score, y.float()
            )

        def validation_step(self, batch, _):
            x, y = batch
            self.log("acc", ((self.layer(x)[:, 0] > 0) == (y > 0)).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    data = TensorDataset(torch.tensor(X), torch.tensor(Y))
    loaders = [DataLoader(data, batch, num_workers=workers) for _ in range(2)]
    trainer = Trainer(
        **{"max_epochs": 20} | (limits or {}),
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
    )
    trainer.fit(Tiny(), *loaders, **options)
    return trainer


@pytest.mark.slow
def test_lightning_stops_with_forked_workers_and_resumes(tmp_path):
    pytest.importorskip("lightning", reason="needs lightning and torch")
    from lcpfn.integrations.lightning import LCEarlyStopping

    callback = LCEarlyStopping("acc", mode="max", **HOPELESS | {"patience": 3})
    trainer = lightning_fit(callback, tmp_path)
    assert callback.stopped_epoch == 2
    assert "probability" in callback.stopping_reason_message
    saved = tmp_path / "last.ckpt"
    trainer.save_checkpoint(saved)
    resumed = LCEarlyStopping("acc", mode="max", **HOPELESS | {"patience": 3})
    lightning_fit(resumed, tmp_path, ckpt_path=saved, weights_only=False)
    assert resumed.stopped_epoch == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "horizon"),
    [
        ({"max_steps": 60, "max_epochs": 1000}, 6),
        ({"max_steps": 60, "max_epochs": 4}, 4),
        ({"max_steps": 57, "max_epochs": 1000}, 6),
        ({"max_steps": 12, "max_epochs": 1000, "accumulate_grad_batches": 4}, 4),
        ({"max_steps": 15, "max_epochs": 1000, "limit_train_batches": 5}, 3),
        ({"max_steps": 60, "max_epochs": -1}, 60),
        ({"max_epochs": 3}, 3),
        ({"max_steps": 20, "max_epochs": 9, "val_check_interval": 0.5}, 2),
    ],
)
def test_lightning_says_where_the_fit_ends(tmp_path, limits, horizon):
    pytest.importorskip("lightning", reason="needs lightning and torch")
    from lcpfn.integrations.lightning import LCEarlyStopping

    callback = LCEarlyStopping("acc", mode="max", bounds=(0, 1), patience=999)
    trainer = lightning_fit(callback, tmp_path, limits, workers=0, batch=12)
    assert callback.run_monitor.horizon == horizon
    in_steps = limits["max_epochs"] == -1
    end = trainer.global_step if in_steps else trainer.current_epoch
    assert end == horizon
    if limits.get("max_steps") != 57:  # in mid-epoch there is no validation
        assert callback.run_monitor.observations.last == horizon


def transformers_train(callback, folder, resume=None, sets=None, **options):
    """Steps of a tiny real training that is evaluated every five of them."""
    torch = pytest.importorskip("torch", reason="needs torch")
    transformers = pytest.importorskip("transformers", reason="needs transformers")

    class Tiny(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 2)

        def forward(self, x, labels):
            logits = self.layer(x)
            loss = torch.nn.functional.cross_entropy(logits, labels)
            return {"loss": loss, "logits": logits}

    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    trainer = transformers.Trainer(
        Tiny(),
        transformers.TrainingArguments(
            str(folder),
            max_steps=60,
            eval_strategy="steps",
            save_strategy="steps",
            eval_steps=5,
            save_steps=5,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            greater_is_better=True,
            restore_callback_states_from_checkpoint=resume is not None,
            **options,
        ),
        train_dataset=rows,
        eval_dataset=rows if sets is None else dict.fromkeys(sets, rows),
        callbacks=[callback],
        compute_metrics=lambda p: {
            "accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())
        },
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer.state.global_step


@pytest.mark.slow
def test_transformers_stops_and_resumes(tmp_path):
    pytest.importorskip("transformers", reason="needs transformers and torch")
    from lcpfn.integrations.transformers import LCEarlyStoppingCallback

    def train(**options):
        callback = LCEarlyStoppingCallback(**HOPELESS | {"patience": 3})
        best = {"metric_for_best_model": "accuracy"}
        return transformers_train(callback, tmp_path, **options, **best)

    assert train() == 15
    assert train(resume=str(tmp_path / "checkpoint-10")) == 15


@pytest.mark.slow
@pytest.mark.parametrize("monitor", ["eval_a_accuracy", "b_accuracy", "accuracy"])
def test_transformers_with_several_evaluation_sets(tmp_path, monitor):
    pytest.importorskip("transformers", reason="needs transformers and torch")
    from lcpfn.integrations.transformers import LCEarlyStoppingCallback

    callback = LCEarlyStoppingCallback(monitor, mode="max", **HOPELESS)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        steps = transformers_train(callback, tmp_path, sets=["a", "b"])
    told = [str(w.message) for w in told if issubclass(w.category, MonitorWarning)]
    if monitor == "accuracy":  # of no set
        assert steps == 60
        (warning,) = told
        assert "'eval_accuracy' was not reported, only" in warning
        assert "eval_a_accuracy" in warning
        assert "eval_b_accuracy" in warning
    else:
        assert steps == 10
        assert told == []
