"""Markdown tables of the results of `evaluate_curves`, one function each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcpfn.eval.curves import LEVELS
from lcpfn.eval.data import PERCENTS
from lcpfn.eval.paired import tally
from lcpfn.eval.scores import geometric_mean
from lcpfn.eval.tables import cells, columns_table, fill, table

CUTOFFS = tuple(map(str, PERCENTS))
AT_CUTOFFS = tuple(f"{cutoff} %" for cutoff in CUTOFFS)
# Shares of a pre-training that are shown.
MILESTONES = (0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
# Tasks shown of the many.
WORST = 12
RATIOS = "{error_ratio:.2f} / {crps_ratio:.2f}"
RATIOS_SE = (
    "{error_ratio:.2f} ± {error_ratio_se:.2f} / {crps_ratio:.2f} ± {crps_ratio_se:.2f}"
)
RANKS = "{log_prob_rank:.2f} / {error_rank:.2f}"
CALIBRATED = {
    "log-density": "{log_prob:.2f}",
    "calibration error": "{calibration_error:.3f}",
    "50 / 80 / 90 / 95 % intervals hold, %": "{held}",
}


def milestones(log: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries of the log of a pre-training that are shown."""
    ends = [share * log[-1]["step"] for share in MILESTONES]
    return [min(log, key=lambda entry: abs(entry["step"] - end)) for end in ends]


def pretraining(results: Mapping[str, Any]) -> str:
    """Loss on held-out curves of the prior along pre-training, and what more may bring.

    The loss is the negative log-density of later observations, nats.
    """
    more, rows = results["more_training"], []
    for entry in milestones(results["pretraining"][results["checkpoint"]]):
        gaps = [entry[f"gap_{cutoff}"] for cutoff in CUTOFFS]
        shown = (f"{x:.3f}" for x in (*gaps, np.median(gaps)))
        spent = f"{entry['curves']:,}", f"{entry['seconds'] / 60:.0f}"
        rows.append((f"{entry['step']:,}", *spent, *shown))
    expected = "{median:.3f} (90 %: {low:.3f} to {high:.3f})".format(**more)
    blank = [""] * (2 + len(CUTOFFS))
    rows.append((f"{more['steps']:,}, forecast by itself", *blank, expected))
    return table(("steps", "curves", "minutes", *AT_CUTOFFS, "median"), rows)


def final_value(results: Mapping[str, Any]) -> str:
    """All methods over all suites."""
    rows = []
    for name, method in results["methods"].items():
        overall = method["overall"]
        row = cells(overall, RATIOS, (*CUTOFFS, "all"))
        rows.append((name, *row, fill("{covered_90:.0%}", overall["all"])))
    head = "error of the median / CRPS, both over the error of the last value"
    return table((head, *AT_CUTOFFS, "all", "90 % interval holds"), rows)


def final_values(results: Mapping[str, Any]) -> str:
    """All methods over all suites, then the first checkpoint suite by suite."""
    name = results["checkpoint"]
    head = f"{name}: error of the median / CRPS, both over the error of the last value"
    by_suite = _by_source(results["methods"][name]["suites"], RATIOS_SE)
    rows = table((head, *AT_CUTOFFS, "90 % interval holds"), by_suite)
    return f"{final_value(results)}\n\n{rows}"


def error_by_source(results: Mapping[str, Any]) -> str:
    """Error ratios of the first checkpoint alone, by source and cutoff."""
    own = results["methods"][results["checkpoint"]]
    rows = _by_source(own["suites"] | {"all": own["overall"]}, "{error_ratio:.2f}")
    head = ("source", "after 10 %", *AT_CUTOFFS[1:], "90 % intervals hold")
    return table(head, rows)


def _by_source(sources: Mapping[str, Any], template: str) -> list[tuple[str, ...]]:
    """Source, the template at every cutoff, mean coverage of the 90 % interval."""
    rows = []
    for name, by_cutoff in sources.items():
        held = [by_cutoff[c]["covered_90"] for c in CUTOFFS if c in by_cutoff]
        at = cells(by_cutoff, template, CUTOFFS)
        rows.append((name, *at, f"{sum(held) / len(held):.0%}"))
    return rows


def before_and_after(results: Mapping[str, Any]) -> str:
    """From the second checkpoint to the first, by source."""
    after, before = (results["methods"][name] for name in results["checksums"])

    def lines(method: Mapping[str, Any]) -> list[tuple[str, ...]]:
        return _by_source(method["suites"] | {"all": method["overall"]}, RATIOS)

    rows = [
        (name, *(" → ".join(pair) for pair in zip(old, new, strict=True)))
        for (name, *old), (_, *new) in zip(lines(before), lines(after), strict=True)
    ]
    head = (
        "error / CRPS of the last value's error",
        *AT_CUTOFFS,
        "90 % interval holds",
    )
    return f"{table(head, rows)}\n\n{paired_differences(results)}"


def calibration(results: Mapping[str, Any]) -> str:
    """Coverage, calibration error by number of bins, sharpness, log-densities."""
    columns = {
        **{f"{100 * q:g} %": f"{{covered_{100 * q:g}:.0%}}" for q in LEVELS},
        "calibration error, 5 bins": "{bins_5:.3f}",
        **{bins: f"{{bins_{bins}:.3f}}" for bins in ("10", "20", "50")},
        "width of the 90 % interval": "{width_90:.2f}",
        "log-density": "{log_prob:.2f}",
        "its median": "{median_log_prob:.2f}",
        "median, units of the metric": "{median_log_prob_metric_units:.2f}",
    }
    rows = []
    for name, method in results["methods"].items():
        row = method["overall"]["all"]
        bins = {f"bins_{b}": x for b, x in row["calibration_error_by_bins"].items()}
        rows.append(((name,), row | bins))
    return columns_table(("means over suites and cutoffs",), rows, columns)


def run_ordering(results: Mapping[str, Any]) -> str:
    """How runs of a task are ordered: means over suites, all cutoffs and each."""
    columns = {
        "Kendall's tau": "{kendall:.3f}",
        **{f"at {cutoff} %": f"{{at_{cutoff}}}" for cutoff in CUTOFFS},
        "Spearman's rho": "{spearman:.2f}",
        "regret of the first 3": "{regret:.1%}",
        "NDCG of the first 3": "{ndcg:.3f}",
    }
    rows = []
    for name, method in results["methods"].items():
        overall = method["run_ordering"]["overall"]
        if "all" in overall:
            taus = cells(overall, "{kendall:.2f}", CUTOFFS)
            named = {f"at_{c}": tau for c, tau in zip(CUTOFFS, taus, strict=True)}
            rows.append(((name,), overall["all"] | named))
    if not rows:
        return "No task has so many."
    return columns_table(("method",), rows, columns)


def worst_tasks(results: Mapping[str, Any]) -> str:
    """The tasks where the checkpoint's CRPS is highest, over the last value's error."""
    mean = {}
    for task, by_cutoff in results["tasks"].items():
        ratios = [row["crps_ratio"] for row in by_cutoff.values()]
        known = [r for r in ratios if r is not None and 0 < r < np.inf]
        if known:
            mean[task] = geometric_mean(known)
    rows = []
    for task in sorted(mean, key=lambda task: -mean[task])[:WORST]:
        by_cutoff = results["tasks"][task]
        finite = {c: r for c, r in by_cutoff.items() if r["crps_ratio"] is not None}
        held = np.mean([row["covered_90"] for row in by_cutoff.values()])
        cases = sum(row["cases"] for row in by_cutoff.values())
        at = cells(finite, RATIOS, CUTOFFS)
        rows.append((task, str(cases), *at, f"{mean[task]:.2f}", f"{held:.0%}"))
    rest = ("CRPS, geometric mean", "90 % interval holds")
    return table(("task", "cases", *AT_CUTOFFS, *rest), rows)


def paired_differences(results: Mapping[str, Any]) -> str:
    """Cells of suite and cutoff the checkpoint wins and loses, by 95 % intervals."""
    own = results["checkpoint"]
    rows = []
    for name, method in results["methods"].items():
        if name != own:
            found = tally(method["paired_difference"])
            row = [name]
            for key in ("error", "crps"):
                row.append(fill("{better} : {worse} of {cells}", found[key]))
                row.append(", ".join(found[key]["worse_at"]) or "-")
            rows.append(row)
    head = ("against", f"error, {own} better : worse", "worse at")
    return table((*head, "CRPS, better : worse", "worse at"), rows)


def method_ranks(results: Mapping[str, Any]) -> str:
    """Mean ranks by suite, all cutoffs together: log-density / squared error."""
    methods = results["method_ranks"]["methods"]
    suites = sorted(next(iter(methods.values()))["suites"])
    rows = []
    for name, method in methods.items():
        mean = {
            suite: {
                key: np.mean([cell[key] for cell in method["suites"][suite].values()])
                for key in ("log_prob_rank", "error_rank")
            }
            for suite in suites
        }
        mean["all"] = method["overall"]["all"]
        rows.append((name, *cells(mean, RANKS, mean)))
    head = f"mean rank of {len(methods)}: log-density / squared error"
    return table((head, *suites, "all"), rows)


def method_ranks_by_cutoff(results: Mapping[str, Any]) -> str:
    """Mean ranks by cutoff, over suites."""
    methods = results["method_ranks"]["methods"]
    cutoffs = [c for c in next(iter(methods.values()))["overall"] if c != "all"]
    rows = [
        (name, *cells(method["overall"], RANKS, cutoffs))
        for name, method in methods.items()
    ]
    return table(("log-density / squared error", *(f"{c} %" for c in cutoffs)), rows)


def strata(results: Mapping[str, Any]) -> str:
    """Runs at rest, constant and diverged: means over cases, in gains of the task."""
    rows = [
        ((f"{stratum} ({row['cases']:.0f})", name), row)
        for stratum, methods in results["strata"].items()
        for name, row in methods.items()
    ]
    columns = {
        "error of the last value": "{last_error:.3f}",
        "error of the median": "{error:.3f} ± {error_se:.3f}",
        "CRPS": "{crps:.3f} ± {crps_se:.3f}",
        "median log-density": "{median_log_prob:.2f}",
        "90 % interval holds": "{covered_90:.0%}",
    }
    return columns_table(("stratum (cases)", "method"), rows, columns)


def compute(results: Mapping[str, Any]) -> str:
    """CPU time of one forecast, beside what it is worth."""
    rows = [
        ((name,), method | method["overall"]["all"])
        for name, method in results["methods"].items()
    ]
    columns = {
        "CPU time of one forecast": "{cpu_ms_per_case:.2g} ms",
        "error of the median": "{error_ratio:.2f}",
        "CRPS": "{crps_ratio:.2f}",
    }
    return columns_table(("method",), rows, columns)


def recalibration(results: Mapping[str, Any]) -> str:
    """What a correction of the spread brings on what it has not seen."""
    rows = []
    for name, by_suite in results["recalibration"]["scores"].items():
        for suite, row in by_suite.items():
            fell = fill("{gain:+.3f} ± {gain_se:.3f}", row)
            rows.append(((name, suite), _corrected(row, fell)))
    columns = {"CRPS": "{crps:.3f}", "fell by": "{change}"} | CALIBRATED
    return columns_table(("correction", "suite"), rows, columns)


def recalibration_overall(results: Mapping[str, Any]) -> str:
    """The same, means over suites alone, and suites where it helps and hurts."""
    rows = []
    for name, by_suite in results["recalibration"]["scores"].items():
        cells = [cell for suite, cell in by_suite.items() if suite != "all"]
        known = [cell for cell in cells if cell["gain_se"] is not None]
        better = sum(cell["gain"] > 2 * cell["gain_se"] for cell in known)
        worse = sum(cell["gain"] < -2 * cell["gain_se"] for cell in known)
        rows.append(((name,), _corrected(by_suite["all"], f"{better} : {worse}")))
    change = "suites better : worse, by 2 standard errors"
    columns = {"CRPS": "{crps:.3f}", change: "{change}"} | CALIBRATED
    return columns_table(("correction",), rows, columns)


def _corrected(row: Mapping[str, Any], change: str) -> dict[str, Any]:
    """A row with its change, "" where nothing was corrected, and its coverages."""
    held = " / ".join(f"{100 * row[f'covered_{100 * q:g}']:.0f}" for q in LEVELS)
    return {**row, "change": change if row["gain"] else "", "held": held}
