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
from lcpfn.eval.tables import columns_table, fill, table

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


# What is said on the front page, what we have, and what it has to beat.
HEADLINE = (
    (
        "error of the final value, in that of the last value (lower is better)",
        "{default[error_ratio]:.2f}",
        "`domhan` {domhan[error_ratio]:.2f}, best least-squares fit "
        "({least_error[name]}) {least_error[error_ratio]:.2f}",
    ),
    (
        "CRPS, the error of the whole distribution, in the same unit",
        "{default[crps_ratio]:.2f}",
        "`domhan` {domhan[crps_ratio]:.2f}, best least-squares fit "
        "({least_crps[name]}) {least_crps[crps_ratio]:.2f}",
    ),
    (
        "share of true final values in the 90 % interval",
        "{default[covered_90]:.0%}",
        "`domhan` {domhan[covered_90]:.0%}",
    ),
    (
        "CRPS with 20 other runs of the search, 0 / 10 / 20 / 40 / 80 % seen",
        *("{among}", "alone {alone}"),
    ),
    (
        "stopping in a search, each run forecast alone: speed-up, how often the best "
        "run was stopped (lower is better)",
        "{stop[population by cost, 0.85]}",
        "ASHA {stop[ASHA]}; LC-PFN's rule {stop[LC-PFN's rule, 0.95]}; "
        "successive halving {stop[successive halving]}",
    ),
    (
        "log-density on LC-PFN's prior, 10 / 20 / 40 / 80 % seen (`domhan`)",
        *("{scores}", "LC-PFN's largest {paper}"),
    ),
    (
        "one more observation and the decision, two CPU cores",
        "{update[value]:.2f} {update[unit]}",
        "{update[against]}: {update[reference]:.0f} {update[unit]}",
    ),
)


def headline(
    suites: dict, context: dict, stopping: dict, prior: dict, speed: dict
) -> str:
    """The front page: one row a claim, beside what it has to beat."""
    methods = {
        name: row["overall"]["all"] | {"name": name}
        for name, row in suites["methods"].items()
    }
    fits = [methods[name] for name in ("pow3", "pow4", "mmf4")]
    joined = lambda numbers: " / ".join(f"{x:.2f}" for x in numbers)
    among = lambda name: joined(
        row["crps_ratio"]
        for cutoff, row in context["settings"][name]["overall"].items()
        if cutoff != "all"
    )
    facts = methods | {
        "least_error": min(fits, key=lambda fit: fit["error_ratio"]),
        "least_crps": min(fits, key=lambda fit: fit["crps_ratio"]),
        "stop": {
            name: fill("{speed_up:.1f} x, {winner_stopped:.0%}", row)
            for name, row in stopping["overall"].items()
        },
        "among": among("20 others"),
        "alone": among(evaluate_context.ALONE),
        "scores": joined(row["log_prob"] for row in prior["cutoffs"]),
        "paper": joined(prior_score.PAPER["LC-PFN 12 x 512, 26 M parameters (P3)"]),
        "update": next(row for row in speed["rows"] if row["figure"] == "streaming"),
    }
    rows = [[fill(cell, facts) for cell in row] for row in HEADLINE]
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
    "crps_in_loss": ("crps.json", report_tables.before_and_after),
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
