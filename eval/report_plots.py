"""Pictures of the report, drawn from its results.

Each becomes SVG that takes the colour of the page's text for all that is black here, so
that it reads in light and in dark.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.eval.data import PERCENTS
from lcpfn.eval.fans import fans
from lcpfn.model import Model
from lcpfn.plot import COLOUR, pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its black and yellow; the checkpoint has the first.
COLOURS = (
    *(COLOUR, "#d55e00", "#56b4e9", "#009e73", "#cc79a7"),
    *("#e69f00", "#8c8c8c", "#a6611a", "#7570b3", "#66a61e"),
)


def to_svg(figure: "Figure", name: str) -> str:
    """A figure as an element for HTML; `name` makes its ids those of no other."""
    plt = pyplot()
    file = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace("#000000", "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)


def pictures(
    results: Mapping[str, Any], model: Model, suites: Sequence[CurveSet]
) -> dict[str, tuple[str, str]]:
    """SVG and caption by section of the report; see `report.to_html`."""
    pyplot().switch_backend("agg")
    drawn = {
        "Fans": (
            fans(model, suites, most=results["runs_per_suite"]),
            f"{model.name} after 20 % of the records: its median and its 50, 80 and "
            "95 % intervals, the records shown (thick) and those to come (thin), for "
            "cases at three places in the order of CRPS.",
        ),
        "Final value": (
            by_cutoff(results),
            "Error of the median and CRPS over the error of the last value, by share "
            "of the records shown; geometric means over suites.",
        ),
        "Calibration and sharpness": (
            calibration(results),
            "Left: how often the truth was below a predicted level; on the diagonal if "
            "calibrated. Right: distribution of F(truth) for "
            f"{results['checkpoint']}, by cutoff; level if calibrated, a hump where "
            "intervals are too wide.",
        ),
        "All later records, by rank": (
            ranks(results),
            "Mean rank among all methods by share of the records shown; 1 is best.",
        ),
        "Score against compute": (
            compute(results),
            "Left: CRPS over the error of the last value, against CPU time for one "
            "forecast. Right: validation gap during the last stage of pre-training.",
        ),
    }
    return {
        name: (to_svg(figure, f"p{i}"), caption)
        for i, (name, (figure, caption)) in enumerate(drawn.items())
    }


def colours(results: Mapping[str, Any]) -> dict[str, str]:
    """A colour for every method."""
    names = list(results["methods"])
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def by_cutoff(results: Mapping[str, Any]) -> "Figure":
    """Both ratios of the final-value protocol against the cutoff."""
    figure, axes = pyplot().subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for ax, key, title in zip(
        axes,
        ("error_ratio", "crps_ratio"),
        ("error of the median", "CRPS"),
        strict=True,
    ):
        for name, colour in colours(results).items():
            overall = results["methods"][name]["overall"]
            known = [p for p in PERCENTS if str(p) in overall]
            own = name == results["checkpoint"]
            ax.plot(
                known,
                [overall[str(p)][key] for p in known],
                color=colour,
                label=name,
                marker="o",
                ms=4,
                lw=2.5 if own else 1.2,
                zorder=3 if own else 2,
            )
        ax.axhline(1, color="black", lw=0.6)
        ax.set(xlabel="% of records shown", title=f"{title} / error of the last value")
        ax.set(xscale="log", xticks=PERCENTS, xticklabels=PERCENTS, yscale="log")
        ax.minorticks_off()
        ticks = [t for t in (0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5) if _within(ax, t)]
        ax.set(yticks=ticks, yticklabels=[f"{t:g}" for t in ticks])
        ax.grid(alpha=0.2)
    axes[1].legend(fontsize=8, frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def _within(ax: Any, y: float) -> bool:
    low, high = ax.get_ylim()
    return low <= y <= high


def calibration(results: Mapping[str, Any]) -> "Figure":
    """Reliability of all methods, and F(truth) of the checkpoint by cutoff."""
    own = results["methods"][results["checkpoint"]]["overall"]
    known = [p for p in PERCENTS if str(p) in own]
    figure, axes = pyplot().subplot_mosaic(
        [["reliability", str(percent)] for percent in known],
        figsize=(10, 4),
        width_ratios=(1, 1),
        layout="constrained",
    )
    ax = axes["reliability"]
    for name, colour in colours(results).items():
        share = results["methods"][name]["overall"]["all"]["pit"]
        levels = np.linspace(0, 1, len(share) + 1)
        first = name == results["checkpoint"]
        ax.plot(
            levels,
            np.concatenate([[0], np.cumsum(share)]),
            color=colour,
            label=name,
            lw=2.5 if first else 1.2,
            zorder=3 if first else 2,
        )
    ax.plot([0, 1], [0, 1], color="black", lw=0.6)
    ax.set(xlabel="predicted level", ylabel="share of truths below")
    ax.legend(fontsize=8, frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    tallest = 0.0
    for percent in known:
        share = np.array(own[str(percent)]["pit"])
        edges = np.linspace(0, 1, len(share) + 1)
        ax = axes[str(percent)]
        ax.bar(
            edges[:-1], share * len(share), 1 / len(share), align="edge", color=COLOUR
        )
        ax.axhline(1, color="black", lw=0.6)
        ax.set_ylabel(f"{percent} %", rotation=0, ha="right", va="center")
        tallest = max(tallest, 1.1 * float(share.max()) * len(share))
    for percent in known:
        last = percent == known[-1]
        axes[str(percent)].set(ylim=(0, tallest), xlabel="F(truth)" if last else "")
        axes[str(percent)].tick_params(labelbottom=last)
    return figure


def ranks(results: Mapping[str, Any]) -> "Figure":
    """Mean ranks against the cutoff."""
    figure, axes = pyplot().subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    palette = colours(results)
    for ax, key in zip(axes, ("log_prob_rank", "error_rank"), strict=True):
        for name, method in results["ranks"]["methods"].items():
            known = [c for c in method["overall"] if c != "all"]
            own = name == results["checkpoint"]
            ax.plot(
                [int(c) for c in known],
                [method["overall"][c][key] for c in known],
                color=palette.get(name, "#8c8c8c"),
                label=name,
                lw=2.5 if own else 1.2,
            )
        ax.invert_yaxis()
        ax.set(xlabel="% of records shown", ylabel="mean rank")
        ax.set_title("log-density" if key == "log_prob_rank" else "squared error")
        ax.grid(alpha=0.2)
    axes[1].legend(fontsize=8, frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def compute(results: Mapping[str, Any]) -> "Figure":
    """CRPS against CPU time of a forecast; gap against minutes of pre-training."""
    figure, (left, right) = pyplot().subplots(
        1, 2, figsize=(10, 3.8), layout="constrained"
    )
    for name, colour in colours(results).items():
        method = results["methods"][name]
        at = method["cpu_ms_per_case"], method["overall"]["all"]["crps_ratio"]
        left.scatter(*at, color=colour, label=name)
    left.set(xlabel="CPU time of one forecast, ms", xscale="log")
    left.set(ylabel="CRPS / error of the last value")
    left.legend(fontsize=8, frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    palette = colours(results)
    for name, history in results["history"].items():
        minutes = [entry["seconds"] / 60 for entry in history]
        for percent, style in zip((10, 40), ("-", "--"), strict=True):
            gap = np.array([entry[f"gap_{percent}"] for entry in history])
            right.plot(
                minutes,
                gap - gap[-1],
                style,
                color=palette[name],
                label=f"{name}, {percent} % shown",
            )
    right.set(xlabel="minutes of pre-training", ylabel="nats per record above the end")
    if results["history"]:
        right.legend(fontsize=8, frameon=False)
    for ax in (left, right):
        ax.grid(alpha=0.2)
    return figure
