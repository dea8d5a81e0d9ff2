"""Some cells of a data set are trained and others are asked about.

What a forecast is given, beside the curve of the cell itself:

    curve alone     nothing
    others          the curves of the trained cells
    configuration   these, with the operation of every edge, depth and parameters of all
    scores          these, with training-free scores of all
    all             these, with both

Among the scores is `combined`, fitted on the trained cells; see
`lcpfn.eval.nas.combine`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval import scores
from lcpfn.eval.evaluate_context import of_model
from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.combine import combined
from lcpfn.eval.nas.scores import Scores
from lcpfn.mixture import Mixture
from lcpfn.model import Model

ALONE, OTHERS, CONFIG, SCORES, ALL = (
    *("curve alone", "others", "configuration", "scores", "all"),
)
GIVEN = (ALONE, OTHERS, CONFIG, SCORES, ALL)
COMBINED = "combined"
TOP = 3


class Draw(NamedTuple):
    """Trained cells and those asked about, of one data set.

    Attributes:
        cells: the data set.
        trained, asked: numbers of cells.
        fields: training-free scores of every cell that was drawn, by its number.
    """

    cells: Recorded
    trained: np.ndarray
    asked: np.ndarray
    fields: dict[int, dict[str, float]]

    @property
    def truth(self) -> np.ndarray:
        """Last values of the cells asked about, lower is better `(n,)`."""
        return self.cells.sign * self.cells.final[self.asked]


def draw(
    cells: Recorded,
    known: Scores,
    trained: int,
    asked: int,
    rng: np.random.Generator,
) -> Draw:
    """Cells at random.

    Args:
        cells: of a data set.
        known: scores of all of them.
        trained: how many are given.
        asked: how many at most are asked about.
        rng: of the choice.
    """
    order = rng.permutation(len(cells))
    some, rest = order[:trained], order[trained : trained + asked]
    better = -cells.sign * cells.final[some]
    fitted = combined(known.edges[some], better, known.edges[rest])
    columns = known.whole | {COMBINED: np.zeros(len(cells))}
    for rows, values in zip((some, rest), fitted, strict=True):
        columns[COMBINED][rows] = values
    fields = {
        int(i): {name: float(column[i]) for name, column in columns.items()}
        for i in order[: trained + asked]
    }
    return Draw(cells, some, rest, fields)


def shown(drawn: Draw, i: int, given: str, count: int | None = None) -> Run:
    """A cell after `count` observations, default all, with what is known of it.

    It does not say what it was trained on: other data sets are shown on purpose.
    """
    run = drawn.cells.runs[i]
    config: dict[str, Any] = {}
    if given in (CONFIG, ALL):
        config |= run.config or {}
    if given in (SCORES, ALL):
        config |= drawn.fields[i]
    part = slice(count)
    known = {"values": run.values[part], "steps": run.steps[part]}
    return replace(run, **known, config=config or None, task="", metric="")


def observations(cells: Recorded, percent: int) -> int:
    """How many a cutoff leaves, one at least if it is not 0."""
    return max(cells.values.shape[1] * percent // 100, min(percent, 1))


def ask(
    model: Model,
    drawn: Draw,
    given: str,
    percent: int,
    others: Sequence[Run] | None = None,
) -> Mixture:
    """Forecasts of the last values of the cells asked about, the user's units.

    Args:
        model: a checkpoint.
        drawn: cells trained and asked about.
        given: one of `GIVEN`.
        percent: share of the epochs that is seen.
        others: runs in place of the trained cells.
    """
    count = observations(drawn.cells, percent)
    about = [shown(drawn, int(i), given, count) for i in drawn.asked]
    if others is None:
        others = [shown(drawn, int(i), given) for i in drawn.trained]
    horizons = [float(drawn.cells.runs[0].steps[-1])] * len(about)
    return of_model(model)(about, horizons, [] if given == ALONE else others)


def figures(drawn: Draw, found: Mixture) -> dict[str, float]:
    """Rank agreement and calibration of forecasts of one draw."""
    sign = drawn.cells.sign
    low, high = scores.central(found, 0.9)
    truth = sign * drawn.truth
    ranks = order_of(drawn, sign * found.quantile(np.array(0.5)))
    return ranks | {
        "covered_90": float(((low <= truth) & (truth <= high)).mean()),
        "calibration": scores.calibration_error(found.cdf(truth)),
    }


def order_of(drawn: Draw, predicted: np.ndarray) -> dict[str, float]:
    """Kendall's tau and the regret of the best three of predicted losses `(n,)`."""
    found = scores.rank_scores(predicted, drawn.truth, TOP)
    return {"tau": found["kendall"], "regret": found["regret"]}


def over_draws(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over draws, with standard errors "..._se"."""
    found: dict[str, float] = {}
    for name in rows[0]:
        found |= scores.mean_with_error(name, np.array([row[name] for row in rows]))
    return found
