"""Pictures of the report, drawn from its results.

Each becomes SVG that takes the colour of the page's text for all that is black here, so
that it reads in light and in dark.
"""

import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.curves import CurveSet
from lcpfn.eval.curves import extrapolate, measure, of_model
from lcpfn.eval.data import PERCENTS, Case, scored_cases
from lcpfn.model import Model
from lcpfn.plot import COLOUR, fan, pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its black and yellow; the checkpoint has the first.
COLOURS = (
    *(COLOUR, "#d55e00", "#56b4e9", "#009e73", "#cc79a7"),
    *("#e69f00", "#8c8c8c", "#a6611a", "#7570b3", "#66a61e"),
)
# Places in the order of CRPS, from best to worst.
PLACES = {"typical": 0.5, "one in ten is worse": 0.9, "the worst": 1.0}
STEPS = 80


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
            f"{model.name} after 20 % of the observations: its median and its 50, 80 "
            "and 95 % intervals, the observations shown (thick) and later ones (thin), "
            "for cases at three places in the order of CRPS.",
        ),
        "Final value": (
            final_value(results),
            "Error of the median and CRPS over the error of the last value, by share "
            "of the observations shown; geometric means over suites.",
        ),
        "Calibration and sharpness": (
            calibration(results),
            "Left: how often the truth was below a predicted level; on the diagonal if "
            "calibrated. Right: distribution of F(truth) for "
            f"{results['checkpoint']}, by cutoff; level if calibrated, a hump where "
            "intervals are too wide.",
        ),
        "All later observations, by rank": (
            ranks(results),
            "Mean rank among all methods by share of observations shown; 1 is best.",
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


def grid(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple["Figure", Any]:
    """A figure of a size in inches, and its axes `(rows, columns)`."""
    return pyplot().subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained", **options
    )


def fans(
    model: Model, suites: Sequence[CurveSet], most: int, percent: int = 20
) -> "Figure":
    """A row of fans per suite, from typical to worst."""
    figure, axes = grid(len(suites), len(PLACES), (10, 2.3 * len(suites)))
    for row, suite in zip(axes, suites, strict=True):
        cases = scored_cases(suite, most, (percent,))
        if not cases:
            continue
        order = np.argsort(measure(cases, of_model(model)(cases))["crps"])
        for ax, (what, place) in zip(row, PLACES.items(), strict=True):
            fan_of(model, cases[order[round(place * (len(order) - 1))]], ax)
            ax.set_title(f"{suite.name}: {what}", fontsize=9)
    return figure


def fan_of(model: Model, case: Case, ax: Any) -> None:
    """The fan of one case and how its run went on."""
    ahead = np.linspace(case.steps[-1], case.horizon, STEPS + 1)[1:]
    forecast = extrapolate(model, case, ahead)
    fan(forecast, case.values.tolist(), case.steps.tolist(), ax=ax)
    ax.plot(case.later_steps, case.later_values, color="black", lw=0.8, zorder=4)
    ax.get_legend().remove()
    ax.set(xlabel="", ylabel="")
    ax.tick_params(labelsize=7)


def _pair() -> tuple["Figure", tuple[Any, Any]]:
    """A figure of two axes side by side, with a faint grid."""
    figure, (axes,) = grid(1, 2, (10, 3.8))
    for ax in axes:
        ax.grid(alpha=0.2)
    return figure, axes


def _colours(results: Mapping[str, Any]) -> dict[str, str]:
    """A colour for every method."""
    return dict(zip(results["methods"], itertools.cycle(COLOURS), strict=False))


def _line(
    ax: Any, results: Mapping[str, Any], name: str, xy: Iterable[Any], **style: Any
) -> None:
    """The line of a method, that of the first checkpoint thicker and in front."""
    first = name == results["checkpoint"]
    width, order = (2.5, 3) if first else (1.2, 2)
    colour = _colours(results)[name]
    ax.plot(*xy, color=colour, label=name, lw=width, zorder=order, **style)


def _by_cutoff(
    results: Mapping[str, Any],
    methods: Mapping[str, Any],
    titles: Mapping[str, str],
    **style: Any,
) -> tuple["Figure", tuple[Any, Any]]:
    """Two figures of all methods against the cutoff: name of each -> title."""
    figure, axes = _pair()
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        for name, method in methods.items():
            known = {int(c): row for c, row in method["overall"].items() if c != "all"}
            xy = list(known), [row[key] for row in known.values()]
            _line(ax, results, name, xy, **style)
        ax.set(xlabel="% of observations shown", title=title)
    _legend(axes[1])
    return figure, axes


def _legend(ax: Any) -> None:
    """A legend on the right of the axes."""
    ax.legend(fontsize=8, frameon=False, bbox_to_anchor=(1, 1), loc="upper left")


def final_value(results: Mapping[str, Any]) -> "Figure":
    """Both ratios of the final-value protocol against the cutoff."""
    titles = {
        "error_ratio": "error of the median / error of the last value",
        "crps_ratio": "CRPS / error of the last value",
    }
    figure, axes = _by_cutoff(results, results["methods"], titles, marker="o", ms=4)
    for ax in axes:
        ax.axhline(1, color="black", lw=0.6)
        ax.set(xscale="log", xticks=PERCENTS, xticklabels=PERCENTS, yscale="log")
        ax.minorticks_off()
        low, high = ax.get_ylim()
        ticks = [t for t in (0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5) if low <= t <= high]
        ax.set(yticks=ticks, yticklabels=[f"{t:g}" for t in ticks])
    return figure


def calibration(results: Mapping[str, Any]) -> "Figure":
    """Reliability of all methods, and F(truth) of the checkpoint by cutoff."""
    own = results["methods"][results["checkpoint"]]["overall"]
    known = [str(p) for p in PERCENTS if str(p) in own]
    figure, axes = pyplot().subplot_mosaic(
        [["reliability", percent] for percent in known],
        figsize=(10, 4),
        width_ratios=(1, 1),
        layout="constrained",
    )
    ax = axes["reliability"]
    for name, method in results["methods"].items():
        share = method["overall"]["all"]["pit_histogram"]
        below = np.concatenate([[0], np.cumsum(share)])
        _line(ax, results, name, (np.linspace(0, 1, len(below)), below))
    ax.plot([0, 1], [0, 1], color="black", lw=0.6)
    ax.set(xlabel="predicted level", ylabel="share of truths below")
    _legend(ax)
    density = {p: np.array(own[p]["pit_histogram"]) for p in known}
    tallest = 1.1 * max(float(x.max() * len(x)) for x in density.values())
    for percent, share in density.items():
        ax, last, count = axes[percent], percent == known[-1], len(share)
        left = np.arange(count) / count
        ax.bar(left, share * count, 1 / count, align="edge", color=COLOUR)
        ax.axhline(1, color="black", lw=0.6)
        ax.set_ylabel(f"{percent} %", rotation=0, ha="right", va="center")
        ax.set(ylim=(0, tallest), xlabel="F(truth)" if last else "")
        ax.tick_params(labelbottom=last)
    return figure


def ranks(results: Mapping[str, Any]) -> "Figure":
    """Mean ranks against the cutoff."""
    titles = {"log_prob_rank": "log-density", "error_rank": "squared error"}
    figure, axes = _by_cutoff(results, results["method_ranks"]["methods"], titles)
    for ax in axes:
        ax.invert_yaxis()
        ax.set(ylabel="mean rank")
    return figure


def compute(results: Mapping[str, Any]) -> "Figure":
    """CRPS against CPU time of a forecast; gap against minutes of pre-training."""
    figure, (left, right) = _pair()
    palette = _colours(results)
    for name, method in results["methods"].items():
        at = method["cpu_ms_per_case"], method["overall"]["all"]["crps_ratio"]
        left.scatter(*at, color=palette[name], label=name)
    left.set(xlabel="CPU time of one forecast, ms", xscale="log")
    left.set(ylabel="CRPS / error of the last value")
    _legend(left)
    logs = {name: log for name, log in results["pretraining"].items() if log}
    for name, log in logs.items():
        minutes = [entry["seconds"] / 60 for entry in log]
        for percent, style in zip((10, 40), ("-", "--"), strict=True):
            gap = np.array([entry[f"gap_{percent}"] for entry in log])
            label = f"{name}, {percent} % shown"
            right.plot(minutes, gap - gap[-1], style, color=palette[name], label=label)
    right.set(
        xlabel="minutes of pre-training", ylabel="nats per observation above the end"
    )
    if logs:
        right.legend(fontsize=8, frameon=False)
    return figure
