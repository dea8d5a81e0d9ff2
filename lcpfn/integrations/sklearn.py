"""scikit-learn: epochs of `partial_fit` that end when too little is left to gain."""

from typing import Any

import numpy as np
from sklearn.metrics import check_scoring

from lcpfn.integrations.loop import Epochs


def partial_fit(
    estimator: Any,
    data: tuple[Any, Any],
    validation: tuple[Any, Any],
    epochs: int | Epochs,
    *,
    scoring: Any = None,
    **options: Any,
) -> Epochs:
    """Trains an estimator by `partial_fit` for as long as it is worth it.

        watch = partial_fit(SGDClassifier(), (X, y), (X_valid, y_valid), 100,
                            bounds=(0, 1), beat=0.93)
        print(watch.reason)

    Args:
        estimator: anything with `partial_fit`; trained in place.
        data: features and targets to train on, once per epoch.
        validation: features and targets to score on after each epoch.
        epochs: of a full run; or an `Epochs` with a curve to go on with.
        scoring: name of a scorer or a callable, as scikit-learn takes them; more is
            better. Default: the estimator's own score.
        **options: `beat`, `bounds`, `confidence`, `dry_run`, ... of `Epochs`.

    Returns:
        The watch, with its decisions, reason and predicted final value.

    Raises:
        ValueError: for an estimator that does not learn step by step.
    """
    if not hasattr(estimator, "partial_fit"):
        name = type(estimator).__name__
        raise ValueError(f"an estimator with partial_fit expected, got {name}")
    watch = epochs if isinstance(epochs, Epochs) else Epochs(epochs, "max", **options)
    score = check_scoring(estimator, scoring)
    known = getattr(estimator, "_estimator_type", None) == "classifier"
    extra = (
        {"classes": np.unique(data[1])}
        if known
        or hasattr(estimator, "predict_proba")
        or hasattr(estimator, "decision_function")
        else {}
    )
    for _ in watch:
        estimator.partial_fit(*data, **extra)
        watch.report(score(estimator, *validation))
    return watch
