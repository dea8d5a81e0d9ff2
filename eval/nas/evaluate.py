"""`lcpfn evaluate nas`: searches of recorded cells, ranks, transfer, calibration."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.eval.nas import confidence, ranks, search, supernet, transfer
from lcpfn.eval.nas.cells import Recorded, recorded_cells
from lcpfn.eval.nas.scores import Scores, score_cells
from lcpfn.eval.nas.training import load
from lcpfn.model import Model

SCORED = 3000  # cells of a data set whose scores are computed
DIGITS = "digits valid_accuracy"


def evaluate_nas(
    model: Model,
    suites: Sequence[CurveSet],
    arrays: Mapping[str, np.ndarray] | None = None,
    seeds: int = 20,
) -> dict[str, Any]:
    """The protocol.

    Args:
        model: the checkpoint.
        suites: recorded cells, one set per source.
        arrays: of the file of trained digits, if it is among them: what it says of the
            trained networks.
        seeds: of the searches.

    Returns:
        JSON values: "checkpoint", "checksum"; "cells" -> data set -> how many; by data
        set "ranks" (`ranks.rank_agreement`), "confidence" and, for the largest of a
        source, "search" (`search.compare`); "transfer" -> pair of data sets, where the
        checkpoint knows other runs; "networks" and "few_shot", of the digits.

    Raises:
        ValueError: if there are no cells.
    """
    sets = [recorded_cells(suite.runs) for suite in suites]
    known = {part.name: _scored(part) for parts in sets for part in parts}
    results: dict[str, Any] = {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum", ""),
        "cells": {part.name: len(part) for parts in sets for part in parts},
        "ranks": {n: ranks.rank_agreement(model, *x) for n, x in known.items()},
        "confidence": {n: confidence.of_forecasts(model, *x) for n, x in known.items()},
        "search": {
            largest.name: search.compare(model, largest, seeds)
            for largest in (max(parts, key=len) for parts in sets)
        },
    }
    if model.config.others:
        # What is better when lower is another question, not another data set.
        same = {n: x for n, x in known.items() if x[0].runs[0].mode == "max"}
        results["transfer"] = {
            f"{one}, {two}": transfer.transfer(model, same[one], same[two])
            for one, two in permutations(same, 2)
        }
    if arrays is not None and "temperature" in arrays:
        results["networks"] = confidence.of_networks(arrays)
    if DIGITS in known:
        results["few_shot"] = supernet.few_shot(model, known[DIGITS][0])
    return results


def _scored(cells: Recorded) -> tuple[Recorded, Scores]:
    """At most `SCORED` random cells, with their scores."""
    rows = np.random.default_rng(0).permutation(len(cells))[:SCORED]
    some = cells.some(np.sort(rows))
    return some, score_cells(some.cells, *load().train)


def to_markdown(results: Mapping[str, Any]) -> str:
    """All tables, each below its title."""
    parts = []
    for name, found in results["ranks"].items():
        parts.append((f"Ranks, {name}", ranks.to_markdown(found)))
    for name, found in results["search"].items():
        parts.append((f"Searches, {name}", search.to_markdown(found)))
    if "transfer" in results:
        parts.append(("Transfer", transfer.to_markdown(results["transfer"])))
    parts.append(("Calibration", confidence.to_markdown(results["confidence"])))
    if "networks" in results:
        text = confidence.networks_to_markdown(results["networks"])
        parts.append(("Trained networks", text))
    if "few_shot" in results:
        parts.append(("Supernets", supernet.to_markdown(results["few_shot"])))
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)
