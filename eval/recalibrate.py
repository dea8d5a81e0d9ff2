"""Would forecasts be better if their spread were corrected afterwards?

Two corrections, both fitted on held-in tasks and applied to held-out ones, cutoff by
cutoff, every source counting as much as any other:

    spread    the distribution is stretched about its median by one factor
    levels    F becomes B(F), B the cumulative Beta distribution

Both make the held-in truths most probable (Dheur & Ben Taieb 2023 compare such maps).
Held out is one source at a time, or one task at a time. A correction is worth shipping
only if it helps on a source left out: that is what a user's runs are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import betainc
from scipy.stats import beta

from lcpfn.eval import scores
from lcpfn.eval.curves import LEVELS, MOST, NATS
from lcpfn.eval.data import Case
from lcpfn.mixture import Mixture

FACTORS = np.round(np.exp(np.linspace(np.log(0.3), np.log(2.0), 25)), 3)
# F(y) is never seen to be 0 or 1 exactly.
EDGE = 1e-4


def stretched(
    forecast: Mixture, factor: float | np.ndarray, center: np.ndarray
) -> Mixture:
    """The forecast, stretched about its median by one factor or one each `(n, 1)`.

    Bounds stay where they are; `center` is the median `(n,)`.
    """
    mean = center[:, None] + factor * (forecast.mean - center[:, None])
    return forecast._replace(mean=mean, std=factor * forecast.std)


def beta_fit(pit: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Parameters of the Beta distribution of highest weighted likelihood."""
    u = np.clip(pit, EDGE, 1 - EDGE)

    def loss(p: np.ndarray) -> float:
        return -float(weight @ beta.logpdf(u, *np.exp(p)))

    a, b = np.exp(minimize(loss, np.zeros(2), method="Nelder-Mead").x)
    return float(a), float(b)


def log_density(cases: Sequence[Case], forecast: Mixture) -> np.ndarray:
    """Of the truth, per unit of the task's gain, none beyond `NATS` `(n,)`."""
    truth = np.array([case.truth for case in cases])
    scale = np.array([case.scale for case in cases])
    with np.errstate(divide="ignore"):
        found = forecast.log_prob(truth) + np.log(scale)
    return np.clip(found, -NATS, NATS)


def score(
    cases: Sequence[Case], forecast: Mixture, levels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """CRPS and log-density in units of the task's gain, and F(y), each `(n,)`.

    Args:
        cases: n of them.
        forecast: fields `(n, K)`.
        levels: parameters of the Beta distribution that F is mapped by `(2, n)`.
    """
    truth = np.array([case.truth for case in cases])
    scale = np.array([case.scale for case in cases])
    pit, bend = forecast.cdf(truth), None
    log_prob = log_density(cases, forecast)
    if levels is not None:
        log_prob = log_prob + beta.logpdf(np.clip(pit, EDGE, 1 - EDGE), *levels)
        pit, bend = betainc(*levels, pit), lambda u: betainc(*levels, u)
    return {
        "crps": np.minimum(scores.crps(forecast, truth, bend) / scale, MOST),
        "log_prob": np.clip(log_prob, -NATS, NATS),
        "pit": pit,
    }


def splits(cases: Sequence[Case], by: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Held-in and held-out rows, by cutoff; one "source" or "task" left out a time."""
    names = np.array([case.suite if by == "source" else case.cluster for case in cases])
    percent = np.array([case.percent for case in cases])
    for cutoff in sorted(set(percent)):
        for name in sorted(set(names[percent == cutoff])):
            rest = (percent == cutoff) & (names != name)
            if rest.any():
                yield (
                    np.flatnonzero(rest),
                    np.flatnonzero((percent == cutoff) & (names == name)),
                )


def study(
    cases: Sequence[Case], forecast: Mixture, last_error: np.ndarray
) -> dict[str, Any]:
    """What both corrections bring on what they have not seen.

    Args:
        cases: n of several tasks, better of several sources.
        forecast: of one method, fields `(n, K)`.
        last_error: error of the last value `(n,)`, in units of the task's gain.

    Returns:
        JSON values: "scores" -> "as it is", "spread, left-out source", ... -> suite or
        "all" -> see `_summary`; "factors" -> "source" or "task" -> cutoff -> least and
        largest spread chosen.
    """
    names, group = np.unique(
        [f"{case.suite} {case.percent}" for case in cases], return_inverse=True
    )
    each = 1 / np.bincount(group)[group]
    last = np.array([last_error[group == i].mean() for i in range(len(names))])
    unit = np.where(last == 0, 1.0, last)[group]
    columns = {"as it is": score(cases, forecast)}
    pit = columns["as it is"]["pit"]
    center = forecast.quantile(np.array(0.5))
    tried = np.stack(
        [log_density(cases, stretched(forecast, s, center)) for s in FACTORS]
    )
    factors: dict[str, dict[str, list[float]]] = {}
    for by in ("source", "task"):
        factor, levels = np.ones(len(cases)), np.ones((2, len(cases)))
        parts = list(splits(cases, by))
        if not parts:  # one source: nothing to leave out
            continue
        for held_in, held_out in parts:
            weight = each[held_in]
            factor[held_out] = FACTORS[np.argmax(tried[:, held_in] @ weight)]
            levels[:, held_out] = np.array(beta_fit(pit[held_in], weight))[:, None]
        wide = stretched(forecast, factor[:, None], center)
        columns[f"spread, left-out {by}"] = score(cases, wide)
        columns[f"levels, left-out {by}"] = score(cases, forecast, levels)
        for cutoff in sorted({case.percent for case in cases}):
            used = factor[[case.percent == cutoff for case in cases]]
            factors.setdefault(by, {})[str(cutoff)] = [used.min(), used.max()]
    return {"scores": _summary(cases, columns, unit), "factors": factors}


def _summary(
    cases: Sequence[Case],
    columns: Mapping[str, Mapping[str, np.ndarray]],
    unit: np.ndarray,
) -> dict[str, dict[str, Any]]:
    """Correction -> source or "all" -> scores over all cutoffs.

    "crps" and "gain", by how much it fell, are in units of the last value's error at
    the same cutoff; the latter with a standard error, clustered by task.
    """
    suite = np.array([case.suite for case in cases])
    cluster = np.array([case.cluster for case in cases])
    results: dict[str, dict[str, Any]] = {}
    for name, after in columns.items():
        gain = (columns["as it is"]["crps"] - after["crps"]) / unit
        cells: dict[str, dict[str, float]] = {}
        for source in sorted(set(suite)):
            rows = suite == source
            pit = after["pit"][rows]
            cells[source] = {
                "crps": float((after["crps"] / unit)[rows].mean()),
                **scores.mean_with_error("gain", gain[rows], cluster[rows]),
                "log_prob": float(after["log_prob"][rows].mean()),
                "calibration_error": scores.calibration_error(pit),
            } | {
                f"covered_{100 * q:g}": float((np.abs(pit - 0.5) <= q / 2).mean())
                for q in LEVELS
            }
        mean = {
            key: float(np.mean([cell[key] for cell in cells.values()]))
            for key in next(iter(cells.values()))
        }
        errors = np.array([cell["gain_se"] for cell in cells.values()])
        mean["gain_se"] = float(np.sqrt((errors**2).sum()) / len(errors))
        results[name] = cells | {"all": mean}
    return results
