"""The report of `lcpfn evaluate curves`: Markdown, and one page of HTML.

The page needs nothing but itself: pictures are SVG in it, there is no script, and it
reads in light and in dark.
"""

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

from lcpfn.eval import report_tables

TITLE = "Forecasts scored"
# A cell of a table that is broken into lines.
LONG_CELL = re.compile(r"<td>([^<]{61,})</td>")
# Section -> what it says and how it came about, a template that is filled with the
# results; and what makes its tables of them.
SECTIONS: dict[str, tuple[str, *tuple[Callable[[Mapping[str, Any]], str], ...]]] = {
    "Final value": (
        "After a share of its observations, where does a run end? Geometric means over "
        "suites; below 1 is better than the last value. Runs that neither stand still "
        "nor diverge.",
        report_tables.final_values,
    ),
    "Where a baseline is better": (
        "Paired differences to `{checkpoint}`, suite by suite and cutoff by cutoff. "
        "Better and worse are counted where a 95 % interval (clustered by task, "
        "Student's t) leaves out zero. Of so many intervals one in forty does on "
        "either side by chance.",
        report_tables.paired_differences,
    ),
    "Tasks it does worst on": (
        "Error and CRPS of `{checkpoint}` over the error of the last value, task by "
        f"task; the {report_tables.WORST} of {{task_count}} with the highest CRPS. Few "
        "runs each.",
        report_tables.worst_tasks,
    ),
    "Calibration and sharpness": (
        "Central intervals should hold their share. The calibration error is the mean "
        "distance of the share of F(y) below a level from that level; it should not "
        "depend on the number of levels. Widths and log-densities are in units of the "
        "task's gain; log-densities of single cases count between -10 and 10.",
        report_tables.calibration,
    ),
    "Ranking runs": (
        "Runs of a task in the order of their predicted final values, for tasks with 5 "
        "runs or more in the sample; the regret is how much worse the best of the "
        "first 3 is than the best, as a share of the range.",
        report_tables.run_ordering,
    ),
    "All later observations, by rank": (
        "LC-PFN's protocol: after 10, 20, ..., 90 % of a curve all later observations "
        "are forecast, and methods are ranked curve by curve; 1 is best. "
        "{method_ranks[cases]:,} cases from at most {method_ranks[runs_per_suite]} "
        "runs of each suite, constant and diverged ones among them.",
        report_tables.method_ranks,
        report_tables.method_ranks_by_cutoff,
    ),
    "Runs at rest, constant and diverged": (
        "Final value again, in units of the task's gain. Runs at rest are in the "
        "tables above too; constant and diverged ones in the ranks alone.",
        report_tables.strata,
    ),
    "Score against compute": (
        "CPU time, all cores together, of forecasts of the final value, many cases in "
        "one call; that of a checkpoint includes its compilation.",
        report_tables.compute,
    ),
    "Would a corrected spread be better?": (
        "Corrections of `{checkpoint}` fitted on held-in tasks, cutoff by cutoff, "
        "applied to held-out ones. CRPS in units of the last value's error.",
        report_tables.recalibration_overall,
        report_tables.recalibration,
    ),
}
STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem;
  padding: 1rem 1.25rem 4rem; background: Canvas; color: CanvasText; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
p, figcaption { max-width: 46rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { background: var(--soft); }
td { white-space: nowrap; } td.long { white-space: normal; min-width: 18rem; }
figure { margin: 1.5rem 0; overflow-x: auto; } figcaption { font-size: .9rem; }
figure svg { max-width: 100%; height: auto; fill: currentColor; }
@media (max-width: 50rem) { figure svg { max-width: none; } }
code { background: var(--soft); padding: 0 .2em; }
"""


def to_markdown(results: Mapping[str, Any], title: str = TITLE) -> str:
    """All tables, each with what it says and how it came about."""
    return "\n\n".join(
        [f"# {title}", _introduction(results)]
        + [f"## {head}\n\n{body}" for head, body in _sections(results).items()]
    )


def _introduction(results: Mapping[str, Any]) -> str:
    sums = ", ".join(f"`{n}` ({s[:15]})" for n, s in results["checksums"].items())
    cases = ", ".join(f"{count:,} {name}" for name, count in results["cases"].items())
    return (
        f"Checkpoints: {sums}. At most {results['runs_per_suite']} runs of each suite, "
        f"about as many of every task. Cases: {cases}. Errors are in units of the "
        "typical gain of a task's runs; standard errors are clustered by task."
    )


def _sections(results: Mapping[str, Any]) -> dict[str, str]:
    """Title -> explanation and tables."""
    facts = {**results, "task_count": len(results["tasks"])}
    return {
        title: "\n\n".join([about.format(**facts), *(make(results) for make in tables)])
        for title, (about, *tables) in SECTIONS.items()
        if title != "Runs at rest, constant and diverged" or results["strata"]
    }


def to_html(results: Mapping[str, Any], pictures: Mapping[str, tuple[str, str]]) -> str:
    """The page.

    Args:
        results: of `evaluate_curves`.
        pictures: section -> SVG and caption; drawn before its tables. Those of no
            section come first.
    """
    sections = _sections(results)
    parts = [f"<h1>{TITLE}</h1>", from_markdown(_introduction(results))]
    parts += [_figure(*p) for name, p in pictures.items() if name not in sections]
    for name, body in sections.items():
        parts.append(f"<h2>{html.escape(name)}</h2>")
        if name in pictures:
            parts.append(_figure(*pictures[name]))
        parts.append(from_markdown(body))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # An icon in the page: browsers ask a server for one otherwise.
        '<link rel="icon" href="data:,">\n'
        f"<title>{TITLE}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"


def from_markdown(text: str) -> str:
    """HTML of Markdown without HTML in it: whatever looks like a tag is text."""
    try:
        import markdown
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the page needs Python-Markdown: pip install 'lcpfn-jax[report]'"
        ) from None
    made = markdown.markdown(html.escape(text, quote=False), extensions=["tables"])
    made = re.sub(LONG_CELL, r'<td class="long">\1</td>', made)
    made = made.replace("<table>", '<div class="wide"><table>')
    return made.replace("</table>", "</table></div>")
