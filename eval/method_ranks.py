"""LC-PFN's protocol on recorded curves: who forecasts the rest of a curve best?

After 10, 20, ..., 90 % of a curve every method forecasts all later values, and methods
are ranked curve by curve on two scores (Adriaensen et al. 2023, Sec. 4.2):

    log-density    mean over the later values y of log p(y)
    squared error  mean over them of (median - y)^2

1 is the best rank; equal scores share theirs. Reported are mean ranks by suite
("benchmark") and cutoff. Flat and diverged runs are among the curves, as in the paper;
runs that do not end in a finite value are no cases.

The paper scores log-densities after a fixed normaliser of the metric. That adds the
same log-Jacobian to the score of every method on a curve, so ranks do not depend on it,
and none is applied. Squared errors are in the metric's own units; the paper's are
squashed, which can order two methods differently. Of a long remainder `TARGETS` values
are predicted, evenly spread, the last one among them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm import tqdm

from lcpfn.eval import scores
from lcpfn.eval.curves import Method
from lcpfn.eval.data import Case, by_cutoff, over_suites, query
from lcpfn.mixture import Mixture

PERCENTS = tuple(range(10, 100, 10))
TARGETS = 20
SCORES = ("log_prob_rank", "error_rank")


def measure(cases: Sequence[Case], forecast: Mixture) -> np.ndarray:
    """What is ranked, lower is better `(2, n)`: -log-density and squared error.

    The forecast is that of a `Method` with `TARGETS`.
    """
    values = [query(case, TARGETS)[1] for case in cases]
    truth = np.concatenate(values)
    ends = np.cumsum([len(part) for part in values])[:-1]
    with np.errstate(divide="ignore"):
        log_prob = forecast.log_prob(truth)
    error = (forecast.quantile(np.array(0.5)) - truth) ** 2
    return np.array(
        [[part.mean() for part in np.split(x, ends)] for x in (-log_prob, error)]
    )


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
    for name, both in zip(measured, ranks, strict=True):

        def of_cell(rows: np.ndarray, both: np.ndarray = both) -> dict[str, float]:
            found: dict[str, float] = {}
            for key, rank in zip(SCORES, both[:, rows], strict=True):
                found |= scores.mean_with_error(key, rank, cluster[rows])
            return found

        suites = by_cutoff(cases, of_cell, percents=PERCENTS)
        overall = over_suites(suites, SCORES, percents=PERCENTS)
        results[name] = {"suites": suites, "overall": overall}
    return results


def evaluate_ranks(
    cases: Sequence[Case], methods: Mapping[str, Method]
) -> dict[str, Any]:
    """What `rank_methods` says of these methods; JSON values."""
    measured = {
        name: measure(cases, method(cases, TARGETS))
        for name, method in tqdm(methods.items(), desc="ranks", disable=None)
    }
    return rank_methods(cases, measured)
