"""Where is one method better than another? Paired, task by task.

The difference of two methods on the same case varies far less than either score, and
runs of one task are not independent: standard errors are of paired differences,
clustered by task, and an interval reaches as many of them as Student's t with
(tasks - 1) degrees of freedom says. With two or three tasks almost nothing is certain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from lcpfn.eval import scores
from lcpfn.eval.data import Case, by_cutoff

KEYS = ("error", "crps")


def difference(
    cases: Sequence[Case],
    ours: Mapping[str, np.ndarray],
    other: Mapping[str, np.ndarray],
    rows: np.ndarray | slice = slice(None),
) -> dict[str, Any]:
    """How much worse another method is, in units of the last value's mean error.

    Args:
        cases: what both predicted.
        ours: columns of `curves.measure`.
        other: likewise.
        rows: which of them count; default: all.

    Returns:
        "cases", "tasks", and for "error" and "crps": the mean of other - ours, its
        standard error "..._se" and "..._t", how many of these a 95 % interval reaches
        to either side. JSON values; NaN for what takes two tasks.
    """
    cluster = np.array([case.cluster for case in cases])[rows]
    tasks, last = len(set(cluster)), ours["last_error"][rows].mean()
    found: dict[str, Any] = {"cases": len(cluster), "tasks": tasks}
    for key in KEYS:
        off = (other[key] - ours[key])[rows] / last
        found |= scores.mean_with_error(key, off, cluster)
        found[f"{key}_t"] = float(student.ppf(0.975, tasks - 1))
    return found


def compare(
    cases: Sequence[Case],
    ours: Mapping[str, np.ndarray],
    other: Mapping[str, np.ndarray],
) -> dict[str, dict[str, dict[str, Any]]]:
    """`difference` by suite and cutoff: suite -> cutoff -> its figures.

    A cell with fewer than two tasks, or where the last value is right, is left out.
    """

    def of_cell(rows: np.ndarray) -> dict[str, Any] | None:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = difference(cases, ours, other, rows)
        known = found["tasks"] > 1 and ours["last_error"][rows].mean() > 0
        return found if known else None

    return by_cutoff(cases, of_cell)


def tally(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """In how many cells ours is better or worse by the 95 % interval, by `KEYS`.

    Returns:
        Key -> {"better", "worse", "cells", "worse_at": names of these cells}.
    """
    named = {
        f"{suite} at {cutoff} %": row
        for suite, by_cutoff in found.items()
        for cutoff, row in by_cutoff.items()
    }
    result = {}
    for key in KEYS:
        reach = {n: row[f"{key}_t"] * row[f"{key}_se"] for n, row in named.items()}
        worse = [name for name, row in named.items() if row[key] < -reach[name]]
        result[key] = {
            "better": sum(row[key] > reach[name] for name, row in named.items()),
            "worse": len(worse),
            "cells": len(named),
            "worse_at": worse,
        }
    return result
