"""Adapters of boosting libraries: what they watch, and what they leave in the model."""

import numpy as np
import pytest

from lcpfn.stopping.observations import MonitorWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 8))
Y = (X[:, 0] * X[:, 1] + X[:, 2] + 1.2 * RNG.normal(size=900) > 0).astype(int)
CUT = 600
# No run beats it, so that boosting stops some rounds after the best one.
BEAT = {"bounds": (0, None), "beat": 0.01, "min_steps": 25}


def quick(params):
    return {"num_threads": 1, "verbose": -1, "learning_rate": 0.3} | params


@pytest.fixture
def lightgbm():
    return pytest.importorskip("lightgbm", reason="needs lightgbm")


@pytest.fixture
def sets(lightgbm):
    train = lightgbm.Dataset(X[:CUT], Y[:CUT])
    return train, lightgbm.Dataset(X[CUT:], Y[CUT:], reference=train)


def boost(lightgbm, sets, valid_sets, names=None, rounds=60, also=(), **options):
    """A booster, what was recorded, and our callback."""
    from lcpfn.integrations.lightgbm import LCEarlyStopping

    seen, stopping = {}, LCEarlyStopping(**BEAT | options)
    booster = lightgbm.train(
        quick({"objective": "binary", "metric": "binary_logloss"}),
        sets[0],
        rounds,
        valid_sets=valid_sets,
        valid_names=names,
        callbacks=[stopping, lightgbm.record_evaluation(seen), *also],
    )
    return booster, seen, stopping


@pytest.mark.parametrize(
    ("train_first", "names", "valid"),
    [
        (True, None, "valid_1"),
        (False, None, "valid_0"),
        (True, ["a", "b"], "b"),
        (True, ["valid", "test"], "test"),
        (False, ["test", "valid"], "test"),
    ],
)
def test_lightgbm_watches_no_training_set(lightgbm, sets, train_first, names, valid):
    both = list(sets if train_first else sets[::-1])
    booster, seen, stopping = boost(lightgbm, sets, both, names)
    curve = seen[valid]["binary_logloss"]
    # Every round has been recorded, the last one too.
    assert list(stopping.run_monitor.observations.curve.values()) == curve
    assert 25 <= len(curve) < 60
    assert booster.best_iteration == np.argmin(curve) + 1 < len(curve)
    assert booster.best_score[valid]["binary_logloss"] == min(curve)


@pytest.mark.parametrize("data", [None, "training"])
def test_lightgbm_with_a_training_set_alone_goes_on_and_says_so(lightgbm, sets, data):
    with pytest.warns(MonitorWarning, match="'training' is the training set") as told:
        booster, _, stopping = boost(lightgbm, sets, [sets[0]], rounds=30, data=data)
    assert booster.current_iteration() == 30
    assert not stopping.run_monitor.observations.curve
    assert sum(issubclass(x.category, MonitorWarning) for x in told) == 1


def test_lightgbm_is_best_at_its_best_round_without_a_stop_too(lightgbm, sets):
    booster, seen, _ = boost(lightgbm, sets, [sets[1]], beat=None, patience=99)
    curve = seen["valid_0"]["binary_logloss"]
    assert len(curve) == 60
    assert booster.best_iteration == np.argmin(curve) + 1
    dry, seen, stopping = boost(lightgbm, sets, [sets[1]], dry_run=True)
    assert len(seen["valid_0"]["binary_logloss"]) == 60
    assert stopping.run_monitor.stopped_at == 25
    assert dry.best_iteration <= 0  # as LightGBM leaves it


def test_lightgbm_tells_all_callbacks_of_every_round(lightgbm, sets):
    rounds = []
    _, seen, _ = boost(
        lightgbm, sets, [sets[1]], also=[lambda env: rounds.append(env.iteration)]
    )
    assert rounds == list(range(len(seen["valid_0"]["binary_logloss"])))


@pytest.mark.parametrize("train_too", [False, True])
def test_lightgbm_cv_ends_with_its_best_round(lightgbm, train_too):
    from lcpfn.integrations.lightgbm import LCEarlyStopping

    seen, stopping = {}, LCEarlyStopping(**BEAT)
    results = lightgbm.cv(
        quick({"objective": "binary"}),
        lightgbm.Dataset(X, Y),
        60,
        nfold=3,
        callbacks=[stopping, lightgbm.record_evaluation(seen)],
        eval_train_metric=train_too,
        return_cvbooster=True,
    )
    curve = list(stopping.run_monitor.observations.curve.values())
    assert 25 <= len(curve) < 60
    mean = results["valid binary_logloss-mean"]
    assert mean == pytest.approx(curve[: np.argmin(curve) + 1])
    assert results["cvbooster"].best_iteration == len(mean)


def test_lightgbm_in_scikit_learn_watches_no_training_set(lightgbm):
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from lcpfn.integrations.lightgbm import LCEarlyStopping

    stopping = LCEarlyStopping(**BEAT)
    x, y = X[:CUT], Y[:CUT]
    found = lightgbm.LGBMClassifier(n_estimators=60, learning_rate=0.3, verbose=-1).fit(
        *(x, y), eval_set=[(x, y), (X[CUT:], Y[CUT:])], callbacks=[stopping]
    )
    curve = found.evals_result_["valid_1"]["binary_logloss"]
    assert list(stopping.run_monitor.observations.curve.values()) == curve
    assert found.best_iteration_ == np.argmin(curve) + 1


def test_lightgbm_knows_which_way_is_better(lightgbm, sets):
    from lcpfn.integrations.lightgbm import LCEarlyStopping

    def mine(scores, data):
        return "mine", float(np.mean((scores > 0.5) == data.get_label())), True

    stopping = LCEarlyStopping("mine", bounds=(0, 1), beat=1.0, min_steps=25)
    booster = lightgbm.train(
        quick({"objective": "binary", "metric": "none"}),
        sets[0],
        60,
        valid_sets=[sets[1]],
        feval=mine,
        callbacks=[stopping],
    )
    curve = list(stopping.run_monitor.observations.curve.values())
    assert stopping.run_monitor.rule.mode == "max"
    assert booster.best_iteration == np.argmax(curve) + 1


@pytest.fixture
def xgboost():
    return pytest.importorskip("xgboost", reason="needs xgboost")


def grow(xgboost, metric, evals=("eval",), rounds=60, custom=None, **options):
    """A booster, what was recorded, and our callback."""
    from lcpfn.integrations.xgboost import LCEarlyStopping

    data = {
        name: xgboost.DMatrix(X[:CUT], Y[:CUT])
        if name == "train"
        else xgboost.DMatrix(X[CUT:], Y[CUT:])
        for name in ("train", *evals)
    }
    seen, stopping = {}, LCEarlyStopping(rounds, **options)
    booster = xgboost.train(
        {"objective": "binary:logistic", "eval_metric": metric, "nthread": 1},
        data["train"],
        rounds,
        evals=[(data[name], name) for name in evals],
        custom_metric=custom,
        callbacks=[stopping],
        evals_result=seen,
        verbose_eval=False,
    )
    return booster, seen, stopping


@pytest.mark.parametrize(
    ("metric", "better"), [("auc", np.argmax), ("logloss", np.argmin)]
)
@pytest.mark.parametrize("evals", [("eval",), ("train", "eval"), ("eval", "train")])
def test_xgboost_knows_its_metrics_and_its_best_round(xgboost, metric, better, evals):
    beat = {"beat": 0.999 if metric == "auc" else 0.01, "min_steps": 25}
    booster, seen, stopping = grow(xgboost, ["rmse", metric], evals, **beat)
    curve = seen["eval"][metric]
    watched = list(stopping.run_monitor.observations.curve.values())
    assert watched == curve
    assert 25 <= len(curve) < 60
    assert booster.best_iteration == better(curve)
    assert booster.best_score == pytest.approx(curve[better(curve)])


@pytest.mark.parametrize("name", ["ndcg@5", "ndcg@5-", "map", "pre@3", "aucpr"])
def test_xgboost_maximizes_metrics_of_this_kind(xgboost, name):
    from lcpfn.integrations.xgboost import LCEarlyStopping

    assert LCEarlyStopping(9, metric_name=name).run_monitor.rule.mode == "max"


@pytest.mark.parametrize("name", ["error@0.7", "mape", "mphe", "tweedie-nloglik@1.5"])
def test_xgboost_minimizes_metrics_of_this_kind(xgboost, name):
    from lcpfn.integrations.xgboost import LCEarlyStopping

    assert LCEarlyStopping(9, metric_name=name).run_monitor.rule.mode == "min"
    opposite = LCEarlyStopping(9, metric_name=name, maximize=True)
    assert opposite.run_monitor.rule.mode == "max"


def test_xgboost_asks_for_the_direction_of_a_metric_of_ones_own(xgboost):
    def mine(margin, data):
        return "mine", float(np.mean((margin > 0) == data.get_label()))

    with pytest.raises(ValueError, match="which way is better for 'mine'"):
        grow(xgboost, "auc", custom=mine)
    booster, seen, _ = grow(xgboost, "auc", custom=mine, maximize=True)
    assert booster.best_iteration == np.argmax(seen["eval"]["mine"])


def test_xgboost_without_a_stop_or_in_a_dry_run(xgboost):
    booster, seen, _ = grow(xgboost, "logloss", patience=99)
    assert booster.best_iteration == np.argmin(seen["eval"]["logloss"])
    dry, seen, stopping = grow(xgboost, "logloss", dry_run=True, **BEAT)
    assert len(seen["eval"]["logloss"]) == 60
    assert stopping.run_monitor.stopped_at is not None
    assert "best_iteration" not in dry.attributes()


@pytest.mark.parametrize("metric", ["logloss", "auc"])
def test_xgboost_cv_ends_with_its_best_round(xgboost, metric):
    from lcpfn.integrations.xgboost import LCEarlyStopping

    better = np.argmax if metric == "auc" else np.argmin
    stopping = LCEarlyStopping(60, beat=0.999 if metric == "auc" else 0, min_steps=25)
    results = xgboost.cv(
        {"objective": "binary:logistic", "eval_metric": metric, "nthread": 1},
        xgboost.DMatrix(X, Y),
        60,
        nfold=3,
        callbacks=[stopping],
        as_pandas=False,
    )
    curve = list(stopping.run_monitor.observations.curve.values())
    assert 25 <= len(curve) < 60
    assert results[f"test-{metric}-mean"] == curve[: better(curve) + 1]
