"""Recorded searches: runs of one task, some asked about and the others given.

What is given can be finished, on the way, chosen by successive halving, or of another
task by mistake.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.data import LEAST_OBSERVATIONS, SCORED, runs_by_task, stratum
from lcpfn.metric import Metric
from lcpfn.stopping.given_runs import comparable

ASKED = 12
FEWEST = 5  # others, and runs that can be ordered


@dataclass(frozen=True)
class Setting:
    """Which other runs are given.

    Attributes:
        others: how many.
        partial: share of them that is somewhere on the way.
        halved: stopped by successive halving instead, so that the good ones are long.
        configs: whether configurations are given.
        foreign: further runs, of another task.
    """

    others: int = 20
    partial: float = 0.5
    halved: bool = False
    configs: bool = True
    foreign: int = 0


class Search(NamedTuple):
    """The runs of one task.

    Attributes:
        suite, task: where they are from.
        asked: runs asked about.
        others: the rest, in random order.
        foreign: runs of another task.
        scale: typical gain, the unit of errors before the first observation.
    """

    suite: str
    task: str
    asked: tuple[Run, ...]
    others: tuple[Run, ...]
    foreign: tuple[Run, ...]
    scale: float


def searches(suites: Sequence[CurveSet]) -> Iterator[Search]:
    """All tasks with runs enough to ask about some and to give others."""
    for suite in suites:
        rng, known = np.random.default_rng(0), comparable(suite.runs)
        for name, runs in scored_tasks(known).items():
            if len(runs) < 2 * FEWEST:
                continue
            order = rng.permutation(len(runs))
            count = min(ASKED, len(runs) // 2)
            parts = np.split(order, [count])
            asked, others = ([runs[int(k)] for k in part] for part in parts)
            elsewhere = _elsewhere(runs[0], known)
            gains = [abs(run.values[-1] - run.values[0]) for run in runs]
            scale = float(np.median(gains))
            if scale > 0:
                yield Search(
                    *(suite.name, name, tuple(asked), tuple(others), elsewhere, scale)
                )


def scored_tasks(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Task and metric -> its runs that are scored: long enough, with an end."""
    return runs_by_task(
        run
        for run in runs
        if len(run.values) >= LEAST_OBSERVATIONS
        and np.isfinite(run.values[-1])
        and stratum(run) in SCORED
    )


def _elsewhere(run: Run, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Runs of another task with the same metric, finite and within its bounds."""
    metric = Metric(run.mode, run.bounds)
    same = [r for r in runs if (r.metric, r.mode) == (run.metric, run.mode)]
    return tuple(
        other
        for other in same
        if other.task != run.task
        and np.isfinite(other.values).all()
        and not metric.outside(other.values).any()
    )[:ASKED]


def given(search: Search, setting: Setting, rng: np.random.Generator) -> list[Run]:
    """The other runs that a setting shows, each up to where it is known."""
    runs = list(search.others[: setting.others])
    lengths = np.array([len(run.values) for run in runs])
    if setting.halved:
        lengths = _halved(runs, search.asked[0].mode)
    elif setting.partial:
        short = rng.random(len(runs)) < setting.partial
        lengths = np.where(short, rng.integers(1, lengths + 1), lengths)
    foreign = search.foreign[: setting.foreign]
    return [
        Run(run.values[:n], run.steps[:n], run.config if setting.configs else None)
        for run, n in [
            *zip(runs, lengths, strict=True),
            *((run, len(run.values)) for run in foreign),
        ]
    ]


def _halved(runs: Sequence[Run], mode: str) -> np.ndarray:
    """Observations of each run under successive halving with a factor of three."""
    lengths = np.array([len(run.values) for run in runs])
    left, share, known = np.arange(len(runs)), 1 / 9, lengths.copy()
    while share < 1 and len(left) > 1:
        at = np.maximum((lengths[left] * share).astype(int), 1)
        known[left] = at
        values = [runs[int(i)].values[n - 1] for i, n in zip(left, at, strict=True)]
        signed = Metric(mode).sign * np.array(values)
        order = np.argsort(np.where(np.isnan(signed), np.inf, signed))
        left, share = left[order[: -(-len(left) // 3)]], share * 3
    known[left] = lengths[left]
    return known
