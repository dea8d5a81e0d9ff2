"""Markdown tables of the results file of `lcpfn evaluate --suite`, one per question."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lcpfn.eval.curves import LEVELS
from lcpfn.eval.data import PERCENTS
from lcpfn.eval.paired import tally

CUTOFFS = tuple(map(str, PERCENTS))
# Tasks shown of the many.
WORST = 12
COVERED = tuple(f"covered_{level * 100:g}" for level in LEVELS)
INTERVALS = "50 / 80 / 90 / 95 % intervals hold, %"
CALIBRATED = ("log-density", "calibration error", INTERVALS)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def calibration(results: Mapping[str, Any]) -> str:
    """Coverage, calibration error by number of bins, sharpness, log-densities."""
    bins = ("5", "10", "20", "50")
    rows = []
    for name, method in results["methods"].items():
        row = method["overall"]["all"]
        rows.append(
            (
                name,
                *(f"{row[key]:.0%}" for key in COVERED),
                *(f"{row['calibration_errors'][b]:.3f}" for b in bins),
                f"{row['width_90']:.2f}",
                f"{row['log_prob']:.2f}",
                f"{row['median_log_prob']:.2f}",
                f"{row['median_log_prob_user']:.2f}",
            )
        )
    head = [
        *("means over suites and cutoffs", "50 %", "80 %", "90 %", "95 %"),
        *("calibration error, 5 bins", "10", "20", "50"),
        *("width of the 90 % interval", "log-density", "its median"),
        "median, units of the metric",
    ]
    return table(head, rows)


def ranking(results: Mapping[str, Any]) -> str:
    """How runs of a task are ranked: means over suites, all cutoffs and each."""
    rows = []
    for name, method in results["methods"].items():
        overall = method["ranking"]["overall"]
        if "all" not in overall:
            continue
        row = overall["all"]
        taus = [
            f"{overall[c]['kendall']:.2f}" if c in overall else "-" for c in CUTOFFS
        ]
        rest = (f"{row['spearman']:.2f}", f"{row['regret']:.1%}", f"{row['ndcg']:.3f}")
        rows.append((name, f"{row['kendall']:.3f}", *taus, *rest))
    if not rows:
        return "No task has so many."
    head = [
        *("method", "Kendall's tau"),
        *(f"at {c} %" for c in CUTOFFS),
        *("Spearman's rho", "regret of the first 3", "NDCG of the first 3"),
    ]
    return table(head, rows)


def worst_tasks(results: Mapping[str, Any]) -> str:
    """The tasks where the checkpoint's CRPS is highest, over the last value's error."""
    mean = {}
    for task, by_cutoff in results["tasks"].items():
        ratios = [row["crps_ratio"] for row in by_cutoff.values()]
        known = [r for r in ratios if r is not None and 0 < r < np.inf]
        if known:
            mean[task] = float(np.exp(np.mean(np.log(known))))
    rows = []
    for task in sorted(mean, key=lambda task: -mean[task])[:WORST]:
        by_cutoff = results["tasks"][task]
        cells = [
            "{error_ratio:.2f} / {crps_ratio:.2f}".format(**by_cutoff[c])
            if by_cutoff.get(c, {}).get("crps_ratio") is not None
            else "-"
            for c in CUTOFFS
        ]
        held = np.mean([row["covered_90"] for row in by_cutoff.values()])
        cases = sum(row["cases"] for row in by_cutoff.values())
        rows.append((task, str(cases), *cells, f"{mean[task]:.2f}", f"{held:.0%}"))
    head = [
        *("task", "cases", *(f"{c} %" for c in CUTOFFS)),
        *("CRPS, geometric mean", "90 % interval holds"),
    ]
    return table(head, rows)


def against(results: Mapping[str, Any]) -> str:
    """Cells of suite and cutoff the checkpoint wins and loses, by 95 % intervals."""
    rows = []
    for name, method in results["methods"].items():
        if name == results["checkpoint"]:
            continue
        found = tally(method["against"])
        cells = []
        for key in ("error", "crps"):
            row = found[key]
            cells.append(f"{row['better']} : {row['worse']} of {row['cells']}")
            cells.append(", ".join(row["lost"]) or "-")
        rows.append((name, *cells))
    own = results["checkpoint"]
    head = (
        "against",
        *(f"error, {own} better : worse", "worse at"),
        *("CRPS, better : worse", "worse at"),
    )
    return table(head, rows)


def ranks(results: Mapping[str, Any]) -> str:
    """Mean ranks by suite, all cutoffs together: log-density / squared error."""
    methods = results["ranks"]["methods"]
    suites = sorted(next(iter(methods.values()))["suites"])
    rows = []
    for name, method in methods.items():
        cells = []
        for suite in suites:
            found = method["suites"][suite].values()
            both = [
                np.mean([cell[key] for cell in found])
                for key in ("log_prob_rank", "error_rank")
            ]
            cells.append(f"{both[0]:.2f} / {both[1]:.2f}")
        mean = method["overall"]["all"]
        both = [mean["log_prob_rank"], mean["error_rank"]]
        rows.append((name, *cells, f"{both[0]:.2f} / {both[1]:.2f}"))
    best = f"mean rank of {len(methods)}: log-density / squared error"
    return table((best, *suites, "all"), rows)


def ranks_by_cutoff(results: Mapping[str, Any]) -> str:
    """Mean ranks by cutoff, over suites."""
    methods = results["ranks"]["methods"]
    cutoffs = [c for c in next(iter(methods.values()))["overall"] if c != "all"]
    rows = [
        (
            name,
            *(
                f"{method['overall'][c]['log_prob_rank']:.2f} / "
                f"{method['overall'][c]['error_rank']:.2f}"
                for c in cutoffs
            ),
        )
        for name, method in methods.items()
    ]
    return table(("log-density / squared error", *(f"{c} %" for c in cutoffs)), rows)


def strata(results: Mapping[str, Any]) -> str:
    """Flat and diverged runs: means over cases, units of the task's gain."""
    rows = []
    for stratum, methods in results["strata"].items():
        for name, row in methods.items():
            rows.append(
                (
                    f"{stratum} ({row['cases']:.0f})",
                    name,
                    f"{row['last_error']:.3f}",
                    f"{row['error']:.3f} ± {row['error_se']:.3f}",
                    f"{row['crps']:.3f} ± {row['crps_se']:.3f}",
                    f"{row['median_log_prob']:.2f}",
                    f"{row['covered_90']:.0%}",
                )
            )
    head = (
        *(
            "stratum (cases)",
            "method",
            "error of the last value",
            "error of the median",
        ),
        *("CRPS", "median log-density", "90 % interval holds"),
    )
    return table(head, rows)


def compute(results: Mapping[str, Any]) -> str:
    """CPU time of one forecast, beside what it is worth."""
    rows = [
        (
            name,
            f"{method['cpu_ms_per_case']:.2g} ms",
            f"{method['overall']['all']['error_ratio']:.2f}",
            f"{method['overall']['all']['crps_ratio']:.2f}",
        )
        for name, method in results["methods"].items()
    ]
    head = ("method", "CPU time of one forecast", "error of the median", "CRPS")
    return table(head, rows)


def _calibrated(row: Mapping[str, float]) -> tuple[str, str, str]:
    """The cells under `CALIBRATED`."""
    return (
        f"{row['log_prob']:.2f}",
        f"{row['calibration_error']:.3f}",
        " / ".join(f"{100 * row[key]:.0f}" for key in COVERED),
    )


def recalibration(results: Mapping[str, Any]) -> str:
    """What a correction of the spread brings on what it has not seen."""
    rows = []
    for name, cells in results["recalibration"]["scores"].items():
        for suite, row in cells.items():
            rows.append(
                (
                    name,
                    suite,
                    f"{row['crps']:.3f}",
                    f"{row['gain']:+.3f} ± {row['gain_se']:.3f}" if row["gain"] else "",
                    *_calibrated(row),
                )
            )
    head = ("correction", "suite", "CRPS", "fell by", *CALIBRATED)
    return table(head, rows)


def recalibration_overall(results: Mapping[str, Any]) -> str:
    """The same, means over suites alone, and suites where it helps and hurts."""
    rows = []
    for name, cells in results["recalibration"]["scores"].items():
        row = cells["all"]
        parts = [cell for suite, cell in cells.items() if suite != "all"]
        better = sum(cell["gain"] > 2 * cell["gain_se"] for cell in parts)
        worse = sum(cell["gain"] < -2 * cell["gain_se"] for cell in parts)
        rows.append(
            (
                name,
                f"{row['crps']:.3f}",
                f"{better} : {worse}" if row["gain"] else "",
                *_calibrated(row),
            )
        )
    tally_head = "suites better : worse, by 2 standard errors"
    head = ("correction", "CRPS", tally_head, *CALIBRATED)
    return table(head, rows)
