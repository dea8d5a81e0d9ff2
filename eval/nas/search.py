"""Searches of recorded cells, as policies of `lcpfn.eval.stopping.simulate`.

    one by one   an algorithm proposes a cell, is told its last value, and proposes on;
                 with forecasts a cell is stopped where it will hardly be the best, and
                 the algorithm is told the forecast of its last value
    brackets     27 cells begin, the better third goes on at every rung: by the newest
                 value, with forecasts by that of the last one
    freeze-thaw  whatever `Study.next` says: a paused cell, or one of the next few

The order of the cells that a policy is given is all its chance. A cell that is proposed
again costs nothing. Measures are those of Yang et al. 2020 (arXiv 1912.12522): how much
better than the average cell is what was found, beside random search.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from tqdm import tqdm

from lcpfn.eval import scores
from lcpfn.eval.nas.algorithms import ALGORITHMS, Algorithm, likely, tpe
from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.engine import Engine
from lcpfn.eval.stopping.simulate import (
    Move,
    Policy,
    TaskRuns,
    simulate,
    without_forecasts,
)
from lcpfn.eval.tables import columns_table
from lcpfn.model import Model

ETA, RUNGS = 3, 3
BATCH = ETA**RUNGS
# Proposals of known cells in a row, after which a random cell is taken.
MOST_KNOWN = 20
FRESH = 8  # new cells that freeze-thaw chooses from
RANDOM, PAUSED = "random search", "freeze-thaw"

# From what is searched to its forecasts; None: there are none.
Start = Callable[[TaskRuns], Engine | None]


def one_by_one(algorithm: Algorithm, cells: Recorded, start: Start) -> Policy:
    """A cell after the other, as the algorithm proposes them."""

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        rng, engine = np.random.default_rng(order), start(task_runs)
        chosen = algorithm(cells, rng)
        losses: dict[int, float] = {}
        i, known_in_a_row = next(chosen), 0
        while len(losses) < len(cells):
            known_in_a_row = known_in_a_row + 1 if i in losses else 0
            if known_in_a_row > MOST_KNOWN:
                i = next(int(k) for k in order if int(k) not in losses)
            if i not in losses:
                losses[i] = yield from _train(task_runs, engine, i)
            try:
                i = chosen.send(losses[i])
            except StopIteration:
                return

    return moves


def _train(
    task_runs: TaskRuns, engine: Engine | None, i: int
) -> Generator[Move, None, float]:
    """Trains a cell to its end or to where it is hopeless; returns its loss."""
    losses = task_runs.runs[i].losses
    if engine is not None:
        for until in engine.checks:
            yield i, until
            engine.report(i, until)
            expected = engine.stopped(i)
            if expected is not None:
                return expected
        engine.report(i, len(losses))
    yield i, len(losses)
    return float(losses[-1])


def brackets(model_based: bool, cells: Recorded, start: Start) -> Policy:
    """Successive halving, over and over (Jamieson & Talwalkar 2016).

    Args:
        model_based: the cells of a bracket are those likely to be good, by what is
            known of others (BOHB); else random ones.
        cells: to choose from.
        start: of the engine.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        rng, engine = np.random.default_rng(order), start(task_runs)
        losses: dict[int, float] = {}
        for first in range(0, len(order), BATCH):
            begun = [int(i) for i in order[first : first + BATCH]]
            if model_based:
                begun, count = [], len(begun)
                while len(begun) < count:
                    taken = losses.keys() | set(begun)
                    begun.append(likely(cells, losses, taken, rng))
            yield from _halve(task_runs, engine, begun, losses)

    return moves


def _halve(
    task_runs: TaskRuns,
    engine: Engine | None,
    alive: list[int],
    losses: dict[int, float],
) -> Iterator[Move]:
    """One bracket; puts what every cell was worth at its last rung into `losses`."""
    count = len(task_runs.runs[0].losses)
    for rung in range(RUNGS, -1, -1):
        until = max(round(count / ETA**rung), 1)
        for i in alive:
            yield i, until
            if engine is not None:
                engine.report(i, until)
        if engine is None:
            worth = np.array([task_runs.runs[i].losses[until - 1] for i in alive])
        else:
            worth = engine.losses(alive)
        losses |= dict(zip(alive, worth.tolist(), strict=True))
        alive = [alive[k] for k in np.argsort(worth)[: max(len(alive) // ETA, 1)]]


def freeze_thaw(model: Model, fresh: int = FRESH) -> Policy:
    """Cells, paused and gone on with as a study says.

    Args:
        model: whose forecasts decide.
        fresh: from how many of those that come next a new one is chosen.
    """

    def moves(task_runs: TaskRuns, order: np.ndarray) -> Iterator[Move]:
        engine, waiting = Engine(model, task_runs), [int(i) for i in order]
        while True:
            configs = [task_runs.runs[i].run.config or {} for i in waiting[:fresh]]
            todo = engine.study.next(configs)
            if todo.kind == "stop":
                return
            new = todo.candidate is not None
            i = waiting.pop(todo.candidate or 0) if new else int(str(todo.run))
            until = max(round(todo.until), engine.seen(i) + 1)
            yield i, until
            engine.report(i, until)

    return moves


def policies(cells: Recorded, model: Model | None) -> dict[str, Policy]:
    """All searches; with a model, those that forecast."""
    start: Start = (lambda _: None) if model is None else partial(Engine, model)
    known = {
        name: one_by_one(algorithm, cells, start)
        for name, algorithm in ALGORITHMS.items()
        if algorithm is not tpe or find_spec("optuna")
    }
    halving = {
        "BOHB-style": brackets(True, cells, start),
        "successive halving": brackets(False, cells, start),
    }
    return known | halving | ({} if model is None else {PAUSED: freeze_thaw(model)})


def as_task_runs(cells: Recorded) -> TaskRuns:
    """Cells for the simulator; what forecasts there are, an engine makes."""
    return without_forecasts(cells.name, {cells.name: cells.runs})[0]


def compare(
    model: Model, cells: Recorded, name: str, seeds: int = 20, full: int = 20
) -> dict[str, Any]:
    """A search with and without forecasts, on the same orders.

    Args:
        model: of the forecasts.
        cells: to choose from.
        name: of `policies`; freeze-thaw is put beside random search.
        seeds: orders.
        full: budget, in full runs.

    Returns:
        "regret" and "regret_forecast", from the best (0) to the median cell (1), when
        the budget is spent; "gain", the paired difference; "improvement" and
        "improvement_forecast", by which share the value found is better than the
        average cell; all with standard errors "..._se". "share", of the budget
        that it takes with forecasts to the regret without, None if more than all;
        "cells" and "cells_forecast" begun.
    """
    task_runs = as_task_runs(cells)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(cells)) for _ in range(seeds)]
    budget = full * len(cells.runs[0].values)
    grid = np.linspace(0, 1, 200)[1:]
    plain = policies(cells, None)
    both = [
        [simulate(task_runs, policy, order, budget).within(budget) for order in shown]
        for policy, shown in (
            (plain.get(name, plain[RANDOM]), orders),
            (policies(cells, model)[name], tqdm(orders, desc=name, disable=None)),
        )
    ]
    curves = [np.array([t.regret(grid * budget) for t in x]) for x in both]
    goal, mean = curves[0][:, -1].mean(), curves[1].mean(0)
    there = np.flatnonzero(mean <= goal)
    row: dict[str, Any] = {
        "share": float(grid[there[0]]) if len(there) else None,
        **scores.mean_with_error("gain", curves[0][:, -1] - curves[1][:, -1]),
    }
    for suffix, traces, curve in zip(("", "_forecast"), both, curves, strict=True):
        ends = curve[:, -1]
        row |= scores.mean_with_error(f"regret{suffix}", ends)
        gained = _improvement(task_runs, ends)
        row |= scores.mean_with_error(f"improvement{suffix}", gained)
        row[f"cells{suffix}"] = float(np.mean([len(t.trained) for t in traces]))
    return row


def _improvement(task_runs: TaskRuns, regret: np.ndarray) -> np.ndarray:
    """By which share of its magnitude the average cell's best value was improved."""
    average = float(task_runs.bests.mean())
    reached = task_runs.best + regret * task_runs.regret_unit
    return (average - reached) / (abs(average) or 1.0)


def to_markdown(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A line per algorithm: regrets, improvements, and the epochs it takes."""
    columns = {
        "better than the average cell by": "{improvement:.2%}",
        "with forecasts": "{improvement_forecast:.2%}",
        "regret": "{regret:.3f}",
        "regret with forecasts": "{regret_forecast:.3f}",
        "lower by": "{gain:.3f} ± {gain_se:.3f}",
        "epochs to the same regret": "{share:.0%}",
        "cells begun": "{cells:.0f}, {cells_forecast:.0f}",
    }
    return columns_table(
        ("search",), [((n,), row) for n, row in found.items()], columns
    )
