"""Ways to choose the next cell: generators that yield one and are sent its loss.

    i = next(chosen); i = chosen.send(loss of i); ...

A cell is its number in a `Recorded`, which need not hold all cells of the space: what
is not there is replaced by one that differs on as few edges as possible. What a loss is
(the last value, a forecast of it) is the business of whoever sends it.
"""

from collections import deque
from collections.abc import Callable, Collection, Generator

import numpy as np

from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.space import EDGES

CANDIDATES = 24  # random cells that `likely` compares

Chosen = Generator[int, float, None]
Algorithm = Callable[[Recorded, np.random.Generator], Chosen]


def nearest(cells: Recorded, code: np.ndarray, rng: np.random.Generator) -> int:
    """A cell that differs from operations `(edges,)` on as few edges as possible."""
    apart = (cells.codes != code).sum(1)
    return int(rng.choice(np.flatnonzero(apart == apart.min())))


def neighbours(cells: Recorded, i: int) -> np.ndarray:
    """The other cells that are nearest to one; on one edge if all are there."""
    apart = (cells.codes != cells.codes[i]).sum(1)
    apart[i] = len(EDGES) + 1
    return np.flatnonzero(apart == apart.min())


def random_search(cells: Recorded, rng: np.random.Generator) -> Chosen:
    """All cells in random order."""
    for i in rng.permutation(len(cells)):
        yield int(i)


def evolution(
    cells: Recorded, rng: np.random.Generator, alive: int = 10, sample: int = 5
) -> Chosen:
    """Regularised evolution: the oldest dies (Real et al. 2019, arXiv 1802.01548).

    Args:
        cells: to choose from.
        rng: of all chance.
        alive: size of the population.
        sample: the best of so many random ones has the next child, a neighbour.
    """
    population: deque[tuple[float, int]] = deque(maxlen=alive)
    for i in rng.permutation(len(cells))[:alive]:
        population.append(((yield int(i)), int(i)))
    while True:
        rows = rng.choice(len(population), min(sample, len(population)), replace=False)
        _, parent = min(population[row] for row in rows)
        child = int(rng.choice(neighbours(cells, parent)))
        population.append(((yield child), child))


def reinforce(
    cells: Recorded, rng: np.random.Generator, rate: float = 0.3, keep: float = 0.9
) -> Chosen:
    """REINFORCE on independent categories of the edges (Williams 1992).

    Args:
        cells: to choose from.
        rng: of all chance.
        rate: of a step, for a loss one typical distance below the average.
        keep: of the running average and distance of losses.
    """
    logits = np.zeros((len(EDGES), len(cells.operations)))
    average, distance = None, 0.0
    while True:
        chance = np.exp(logits - logits.max(1, keepdims=True))
        chance /= chance.sum(1, keepdims=True)
        code = np.array([rng.choice(len(p), p=p) for p in chance])
        i = nearest(cells, code, rng)
        loss = yield i
        average = loss if average is None else keep * average + (1 - keep) * loss
        distance = keep * distance + (1 - keep) * abs(loss - average)
        gain = np.clip((average - loss) / (distance or 1.0), -3, 3)
        hit = np.eye(len(cells.operations))[cells.codes[i]]
        logits += rate * gain * (hit - chance)


def local_search(cells: Recorded, rng: np.random.Generator) -> Chosen:
    """To the first better neighbour, anew where none is (White et al. 2021)."""
    while True:
        here = int(rng.integers(len(cells)))
        best = yield here
        moved = True
        while moved:
            moved = False
            for i in rng.permutation(neighbours(cells, here)):
                loss = yield int(i)
                if loss < best:
                    here, best, moved = int(i), loss, True
                    break


def tpe(cells: Recorded, rng: np.random.Generator) -> Chosen:
    """Tree-structured Parzen estimator, of Optuna (the extra `optuna`)."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
    study = optuna.create_study(sampler=sampler)
    codes = list(range(len(cells.operations)))
    while True:
        trial = study.ask()
        code = np.array([trial.suggest_categorical(str(e), codes) for e in EDGES])
        loss = yield nearest(cells, code, rng)
        study.tell(trial, loss)


def likely(
    cells: Recorded,
    losses: dict[int, float],
    taken: Collection[int],
    rng: np.random.Generator,
    good: float = 0.2,
) -> int:
    """A cell that is likelier among the good than among the others.

    Operations of the edges are counted apart (the density of BOHB, Falkner et al. 2018,
    arXiv 1807.01774, which for categories is a smoothed count).

    Args:
        cells: to choose from.
        losses: of the cells looked at.
        taken: cells that are not proposed.
        rng: of all chance.
        good: share of the cells looked at that is good.
    """
    untried = np.setdiff1d(np.arange(len(cells)), list(taken))
    pool = rng.choice(untried, min(CANDIDATES, len(untried)), replace=False)
    order = np.array(sorted(losses, key=lambda i: losses[i]), int)
    split = max(round(good * len(order)), 1)
    if len(order) < 2 * split:
        return int(pool[0])

    def density(rows: np.ndarray) -> np.ndarray:
        seen = np.eye(len(cells.operations))[cells.codes[rows]].sum(0) + 1
        chance = seen / seen.sum(1, keepdims=True)
        return np.log(chance[np.arange(len(EDGES)), cells.codes[pool]]).sum(1)

    return int(pool[np.argmax(density(order[:split]) - density(order[split:]))])


ALGORITHMS: dict[str, Algorithm] = {
    "random search": random_search,
    "regularised evolution": evolution,
    "REINFORCE": reinforce,
    "local search": local_search,
    "TPE": tpe,
}
