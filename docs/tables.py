"""Writes the tables of README.md and of the pages in docs from the results files.

    python -m docs.tables

A table stands between `<!-- results: NAME -->` and `<!-- end -->` and is made from a
file in `eval/results`, so no number in it was typed.
"""

import json
import re
from pathlib import Path

from lcpfn.eval import report, suite_tables, suites
from lcpfn.eval.exact import importance, prior_score, table3
from lcpfn.eval.speed import bench
from lcpfn.eval.stopping import benchmark
from lcpfn.eval.studies import history, left_out

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
    lines = ["| | measured |", "|---|---|"]
    lines += [f"| {row['name']} | {row['value']:.4g} {row['unit']} |" for row in rows]
    return "\n".join(lines)


def searches(results: dict) -> str:
    """What the pruner saves two searches, from `examples/optuna_tpe.py`."""
    lines = [
        "| TPE on | trials | epochs | with the pruner | saved | best accuracy "
        "| with the pruner |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        saved = 1 - row["epochs_pruned"] / row["epochs"]
        lines.append(
            f"| {name.replace('_', ' ')} | {row['trials']} | {row['epochs']} "
            f"| {row['epochs_pruned']} | {saved:.0%} | {row['best']:.4f} "
            f"| {row['best_pruned']:.4f} |"
        )
    return "\n".join(lines)


def by_source(results: dict) -> str:
    """Where the final value is forecast well: error ratios by source and cutoff."""
    lines = [
        "| source | after 10 % | 20 % | 40 % | 80 % | 90 % intervals hold |",
        "|---|---|---|---|---|---|",
    ]
    own = results["methods"][results["checkpoint"]]
    for name, rows in {**own["suites"], "all": own["overall"]}.items():
        parts = [rows[c] for c in ("10", "20", "40", "80")]
        held = sum(row["covered_90"] for row in parts) / len(parts)
        cells = " | ".join(f"{row['error_ratio']:.2f}" for row in parts)
        lines.append(f"| {name} | {cells} | {held:.0%} |")
    return "\n".join(lines)


def surprises(results: dict) -> str:
    """Whether surprise tells bad forecasts apart, from `lcpfn.eval.studies.worst`."""
    lines = [
        "| source | CRPS, surprised | CRPS, the rest | rank correlation |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['crps_surprised']:.2f} | {row['crps_calm']:.2f} "
        f"| {row['rank_correlation']:.2f} |"
        for name, row in results["suites"].items()
    ]
    return "\n".join(lines)


TABLES = {
    "by_source": ("suites.json", by_source),
    "surprise": ("surprise.json", surprises),
    "tpe": ("tpe.json", searches),
    "domhan": ("domhan.json", prior_score.to_markdown),
    "history": ("domhan.json", prior_score.history_to_markdown),
    "exact": ("exact.json", importance.to_markdown),
    "table3": ("table3.json", table3.to_markdown),
    "fits": ("fits.json", lambda results: suites.to_markdown(results).split("\n\n")[0]),
    "tuned": ("history.json", history.to_markdown),
    "front": ("stopping.json", benchmark.front_to_markdown),
    "left_out": ("left_out.json", left_out.to_markdown),
    "stopping": ("stopping.json", benchmark.to_markdown),
    "risk": ("stopping.json", benchmark.risk_to_markdown),
    "suites": ("suites.json", suites.to_markdown),
    "ranks": ("suites.json", suite_tables.ranks),
    "bench": ("bench.json", speed),
    "growth": ("bench.json", growth),
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

    def table(match: re.Match) -> str:
        file, to_markdown = TABLES[match[2]]
        results = json.loads((RESULTS / file).read_text())
        return f"{match[1]}{to_markdown(results)}\n{match[3]}"

    return BLOCK.sub(table, text)


def whole_page(name: str) -> str:
    """One of `PAGES`."""
    file, to_markdown = PAGES[name]
    return to_markdown(json.loads((RESULTS / file).read_text())) + "\n"


if __name__ == "__main__":
    for text in TEXTS:
        text.write_text(filled(text.read_text()))
    for name in PAGES:
        (ROOT / name).write_text(whole_page(name))
