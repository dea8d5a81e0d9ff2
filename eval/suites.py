"""Scores a checkpoint and the baselines on recorded curves, in one table.

Strata are reported apart: "normal" runs make the table, "flat" and "diverged" ones a
line each (`lcpfn.eval.cases`).
"""

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from lcpfn.eval import baselines
from lcpfn.eval.cases import PERCENTS, final_value_cases
from lcpfn.eval.curveset import CurveSet
from lcpfn.eval.final_value import Method, measure, of_model, summarise
from lcpfn.extrapolate import Model

STRATA = ("normal", "flat", "diverged")


def evaluate_suites(
    model: Model, suites: Sequence[CurveSet], most: int = 400, fits: bool = True
) -> dict[str, Any]:
    """The final-value protocol for a checkpoint and every baseline.

    Args:
        model: the checkpoint.
        suites: recorded curves, one set per source.
        most: runs taken of each, evenly over its tasks.
        fits: whether to run least squares too, which takes minutes.

    Returns:
        JSON values: "methods" -> name -> what `summarise` says of the normal runs;
        "strata" -> the same for the checkpoint on the others; the number of cases.

    Raises:
        ValueError: if a suite holds nothing that can be asked.
    """
    cases = []
    for suite in suites:
        found = final_value_cases(suite.sample(most))
        if not found:
            raise ValueError(
                f"{suite.name} has no run of 10 records or more that ends in a finite "
                "value"
            )
        cases += found
    by_stratum = {s: [case for case in cases if case.stratum == s] for s in STRATA}
    normal = by_stratum["normal"]
    methods: dict[str, Method] = {
        model.name: of_model(model),
        f"{model.name}, bounds unknown": of_model(model, bounds=False),
        "last value": baselines.across_tasks(normal, baselines.last_value),
        "best so far": baselines.across_tasks(normal, baselines.best_so_far),
    }
    if fits:
        methods |= {name: baselines.fitted(name) for name in baselines.CURVES}
    results = {
        name: summarise(normal, measure(normal, method(normal)))
        for name, method in tqdm(methods.items(), desc="methods", disable=None)
    }
    strata = {
        name: summarise(part, measure(part, methods[model.name](part)))
        for name, part in by_stratum.items()
        if name != "normal" and part
    }
    return {
        "checkpoint": model.name,
        "checksum": model.card["checksum"],
        "protocol": "final value",
        "runs_per_suite": most,
        "cases": {name: len(part) for name, part in by_stratum.items()},
        "methods": results,
        "strata": strata,
    }


def to_markdown(results: dict[str, Any]) -> str:
    """Two tables: all methods over all suites, and the checkpoint suite by suite."""
    cutoffs = [str(percent) for percent in PERCENTS]
    lines = [
        "| error of the median / CRPS, both over the error of the last value | "
        + " | ".join(f"{c} %" for c in cutoffs)
        + " | all | 90 % interval holds |",
        "|---|" + "---|" * (len(cutoffs) + 2),
    ]
    for name, summary in results["methods"].items():
        rows = [summary["overall"][c] for c in (*cutoffs, "all")]
        cells = [f"{row['error_ratio']:.2f} / {row['crps_ratio']:.2f}" for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} | {rows[-1]['covered_90']:.0%} |")
    own = results["methods"][results["checkpoint"]]
    title = f"{results['checkpoint']}: error of"
    lines += ["", lines[0].replace("error of", title, 1)]
    lines[-1] = lines[-1].replace(" all |", "")
    lines.append("|---|" + "---|" * (len(cutoffs) + 1))
    for suite, by_cutoff in own["suites"].items():
        rows = [by_cutoff[c] for c in cutoffs if c in by_cutoff]
        cells = [
            f"{r['error_ratio']:.2f} ± {r['error_ratio_se']:.2f} / "
            f"{r['crps_ratio']:.2f} ± {r['crps_ratio_se']:.2f}"
            for r in rows
        ]
        held = sum(r["covered_90"] for r in rows) / len(rows)
        lines.append(f"| {suite} | {' | '.join(cells)} | {held:.0%} |")
    return "\n".join(lines)
