"""XGBoost, LightGBM and CatBoost, whichever are installed.

pip install 'lcpfn-jax[boost]'

Prints, with all three

    XGBoost stopped at round 159 of 200
    The run beats its own best, 0.147548, by 0.002 by step 200 with probability 2.5%
    (final value 0.1511, 90% between 0.1474 and 0.159); stopped at confidence 0.975.
    LightGBM stopped at round 160 of 200
    ...
    CatBoost stopped at round 152 of 200
    ...
"""

from importlib.util import find_spec

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

x, y = load_breast_cancer(return_X_y=True)
x, x_valid, y, y_valid = train_test_split(x, y, random_state=0, stratify=y)
ROUNDS = 200

if find_spec("xgboost"):
    import xgboost

    from lcpfn.integrations.xgboost import LCEarlyStopping

    stopping = LCEarlyStopping(ROUNDS, min_delta=0.002)
    xgboost.train(
        {"objective": "binary:logistic", "eval_metric": "logloss", "eta": 0.1},
        xgboost.DMatrix(x, y),
        ROUNDS,
        evals=[(xgboost.DMatrix(x_valid, y_valid), "valid")],
        callbacks=[stopping],
        verbose_eval=False,
    )
    print(f"XGBoost stopped at round {stopping.run_monitor.stopped_at:g} of {ROUNDS}")
    print(stopping.run_monitor.reason)

if find_spec("lightgbm"):
    import lightgbm

    from lcpfn.integrations.lightgbm import LCEarlyStopping

    stopping = LCEarlyStopping(min_delta=0.002)
    train = lightgbm.Dataset(x, y)
    lightgbm.train(
        {"objective": "binary", "learning_rate": 0.1, "verbose": -1},
        train,
        ROUNDS,
        valid_sets=[lightgbm.Dataset(x_valid, y_valid, reference=train)],
        callbacks=[stopping],
    )
    print(f"LightGBM stopped at round {stopping.run_monitor.stopped_at:g} of {ROUNDS}")
    print(stopping.run_monitor.reason)

if find_spec("catboost"):
    import catboost

    from lcpfn.integrations.catboost import LCEarlyStopping

    stopping = LCEarlyStopping("Logloss", mode="min", horizon=ROUNDS, min_delta=0.002)
    model = catboost.CatBoostClassifier(
        iterations=ROUNDS, learning_rate=0.1, verbose=False, allow_writing_files=False
    )
    model.fit(x, y, eval_set=(x_valid, y_valid), callbacks=[stopping])
    print(f"CatBoost stopped at round {stopping.run_monitor.stopped_at:g} of {ROUNDS}")
    print(stopping.run_monitor.reason)
