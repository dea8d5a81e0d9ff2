"""The final-value protocol: how good is the forecast of where a run ends?

Errors are in units of the task's typical gain, none counted beyond `MOST` of them, and
compared with the last value as a point forecast, for which CRPS is the absolute error:

    error ratio = mean |median - truth| / mean |last value - truth|
    CRPS ratio  = mean CRPS / mean |last value - truth|

per suite and cutoff; geometric means over suites.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from lcpfn.eval import scores
from lcpfn.eval.data import Case, by_cutoff, over_suites, query
from lcpfn.forecast import Forecast
from lcpfn.mixture import Mixture
from lcpfn.model import Model

MOST = 10.0
LEVELS = (0.5, 0.8, 0.9, 0.95)
BINS = (5, 10, 20, 50)  # the calibration error should not depend on their number
# Log-densities of one case are clipped to this range: one case is not to decide a mean.
NATS = 10.0
# Figures whose means over suites are geometric, and arithmetic.
GEOMETRIC = ("error_ratio", "crps_ratio", "width_90")
MEANS = (
    *("log_prob", "median_log_prob", "median_log_prob_metric_units"),
    *("calibration_error", *(f"covered_{q * 100:g}" for q in LEVELS)),
    *("calibration_error_by_bins", "pit_histogram"),
)


class Method(Protocol):
    """A way to forecast cases."""

    def __call__(self, cases: Sequence[Case], targets: int = 1) -> Mixture:
        """Forecasts at the steps of `query(case, targets)`, one case after the other.

        Returns:
            Fields `(rows, K)` in the user's units: one row per case, unless there are
            more targets.
        """


def of_model(
    model: Model, bounds: bool = True, plans: Sequence[np.ndarray] | None = None
) -> Method:
    """A checkpoint as a method; without `bounds` it is not told them.

    `plans` are the learning rates of the cases that it will be asked about.
    """

    def predict(cases: Sequence[Case], targets: int = 1) -> Mixture:
        at = [query(case, targets)[0] for case in cases]
        parts: list[Any] = [None] * len(cases)
        groups: dict[tuple, list[int]] = {}
        for i, case in enumerate(cases):
            key = case.mode, case.bounds if bounds else None
            groups.setdefault(key, []).append(i)
        for (mode, limits), rows in groups.items():
            found = model.extrapolate(
                [cases[i].values for i in rows],
                [cases[i].horizon for i in rows],
                mode=mode,
                bounds=limits,
                steps=[cases[i].steps for i in rows],
                at=[at[i] for i in rows],
                plan=None if plans is None else [plans[i] for i in rows],
            )
            for i, *row in zip(rows, *found.mixture, strict=True):
                parts[i] = [x[: len(at[i])] for x in row]
        return Mixture(*(np.concatenate(x) for x in zip(*parts, strict=True)))

    return predict


def extrapolate(
    model: Model,
    case: Case,
    at: np.ndarray | None = None,
    plan: np.ndarray | None = None,
) -> Forecast:
    """The forecast of one case, at all later steps unless some are given."""
    return model.extrapolate(
        case.values,
        case.horizon,
        mode=case.mode,
        bounds=case.bounds,
        steps=case.steps,
        at=at,
        plan=plan,
    )


def errors(
    forecast: Mixture, truth: np.ndarray, last: np.ndarray, scale: np.ndarray | float
) -> dict[str, np.ndarray]:
    """The median; and in gains of the task its error, the last value's, CRPS `(n,)`."""
    median = forecast.quantile(np.array(0.5))
    in_gains = lambda error: np.minimum(error / scale, MOST)
    return {
        "median": median,
        "last_error": in_gains(np.abs(last - truth)),
        "error": in_gains(np.abs(median - truth)),
        "crps": in_gains(scores.crps(forecast, truth)),
    }


def measure(cases: Sequence[Case], forecast: Mixture) -> dict[str, np.ndarray]:
    """Scores of every case `(n,)`, errors in units of the task's gain.

    "log_prob" is per unit of that gain, "log_prob_metric_units" per unit of the metric.
    """
    truth = np.array([case.truth for case in cases])
    scale = np.array([case.scale for case in cases])
    last = np.array([case.values[np.isfinite(case.values)][-1] for case in cases])
    with np.errstate(divide="ignore"):
        log_prob = forecast.log_prob(truth)
    columns = errors(forecast, truth, last, scale) | {
        "log_prob": log_prob + np.log(scale),
        "log_prob_metric_units": log_prob,
        "pit": forecast.cdf(truth),
    }
    for level in LEVELS:
        low, high = scores.central(forecast, level)
        inside = (low <= truth) & (truth <= high)
        columns[f"covered_{level * 100:g}"] = inside.astype(float)
        columns[f"width_{level * 100:g}"] = (high - low) / scale
    return columns


def summarise(cases: Sequence[Case], columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """Ratios and coverage per suite and cutoff, and their means over suites.

    Returns:
        JSON values: "suites" -> suite -> cutoff -> figures; "overall" -> the same,
        geometric means of ratios and means of the rest; "worst_error_ratio". A suite
        or cutoff with fewer than two cases is left out.
    """
    cluster = np.array([case.cluster for case in cases])

    def of_cell(rows: np.ndarray) -> dict[str, Any] | None:
        if rows.sum() < 2:
            return None
        return figures({key: x[rows] for key, x in columns.items()}, cluster[rows])

    suites = by_cutoff(cases, of_cell)
    overall = over_suites(suites, MEANS, GEOMETRIC)
    for row in overall.values():
        row["pit_histogram"] = np.round(row["pit_histogram"], 4).tolist()
    cells = [row for cutoffs in suites.values() for row in cutoffs.values()]
    for row in cells:  # one of each suite and cutoff would fill the file
        del row["pit_histogram"]
    worst = max((row["error_ratio"] for row in cells), default=None)
    return {"suites": suites, "overall": overall, "worst_error_ratio": worst}


def figures(part: dict[str, np.ndarray], cluster: np.ndarray) -> dict[str, Any]:
    """All figures of some cases, from the columns of `measure`; JSON values.

    Standard errors are clustered by task: its runs are not independent.
    """
    last = part["last_error"]
    return {
        "cases": len(cluster),
        "tasks": len(set(cluster)),
        "last_error": float(last.mean()),
        **scores.ratio_with_error("error_ratio", part["error"], last, cluster),
        **scores.ratio_with_error("crps_ratio", part["crps"], last, cluster),
        **scores.mean_with_error(
            "log_prob", np.clip(part["log_prob"], -NATS, NATS), cluster
        ),
        "median_log_prob": float(np.median(part["log_prob"])),
        "median_log_prob_metric_units": float(np.median(part["log_prob_metric_units"])),
        "calibration_error": scores.calibration_error(part["pit"]),
        "calibration_error_by_bins": {
            str(bins): scores.calibration_error(part["pit"], bins) for bins in BINS
        },
        "pit_histogram": scores.pit_histogram(part["pit"]).round(4).tolist(),
        "width_90": float(np.median(part["width_90"])),
    } | {key: float(part[key].mean()) for key in part if key.startswith("covered")}
