"""The final-value protocol: how good is the forecast of where a run ends?

Errors are in units of the task's typical gain, none counted beyond `MOST` of them, and
compared with the last value as a point forecast, for which CRPS is the absolute error:

    error ratio = mean |median - truth| / mean |last value - truth|
    CRPS ratio  = mean CRPS / mean |last value - truth|

per suite and cutoff; geometric means over suites.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lcpfn.eval import scores
from lcpfn.eval.cases import PERCENTS, Case
from lcpfn.extrapolate import Model
from lcpfn.mixture import Mixture

MOST = 10.0
LEVELS = (0.5, 0.8, 0.9, 0.95)
# One forecast of the final value per case.
Method = Callable[[Sequence[Case]], Mixture]


def of_model(model: Model, bounds: bool = True) -> Method:
    """A checkpoint as a method; without `bounds` it is not told them."""

    def predict(cases: Sequence[Case]) -> Mixture:
        parts: list[Any] = [None] * len(cases)
        groups: dict[tuple, list[int]] = {}
        for i, case in enumerate(cases):
            groups.setdefault((case.mode, case.bounds if bounds else None), []).append(
                i
            )
        for (mode, limits), rows in groups.items():
            forecast = model.extrapolate(
                [cases[i].values for i in rows],
                [cases[i].horizon for i in rows],
                mode=mode,
                bounds=limits,
                steps=[cases[i].steps for i in rows],
                at=[[cases[i].horizon] for i in rows],
            )
            for i, *row in zip(rows, *forecast.final.mixture, strict=True):
                parts[i] = row
        return Mixture(*(np.stack(column) for column in zip(*parts, strict=True)))

    return predict


def measure(cases: Sequence[Case], forecast: Mixture) -> dict[str, np.ndarray]:
    """Scores of every case `(n,)`, errors in units of the task's gain."""
    truth = np.array([case.truth for case in cases])
    scale = np.array([case.scale for case in cases])
    last = np.array([case.values[np.isfinite(case.values)][-1] for case in cases])
    median = forecast.quantile(np.array(0.5))
    with np.errstate(divide="ignore"):
        log_prob = forecast.log_prob(truth) + np.log(scale)
    columns = {
        "last_error": np.minimum(np.abs(last - truth) / scale, MOST),
        "error": np.minimum(np.abs(median - truth) / scale, MOST),
        "crps": np.minimum(scores.crps(forecast, truth) / scale, MOST),
        "log_prob": log_prob,
        "pit": scores.pit(forecast, truth),
        "width_90": scores.width(forecast, 0.9) / scale,
    }
    for level in LEVELS:
        name = f"covered_{level * 100:g}"
        columns[name] = scores.coverage(forecast, truth, level).astype(float)
    return columns


def summarise(cases: Sequence[Case], columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """Ratios and coverage per suite and cutoff, and their means over suites.

    Returns:
        JSON values: "suites" -> suite -> cutoff -> figures; "overall" -> the same,
        geometric means of ratios and means of the rest; "worst_error_ratio". A suite
        or cutoff with fewer than two cases is left out.
    """
    suite = np.array([case.suite for case in cases])
    percent = np.array([case.percent for case in cases])
    suites: dict[str, dict[str, dict[str, float]]] = {}
    for name in sorted(set(suite)):
        for cutoff in PERCENTS:
            rows = (suite == name) & (percent == cutoff)
            if rows.sum() < 2:
                continue
            part = {key: column[rows] for key, column in columns.items()}
            error = scores.ratio_with_error(part["error"], part["last_error"])
            crps = scores.ratio_with_error(part["crps"], part["last_error"])
            suites.setdefault(name, {})[str(cutoff)] = {
                "cases": int(rows.sum()),
                "last_error": float(part["last_error"].mean()),
                "error_ratio": error[0],
                "error_ratio_se": error[1],
                "crps_ratio": crps[0],
                "crps_ratio_se": crps[1],
                "median_log_prob": float(np.median(part["log_prob"])),
                "calibration_error": scores.calibration_error(part["pit"]),
                "width_90": float(np.median(part["width_90"])),
            } | {
                key: float(part[key].mean())
                for key in part
                if key.startswith("covered")
            }
    rows_of = [row for by_cutoff in suites.values() for row in by_cutoff.values()]
    groups = {
        str(cutoff): [s[str(cutoff)] for s in suites.values() if str(cutoff) in s]
        for cutoff in PERCENTS
    } | {"all": rows_of}
    return {
        "suites": suites,
        "overall": {
            key: mean_over_suites(rows) for key, rows in groups.items() if rows
        },
        "worst_error_ratio": max((row["error_ratio"] for row in rows_of), default=None),
    }


def mean_over_suites(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Geometric means of ratios, arithmetic means of everything else."""
    result = {}
    for key in ("error_ratio", "crps_ratio"):
        result[key] = float(np.exp(np.mean(np.log([row[key] for row in rows]))))
    for key in ("calibration_error", *(f"covered_{q * 100:g}" for q in LEVELS)):
        result[key] = float(np.mean([row[key] for row in rows]))
    return result
