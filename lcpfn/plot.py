"""Pictures of forecasts; needs matplotlib (`pip install 'lcpfn-jax[plot]'`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast

LEVELS = (0.5, 0.8, 0.95)
COLOUR = "#0072b2"  # blue of Okabe and Ito's colour-blind safe palette
BAR = "#d55e00"  # its vermillion


def pyplot() -> Any:
    """matplotlib.pyplot, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plots need matplotlib: pip install 'lcpfn-jax[plot]'"
        ) from None
    return plt


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
        values: observed so far, the user's units.
        steps: their steps; default 1..n.
        ax: matplotlib axes; default: new ones.
        beat: value to draw as the bar.
        title: of the axes.

    Returns:
        The axes.
    """
    if np.ndim(forecast.diverged):
        raise ValueError("fan draws one curve; index the forecast: forecast[i]")
    ax = (
        pyplot().subplots(figsize=(7, 4), layout="constrained")[1] if ax is None else ax
    )
    seen = np.asarray(values, float)
    at = np.arange(1, len(seen) + 1) if steps is None else np.asarray(steps, float)
    for level in reversed(LEVELS):
        low, high = forecast.interval(level)
        ax.fill_between(
            forecast.steps,
            low,
            high,
            color=COLOUR,
            alpha=0.22,
            linewidth=0,
            label=f"{level:.0%} interval",
        )
    ax.plot(forecast.steps, forecast.median(), color=COLOUR, label="median")
    if len(seen):
        marker = "o" if len(seen) <= 40 else None
        ax.plot(at, seen, color="black", marker=marker, markersize=3, label="observed")
    if beat is not None:
        ax.axhline(beat, color=BAR, linestyle="--", label=f"to beat: {beat:g}")
    ax.set(xlabel="step", ylabel="metric", title=title)
    ax.grid(alpha=0.2)
    ax.legend(frameon=False, fontsize="small")
    return ax
