"""From recorded runs to cases: given the first observations, what is the final value?

Every method forecasts the same cases. A run is in one of four strata:

    constant  it never moved
    diverged  it ends worse than it began, by more than it ever gained, or not finite
    rest      it has come to rest: its second half stays within `REST` of its range
    moving    all others

Tables are of moving runs and runs at rest together (`SCORED`). The other two are scored
apart, since a few of them would decide every mean; runs at rest apart as well.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.scores import geometric_mean
from lcpfn.metric import Bounds, Metric

STRATA = ("moving", "rest", "constant", "diverged")
SCORED = ("moving", "rest")
REST = 0.02
PERCENTS = (10, 20, 40, 80)
LEAST_OBSERVATIONS = 10


class Case(NamedTuple):
    """The first observations of one run, and how it went on.

    Attributes:
        suite, task: where the run is from; `task` includes the metric.
        stratum: one of `STRATA`.
        percent: share of the observations that is shown.
        steps, values: the observations shown `(n,)`, the user's units.
        horizon: step of the last observation.
        truth: value of the last observation.
        mode, bounds: of the metric.
        scale: typical gain of the task's runs, the unit of errors.
        cluster: source and task without the metric; cases of one are not independent.
        later_steps, later_values: those not shown `(m,)`, the last one the truth.
    """

    suite: str
    task: str
    stratum: str
    percent: int
    steps: np.ndarray
    values: np.ndarray
    horizon: float
    truth: float
    mode: str
    bounds: Bounds | None
    scale: float
    cluster: str
    later_steps: np.ndarray
    later_values: np.ndarray


def stratum(run: Run) -> str:
    """Which of the four kinds above a run is."""
    y = Metric(run.mode).sign * run.values
    finite = y[np.isfinite(y)]
    if not np.isfinite(y[-1]) or not len(finite):
        return "diverged"
    if np.ptp(finite) == 0:
        return "constant"
    first, best, last = finite[0], finite.min(), y[-1]
    if last - first > first - best:
        return "diverged"
    late = finite[len(finite) // 2 :]
    return "rest" if np.ptp(late) <= REST * np.ptp(finite) else "moving"


def task_of(run: Run) -> str:
    """Task and metric of a run."""
    return f"{run.task} {run.metric}".strip()


def runs_by_task(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by task and metric, in their order."""
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        tasks.setdefault(task_of(run), []).append(run)
    return tasks


def _scales(runs: Sequence[Run]) -> dict[str, float]:
    """Median over the scored runs of a task of |last value - first value|."""
    gains: dict[str, list[float]] = {}
    for run in runs:
        finite = run.values[np.isfinite(run.values)]
        if len(finite) > 1 and stratum(run) in SCORED:
            gains.setdefault(task_of(run), []).append(abs(finite[-1] - finite[0]))
    return {task: float(np.median(gain)) for task, gain in gains.items()}


def scored_cases(
    curves: CurveSet, most: int, percents: Iterable[int] = PERCENTS
) -> list[Case]:
    """Cases of the scored runs among at most `most`, evenly over the tasks."""
    cases = final_value_cases(curves.sample(most), percents)
    return [case for case in cases if case.stratum in SCORED]


def final_value_cases(
    curves: CurveSet, percents: Iterable[int] = PERCENTS
) -> list[Case]:
    """Every run after some percent of its observations; the last is to be predicted.

    Runs with fewer than `LEAST_OBSERVATIONS`, whose last one is not finite, or with
    nothing finite to show, are no cases; neither are tasks without a scored run.
    """
    scales = _scales(curves.runs)
    cases = []
    for run in curves.runs:
        count, scale = len(run.values), scales.get(task_of(run), 0.0)
        if count < LEAST_OBSERVATIONS or not np.isfinite(run.values[-1]) or scale == 0:
            continue
        for percent in percents:
            seen = max(count * percent // 100, 1)
            if not np.isfinite(run.values[:seen]).any():
                continue
            case = Case(
                suite=curves.name,
                task=task_of(run),
                stratum=stratum(run),
                percent=percent,
                steps=run.steps[:seen],
                values=run.values[:seen],
                horizon=float(run.steps[-1]),
                truth=float(run.values[-1]),
                mode=run.mode,
                bounds=run.bounds,
                scale=scale,
                cluster=f"{curves.name}/{run.task}",
                later_steps=run.steps[seen:],
                later_values=run.values[seen:],
            )
            cases.append(case)
    return cases


def query(case: Case, targets: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Steps to predict and the values observed there `(s,)`.

    Args:
        case: the prefix of a run.
        targets: 1 for the final value alone; else at most so many of the finite later
            observations, evenly spread, the last one among them.
    """
    if targets == 1:
        return np.array([case.horizon]), np.array([case.truth])
    finite = np.flatnonzero(np.isfinite(case.later_values))
    count = min(targets, len(finite))
    rows = finite[np.linspace(0, len(finite) - 1, count).round().astype(int)]
    return case.later_steps[rows], case.later_values[rows]


def by_cutoff(
    cases: Sequence[Case],
    figures: Callable[[np.ndarray], dict[str, Any] | None],
    group: Callable[[Case], str] = lambda case: case.suite,
    percents: Iterable[int] = PERCENTS,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of every group of cases at every cutoff.

    Args:
        cases: n of them.
        figures: what to say of the cases that a mask `(n,)` picks; None: nothing.
        group: what the cases are grouped by.
        percents: cutoffs.

    Returns:
        Group -> cutoff -> figures, where there are any cases; groups are sorted.
    """
    names = np.array([group(case) for case in cases])
    percent = np.array([case.percent for case in cases])
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in sorted(set(names)):
        for cutoff in percents:
            rows = (names == name) & (percent == cutoff)
            row = figures(rows) if rows.any() else None
            if row is not None:
                found.setdefault(str(name), {})[str(cutoff)] = row
    return found


def over_suites(
    suites: Mapping[str, Mapping[str, Any]],
    figures: Iterable[str],
    geometric: Iterable[str] = (),
    percents: Iterable[int] = PERCENTS,
) -> dict[str, dict[str, Any]]:
    """Means over suites at every cutoff, and over suites and cutoffs ("all").

    Args:
        suites: suite -> cutoff -> figures.
        figures: those whose arithmetic means are taken: numbers, lists, or either by
            name. One that no row has is left out.
        geometric: those whose geometric means are taken.
        percents: cutoffs.
    """
    groups = {
        str(cutoff): [s[str(cutoff)] for s in suites.values() if str(cutoff) in s]
        for cutoff in percents
    } | {"all": [row for cutoffs in suites.values() for row in cutoffs.values()]}
    ways = dict.fromkeys(geometric, geometric_mean) | dict.fromkeys(figures, _mean)

    def means(rows: list[Any]) -> dict[str, Any]:
        found = {name: [row[name] for row in rows if name in row] for name in ways}
        return {name: ways[name](known) for name, known in found.items() if known}

    return {key: means(rows) for key, rows in groups.items() if rows}


def _mean(values: Sequence[Any]) -> Any:
    """Arithmetic mean of JSON values of one form."""
    if isinstance(values[0], dict):
        return {key: _mean([value[key] for value in values]) for key in values[0]}
    return np.mean(values, axis=0).tolist()
