"""Cells of one data set as others of cells of another: does a search carry over?

The question of GENNAPE (Mills et al. 2022, arXiv 2211.17226) for forecasts: how are
cells of an unseen family ranked, and do the intervals hold? Trained cells of the source
are given on the target's scale: steps as shares of a full run, values by the ranges of
the metrics. Operations are compared where both data sets have the same ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.nas.asked import (
    ALL,
    ALONE,
    COMBINED,
    SCORES,
    Draw,
    ask,
    draw,
    figures,
    over_draws,
    shown,
)
from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.scores import Scores
from lcpfn.eval.tables import fill, table
from lcpfn.model import Model

PERCENTS = (0, 5, 10)
OWN, THEIRS, ASKED, DRAWS = 10, 40, 100, 3
NOTHING, FEW, FOREIGN, BOTH = (
    *("nothing", f"{OWN} of its own", f"{THEIRS} of the source", "both"),
)


def carried(source: Recorded, target: Recorded, runs: Sequence[Run]) -> list[Run]:
    """Runs of the source on the scale of the target."""
    one, two = source.runs[0], target.runs[0]
    end, until = one.steps[-1], two.steps[-1]
    high = [run.bounds[1] if run.bounds else None for run in (one, two)]
    known = high[0] is not None and high[1] is not None
    ratio = high[1] / high[0] if known else 1.0  # type: ignore[operator]
    return [
        replace(run, values=run.values * ratio, steps=run.steps / end * until)
        for run in runs
    ]


def transfer(
    model: Model,
    source: tuple[Recorded, Scores],
    target: tuple[Recorded, Scores],
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Forecasts on the target, with trained cells of it, of the source, or of both.

    Args:
        model: a checkpoint that knows other runs.
        source: cells and scores of the data set searched before.
        target: of the one asked about.
        draws: of cells.

    Returns:
        What is given -> percent -> figures of `over_draws`.
    """
    rng = np.random.default_rng(0)
    same = set(source[0].operations) == set(target[0].operations)
    given = ALL if same else SCORES
    rows: dict[str, dict[str, list[dict[str, float]]]] = {}
    for _ in range(draws):
        here = _unfitted(draw(*target, OWN, ASKED, rng))
        there = _unfitted(draw(*source, THEIRS, 1, rng))
        own, theirs = (
            [shown(drawn, int(i), given) for i in drawn.trained]
            for drawn in (here, there)
        )
        theirs = carried(source[0], target[0], theirs)
        sets = {NOTHING: [], FEW: own, FOREIGN: theirs, BOTH: own + theirs}
        for name, others in sets.items():
            for percent in PERCENTS:
                if percent or others:
                    how = given if others else ALONE
                    found = figures(here, ask(model, here, how, percent, others))
                    at = rows.setdefault(name, {})
                    at.setdefault(str(percent), []).append(found)
    return {
        name: {percent: over_draws(some) for percent, some in at.items()}
        for name, at in rows.items()
    }


def _unfitted(drawn: Draw) -> Draw:
    """Without the score that was fitted to the trained cells of one data set."""
    fields = {
        i: {name: x for name, x in own.items() if name != COMBINED}
        for i, own in drawn.fields.items()
    }
    return drawn._replace(fields=fields)


def to_markdown(pairs: Mapping[str, Mapping[str, Any]]) -> str:
    """A line per pair of data sets and what is given."""
    head = ("from, to", "given", *(f"{percent} %" for percent in PERCENTS))
    nothing = {"tau": None, "covered_90": None}
    rows = []
    for pair, found in pairs.items():
        for name, at in found.items():
            figures = [nothing | at.get(str(percent), {}) for percent in PERCENTS]
            shown = [fill("{tau:.2f}, {covered_90:.0%}", row) for row in figures]
            rows.append((pair, name, *shown))
    return table(head, rows)
