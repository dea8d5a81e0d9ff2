"""Scores checkpoints and baselines on recorded curves, all in one results file.

Runs that move or have come to rest make the tables; those at rest, constant and
diverged ones have one of their own (`lcpfn.eval.data`).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from lcpfn.curves import CurveSet
from lcpfn.eval import paired, recalibrate
from lcpfn.eval.baselines.bayesian_fits import FITS, bayesian
from lcpfn.eval.baselines.last_value import across_tasks, best_so_far, last_value
from lcpfn.eval.baselines.least_squares import CURVES, fitted
from lcpfn.eval.curves import Method, measure, of_model, summarise
from lcpfn.eval.data import (
    LEAST_OBSERVATIONS,
    SCORED,
    STRATA,
    Case,
    by_cutoff,
    final_value_cases,
)
from lcpfn.eval.method_ranks import PERCENTS, evaluate_ranks
from lcpfn.eval.run_ordering import rank_tasks
from lcpfn.eval.scores import mean_with_error
from lcpfn.mixture import Mixture
from lcpfn.model import Model

# Runs of a suite in the protocol of ranks, which has nine cutoffs of each.
RANKED = 40


def evaluate_curves(
    models: Sequence[Model],
    suites: Sequence[CurveSet],
    most: int = 400,
    fits: bool = True,
    mcmc: bool = False,
) -> dict[str, Any]:
    """The final-value protocol and that of ranks, for checkpoints and baselines.

    Args:
        models: checkpoints; the first is what all others are compared with.
        suites: recorded curves, one set per source.
        most: runs taken of each, evenly over its tasks.
        fits: whether to run least squares too, which takes minutes.
        mcmc: whether to fit by MCMC too, which takes seconds per case.

    Returns:
        JSON values: what was scored; "cases": how many; "methods" (`score_methods`);
        "strata" -> name -> method -> `stratum`; "method_ranks" (`rank_methods`); of the
        first checkpoint "tasks" (`by_task`) and "recalibration" (`recalibrate.study`);
        "pretraining": the logs of the checkpoints; "more_training" (`more_training`).

    Raises:
        ValueError: if a suite has no case, or two checkpoints have one name.
    """
    first, checkpoints = models[0], by_name(models)
    by_stratum = cases_of(suites, most)
    scored = [case for name in SCORED for case in by_stratum[name]]
    unknown = {f"{first.name}, bounds unknown": of_model(first, bounds=False)}
    methods = checkpoints | unknown | baselines(scored, fits, mcmc)
    results, columns, forecast = score_methods(scored, methods)
    few = min(most, RANKED)
    ranked = [c for s in suites for c in final_value_cases(s.sample(few), PERCENTS)]
    ranks = evaluate_ranks(ranked, checkpoints | baselines(ranked, fits))
    return {
        "checkpoint": first.name,
        "checksum": first.card["checksum"],
        "checksums": {model.name: model.card["checksum"] for model in models},
        "runs_per_suite": most,
        "cases": {name: len(part) for name, part in by_stratum.items()},
        "methods": results,
        "strata": strata(by_stratum, methods),
        "tasks": by_task(scored, columns),
        "method_ranks": {"runs_per_suite": few, "cases": len(ranked), "methods": ranks},
        "recalibration": recalibrate.study(scored, forecast, columns["last_error"]),
        "pretraining": {m.name: from_fresh_weights(m.card) for m in models},
        "more_training": more_training(first),
    }


def from_fresh_weights(card: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The log of the run that began with random weights, whatever went on from it."""
    while "before" in card:
        card = card["before"]
    return card.get("history", [])


def more_training(model: Model) -> dict[str, Any]:
    """What twice as many steps would bring, as the checkpoint forecasts its own log.

    The log is of one learning-rate schedule, so this is what a schedule of the same
    form over twice as many steps is to be judged by, not a promise.

    Returns:
        "steps", "last", and of the forecast "low", "median", "high" (90 %): losses on
        held-out curves, nats, medians over cutoffs since single curves rule means;
        empty without a log.
    """
    log = from_fresh_weights(model.card)
    if len(log) < LEAST_OBSERVATIONS:
        return {}
    names = [name for name in log[0] if name.startswith("gap_")]
    gaps = [[entry[name] for name in names] for entry in log]
    values, steps = np.median(gaps, 1), [entry["step"] for entry in log]
    final = model.extrapolate(values, 2 * steps[-1], mode="min", steps=steps).final
    low, high = final.interval(0.9)
    return {
        "steps": 2 * steps[-1],
        "last": float(values[-1]),
        **{"low": float(low), "median": float(final.median()), "high": float(high)},
    }


def by_name(models: Sequence[Model]) -> dict[str, Method]:
    """Checkpoints as methods; refuses two of one name."""
    if len({model.name for model in models}) < len(models):
        raise ValueError(
            "two checkpoints have one name, that of their folder: rename a folder"
        )
    return {model.name: of_model(model) for model in models}


def baselines(
    cases: Sequence[Case], fits: bool, mcmc: bool = False
) -> dict[str, Method]:
    """Both simple rules with their errors on `cases`, and fits where wanted."""
    methods: dict[str, Method] = {
        "last value": across_tasks(cases, last_value),
        "best so far": across_tasks(cases, best_so_far),
    }
    if fits:
        methods |= {name: fitted(name) for name in CURVES}
    if mcmc:
        methods |= {name: bayesian(name) for name in FITS}
    return methods


def score_methods(
    cases: Sequence[Case], methods: Mapping[str, Method]
) -> tuple[dict[str, Any], dict[str, np.ndarray], Mixture]:
    """All methods on the same cases; the first is what the others are compared with.

    Returns:
        JSON values: name -> what `summarise` says, "run_ordering" (`rank_tasks`),
        "paired_difference" (`paired.compare`), "cpu_ms_per_case" with compilation;
        columns and forecast of the first.
    """
    results: dict[str, Any] = {}
    kept: list[tuple[dict[str, np.ndarray], Mixture]] = []
    for name, method in tqdm(methods.items(), desc="methods", disable=None):
        began = time.process_time()
        forecast = method(cases)
        took = time.process_time() - began
        columns = measure(cases, forecast)
        kept = kept or [(columns, forecast)]
        results[name] = summarise(cases, columns) | {
            "run_ordering": rank_tasks(cases, columns),
            "paired_difference": paired.compare(cases, kept[0][0], columns),
            "cpu_ms_per_case": 1e3 * took / len(cases),
        }
    return results, *kept[0]


def cases_of(suites: Sequence[CurveSet], most: int) -> dict[str, list[Case]]:
    """Cases of all suites by stratum, of at most so many runs of each."""
    cases = []
    for suite in suites:
        found = final_value_cases(suite.sample(most))
        if not found:
            raise ValueError(
                f"{suite.name} has no run of {LEAST_OBSERVATIONS} observations or more "
                "that ends in a finite value"
            )
        cases += found
    return {s: [case for case in cases if case.stratum == s] for s in STRATA}


def strata(
    by_stratum: Mapping[str, Sequence[Case]], methods: Mapping[str, Method]
) -> dict[str, dict[str, dict[str, float]]]:
    """Stratum but the moving one -> method -> `stratum`, where there are cases."""
    return {
        name: {key: stratum(part, method) for key, method in methods.items()}
        for name, part in by_stratum.items()
        if name != "moving" and part
    }


def stratum(cases: Sequence[Case], method: Method) -> dict[str, float]:
    """Means over all cases, errors in units of the task's gain.

    No ratio to the last value, whose error is zero where nothing moves.
    """
    columns = measure(cases, method(cases))
    cluster = np.array([case.cluster for case in cases])
    return {
        "cases": float(len(cases)),
        "last_error": float(columns["last_error"].mean()),
        **mean_with_error("error", columns["error"], cluster),
        **mean_with_error("crps", columns["crps"], cluster),
        "median_log_prob": float(np.median(columns["log_prob"])),
        "covered_90": float(columns["covered_90"].mean()),
    }


def by_task(
    cases: Sequence[Case], columns: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Source and task -> cutoff -> cases, both ratios to the last value, coverage."""

    def of_cell(rows: np.ndarray) -> dict[str, Any]:
        error, crps, last, held = (
            columns[key][rows].mean()
            for key in ("error", "crps", "last_error", "covered_90")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "cases": int(rows.sum()),
                "error_ratio": round(float(error / last), 4),
                "crps_ratio": round(float(crps / last), 4),
                "covered_90": round(float(held), 4),
            }

    return by_cutoff(cases, of_cell, lambda case: f"{case.suite}: {case.task}")
