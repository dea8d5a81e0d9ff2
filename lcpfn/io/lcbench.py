"""LCBench: `data_2k.json`, task -> configuration -> {"config", "log", "results"}.

"log" holds one list per metric and the list "epoch"; epoch 0 is before training. One
file has 35 tasks of 2000 configurations, so give a metric: all of those below are some
700,000 runs. Accuracies are percentages, balanced accuracies fractions.

Source: Zimmer, Lindauer and Hutter 2021 (arXiv 2006.13799); github.com/automl/LCBench,
api.py; units from the tables of github.com/automl/hposuite.
"""

import re
from collections.abc import Iterator
from typing import Any

from lcpfn.curves import Run
from lcpfn.io.json_stream import entries
from lcpfn.io.request import Request, known_or_asked, one_of
from lcpfn.metric import Metric

KNOWN = (
    (re.compile(r"Train/\w+_balanced_accuracy"), Metric("max", (0.0, 1.0))),
    (re.compile(r"Train/(\w+_accuracy|test_result)"), Metric("max", (0.0, 100.0))),
    (re.compile(r"Train/(\w+_cross_entropy|loss)"), Metric("min", (0.0, None))),
)


def direction(metric: str) -> Metric | None:
    """Which way a metric is better and its range; None for gradients and times."""
    return next((known for name, known in KNOWN if name.fullmatch(metric)), None)


def read_lcbench(request: Request) -> Iterator[Run]:
    """One run per task, configuration and metric."""
    seen: set[str] = set()
    for (task, number), entry in entries(request.path, 2, request.progress):
        name = f"{task}/{number}"
        log, config = _part(entry, "log", name), _part(entry, "config", name)
        seen.update(log)
        for metric, known in known_or_asked(log, request, direction):
            yield request.run(
                name,
                log.get("epoch"),
                log[metric],
                known,
                task=task,
                metric=metric,
                config=config,
            )
    if request.metric is not None:
        one_of(seen, request.metric)


def _part(entry: Any, key: str, name: str) -> dict[str, Any]:
    part = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(part, dict):
        raise ValueError(f'{name} has no "{key}"; is this LCBench?')
    return part
