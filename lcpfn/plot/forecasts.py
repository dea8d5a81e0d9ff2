"""Forecasts beside what was observed: of one curve, of many."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.plot.axes import COLOUR, GREY, PALETTE, THRESHOLD, axes, finish, plain

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast

LEVELS = (0.5, 0.8, 0.95)
BAND = 0.22  # opacity of one band


def fan(
    forecast: "Forecast",
    values: Sequence[float] = (),
    steps: Sequence[float] | None = None,
    *,
    ax: Any = None,
    beat: float | None = None,
    title: str = "",
) -> Any:
    """Draws observed values, the median and central intervals of one forecast.

    Args:
        forecast: of one curve.
        values: observed so far, the user's units; default: what it was made from.
        steps: their steps; default 1..n.
        ax: matplotlib axes; default: new ones.
        beat: value to beat, drawn as a line.
        title: of the axes.

    Returns:
        The axes.
    """
    if np.ndim(forecast.diverged):
        raise ValueError("fan draws one curve; index the forecast: forecast[i]")
    ax = axes(ax)
    seen = np.asarray(values, float)
    at = np.arange(1, len(seen) + 1) if steps is None else np.asarray(steps, float)
    if not len(seen):
        at, seen = forecast.observed
    for below, level in enumerate(reversed(LEVELS)):
        low, high = forecast.interval(level)
        ax.fill_between(forecast.steps, low, high, color=COLOUR, alpha=BAND, lw=0)
        # Bands lie on each other; the legend shows what they add up to.
        dark, label = 1 - (1 - BAND) ** (below + 1), f"{level:.0%} interval"
        ax.fill_between([], [], [], color=COLOUR, alpha=dark, lw=0, label=label)
    ax.plot(forecast.steps, forecast.median(), color=COLOUR, label="median")
    if len(seen):
        marker = "o" if len(seen) <= 40 else None
        ax.plot(at, seen, color="black", marker=marker, markersize=3, label="observed")
    if beat is not None:
        ax.axhline(beat, color=THRESHOLD, linestyle="--", label=f"to beat: {beat:g}")
    return finish(ax, "step", "metric", title)


def runs(
    forecast: "Forecast",
    *,
    names: Sequence[str] = (),
    shown: int = 4,
    ax: Any = None,
    beat: float | None = None,
    title: str = "",
) -> Any:
    """Draws many runs: what was observed, and how each is expected to go on.

    The most promising ones, by the median at the last step, have a colour and an 80 %
    interval; the others are grey. A run that has diverged ends in a cross.

    Args:
        forecast: of several curves, as of `Model.extrapolate` or
            `Study.forecast_all`.
        names: of the runs; default: their numbers.
        shown: how many have a colour, at most 7.
        ax: matplotlib axes; default: new ones.
        beat: value to beat, drawn as a line.
        title: of the axes.

    Returns:
        The axes.
    """
    if not np.ndim(forecast.diverged) or forecast.steps.ndim != 2:
        raise ValueError("runs draws several curves over steps; draw one by fan")
    count = len(forecast)
    if names and len(names) != count:
        raise ValueError(f"{count} runs need as many names, got {len(names)}")
    ax = axes(ax)
    for i in range(count):
        _run(ax, forecast[i], GREY, "")
    for i, colour in zip(_promising(forecast)[:shown], PALETTE, strict=False):
        _run(ax, forecast[i], colour, plain(str(names[i])) if names else f"run {i}")
    if beat is not None:
        ax.axhline(beat, color="black", linestyle=":", label=f"to beat: {beat:g}")
    return finish(ax, "step", "metric", title)


def _promising(forecast: "Forecast") -> np.ndarray:
    """Numbers of the runs that have not diverged, the best final median first."""
    final = forecast.final if forecast.over_steps else forecast
    worth = final.median().reshape(len(forecast), -1)[:, 0]
    order = np.argsort(-worth if forecast.metric.mode == "max" else worth)
    return order[~forecast.diverged[order]]


def _run(ax: Any, forecast: "Forecast", colour: str, label: str) -> None:
    steps, values = forecast.observed
    front = {"zorder": 3 if label else 1, "color": colour}
    width = 1.6 if label else 0.8
    ax.plot(steps, values, lw=width, label=label or None, **front)
    if forecast.diverged:
        ax.plot(steps[-1:], values[-1:], marker="x", ls="", **front)
        return
    low, high = forecast.interval(0.8)

    def onward(x: np.ndarray, newest: np.ndarray) -> np.ndarray:
        return np.concatenate([newest[-1:], x])

    ahead = onward(forecast.steps, steps)
    ax.plot(ahead, onward(forecast.median(), values), lw=width, ls="--", **front)
    if label and len(forecast.steps) > 1:
        band = onward(low, values), onward(high, values)
        ax.fill_between(ahead, *band, alpha=0.16, lw=0, **front)
    elif label:
        ax.vlines(forecast.steps, low, high, lw=3, alpha=0.5, **front)
