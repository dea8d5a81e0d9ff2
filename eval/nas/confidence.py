"""Are forecasts calibrated across the space, and are the trained networks?

Of forecasts, the distance of the shares of true values below a level from the level
(`lcpfn.eval.scores.calibration_error`): by the number of levels that are looked at, by
how good a cell turned out, and by how deep it is. Of the networks that were trained on
the digits, the expected calibration error of their classes, by bins and after
temperature scaling, and whether it goes with accuracy. The questions are those of Tao
et al. 2024 (arXiv 2308.11838) on NATS-Bench.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from lcpfn.eval import scores
from lcpfn.eval.nas.asked import ALL, ALONE, ask, draw
from lcpfn.eval.nas.calibration import ECE_BINS
from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.scores import Scores
from lcpfn.eval.nas.space import depth
from lcpfn.eval.tables import columns_table, table
from lcpfn.model import Model

PERCENTS = (10, 40)
BINS = (5, 10, 20, 50)
TRAINED, ASKED, DRAWS = 50, 100, 5
FEWEST = 20


def of_forecasts(
    model: Model, cells: Recorded, known: Scores, draws: int = DRAWS
) -> dict[str, Any]:
    """Calibration of forecasts of last values, given all that a checkpoint can use.

    Returns:
        Percent -> "bins" -> number -> calibration error; "groups" -> name ("worst",
        "middle" and "best" third, "depth 2") -> "cells", "calibration", "covered_90".
    """
    given = ALL if model.config.others else ALONE
    found: dict[str, Any] = {}
    rng = np.random.default_rng(1)
    some = min(TRAINED, len(cells) // 2)
    drawn = [draw(cells, known, some, ASKED, rng) for _ in range(draws)]
    truth = np.concatenate([one.truth for one in drawn])
    deep = np.array([depth(cells.cells[i]) for one in drawn for i in one.asked])
    for percent in PERCENTS:
        made = [(one.truth, ask(model, one, given, percent)) for one in drawn]
        pit = np.concatenate([x.cdf(cells.sign * y) for y, x in made])
        third = np.digitize(truth, np.quantile(truth, [1 / 3, 2 / 3]))
        groups = {
            name: third == i for i, name in enumerate(("best", "middle", "worst"))
        } | {f"depth {n}": deep == n for n in np.unique(deep)}
        found[str(percent)] = {
            "bins": {str(n): scores.calibration_error(pit, n) for n in BINS},
            "groups": {
                name: _of_group(pit[rows])
                for name, rows in groups.items()
                if rows.sum() >= FEWEST
            },
        }
    return found


def _of_group(pit: np.ndarray) -> dict[str, float]:
    return {
        "cells": len(pit),
        "calibration": scores.calibration_error(pit),
        "covered_90": float((np.abs(pit - 0.5) <= 0.45).mean()),
    }


def of_networks(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Calibration of trained networks; of the arrays of `lcpfn.eval.nas.digits`.

    Returns:
        "ece" -> bins, or "scaled" -> mean over networks; "accuracy_tau" -> the same ->
        Kendall's tau with accuracy; "rank_tau" -> bins -> tau with the error at the
        middle number of bins; "temperature".
    """
    columns = {str(n): arrays[f"test_ece_{n}"] for n in ECE_BINS}
    columns["scaled"] = arrays["test_ece_scaled"]
    usual = columns[str(ECE_BINS[1])]
    tau = lambda a, b: float(kendalltau(a, b).statistic)
    return {
        "networks": len(usual),
        "ece": {name: float(x.mean()) for name, x in columns.items()},
        "accuracy_tau": {
            name: tau(x, arrays["test_accuracy"]) for name, x in columns.items()
        },
        "rank_tau": {name: tau(x, usual) for name, x in columns.items()},
        "temperature": float(np.median(arrays["temperature"])),
    }


def to_markdown(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A line per data set, cutoff and group."""
    rows = []
    for name, by_percent in found.items():
        for percent, at in by_percent.items():
            bins = {f"{n} bins": {"calibration": x} for n, x in at["bins"].items()}
            for group, row in {**bins, **at["groups"]}.items():
                empty = {"cells": None, "covered_90": None}
                rows.append(((name, f"{percent} %", group), empty | row))
    columns = {
        "cells": "{cells}",
        "calibration error": "{calibration:.3f}",
        "90 % interval holds": "{covered_90:.0%}",
    }
    return columns_table(("cells of", "cutoff", "of"), rows, columns)


def networks_to_markdown(found: Mapping[str, Any]) -> str:
    """Calibration error of the networks, by bins and after scaling."""
    rows: Sequence[Sequence[str]] = [
        (
            f"{name} bins" if name != "scaled" else "temperature scaling",
            f"{error:.3f}",
            f"{found['accuracy_tau'][name]:.2f}",
            f"{found['rank_tau'][name]:.2f}",
        )
        for name, error in found["ece"].items()
    ]
    usual = f"tau with that of {ECE_BINS[1]} bins"
    return table(("", "calibration error", "tau with accuracy", usual), rows)
