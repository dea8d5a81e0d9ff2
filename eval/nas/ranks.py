"""How early are cells ranked right, by what a forecast is given?

Beside forecasts: the newest value and the best so far, the training-free scores alone,
and regression trees on operations, scores and the curve so far, which learn from the
trained cells, or from twenty times as many: what there is to learn.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from lcpfn.eval.nas.asked import (
    ALL,
    ALONE,
    GIVEN,
    Draw,
    ask,
    draw,
    figures,
    observations,
    order_of,
    over_draws,
)
from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.scores import Scores
from lcpfn.eval.tables import fill, table
from lcpfn.model import Model

PERCENTS = (0, 5, 10, 20, 40)
TRAINED, ASKED, DRAWS = 50, 100, 5
SIZES = (5, 10, 20, 50)
MORE = 20
NEWEST, BEST, TREES = "newest value", "best so far", "trees"
MANY_TREES = "trees, 20 times the cells"


def rank_agreement(
    model: Model, cells: Recorded, known: Scores, draws: int = DRAWS
) -> dict[str, Any]:
    """Rank agreement at cutoffs.

    Args:
        model: a checkpoint; one that knows no other runs is asked alone.
        cells: of a data set.
        known: their scores.
        draws: of cells trained and asked about.

    Returns:
        JSON values: "cutoffs" -> what is given or method -> percent -> figures of
        `over_draws`; "scores" -> name -> figures before training; "sizes" -> number of
        trained cells -> figures at cutoff 0 given all, and "percent", the cutoff at
        which curves alone are ranked as well (None: beyond the last one).
    """
    rng = np.random.default_rng(0)
    cutoffs: dict[str, dict[int, list[dict[str, float]]]] = {}
    alone: dict[str, list[dict[str, float]]] = {}
    sizes: dict[int, list[dict[str, float]]] = {}
    for _ in range(draws):
        drawn = draw(cells, known, min(TRAINED, len(cells) // 2), ASKED, rng)
        for percent in PERCENTS:
            for name, row in _at_cutoff(model, drawn, known, percent).items():
                cutoffs.setdefault(name, {}).setdefault(percent, []).append(row)
        for name in next(iter(drawn.fields.values())):
            column = np.array([drawn.fields[int(i)][name] for i in drawn.asked])
            alone.setdefault(name, []).append(order_of(drawn, -column))
        for size in SIZES if model.config.others else ():
            fewer = drawn._replace(trained=drawn.trained[:size])
            sizes.setdefault(size, []).append(figures(drawn, ask(model, fewer, ALL, 0)))
    means = {
        name: {str(percent): over_draws(rows) for percent, rows in at.items()}
        for name, at in cutoffs.items()
    }
    return {
        "draws": draws,
        "cutoffs": means,
        "scores": {name: over_draws(rows) for name, rows in alone.items()},
        "sizes": {
            str(size): (row := over_draws(rows))
            | {"percent": percent_of(means[ALONE], row["tau"])}
            for size, rows in sizes.items()
        },
    }


def _at_cutoff(
    model: Model, drawn: Draw, known: Scores, percent: int
) -> dict[str, dict[str, float]]:
    """Figures of all ways to rank, of one draw."""
    found = {}
    for given in GIVEN if model.config.others else (ALONE,):
        if percent or given != ALONE:
            found[given] = figures(drawn, ask(model, drawn, given, percent))
    count = observations(drawn.cells, percent)
    seen = drawn.cells.sign * drawn.cells.values[drawn.asked, :count]
    if percent:
        found[NEWEST] = order_of(drawn, seen[:, -1])
        found[BEST] = order_of(drawn, seen.min(1))
    if find_spec("sklearn"):
        free = np.setdiff1d(np.arange(len(drawn.cells)), drawn.asked)
        found[TREES] = order_of(drawn, _trees(drawn, known, drawn.trained, count))
        if len(free) >= MORE * TRAINED:
            many = np.random.default_rng(0).permutation(free)[: MORE * TRAINED]
            found[MANY_TREES] = order_of(drawn, _trees(drawn, known, many, count))
    return found


def _trees(drawn: Draw, known: Scores, rows: np.ndarray, count: int) -> np.ndarray:
    """Losses of the cells asked about, by trees that learn from some cells `(n,)`."""
    from sklearn.ensemble import ExtraTreesRegressor

    cells = drawn.cells
    operations = np.eye(len(cells.operations))[cells.codes].reshape(len(cells), -1)
    free = np.stack([*known.whole.values()], 1)
    given = np.concatenate([operations, free, cells.values[:, :count]], 1)
    trees = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0)
    trees.fit(given[rows], cells.sign * cells.final[rows])
    return trees.predict(given[drawn.asked])


def percent_of(alone: Mapping[str, Mapping[str, float]], tau: float) -> float | None:
    """The first cutoff at which curves alone have this tau, between those measured."""
    before, there = 0.0, 0.0
    for percent, row in alone.items():
        if row["tau"] >= tau:
            share = (tau - there) / max(row["tau"] - there, 1e-9)
            return before + min(max(share, 0.0), 1.0) * (float(percent) - before)
        before, there = float(percent), row["tau"]
    return None


def to_markdown(found: Mapping[str, Any]) -> str:
    """A line per way to rank: tau and regret of the best three at every cutoff."""
    head = ("ranked by", *(f"{percent} %" for percent in PERCENTS), "90 %, at 10 %")
    nothing = {"tau": None, "regret": None, "covered_90": None}
    rows = []
    for name, at in found["cutoffs"].items():
        figures = [nothing | at.get(str(percent), {}) for percent in PERCENTS]
        shown = [fill("{tau:.2f} / {regret:.2f}", row) for row in figures]
        holds = fill("{covered_90:.0%}", figures[PERCENTS.index(10)])
        rows.append((name, *shown, holds))
    return table(head, rows)


def scores_to_markdown(found: Mapping[str, Any]) -> str:
    """Tau of every training-free score, before any training."""
    rows = [
        (name.replace("_", " "), f"{row['tau']:.2f} ± {row['tau_se']:.2f}")
        for name, row in found["scores"].items()
    ]
    return table(("score", "tau"), rows)


def sizes_to_markdown(found: Mapping[str, Any]) -> str:
    """Tau before the first epoch, and the cutoff at which a curve alone has it."""
    rows = []
    for size, row in found["sizes"].items():
        percent = row["percent"]
        equal = f"beyond {PERCENTS[-1]} %" if percent is None else f"{percent:.0f} %"
        rows.append((size, f"{row['tau']:.2f} ± {row['tau_se']:.2f}", equal))
    return table(
        ("trained cells", "tau before training", "curves alone are as good at"), rows
    )
