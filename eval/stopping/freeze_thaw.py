"""A search that goes on with any run it has begun, or begins one: `Study.next`.

What is simulated is the rule of `lcpfn.stopping.next_step` with the forecasts of each
run alone; runs that were not begun yet are worth what the finished ones say.
"""

from collections.abc import Iterator

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.mixture import Mixture
from lcpfn.stopping.next_step import Choice, next_step, worth_of_any
from lcpfn.stopping.offline import RecordedRun

PERCENT = 100.0
NOTHING = 0.0, 0.0


def freeze_thaw(least: float = 0.1, resume_cost: float = 0.0) -> Policy:
    """Always the run or the new one with most expected improvement for its price.

    Args:
        least: probability of an improvement below which a run is left for good.
        resume_cost: what going on with a paused run costs, percent of a run.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        runs, waiting = task_runs.runs, [int(i) for i in order[::-1]]
        counts: dict[int, int] = {}
        ended: list[float] = []
        # Gain on the incumbent, and the chance of any, of each run that is going on;
        # None until it is asked.
        worth: dict[int, tuple[float, float] | None] = {}
        newest, incumbent = None, None
        while worth or waiting:
            stale = [i for i, known in worth.items() if known is None]
            if incumbent is not None and stale:
                worth |= _worth([(runs[i], counts[i]) for i in stale], stale, incumbent)
            choices = [
                Choice(
                    *(i, None, PERCENT * counts[i] / len(runs[i].losses)),
                    *(resume_cost if i != newest else 0.0, *(known or NOTHING)),
                )
                for i, known in worth.items()
            ]
            if waiting:
                fresh = NOTHING if incumbent is None else worth_of_any(ended, incumbent)
                choices.append(Choice(None, 0, 0.0, 0.0, *fresh))
            todo = next_step(choices, PERCENT, least, incumbent)
            if todo.kind == "stop":
                return
            i = waiting.pop() if todo.run is None else int(str(todo.run))
            count = len(runs[i].losses)
            until = max(round(todo.until / PERCENT * count), counts.get(i, 0) + 1)
            yield i, until
            newest, counts[i], worth[i] = i, until, None
            if until >= count or not np.isfinite(runs[i].losses[until - 1]):
                del worth[i]
                if np.isfinite(reached := float(runs[i].own[until - 1])):
                    ended.append(reached)
                    if incumbent is None or reached < incumbent:
                        incumbent = reached
                        worth = dict.fromkeys(worth)

    return moves


def _worth(
    some: list[tuple[RecordedRun, int]], names: list[int], incumbent: float
) -> dict[int, tuple[float, float]]:
    """Gains of runs after so many observations, and the probability of any."""
    there, beat = _best_to_come(some), np.full(len(some), incumbent)
    both = zip(there.expected_shortfall(beat), there.cdf(beat), strict=True)
    return dict(zip(names, ((float(g), float(c)) for g, c in both), strict=True))


def _best_to_come(some: list[tuple[RecordedRun, int]]) -> Mixture:
    """Forecasts of the best still to come, of runs after so many observations."""
    rows = []
    for run, count in some:
        seen, best, ahead, _ = run.forecasts
        at = max(int(np.searchsorted(seen, count, side="right")) - 1, 0)
        there = ahead.at(slice(None), -1) if best is None else best
        rows.append(there.at(at))
    return Mixture(*(np.stack(column) for column in zip(*rows, strict=True)))
