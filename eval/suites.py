"""Scores checkpoints and baselines on recorded curves, all in one results file.

Strata are reported apart: "normal" runs make the tables, "flat" and "diverged" ones a
table of their own (`lcpfn.eval.data`).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from lcpfn.curves import CurveSet
from lcpfn.eval import paired, recalibrate
from lcpfn.eval.baselines import last_value
from lcpfn.eval.baselines.bayesian_fits import FITS, TITLES, bayesian
from lcpfn.eval.curves import Method, measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, Case, final_value_cases
from lcpfn.eval.method_ranks import evaluate_ranks
from lcpfn.eval.run_ordering import rank_tasks
from lcpfn.eval.scores import clustered_error
from lcpfn.mixture import Mixture
from lcpfn.model import Model

STRATA = ("normal", "flat", "diverged")
# Runs of a suite in the protocol of ranks, which asks nine cutoffs of each.
RANKED = 40


def evaluate_suites(
    models: Sequence[Model],
    suites: Sequence[CurveSet],
    most: int = 400,
    fits: bool = True,
    mcmc: bool = False,
) -> dict[str, Any]:
    """The final-value protocol and that of ranks, for checkpoints and last_value.

    Args:
        models: checkpoints; the first is what all others are compared with.
        suites: recorded curves, one set per source.
        most: runs taken of each, evenly over its tasks.
        fits: whether to run least squares too, which takes minutes.
        mcmc: whether to fit by MCMC too, which takes seconds per case.

    Returns:
        JSON values: "methods" -> name -> see `score_methods`; "strata" -> name ->
        method -> means over its cases; "ranks" (`evaluate_ranks`); of the first
        checkpoint "tasks" (`by_task`) and "recalibration" (`recalibrate.study`);
        "history" of pre-training; the number of cases.

    Raises:
        ValueError: if a suite holds nothing that can be asked, or two checkpoints have
            one name.
    """
    first = models[0]
    if len({model.name for model in models}) < len(models):
        raise ValueError(
            "two checkpoints have one name, that of their folder: rename a folder"
        )
    by_stratum = cases_of(suites, most)
    normal = by_stratum["normal"]
    methods: dict[str, Method] = {model.name: of_model(model) for model in models}
    methods |= {
        f"{first.name}, bounds unknown": of_model(first, bounds=False),
        "last value": last_value.across_tasks(normal, last_value.last_value),
        "best so far": last_value.across_tasks(normal, last_value.best_so_far),
    }
    if fits:
        methods |= {name: last_value.fitted(name) for name in last_value.CURVES}
    if mcmc:
        methods |= {TITLES[name]: bayesian(name) for name in FITS}
    results, columns, forecast = score_methods(normal, methods)
    return {
        "checkpoint": first.name,
        "checksum": first.card["checksum"],
        "checksums": {model.name: model.card["checksum"] for model in models},
        "protocol": "final value",
        "runs_per_suite": most,
        "cases": {name: len(part) for name, part in by_stratum.items()},
        "methods": results,
        "strata": {
            name: {key: stratum(part, method) for key, method in methods.items()}
            for name, part in by_stratum.items()
            if name != "normal" and part
        },
        "tasks": by_task(normal, columns),
        "ranks": evaluate_ranks(models, suites, min(most, RANKED), fits),
        "recalibration": recalibrate.study(normal, forecast, columns["last_error"]),
        "history": {m.name: m.card["history"] for m in models if "history" in m.card},
    }


def score_methods(
    cases: Sequence[Case], methods: Mapping[str, Method]
) -> tuple[dict[str, Any], dict[str, np.ndarray], Mixture]:
    """All methods on the same cases; the first is what the others are compared with.

    Returns:
        JSON values: name -> what `summarise` says, "ranking" (`rank_tasks`), "against"
        (`paired.compare`), "cpu_ms_per_case"; columns and forecast of the first.
    """
    results: dict[str, Any] = {}
    kept = None
    for name, method in tqdm(methods.items(), desc="methods", disable=None):
        forecast, took = timed(method, cases)
        columns = measure(cases, forecast)
        kept = kept or (columns, forecast)
        results[name] = summarise(cases, columns) | {
            "ranking": rank_tasks(cases, columns),
            "against": paired.compare(cases, kept[0], columns),
            "cpu_ms_per_case": 1e3 * took / len(cases),
        }
    if kept is None:
        raise ValueError("there are no methods to score")
    return results, *kept


def timed(method: Method, cases: Sequence[Case]) -> tuple[Mixture, float]:
    """The forecast, and the CPU seconds it took, compilation among them."""
    began = time.process_time()
    forecast = method(cases)
    return forecast, time.process_time() - began


def cases_of(suites: Sequence[CurveSet], most: int) -> dict[str, list[Case]]:
    """Cases of all suites by stratum, of at most so many runs of each."""
    cases = []
    for suite in suites:
        found = final_value_cases(suite.sample(most))
        if not found:
            raise ValueError(
                f"{suite.name} has no run of 10 records or more that ends in a finite "
                "value"
            )
        cases += found
    return {s: [case for case in cases if case.stratum == s] for s in STRATA}


def stratum(cases: Sequence[Case], method: Method) -> dict[str, float]:
    """Means over all cases, errors in units of the task's gain.

    No ratio to the last value, whose error is zero where nothing moves.
    """
    columns = measure(cases, method(cases))
    cluster = np.array([case.cluster for case in cases])
    row = {"cases": float(len(cases)), "last_error": columns["last_error"].mean()}
    for key in ("error", "crps"):
        row[key] = columns[key].mean()
        row[f"{key}_se"] = clustered_error(columns[key], cluster)
    row["median_log_prob"] = np.median(columns["log_prob"])
    row["covered_90"] = columns["covered_90"].mean()
    return {key: float(value) for key, value in row.items()}


def by_task(
    cases: Sequence[Case], columns: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, float]]]:
    """Source and task -> cutoff -> cases, both ratios to the last value, coverage."""
    rows: dict[tuple[str, int], list[int]] = {}
    for i, case in enumerate(cases):
        rows.setdefault((f"{case.suite}: {case.task}", case.percent), []).append(i)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (task, percent), at in sorted(rows.items()):
        mean = {key: columns[key][at].mean() for key in ("error", "crps", "last_error")}
        with np.errstate(divide="ignore", invalid="ignore"):
            found.setdefault(task, {})[str(percent)] = {
                "cases": len(at),
                "error_ratio": round(float(mean["error"] / mean["last_error"]), 4),
                "crps_ratio": round(float(mean["crps"] / mean["last_error"]), 4),
                "covered_90": round(float(columns["covered_90"][at].mean()), 4),
            }
    return found


def to_markdown(results: Mapping[str, Any]) -> str:
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
