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


def freeze_thaw(least: float = 0.1, resume_cost: float = 0.0) -> Policy:
    """Always the run or the new one with most expected improvement for its price.

    Args:
        least: probability of an improvement below which a run is left for good.
        resume_cost: what going on with a paused run costs, percent of a run.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        runs, waiting = task_runs.runs, [int(i) for i in order[::-1]]
        counts: dict[int, int] = {}
        going: list[int] = []
        ended: list[float] = []
        newest: int | None = None
        while going or waiting:
            choices = [
                Choice(
                    *(i, None, PERCENT * counts[i] / len(runs[i].losses)),
                    resume_cost if i != newest else 0.0,
                )
                for i in going
            ]
            if waiting:
                choices.append(Choice(None, 0, 0.0))
            incumbent = min(ended, default=None)
            if incumbent is not None:
                choices = _worth(choices, runs, counts, ended, incumbent)
            todo = next_step(choices, PERCENT, least, incumbent)
            if todo.kind == "stop":
                return
            i = waiting.pop() if todo.run is None else int(str(todo.run))
            count = len(runs[i].losses)
            until = max(round(todo.until / PERCENT * count), counts.get(i, 0) + 1)
            yield i, until
            newest, counts[i] = i, until
            if todo.run is None:
                going.append(i)
            if until >= count or not np.isfinite(runs[i].losses[until - 1]):
                going.remove(i)
                ended.append(float(runs[i].own[until - 1]))
            ended = [x for x in ended if np.isfinite(x)]

    return moves


def _worth(
    choices: list[Choice],
    runs: tuple[RecordedRun, ...],
    counts: dict[int, int],
    ended: list[float],
    incumbent: float,
) -> list[Choice]:
    """The choices with their gains on the incumbent and the probability of any."""
    fresh = worth_of_any(ended, incumbent)
    going = [int(str(choice.run)) for choice in choices if choice.run is not None]
    worth: list[tuple[float, float]] = []
    if going:
        there = _best_to_come([(runs[i], counts[i]) for i in going])
        beat = np.full(len(going), incumbent)
        worth = list(zip(there.expected_shortfall(beat), there.cdf(beat), strict=True))
    worth += [fresh] * (len(choices) - len(going))
    return [
        choice._replace(gain=float(gain), chance=float(chance))
        for choice, (gain, chance) in zip(choices, worth, strict=True)
    ]


def _best_to_come(some: list[tuple[RecordedRun, int]]) -> Mixture:
    """Forecasts of the best still to come, of runs after so many observations."""
    rows = []
    for run, count in some:
        seen, best, ahead, _ = run.forecasts
        at = max(int(np.searchsorted(seen, count, side="right")) - 1, 0)
        there = ahead.at(slice(None), -1) if best is None else best
        rows.append(there.at(at))
    return Mixture(*(np.stack(column) for column in zip(*rows, strict=True)))
