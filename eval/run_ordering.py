"""Are the runs of a task ranked rightly by their predicted final value?

What a search asks of a forecast: not the value, but which run to go on with. Scores of
`scores.rank_scores`, task by task, for the medians of a method.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcpfn.eval import scores
from lcpfn.eval.data import Case, over_suites
from lcpfn.metric import Metric

# Runs below which a task has no order worth the name.
FEWEST = 5
TOP = 3
NAMES = ("kendall", "spearman", "regret", "ndcg")


def rank_tasks(
    cases: Sequence[Case], columns: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Rank scores of a method.

    Args:
        cases: what was asked.
        columns: of `final_value.measure`; "median" is what runs are ranked by.

    Returns:
        JSON values: "suites" -> suite -> cutoff -> means over tasks with `FEWEST` runs
        or more, their standard errors "..._se" and "tasks"; "overall" -> cutoff or
        "all" -> means over suites. Suites without such a task are left out.
    """
    groups: dict[tuple[str, int], dict[str, list[int]]] = {}
    for i, case in enumerate(cases):
        tasks = groups.setdefault((case.suite, case.percent), {})
        tasks.setdefault(case.task, []).append(i)
    sign = np.array([Metric(case.mode).sign for case in cases])
    predicted = sign * columns["median"]
    true = sign * np.array([case.truth for case in cases])
    suites: dict[str, dict[str, dict[str, float]]] = {}
    for (suite, percent), tasks in sorted(groups.items()):
        found = [
            scores.rank_scores(predicted[rows], true[rows], TOP)
            for rows in tasks.values()
            if len(rows) >= FEWEST
        ]
        if found:
            suites.setdefault(suite, {})[str(percent)] = _mean(found)
    return {"suites": suites, "overall": _overall(suites)}


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    row: dict[str, float] = {"tasks": len(found)}
    for name in NAMES:
        values = np.array([scored[name] for scored in found])
        row[name] = float(values.mean())
        row[f"{name}_se"] = scores.clustered_error(values)
    return row


def _overall(suites: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        cutoff: {name: float(np.mean([row[name] for row in rows])) for name in NAMES}
        for cutoff, rows in over_suites(suites).items()
    }
