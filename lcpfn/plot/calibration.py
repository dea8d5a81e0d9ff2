"""Whether forecasts are calibrated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcpfn.plot.axes import GREY, PALETTE, axes, finish, plain

DASHES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)))


def reliability(
    pit: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    ax: Any = None,
    title: str = "",
) -> Any:
    """Draws how often true values fall below the quantiles that were forecast.

    On the diagonal a forecast is calibrated. Above it, forecasts were too high; flatter
    in the middle than the diagonal, intervals were too narrow; steeper, too wide. The
    band holds 95 % of the lines of calibrated forecasts of as many independent cases.

    Args:
        pit: what a forecast gave to values below the true one, `forecast.cdf(truth)`,
            of many cases; or several such by name.
        ax: matplotlib axes; default: new ones.
        title: of the axes.

    Returns:
        The axes.
    """
    by_name = pit if isinstance(pit, Mapping) else {"forecasts": pit}
    levels = np.linspace(0, 1, 101)
    ax = axes(ax, (4.6, 4.4))
    fewest = None
    styles = zip(PALETTE, DASHES, strict=False)
    for (name, given), (colour, dashes) in zip(by_name.items(), styles, strict=False):
        values = np.asarray(given, float)
        if not values.size or not np.all((values >= 0) & (values <= 1)):
            raise ValueError(
                f"{name}: probabilities between 0 and 1 expected, as of "
                f"forecast.cdf(truth), got {given!r:.80}"
            )
        held = (values[:, None] <= levels).mean(0)
        fewest = min(fewest or values.size, values.size)
        label = plain(f"{name} ({values.size})")
        ax.plot(levels, held, color=colour, ls=dashes, label=label)
    if fewest is None:
        raise ValueError("there are no forecasts to draw")
    spread = 1.96 * np.sqrt(levels * (1 - levels) / fewest)
    band = levels - spread, levels + spread
    ax.fill_between(levels, *band, color=GREY, alpha=0.35, lw=0)
    ax.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    across = "quantile that was forecast"
    return finish(ax, across, "share of true values below it", title)
