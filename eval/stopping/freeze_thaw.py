"""A search that goes on with any run it has begun, or begins one: `Study.next`.

What is simulated is the rule of `lcpfn.stopping.next_step`, with forecasts of each run
alone or amid the others. Alone, runs that were not begun yet are worth what those begun
say; amid others their configurations are looked at too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lcpfn.eval.stopping.simulate import Move, Policy, TaskRuns
from lcpfn.mixture import Mixture
from lcpfn.prefixes import AHEAD
from lcpfn.stopping.next_step import (
    Choice,
    Prospect,
    next_step,
    prospect_of_any,
    prospect_of_new,
)

PERCENT = 100.0


class Ahead(NamedTuple):
    """What is forecast of n runs, in model space.

    Attributes:
        steps: later steps, percent of a run `(n, U)`.
        values: at each of them; the last is the best of all `(n, U)`.
    """

    steps: np.ndarray
    values: Mixture


# From the observations of all runs begun, and runs with as many.
Look = Callable[[Mapping[int, int], Sequence[tuple[int, int]]], Ahead]


def with_last(steps: np.ndarray, each: Mixture, last: Mixture) -> Ahead:
    """Later steps `(n, U)` and values there; behind them the best of all `(n,)`."""
    both = zip(each, last, strict=True)
    values = Mixture(*(np.concatenate([x, y[:, None]], 1) for x, y in both))
    return Ahead(np.column_stack([steps, np.full(len(steps), PERCENT)]), values)


def alone(task_runs: TaskRuns) -> Look:
    """Forecasts that were made of each run alone."""

    def look(counts: Mapping[int, int], asked: Sequence[tuple[int, int]]) -> Ahead:
        each, last, done = [], [], []
        for i, count in asked:
            seen, best, ahead, _ = task_runs.runs[i].forecasts
            at = max(int(np.searchsorted(seen, count, side="right")) - 1, 0)
            each.append(ahead.at(at))
            last.append(ahead.at(at, -1) if best is None else best.at(at))
            done.append(count / len(task_runs.runs[i].losses))
        share = np.arange(1, AHEAD + 1) / AHEAD
        past = np.array(done)[:, None]
        return with_last(
            PERCENT * (past + (1 - past) * share), _stacked(each), _stacked(last)
        )

    return look


def _stacked(rows: Sequence[Mixture]) -> Mixture:
    return Mixture(*(np.stack(column) for column in zip(*rows, strict=True)))


def freeze_thaw(
    looks: Callable[[TaskRuns], Look] = alone, candidates: int = 1
) -> Policy:
    """Always the run or the new one that gains most for its price.

    Args:
        looks: gives, for one search, forecasts that know its other runs; default: those
            of each run alone.
        candidates: of how many new runs the configurations are looked at, amid others.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        runs, waiting = task_runs.runs, [int(i) for i in order]
        look, amid, counts = looks(task_runs), looks is not alone, dict[int, int]()
        going: dict[int, Prospect | None] = {}  # None until it is asked
        best = np.inf
        while going or waiting:
            new, prospects = waiting[:candidates], dict(going)
            if np.isfinite(best):
                stale = [i for i, known in going.items() if known is None or amid]
                found = _prospects(look, counts, stale + (new if amid else []), best)
                going |= {i: found[i] for i in stale}
                usual = _usual(task_runs, counts, best)
                prospects |= found | {
                    i: prospect_of_new(found.get(i, usual), usual) for i in new
                }
            done = [(i, PERCENT * counts[i] / len(runs[i].losses)) for i in going]
            choices = [
                *(Choice(i, None, x, 0, prospects[i]) for i, x in done),
                *(Choice(None, k, 0, 0, prospects.get(i)) for k, i in enumerate(new)),
            ]
            beat = best if best < np.inf else None
            todo = next_step(choices, PERCENT, beat, len(counts))
            if todo.kind == "stop":
                break
            k = todo.candidate
            i = int(str(todo.run)) if k is None else waiting.pop(k)
            count = len(runs[i].losses)
            until = max(round(todo.until / PERCENT * count), counts.get(i, 0) + 1)
            yield i, until
            counts[i], going[i] = until, None
            if until >= count or not np.isfinite(runs[i].losses[until - 1]):
                del going[i]
            if runs[i].own[until - 1] < best:
                best, going = float(runs[i].own[until - 1]), dict.fromkeys(going)

    return moves


def _usual(task_runs: TaskRuns, counts: Mapping[int, int], best: float) -> Prospect:
    """That of a run of which nothing is known."""
    shown = [float(task_runs.runs[i].own[n - 1]) for i, n in counts.items()]
    return prospect_of_any([y for y in shown if y < np.inf], best, PERCENT)


def _prospects(
    look: Look, counts: Mapping[int, int], asked: Sequence[int], best: float
) -> dict[int, Prospect]:
    """What runs may gain after so many observations."""
    if not asked:
        return {}
    steps, values = look(counts, [(i, counts.get(i, 0)) for i in asked])
    beat = np.full(steps.shape, best)
    gains = values.expected_shortfall(beat)
    chances = values.at(slice(None), -1).cdf(beat[:, -1]).tolist()
    return dict(zip(asked, map(Prospect, steps, gains, chances), strict=True))
