"""Are the runs of a task put in the right order by their predicted final value?

A search needs to know which run to go on with more than it needs the value. Scores of
`scores.rank_scores`, task by task, for the medians of a method.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcpfn.eval import scores
from lcpfn.eval.data import Case, by_cutoff, over_suites
from lcpfn.metric import Metric

# A task with fewer runs is left out: its order says too little.
FEWEST = 5
TOP = 3
NAMES = ("kendall", "spearman", "regret", "ndcg")


def rank_tasks(
    cases: Sequence[Case], columns: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Rank scores of a method.

    Args:
        cases: what was predicted.
        columns: of `curves.measure`; "median" is what runs are ordered by.

    Returns:
        JSON values: "suites" -> suite -> cutoff -> means over tasks with `FEWEST` runs
        or more, their standard errors "..._se" and "tasks"; "overall" -> cutoff or
        "all" -> means over suites. Suites without such a task are left out.
    """
    task = np.array([case.task for case in cases])
    sign = np.array([Metric(case.mode).sign for case in cases])
    predicted = sign * columns["median"]
    true = sign * np.array([case.truth for case in cases])

    def of_cell(rows: np.ndarray) -> dict[str, float] | None:
        found = [
            scores.rank_scores(predicted[rows & own], true[rows & own], TOP)
            for own in (task == name for name in dict.fromkeys(task[rows]))
            if (rows & own).sum() >= FEWEST
        ]
        if not found:
            return None
        figures: dict[str, float] = {"tasks": len(found)}
        for name in NAMES:
            figures |= scores.mean_with_error(
                name, np.array([scored[name] for scored in found])
            )
        return figures

    suites = by_cutoff(cases, of_cell)
    return {"suites": suites, "overall": over_suites(suites, NAMES)}
