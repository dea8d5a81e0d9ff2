"""Real small trainings: every random configuration of four search spaces, trained once.

    python -m lcpfn.eval.studies.small_trainings --out eval/results/small_trainings.npz

Networks on breast cancer, digits and diabetes, and gradient boosting on digits' threes
against eights, all data that comes with scikit-learn, which it needs. The file is one
of `lcpfn.io.arrays`; beside the curves, `seconds` has the CPU time of every epoch, its
validation included, on one thread.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from lcpfn.eval.studies.options import RESULTS

EPOCHS, CONFIGS = 30, 64
Config = dict[str, Any]
# Training inputs and targets, validation inputs and targets.
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Space(NamedTuple):
    """One search: its data, its configurations, and how one is trained.

    Attributes:
        task, metric, mode: what is searched for.
        data: gives inputs and targets.
        draw: a random configuration.
        train: the validation metric after every epoch, `EPOCHS` times.
    """

    task: str
    metric: str
    mode: str
    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    draw: Callable[[np.random.Generator], Config]
    train: Callable[[Config, Split, int], Iterator[float]]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")


def network_config(rng: np.random.Generator) -> Config:
    """Of a network with one or two layers."""
    solver = str(rng.choice(["sgd", "adam"]))
    return {
        "solver": solver,
        "rate": _log_uniform(rng, 1e-4, 0.3 if solver == "sgd" else 0.03),
        "width": int(_log_uniform(rng, 4, 128)),
        "layers": int(rng.integers(1, 3)),
        "decay": _log_uniform(rng, 1e-6, 1e-1),
        "batch": int(rng.choice([16, 32, 64])),
        "momentum": float(f"{rng.uniform(0, 0.95):.2f}"),
    }


def boosting_config(rng: np.random.Generator) -> Config:
    """Of gradient boosting."""
    return {
        "rate": _log_uniform(rng, 0.01, 1.0),
        "depth": int(rng.integers(1, 7)),
        "subsample": float(f"{rng.uniform(0.3, 1.0):.2f}"),
        "leaf": int(_log_uniform(rng, 1, 40)),
        "features": float(f"{rng.uniform(0.05, 1.0):.2f}"),
    }


def train_network(
    make: Callable[..., Any], scorer: str, config: Config, split: Split, seed: int
) -> Iterator[float]:
    """A network, scored by the size of one of scikit-learn's scores."""
    x, y, x_valid, y_valid = split
    network = make(
        hidden_layer_sizes=(config["width"],) * config["layers"],
        solver=config["solver"],
        learning_rate_init=config["rate"],
        alpha=config["decay"],
        batch_size=config["batch"],
        momentum=config["momentum"],
        random_state=seed,
    )
    known = {"classes": np.unique(y)} if make is MLPClassifier else {}
    score = get_scorer(scorer)
    for _ in range(EPOCHS):
        network.partial_fit(x, y, **known)
        yield abs(float(score(network, x_valid, y_valid)))


def train_boosting(config: Config, split: Split, seed: int) -> Iterator[float]:
    """Log loss of gradient boosting, a tree at a time."""
    x, y, x_valid, y_valid = split
    model = GradientBoostingClassifier(
        learning_rate=config["rate"],
        max_depth=config["depth"],
        subsample=config["subsample"],
        min_samples_leaf=config["leaf"],
        max_features=config["features"],
        n_estimators=1,
        warm_start=True,
        random_state=seed,
    )
    for trees in range(1, EPOCHS + 1):
        model.set_params(n_estimators=trees)
        yield float(log_loss(y_valid, model.fit(x, y).predict_proba(x_valid)))


def _diabetes() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_diabetes(return_X_y=True)
    return x, (y - y.mean()) / y.std()


def _three_or_eight() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    kept = np.isin(y, (3, 8))
    return x[kept], y[kept]


SPACES = (
    Space(
        *("breast cancer", "validation log loss", "min"),
        lambda: load_breast_cancer(return_X_y=True),
        *(network_config, partial(train_network, MLPClassifier, "neg_log_loss")),
    ),
    Space(
        *("digits", "validation accuracy", "max"),
        lambda: load_digits(return_X_y=True),
        *(network_config, partial(train_network, MLPClassifier, "accuracy")),
    ),
    Space(
        *("diabetes", "validation squared loss", "min", _diabetes),
        *(
            network_config,
            partial(train_network, MLPRegressor, "neg_mean_squared_error"),
        ),
    ),
    Space(
        *("boosting", "validation log loss", "min", _three_or_eight),
        *(boosting_config, train_boosting),
    ),
)


def split_of(space: Space) -> Split:
    """Its data, a third of them for validation; inputs standardized."""
    x, y = space.data()
    kinds = y if space.mode == "max" or len(np.unique(y)) == 2 else None
    x, x_valid, y, y_valid = train_test_split(
        x, y, test_size=1 / 3, random_state=0, stratify=kinds
    )
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), y, scaler.transform(x_valid), y_valid


def timed(values: Iterator[float]) -> tuple[list[float], list[float]]:
    """All values, and the CPU seconds that each took.

    Args:
        values: of one training; scikit-learn refuses to go on with weights that are
            not finite, and from there on values are NaN.
    """
    found: list[float] = []
    seconds: list[float] = []
    before = time.process_time()
    while len(found) < EPOCHS:
        try:
            found.append(next(values))
        except StopIteration:  # after an error there is nothing more
            found.append(np.nan)
        except ValueError as error:
            if "finite" not in str(error):
                raise
            found.append(np.nan)
        now = time.process_time()
        seconds.append(now - before)
        before = now
    return found, seconds


def train_all(spaces: Sequence[Space], configs: int) -> dict[str, np.ndarray]:
    """Trains random configurations of every space.

    Returns:
        The arrays of the file.
    """
    rows: dict[str, list[Any]] = {}
    for space in spaces:
        split, rng = split_of(space), np.random.default_rng(0)
        for i in tqdm(range(configs), desc=space.task, disable=None):
            config = space.draw(rng)
            found, seconds = timed(space.train(config, split, i))
            row = {
                "curves": np.array(found, np.float32),
                "seconds": np.array(seconds, np.float32),
                "task": space.task,
                "metric": space.metric,
                "mode": space.mode,
                "config": json.dumps(config),
                "run_id": f"{space.task} {i}",
            }
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
    return {name: np.array(column) for name, column in rows.items()} | {
        "length": np.full(len(rows["task"]), EPOCHS, np.int32)
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configs", type=int, default=CONFIGS, help="a task (64)")
    parser.add_argument("--out", type=Path, default=RESULTS / "small_trainings.npz")
    args = parser.parse_args(argv)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # networks that diverge
        arrays = train_all(SPACES, args.configs)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
