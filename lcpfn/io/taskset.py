"""TaskSet: tables of optimizers on one task, in both forms in which they are shared.

JSON, a file per task (DyHPO and DPL): a list of {"hp": {...}, "train": {"loss": [...]},
"valid": ..., "test": ...}, means over 5 replicas, evaluated every 200 steps from 0 on.

npz, `TASK/OPTIMIZERS_10000_replica5.npz` (the original): `optimizers` (n,), `xs` (t,)
steps and `ys` (n, replicas, t, 4) losses on train, inner valid, outer valid and test.
Every replica is a run.

Losses are at least 0 for a task unless one of them is negative: flows have negative
ones.

Source: Metz et al. 2020 (arXiv 2002.11887); google-research/task_set/train_inner.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.arrays import implied_bounds, load_arrays, texts
from lcpfn.io.json_stream import entries
from lcpfn.io.request import Request, numbers, one_of
from lcpfn.metric import Metric

EVERY = 200.0
JSON_SPLITS = ("train", "valid", "test")
NPZ_SPLITS = ("train", "valid_inner", "valid_outer", "test")


def read_taskset(request: Request) -> Iterator[Run]:
    """Runs of one file, or of all JSON or npz files in a directory."""
    files = [request.path]
    if request.path.is_dir():
        files = sorted([*request.path.glob("*.json"), *request.path.rglob("*.npz")])
    for path in files:
        yield from (_npz if path.suffix == ".npz" else _json)(path, request)


def _metrics(splits: tuple[str, ...], wanted: str | None) -> list[tuple[int, str]]:
    names = [f"{split}_loss" for split in splits]
    chosen = names if wanted is None else [one_of(names, wanted)]
    return [(names.index(name), name) for name in chosen]


def _json(path: Path, request: Request) -> Iterator[Run]:
    configs, losses = [], []
    for (number,), entry in entries(path, 1, request.progress):
        where = f"{path.name}, entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("hp"), dict):
            raise ValueError(f'{where} has no "hp"; is this TaskSet?')
        configs.append(entry["hp"])
        losses.append([_loss(entry, split, where) for split in JSON_SPLITS])
    for column, metric in _metrics(JSON_SPLITS, request.metric):
        curves = [row[column] for row in losses]
        known = _known(metric, curves)
        for i, (config, values) in enumerate(zip(configs, curves, strict=True)):
            yield request.run(
                f"{path.stem}/{i}",
                EVERY * np.arange(len(values)),
                values,
                known,
                task=path.stem,
                metric=metric,
                config=config,
            )


def _loss(entry: dict[str, Any], split: str, where: str) -> np.ndarray:
    part = entry.get(split)
    if not isinstance(part, dict) or "loss" not in part:
        raise ValueError(f'{where} has no "loss" in "{split}"; is this TaskSet?')
    return numbers(part["loss"], f"{split} loss of {where}")


def _known(metric: str, curves: list[np.ndarray]) -> Metric:
    values = np.concatenate(curves) if curves else np.empty(0)
    return Metric("min", implied_bounds(metric, values))


def _npz(path: Path, request: Request) -> Iterator[Run]:
    arrays = load_arrays(path)
    if not {"optimizers", "xs", "ys"} <= set(arrays):
        raise ValueError(f"{path.name} needs the arrays optimizers, xs and ys")
    names, steps, ys = arrays["optimizers"], arrays["xs"], arrays["ys"]
    shape = (*names.shape, ys.shape[1] if ys.ndim == 4 else 0, *steps.shape, 4)
    if ys.shape != shape or ys.dtype.kind != "f":
        raise ValueError(
            f"{path.name}: ys must have the shape (optimizers, replicas, xs, 4), got "
            f"{ys.shape} for {names.shape} optimizers and {steps.shape} xs"
        )
    optimizers = texts(names, "optimizers")
    for column, metric in _metrics(NPZ_SPLITS, request.metric):
        known = _known(metric, [ys[..., column].ravel()])
        for i, replica in np.ndindex(*ys.shape[:2]):
            yield request.run(
                f"{path.parent.name}/{optimizers[i]}/{replica}",
                steps,
                ys[i, replica, :, column],
                known,
                task=path.parent.name,
                metric=metric,
                config={"optimizer": optimizers[i]},
            )
