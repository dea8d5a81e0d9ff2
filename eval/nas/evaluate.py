"""`lcpfn evaluate nas`: searches of recorded cells, ranks, transfer, calibration."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.eval.nas import confidence, ranks, search, supernet, transfer
from lcpfn.eval.nas.cells import Recorded, recorded_cells
from lcpfn.eval.nas.scores import Scores, score_cells
from lcpfn.eval.nas.training import load
from lcpfn.json_files import add_part, begun
from lcpfn.model import Model

SCORED = 3000  # cells of a data set whose scores are computed
DIGITS = "digits valid_accuracy"


def evaluate_nas(
    model: Model,
    suites: Sequence[CurveSet],
    arrays: Mapping[str, np.ndarray] | None = None,
    seeds: int = 20,
    out: Path | None = None,
) -> dict[str, Any]:
    """The protocol; goes on where it was interrupted, if a file is given.

    Args:
        model: the checkpoint.
        suites: recorded cells, one set per source.
        arrays: of the file of trained digits, if it is among them.
        seeds: of the searches.
        out: results file; parts that it has of this checkpoint are not made again.

    Returns:
        JSON values: "checkpoint", "checksum", "seeds"; "cells" -> data set -> how many;
        by data set "ranks" (`ranks.rank_agreement`), "confidence" and, for the largest
        of a source, "search" -> search (`search.compare`); "transfer" -> pair of data
        sets, where the checkpoint knows other runs; "networks" and "few_shot" of
        the digits.
    """
    sets = [recorded_cells(suite.runs) for suite in suites]
    results = begun(out, _about(model, seeds))
    results["cells"] = {cells.name: len(cells) for parts in sets for cells in parts}

    def part(at: tuple[str, ...], make: Callable[..., Any], *of: Any) -> None:
        add_part(results, at, partial(make, *of), out)

    known = {cells.name: _scored(cells) for parts in sets for cells in parts}
    for name, pair in known.items():
        part(("ranks", name), ranks.rank_agreement, model, *pair)
        part(("confidence", name), confidence.of_forecasts, model, *pair)
    if arrays is not None and "temperature" in arrays:
        part(("networks", "digits"), confidence.of_networks, arrays)
    if DIGITS in known:
        part(("few_shot", "digits"), supernet.few_shot, model, known[DIGITS][0])
    for parts in sets:
        largest = max(parts, key=len)
        for name in search.policies(largest, model):
            at = "search", largest.name, name
            part(at, search.compare, model, largest, name, seeds)
    if model.config.others:
        # What is better when lower is another question, not another data set.
        same = {n: x for n, x in known.items() if x[0].runs[0].mode == "max"}
        for one, two in permutations(same, 2):
            both = model, same[one], same[two]
            part(("transfer", f"{one}, {two}"), transfer.transfer, *both)
    return results


def _about(model: Model, seeds: int) -> dict[str, Any]:
    """What says that results are of the same checkpoint and protocol."""
    checksum = model.card.get("checksum", "")
    return {"checkpoint": model.name, "checksum": checksum, "seeds": seeds}


def _scored(cells: Recorded) -> tuple[Recorded, Scores]:
    """At most `SCORED` random cells, with their scores."""
    rows = np.random.default_rng(0).permutation(len(cells))[:SCORED]
    some = cells.some(np.sort(rows))
    return some, score_cells(some.cells, *load().train)


def _by_set(part: str, of: Callable[[Any], str]) -> Callable[[Mapping], str]:
    """A table for every data set of one part of the results, below its name."""

    def tables(results: Mapping[str, Any]) -> str:
        return "\n\n".join(
            f"{name}, {results['cells'][name]} cells:\n\n{of(found)}"
            for name, found in results.get(part, {}).items()
        )

    return tables


def _of(part: str, of: Callable[[Any], str]) -> Callable[[Mapping], str]:
    return lambda results: of(results[part]) if part in results else ""


# Title -> what makes the table of the results.
TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "ranks": _by_set("ranks", ranks.to_markdown),
    "scores": _by_set("ranks", ranks.scores_to_markdown),
    "trained cells": _by_set("ranks", ranks.sizes_to_markdown),
    "searches": _by_set("search", search.to_markdown),
    "transfer": _of("transfer", transfer.to_markdown),
    "calibration": _of("confidence", confidence.to_markdown),
    "trained networks": _of(
        "networks", lambda found: confidence.networks_to_markdown(found["digits"])
    ),
    "supernets": _of("few_shot", lambda found: supernet.to_markdown(found["digits"])),
}


def to_markdown(results: Mapping[str, Any]) -> str:
    """All tables that there are, each below its title."""
    made = {title: table(results) for title, table in TABLES.items()}
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in made.items() if text)
