"""Writes the tables of README.md and of the pages in docs from the results files.

    python -m docs.tables

A table stands between `<!-- results: NAME -->` and `<!-- end -->` and is made from a
file in `eval/results`, so no number in it was typed.
"""

import json
import re
from pathlib import Path

from lcpfn.eval import evaluate_context, report, report_tables
from lcpfn.eval.exact import importance, mcmc_score, prior_score
from lcpfn.eval.nas import evaluate
from lcpfn.eval.speed import bench, ray_shown
from lcpfn.eval.stopping import benchmark
from lcpfn.eval.studies import (
    calibrate,
    decisions_amid_others,
    ftpfn_protocol,
    history,
    left_out,
    planned_rate,
    prior_check,
    promise,
    pruners_shown,
    worst,
)
from lcpfn.eval.tables import columns_table, table

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TEXTS = (README, *sorted((ROOT / "docs").glob("*.md")))
RESULTS = ROOT / "eval" / "results"


def speed(results: dict) -> str:
    """All figures of the benchmark but those of growth."""
    rows = [row for row in results["rows"] if row["figure"] != "growth"]
    return bench.to_markdown(results | {"rows": rows})


def growth(results: dict) -> str:
    """How time and memory grow with the length of a stream and the size of a batch."""
    rows = [row for row in results["rows"] if row["figure"] == "growth"]
    shown = [((row["name"],), row) for row in rows]
    return columns_table(("",), shown, {"measured": "{value:.4g} {unit}"})


def searches(results: dict) -> str:
    """What the pruner saves two searches, from `examples/optuna_tpe.py`."""
    columns = {
        "trials": "{trials}",
        "epochs": "{epochs}",
        "epochs with the pruner": "{epochs_pruned}",
        "saved": "{saved:.0%}",
        "epochs, trials alone": "{epochs_alone}",
        "best accuracy": "{best:.4f}",
        "best with the pruner": "{best_pruned:.4f}",
        "best, trials alone": "{best_alone:.4f}",
    }
    rows = []
    for name, row in results.items():
        saved = 1 - row["epochs_pruned"] / row["epochs"]
        rows.append(((name.replace("_", " "),), row | {"saved": saved}))
    return columns_table(("TPE on",), rows, columns)


def headline(
    suites: dict, context: dict, stopping: dict, prior: dict, speed: dict
) -> str:
    """The front page: one row a claim, beside what it has to beat."""
    methods = {name: row["overall"]["all"] for name, row in suites["methods"].items()}
    fits = {name: methods[name] for name in ("pow3", "pow4", "mmf4")}

    def final(what: str, key: str) -> tuple[str, str, str]:
        fit = min(fits, key=lambda name: fits[name][key])
        beside = (
            f"`domhan` {methods['domhan'][key]:.2f}, best least-squares fit "
            f"({fit}) {fits[fit][key]:.2f}"
        )
        return what, f"{methods['default'][key]:.2f}", beside

    searches = [
        "{speed_up:.1f} x, {winner_stopped:.0%}".format(**stopping["overall"][name])
        for name in (
            *("population by cost, 0.85", "ASHA", "LC-PFN's rule, 0.95"),
            "successive halving",
        )
    ]
    among = lambda part: " / ".join(
        f"{part['overall'][str(percent)]['crps_ratio']:.2f}"
        for percent in evaluate_context.PERCENTS
        if str(percent) in part["overall"]
    )
    known_alone = f"alone {among(context['settings'][evaluate_context.ALONE])}"
    scores = " / ".join(f"{row['log_prob']:.2f}" for row in prior["cutoffs"])
    paper = prior_score.PAPER["LC-PFN 12 x 512, 26 M parameters (P3)"]
    update = next(row for row in speed["rows"] if row["figure"] == "streaming")
    rows = [
        final(
            "error of the final value, in that of the last value (lower is better)",
            "error_ratio",
        ),
        final(
            "CRPS, the error of the whole distribution, in the same unit", "crps_ratio"
        ),
        (
            "share of true final values in the 90 % interval",
            f"{methods['default']['covered_90']:.0%}",
            f"`domhan` {methods['domhan']['covered_90']:.0%}",
        ),
        (
            "CRPS with 20 other runs of the search, 0 / 10 / 20 / 40 / 80 % seen",
            *(among(context["settings"]["20 others"]), known_alone),
        ),
        (
            "stopping in a search, each run forecast alone: speed-up, best run stopped",
            searches[0],
            f"ASHA {searches[1]}; LC-PFN's rule {searches[2]}; "
            f"successive halving {searches[3]}",
        ),
        (
            "log-density on LC-PFN's prior, 10 / 20 / 40 / 80 % seen (`domhan`)",
            scores,
            "LC-PFN's largest " + " / ".join(f"{x:.2f}" for x in paper),
        ),
        (
            "one more observation and the decision, two CPU cores",
            f"{update['value']:.2f} {update['unit']}",
            f"{update['against']}: {update['reference']:.0f} {update['unit']}",
        ),
    ]
    return table(("", "lcpfn", "beside it"), rows)


# Name of a table -> results file or files, and what makes it.
TABLES = {
    "headline": (
        ("suites.json", "context.json", "stopping.json", "domhan.json", "bench.json"),
        headline,
    ),
    "final_value": ("suites.json", report_tables.final_values),
    "error_by_source": ("suites.json", report_tables.error_by_source),
    "method_ranks": ("suites.json", report_tables.method_ranks),
    "fits_by_mcmc": ("fits.json", report_tables.final_value),
    "surprise": ("surprise.json", worst.to_markdown),
    "prior_score": ("domhan.json", prior_score.to_markdown),
    "default_pretraining": ("suites.json", report_tables.pretraining),
    "pretraining": ("domhan.json", prior_score.pretraining_to_markdown),
    "exact_inference": ("exact.json", importance.to_markdown),
    "mcmc": ("table3.json", mcmc_score.to_markdown),
    "prior_check": ("prior.json", prior_check.scores_to_markdown),
    "other_runs": ("context.json", evaluate_context.to_markdown),
    "ftpfn_protocol": ("ftpfn_protocol.json", ftpfn_protocol.to_markdown),
    "finetuning": ("history.json", history.to_markdown),
    "planned_rate": ("planned_rate.json", planned_rate.to_markdown),
    "left_out_sources": ("left_out.json", left_out.to_markdown),
    "calibration": ("calibration.json", calibrate.to_markdown),
    "stopping": ("stopping.json", benchmark.to_markdown),
    "stopping_paused": ("stopping.json", benchmark.paused_to_markdown),
    "stopping_front": ("stopping.json", benchmark.front_to_markdown),
    "amid_others": ("decisions_amid_others.json", decisions_amid_others.to_markdown),
    "stopping_risk": ("stopping.json", benchmark.risk_to_markdown),
    "promise_doubted": ("promise.json", promise.to_markdown),
    "promise_sources": ("promise.json", promise.sources_to_markdown),
    "optuna_searches": ("tpe.json", searches),
    "optuna_settings": ("optuna.json", pruners_shown.settings_to_markdown),
    "pruners": ("pruners.json", pruners_shown.to_markdown),
    "ray": ("ray.json", ray_shown.to_markdown),
    "speed": ("bench.json", speed),
    "growth": ("bench.json", growth),
    **{
        f"nas_{title.replace(' ', '_')}": ("nas.json", made)
        for title, made in evaluate.TABLES.items()
    },
}
# Pages that are a results file as a whole.
PAGES = {
    "docs/evaluation.md": (
        "suites.json",
        lambda results: report.to_markdown(results, "Forecasts of recorded curves"),
    )
}
BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text with every table made anew."""

    def fresh(match: re.Match) -> str:
        files, to_markdown = TABLES[match[2]]
        files = (files,) if isinstance(files, str) else files
        results = [json.loads((RESULTS / file).read_text()) for file in files]
        return f"{match[1]}{to_markdown(*results)}\n{match[3]}"

    return BLOCK.sub(fresh, text)


def whole_page(name: str) -> str:
    """One of `PAGES`."""
    file, to_markdown = PAGES[name]
    return to_markdown(json.loads((RESULTS / file).read_text())) + "\n"


if __name__ == "__main__":
    for text in TEXTS:
        text.write_text(filled(text.read_text()))
    for name in PAGES:
        (ROOT / name).write_text(whole_page(name))
