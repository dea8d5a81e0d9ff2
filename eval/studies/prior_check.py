"""Does the prior look like real curves? Checks to make before training.

    python -m lcpfn.eval.studies.prior_check --suite a.npz b.npz

Curves are compared by what a forecast sees of them: scale-free statistics of curves in
model space, each with its range over all finite values as the unit.

two-sample score
    Area under the ROC curve of gradient-boosted trees that tell drawn from recorded
    curves by these statistics, cross-validated. 0.5: they cannot; 1: they always can.
    Lopez-Paz & Oquab 2017 (1610.06545), with the area in place of the accuracy.
distance
    Kolmogorov-Smirnov distance of each statistic: where the difference lies.
neighbours
    The drawn curves nearest to a recorded one, both resampled at shares of their
    horizon and moved into [0, 1]. A large distance: nothing drawn looks like it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.data import SCORED, stratum
from lcpfn.eval.studies.gallery import drawn_runs, montage
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import report, table
from lcpfn.metric import Metric
from lcpfn.priors import find_prior

LEAST_VALUES = 10
LEAST_RUNS = 50  # of a stratum, to ask whether they can be told apart
POINTS = 32
FOLDS = 5
QUANTILES = (0.1, 0.5, 0.9)


def finite_values(run: Run) -> np.ndarray:
    """Finite values in model space (lower is better)."""
    y = Metric(run.mode).sign * run.values
    return y[np.isfinite(y)]


def usable(runs: Sequence[Run]) -> list[Run]:
    """Runs that have statistics: ten finite values, not all of them equal."""
    finite = [(run, finite_values(run)) for run in runs]
    return [run for run, y in finite if len(y) >= LEAST_VALUES and np.ptp(y) > 0]


def statistics(run: Run) -> dict[str, float]:
    """Scale-free statistics of one usable run.

    Returns:
        noise: median absolute second difference, over the range (log10).
        noise_trend: log of the same in the second half over the first half.
        early_gain, late_gain: share of the range gained in the first tenth and in the
            last fifth of the run.
        first_step: size of the first difference, over the range.
        curvature: mean height above the chord from first to last value.
        best_at: where the best value lies, as a share of the horizon.
        regret: last value above the best one, over the range.
        rising: share of values worse than the one before.
        memory: correlation of successive differences.
        repeated: share of values equal to the one before.
        spike: largest difference over the median one (log10).
    """
    y = finite_values(run)
    reach, count = np.ptp(y), len(y)
    diff, half = np.diff(y) / reach, count // 2
    rough = np.abs(np.diff(y, 2)) / reach
    floor = 1e-6
    chord = np.linspace(y[0], y[-1], count)
    varied = np.std(diff[1:]) > 0 and np.std(diff[:-1]) > 0
    typical = np.median(np.abs(diff)) + floor
    return {
        "noise": float(np.log10(np.median(rough) + floor)),
        "noise_trend": float(
            np.log10(np.median(rough[half:]) + floor)
            - np.log10(np.median(rough[:half]) + floor)
        ),
        "early_gain": float((y[0] - y[max(count // 10, 1)]) / reach),
        "late_gain": float((y[count - 1 - max(count // 5, 1)] - y[-1]) / reach),
        "first_step": float(np.abs(diff[0])),
        "curvature": float(np.mean(y - chord) / reach),
        "best_at": float(np.argmin(y) / (count - 1)),
        "regret": float((y[-1] - y.min()) / reach),
        "rising": float(np.mean(diff > 0)),
        "memory": float(np.corrcoef(diff[1:], diff[:-1])[0, 1]) if varied else 0.0,
        "repeated": float(np.mean(diff == 0)),
        "spike": float(np.log10(np.abs(diff).max() / typical)),
    }


def as_table(runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Statistics of all runs, by name `(n,)`."""
    rows = [statistics(run) for run in runs]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def two_sample(drawn: dict[str, np.ndarray], recorded: dict[str, np.ndarray]) -> float:
    """Cross-validated area under the ROC curve of trees that tell them apart.

    Raises:
        ModuleNotFoundError: without scikit-learn, saying how to get it.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the two-sample score needs scikit-learn: pip install 'lcpfn-jax[checks]'"
        ) from None
    n = min(len(next(iter(part.values()))) for part in (drawn, recorded))
    x = np.concatenate(
        [np.stack([column[:n] for column in t.values()], 1) for t in (drawn, recorded)]
    )
    label = np.repeat([0, 1], n)
    trees = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    return float(roc_auc_score(label, held_out_chances(trees, x, label)))


def held_out_chances(
    trees: Any, x: np.ndarray, label: np.ndarray, **options: Any
) -> np.ndarray:
    """Chance of label 1 by trees that have not seen the row, cross-validated `(n,)`."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(
        trees, x, label, cv=folds, method="predict_proba", params=options
    )[:, 1]


def shape(run: Run, points: int = POINTS) -> np.ndarray:
    """The run at some shares of its length, moved into [0, 1]."""
    y = finite_values(run)
    at = np.linspace(0, len(y) - 1, points)
    return (np.interp(at, np.arange(len(y)), y) - y.min()) / np.ptp(y)


def neighbours(
    runs: Sequence[Run], drawn: Sequence[Run], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest drawn curves of each run: indices and distances `(n, count)`.

    The distance is the root mean square over the resampled shape.
    """
    bank = np.stack([shape(run) for run in drawn])
    wanted = np.stack([shape(run) for run in runs])
    gap = np.sqrt(((wanted[:, None] - bank[None]) ** 2).mean(-1))
    nearest = np.argsort(gap, axis=1)[:, :count]
    return nearest, np.take_along_axis(gap, nearest, axis=1)


def drawn_from(prior: str, n: int) -> list[Run]:
    """Usable curves of a prior, the same at every call."""
    return usable(drawn_runs(find_prior(prior), n, seed=2))


def check(prior: str, suites: Sequence[CurveSet], n: int = 2000) -> dict[str, Any]:
    """All checks of one prior against several sets of recorded runs.

    Returns:
        JSON values: "suites" -> suite -> score, distances by statistic, quantiles;
        "strata" -> stratum -> `check_stratum`.
    """
    drawn = drawn_from(prior, n)
    of_prior = as_table(drawn)
    result: dict[str, Any] = {"prior": prior, "drawn": len(drawn), "suites": {}}
    for suite in suites:
        runs = usable(suite.runs)
        own = as_table(runs)
        nearest = neighbours(runs, drawn, 1)[1][:, 0]
        result["suites"][suite.name] = {
            "runs": len(runs),
            "two_sample": two_sample(of_prior, own),
            "distance": {
                key: float(ks_2samp(of_prior[key], own[key]).statistic) for key in own
            },
            "quantiles": _quantiles(own),
            "neighbour_distance": np.quantile(nearest, (0.5, 0.9, 0.99)).tolist(),
        }
    recorded = [run for suite in suites for run in usable(suite.runs)]
    strata = {name: check_stratum(name, drawn, recorded) for name in SCORED}
    return result | {"strata": strata, "quantiles": _quantiles(of_prior)}


def check_stratum(
    name: str, drawn: Sequence[Run], recorded: Sequence[Run]
) -> dict[str, float | None]:
    """How often runs are of this stratum, and whether those that are can be told apart.

    Returns:
        "drawn", "recorded": shares; "runs": recorded ones; "two_sample": the score,
        None with too few.
    """
    order = np.random.default_rng(0).permutation(len(recorded))
    parts = drawn, [recorded[i] for i in order]
    of = [[run for run in runs if stratum(run) == name] for runs in parts]
    enough = min(map(len, of)) >= LEAST_RUNS
    return {
        **{
            key: len(some) / len(runs)
            for key, some, runs in zip(("drawn", "recorded"), of, parts, strict=True)
        },
        "runs": len(of[1]),
        "two_sample": two_sample(*map(as_table, of)) if enough else None,
    }


def _quantiles(columns: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {key: np.quantile(x, QUANTILES).tolist() for key, x in columns.items()}


def to_markdown(result: dict[str, Any]) -> str:
    """Medians side by side, with the distance of each statistic, and the scores."""
    suites = result["suites"].values()
    rows = []
    for key, own in result["quantiles"].items():
        medians = (s["quantiles"][key][1] for s in suites)
        distances = (s["distance"][key] for s in suites)
        pairs = zip(medians, distances, strict=True)
        rows.append((key, f"{own[1]:.2f}", *(f"{m:.2f} ({d:.2f})" for m, d in pairs)))
    areas = [f"{s['two_sample']:.2f}" for s in suites]
    gaps = [f"{s['neighbour_distance'][0]:.3f}" for s in suites]
    rows.append(("two-sample score", "0.50", *areas))
    rows.append(("distance of the nearest drawn curve", "", *gaps))
    return table(("", result["prior"], *result["suites"]), rows)


def scores_to_markdown(result: dict[str, Any]) -> str:
    """Can drawn curves be told from recorded ones? By source, then by stratum.

    The shares are of all runs, drawn and recorded.
    """
    rows = [
        (name, str(row["runs"]), f"{row['two_sample']:.2f}", "", "")
        for name, row in result["suites"].items()
    ]
    for name, row in result["strata"].items():
        score = "too few" if row["two_sample"] is None else f"{row['two_sample']:.2f}"
        drawn, recorded = (f"{row[key]:.0%}" for key in ("drawn", "recorded"))
        rows.append((f"all {name}", str(row["runs"]), score, drawn, recorded))
    head = ("recorded", "runs", "two-sample score", "share drawn", "share recorded")
    return table(head, rows)


def neighbour_rows(
    suites: Sequence[CurveSet], drawn: Sequence[Run], count: int = 5
) -> dict[str, list[Run]]:
    """Recorded runs, each followed by its nearest drawn curves, for `montage`."""
    rows = {}
    for suite in suites:
        runs = usable(suite.runs)
        nearest, gap = neighbours(runs, drawn, count)
        # One typical run and the one that the prior misses most.
        order = np.argsort(gap[:, 0])
        for label, i in (("typical", order[len(order) // 2]), ("worst", order[-1])):
            rows[f"{suite.name} {label}"] = [runs[i], *(drawn[j] for j in nearest[i])]
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the results, and a picture of neighbours."""
    parser = study_parser(__doc__, 2000, RESULTS / "prior.json")
    parser.add_argument("--prior", default="broad")
    parser.add_argument("--plot", type=Path, help="picture of nearest neighbours")
    args, suites = parse(parser, argv)
    suites = [suite.sample(args.curves) for suite in suites]
    result = check(args.prior, suites, args.curves)
    tables = to_markdown(result), scores_to_markdown(result)
    report(result, "\n\n".join(tables), args.out)
    if args.plot:
        rows = neighbour_rows(suites, drawn_from(args.prior, args.curves))
        figure = montage(rows, "Recorded runs (left) and the nearest curves drawn")
        figure.savefig(args.plot, dpi=110)


if __name__ == "__main__":
    main()
