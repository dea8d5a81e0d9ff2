"""A search that goes on with any run it has begun, or begins one: `Study.next`.

What is simulated is the rule of `lcpfn.stopping.next_step`, with forecasts of each run
alone or amid the others. Alone, runs that were not begun yet are worth what the
finished ones say; amid others their configurations are looked at too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.mixture import Mixture
from lcpfn.stopping.next_step import Choice, next_step, worth_of_any

PERCENT = 100.0
NOTHING = 0.0, 0.0
# From the observations of all runs begun, and runs with as many: the best to come.
Look = Callable[[Mapping[int, int], Sequence[tuple[int, int]]], Mixture]


def freeze_thaw(
    least: float = 0.1,
    resume_cost: float = 0.0,
    amid: Look | None = None,
    candidates: int = 1,
) -> Policy:
    """Always the run or the new one with most expected improvement for its price.

    Args:
        least: probability of an improvement below which a run is left for good.
        resume_cost: what going on with a paused run costs, percent of a run.
        amid: forecasts that know the other runs; default: of each run alone.
        candidates: of how many runs that were not begun the configurations are looked
            at, amid others.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        runs, waiting = task_runs.runs, [int(i) for i in order]
        look = amid or _alone(task_runs)
        counts: dict[int, int] = {}
        ended: list[float] = []
        # Gain on the incumbent, and the chance of any, of each run that is going on;
        # None until it is asked.
        worth: dict[int, tuple[float, float] | None] = {}
        newest, incumbent = None, None
        while worth or waiting:
            new = waiting[:candidates]
            fresh = dict.fromkeys(new, NOTHING)
            if incumbent is not None:
                stale = [i for i, known in worth.items() if known is None or amid]
                if amid:
                    stale += new
                else:
                    fresh = dict.fromkeys(new, worth_of_any(ended, incumbent))
                found = _worth(look, counts, stale, incumbent) if stale else {}
                fresh |= {i: found.pop(i) for i in new if i in found}
                worth |= found
            choices = [
                Choice(
                    *(i, None, PERCENT * counts[i] / len(runs[i].losses)),
                    *(resume_cost if i != newest else 0.0, *(known or NOTHING)),
                )
                for i, known in worth.items()
            ]
            choices += [Choice(None, k, 0.0, 0.0, *fresh[i]) for k, i in enumerate(new)]
            todo = next_step(choices, PERCENT, least, incumbent)
            if todo.kind == "stop":
                return
            if todo.candidate is None:
                i = int(str(todo.run))
            else:
                i = waiting.pop(todo.candidate)
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
    look: Look, counts: Mapping[int, int], asked: Sequence[int], incumbent: float
) -> dict[int, tuple[float, float]]:
    """Gains of runs after so many observations, and the probability of any."""
    there = look(counts, [(i, counts.get(i, 0)) for i in asked])
    beat = np.full(len(asked), incumbent)
    both = zip(there.expected_shortfall(beat), there.cdf(beat), strict=True)
    return dict(zip(asked, ((float(g), float(c)) for g, c in both), strict=True))


def _alone(task_runs: TaskRuns) -> Look:
    """Forecasts of the best still to come that were made of each run alone."""

    def look(counts: Mapping[int, int], asked: Sequence[tuple[int, int]]) -> Mixture:
        rows = []
        for i, count in asked:
            seen, best, ahead, _ = task_runs.runs[i].forecasts
            at = max(int(np.searchsorted(seen, count, side="right")) - 1, 0)
            there = ahead.at(slice(None), -1) if best is None else best
            rows.append(there.at(at))
        return Mixture(*(np.stack(column) for column in zip(*rows, strict=True)))

    return look
