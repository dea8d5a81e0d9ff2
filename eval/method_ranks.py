"""LC-PFN's protocol on recorded curves: who forecasts the rest of a curve best?

After 10, 20, ..., 90 % of a curve every method forecasts all later records, and methods
are ranked curve by curve on two scores (Adriaensen et al. 2023, Sec. 4.2):

    log-density    mean over the later records of log p(record)
    squared error  mean over them of (median - record)^2

1 is the best rank; equal scores share theirs. Reported are mean ranks by suite
("benchmark") and cutoff. Flat and diverged runs are among the curves, as in the paper;
runs that do not end in a finite value are no cases.

The paper scores log-densities after a fixed normaliser of the metric. That adds the
same log-Jacobian to the score of every method on a curve, so ranks do not depend on it,
and none is applied. Squared errors are in the metric's own units; the paper's are
squashed, which can order two methods differently. Of a long remainder `TARGETS` records
are asked for, evenly spread, the last one among them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm import tqdm

from lcpfn.curves import CurveSet
from lcpfn.eval import scores
from lcpfn.eval.baselines import last_value
from lcpfn.eval.curves import forecasts
from lcpfn.eval.data import Case, cells, final_value_cases, over_suites
from lcpfn.mixture import Mixture
from lcpfn.model import Model

PERCENTS = tuple(range(10, 100, 10))
TARGETS = 20
# Into how many parts the way to the horizon is cut where errors of a rule are kept.
PARTS = 5
# A forecast of every record asked for: one mixture per case, fields `(s, K)`.
Rest = Callable[[Sequence[Case]], list[Mixture]]
SCORES = ("log_prob_rank", "error_rank")


def asked(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the later records that a case is asked for `(s,)`."""
    finite = np.flatnonzero(np.isfinite(case.later_values))
    count = min(TARGETS, len(finite))
    rows = finite[np.linspace(0, len(finite) - 1, count).round().astype(int)]
    return case.later_steps[rows], case.later_values[rows]


def of_model(model: Model) -> Rest:
    """A checkpoint."""
    return lambda cases: forecasts(model, cases, [asked(case)[0] for case in cases])


def of_fit(name: str) -> Rest:
    """Least squares with one of `last_value.CURVES`."""

    def predict(cases: Sequence[Case]) -> list[Mixture]:
        found = []
        for case in tqdm(cases, desc=f"{name}, all later records", disable=None):
            at = asked(case)[0]
            mean, std = last_value.fit_case(last_value.CURVES[name], case, at)
            same = [case] * len(at)
            found.append(last_value.gaussians(same, mean[:, None], std[:, None]))
        return found

    return predict


def of_rule(cases: Sequence[Case], point: Callable[[Case], float]) -> Rest:
    """A point forecast with the errors that it made in other suites.

    Errors are kept by cutoff and by how far a record lies on the way to the horizon.
    """
    method = last_value.across_tasks([q for case in cases for q in _each(case)], point)

    def predict(cases: Sequence[Case]) -> list[Mixture]:
        parts = [_each(case) for case in cases]
        found = method([question for part in parts for question in part])
        ends = np.cumsum([len(part) for part in parts])[:-1]
        split = zip(*(np.split(x, ends) for x in found), strict=True)
        return [Mixture(*fields) for fields in split]

    return predict


def _each(case: Case) -> list[Case]:
    """One question about the last record for each record asked for."""
    steps, values = asked(case)
    way = (steps - case.steps[-1]) / (case.horizon - case.steps[-1])
    part = np.ceil(way * PARTS).astype(int)
    return [
        case._replace(horizon=step, truth=value, percent=1000 * case.percent + k)
        for step, value, k in zip(steps, values, part, strict=True)
    ]


def measure(cases: Sequence[Case], found: Sequence[Mixture]) -> np.ndarray:
    """What is ranked, lower is better `(2, n)`: -log-density and squared error."""
    rows = []
    for case, forecast in zip(cases, found, strict=True):
        values = asked(case)[1]
        with np.errstate(divide="ignore"):
            log_prob = forecast.log_prob(values).mean()
        median = forecast.quantile(np.array(0.5))
        rows.append((-log_prob, ((median - values) ** 2).mean()))
    return np.array(rows).T


def rank_methods(
    cases: Sequence[Case], measured: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Mean ranks by suite and cutoff.

    Args:
        cases: n of them.
        measured: method -> what `measure` says `(2, n)`.

    Returns:
        JSON values: method -> "suites" -> suite -> cutoff -> "log_prob_rank",
        "error_rank" and their standard errors "..._se", clustered by task; "overall"
        -> cutoff or "all" -> means over suites.
    """
    ranks = rankdata(np.stack(list(measured.values())), axis=0)
    cluster = np.array([case.cluster for case in cases])
    results: dict[str, Any] = {}
    for name, rank in zip(measured, ranks, strict=True):
        suites: dict[str, dict[str, dict[str, float]]] = {}
        for source, cutoff, rows in cells(cases, PERCENTS):
            cell = suites.setdefault(source, {}).setdefault(cutoff, {})
            for key, values in zip(SCORES, rank[:, rows], strict=True):
                cell[key] = float(values.mean())
                cell[f"{key}_se"] = scores.clustered_error(values, cluster[rows])
        overall = {
            cutoff: {key: float(np.mean([row[key] for row in found])) for key in SCORES}
            for cutoff, found in over_suites(suites, PERCENTS).items()
        }
        results[name] = {"suites": suites, "overall": overall}
    return results


def evaluate_ranks(
    models: Sequence[Model], suites: Sequence[CurveSet], most: int, fits: bool = True
) -> dict[str, Any]:
    """The protocol for checkpoints and last_value.

    Args:
        models: checkpoints.
        suites: recorded curves, one set per source.
        most: runs taken of each, evenly over its tasks.
        fits: whether to run least squares too, which takes minutes.
    """
    cases = [
        case
        for suite in suites
        for case in final_value_cases(suite.sample(most), PERCENTS)
    ]
    methods: dict[str, Rest] = {model.name: of_model(model) for model in models}
    methods |= {
        "last value": of_rule(cases, last_value.last_value),
        "best so far": of_rule(cases, last_value.best_so_far),
    }
    if fits:
        methods |= {name: of_fit(name) for name in last_value.CURVES}
    measured = {
        name: measure(cases, method(cases))
        for name, method in tqdm(methods.items(), desc="ranks", disable=None)
    }
    return {
        "runs_per_suite": most,
        "cases": len(cases),
        "methods": rank_methods(cases, measured),
    }
