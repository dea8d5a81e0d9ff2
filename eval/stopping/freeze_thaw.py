"""A search that goes on with any run it has begun, or begins one: `Study.next`.

What is simulated is the rule of `lcpfn.stopping.next_step`, with forecasts of each run
alone or amid the others. Alone, runs that were not begun yet are worth what the
finished ones say; amid others their configurations are looked at too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.mixture import Mixture
from lcpfn.stopping.next_step import Choice, next_step, worth_of_any

PERCENT = 100.0
Worth = tuple[float, float]  # the gain on the incumbent, and the chance of any
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
        counts, ended = dict[int, int](), list[float]()
        worth: dict[int, Worth | None] = {}  # None until it is asked
        newest = incumbent = None
        while worth or waiting:
            new = waiting[:candidates]
            fresh = dict.fromkeys(new, NOTHING)
            if incumbent is not None:
                stale = [i for i, known in worth.items() if known is None or amid]
                found = _worth(look, counts, stale + (new if amid else []), incumbent)
                usual = worth_of_any(ended, incumbent)
                fresh, worth = {i: found.pop(i, usual) for i in new}, {**worth, **found}
            done = {i: counts[i] / len(runs[i].losses) for i in worth}
            extra = dict.fromkeys(worth.keys() - {newest}, resume_cost)
            choices = _choices(worth, done, extra, fresh.values())
            todo = next_step(choices, PERCENT, least, incumbent)
            if todo.kind == "stop":
                break
            old = todo.candidate is None
            i = int(str(todo.run)) if old else waiting.pop(todo.candidate or 0)
            count = len(runs[i].losses)
            until = max(round(todo.until / PERCENT * count), counts.get(i, 0) + 1)
            yield i, until
            newest, counts[i], worth[i] = i, until, None
            if until >= count or not np.isfinite(runs[i].losses[until - 1]):
                del worth[i]
                if np.isfinite(reached := float(runs[i].own[until - 1])):
                    ended.append(reached)
                    if min(ended) != incumbent:
                        incumbent, worth = reached, dict.fromkeys(worth)

    return moves


def _choices(
    worth: Mapping[int, Worth | None],
    done: Mapping[int, float],
    extra: Mapping[int, float],
    fresh: Iterable[Worth],
) -> list[Choice]:
    """Runs that are going on, of which a share is done, and candidates."""
    going = [
        Choice(i, None, PERCENT * done[i], extra.get(i, 0.0), *(known or NOTHING))
        for i, known in worth.items()
    ]
    return going + [Choice(None, k, 0.0, 0.0, *new) for k, new in enumerate(fresh)]


def _worth(
    look: Look, counts: Mapping[int, int], asked: Sequence[int], incumbent: float
) -> dict[int, Worth]:
    """Gains of runs after so many observations, and the probability of any."""
    if not asked:
        return {}
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
