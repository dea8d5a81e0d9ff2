"""NATS-Bench and NAS-Bench-201: a directory of `000000.pickle.pbz2` and so on.

A file is one architecture. It maps the number of epochs of a training ("12", "200") to
{"arch_index", "arch_str", "all_results"}, and "all_results" maps (data set, seed) to
{"train_acc1es", "train_losses": {epoch: value}, "eval_acc1es", "eval_losses":
{"x-valid@epoch": value}, "epochs", ...}. Accuracies are percentages; epochs count from
0 in the files and from 1 here. The number of epochs sets the learning-rate schedule, so
it is part of the task. What was evaluated after the last epoch alone is no curve and is
left out. `meta.pickle.pbz2` is not needed. All 15,625 architectures of the topology
space are more than a million runs: give a metric.

The pickles are read as data (`pickled`), never run. The "full" archives also hold
network weights and are refused; use the "simple" ones.

Source: Dong et al. 2021 (arXiv 2009.00437); github.com/D-X-Y/NATS-Bench, api_utils.py.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lcpfn.curves import Run
from lcpfn.io.cells import printable
from lcpfn.io.packed import unpack_bz2
from lcpfn.io.pickled import plain_data
from lcpfn.io.request import Request, epochs, numbers, one_of
from lcpfn.metric import Metric

ENDING = ".pickle.pbz2"
ACCURACY = Metric("max", (0.0, 100.0))
LOSS = Metric("min", (0.0, None))
PLAIN = (str, int, float, type(None))


def architecture_files(path: Path) -> list[Path]:
    """The file itself, or the architectures in a directory."""
    files = [path] if path.is_file() else sorted(path.glob(f"*{ENDING}"))
    return [file for file in files if not file.name.startswith("meta.")]


def read_nats(request: Request) -> Iterator[Run]:
    """One run per architecture, epochs, data set, seed and metric."""
    files = architecture_files(request.path)
    if not files:
        raise ValueError(f"holds no architectures (000000{ENDING} and so on)")
    seen: set[str] = set()
    off = None if request.progress else True
    for file in tqdm(files, desc=printable(request.stem), leave=False, disable=off):
        pickled = unpack_bz2(file)
        try:
            yield from _runs(plain_data(pickled), request, seen)
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from None
    if request.metric is not None:
        one_of(seen, request.metric)


def _runs(data: Any, request: Request, seen: set[str]) -> Iterator[Run]:
    for schedule, trained in _mapping(data, "the file").items():
        results = _mapping(trained, schedule).get("all_results")
        index, arch = trained.get("arch_index"), trained.get("arch_str")
        for key, result in _mapping(results, "all_results").items():
            if not isinstance(key, tuple) or len(key) != 2 or type(index) is not int:
                raise ValueError(f"no data set and seed in {key!r:.60}")
            dataset, seed = key
            name = f"{index:06d}/{schedule}/{dataset}/{seed}"
            result = _mapping(result, name)
            config = {"arch": arch, "epochs": result.get("epochs"), "seed": seed}
            if not all(isinstance(x, PLAIN) for x in (*config.values(), dataset)):
                raise ValueError(f"{name} is described by more than text, numbers")
            for metric, known, curve in _curves(result):
                seen.add(metric)
                if request.metric in (None, metric):
                    yield request.run(
                        name,
                        *curve,
                        known,
                        task=f"{dataset}-{schedule}",
                        metric=metric,
                        config=config,
                    )


def _curves(
    result: Mapping[Any, Any],
) -> Iterator[tuple[str, Metric, tuple[np.ndarray, np.ndarray]]]:
    """Metric, what is known of it, steps and values of every curve of one training."""
    for kind, known, ending in (
        ("acc1es", ACCURACY, "accuracy_pct"),
        ("losses", LOSS, "loss"),
    ):
        by_set: dict[str, dict[int, float]] = {}
        by_set["train"] = dict(_mapping(result.get(f"train_{kind}"), f"train_{kind}"))
        for key, value in _mapping(result.get(f"eval_{kind}"), f"eval_{kind}").items():
            part, at, epoch = str(key).rpartition("@")
            if not at or not epoch.isdecimal():
                raise ValueError(f"no epoch in {key!r:.60}")
            by_set.setdefault(part, {})[int(epoch)] = value
        for part, values in by_set.items():
            if len(values) > 1 or result.get("epochs") == 1:
                yield f"{part}_{ending}", known, _in_order(values)


def _in_order(values: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    if not all(type(epoch) is int for epoch in values):
        raise ValueError("epochs must be whole numbers")
    # A few nested tuples in a pickle can be an array of any size.
    if not all(isinstance(value, int | float) for value in values.values()):
        raise ValueError("values must be numbers")
    order = sorted(values)
    steps, shared = numbers(order, "epochs") + 1, epochs(len(order))
    curve = numbers([values[epoch] for epoch in order], "values")
    return shared if np.array_equal(steps, shared) else steps, curve


def _mapping(x: Any, what: object) -> Mapping[Any, Any]:
    if not isinstance(x, Mapping):
        raise ValueError(
            f"{what} must be a dictionary, got {type(x).__name__}; is this NATS-Bench?"
        )
    return x
