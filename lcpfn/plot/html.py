"""How a forecast shows itself in a notebook: a small SVG, or a table; plain strings.

Needs no plotting library, takes the colours of the page, and loads nothing.
"""

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lcpfn.forecast import Forecast

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 460, 170, 56, 66, 12, 22
LEVELS = (0.95, 0.8, 0.5)
BLUE = "#0072b2"  # of Okabe and Ito's colour-blind safe palette
POINTS, ROWS = 80, 12


def html_of(forecast: "Forecast") -> str:
    """HTML of a forecast: a fan for one curve, a table of final values for several."""
    if not forecast.steps.size:
        return f"<code>{escape(repr(forecast))}</code>"
    if np.ndim(forecast.diverged):
        return _table(forecast)
    if forecast.diverged or forecast.steps.ndim == 0:
        return _sentence(forecast)
    return _fan(forecast)


def _number(x: Any) -> str:
    return escape(f"{float(x):.4g}")


def _sentence(forecast: "Forecast") -> str:
    if forecast.diverged:
        return "<p>Forecast of a diverged run: it stays diverged.</p>"
    low, high = forecast.interval(0.9)
    return (
        f"<p>Forecast at step {_number(float(forecast.steps))}: "
        f"<b>{_number(forecast.median())}</b>, 90&#160;% interval "
        f"{_number(low)} to {_number(high)}</p>"
    )


def _table(forecast: "Forecast") -> str:
    """Final values of several curves; the last steps of those that have no `final`."""
    known = forecast.over_steps or forecast.steps.ndim == 1
    end = forecast.final if forecast.over_steps else forecast
    if not known:
        return f"<code>{escape(repr(forecast))}</code>"
    median, (low, high) = end.median(), end.interval(0.9)
    count = len(median)
    head = "".join(
        f"<th>{name}</th>" for name in ("curve", "step", "median", "90&#160;% interval")
    )
    rows = ""
    for i in range(min(count, ROWS)):
        cells = (
            str(i),
            _number(end.steps[i]),
            _number(median[i]),
            f"{_number(low[i])} to {_number(high[i])}",
        )
        rows += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    more = f"<p>and {count - ROWS} more curves</p>" if count > ROWS else ""
    return (
        f"<table><caption>{escape(repr(forecast))}</caption><thead><tr>{head}</tr>"
        f"</thead><tbody>{rows}</tbody></table>{more}"
    )


def _fan(forecast: "Forecast") -> str:
    ends = [(1 - level) / 2 for level in LEVELS]
    levels = np.array([*ends, 0.5, *(1 - end for end in reversed(ends))])
    steps, rows = forecast.steps, forecast.quantile(levels)
    kept = np.unique(np.linspace(0, len(steps) - 1, POINTS).round().astype(int))
    steps, rows = steps[kept], rows[:, kept]
    past, values = forecast.observed
    x, y = np.r_[past, steps], np.r_[values, rows.ravel()]
    left, right, low, high = x.min(), x.max(), y.min(), y.max()
    across = (WIDTH - LEFT - RIGHT) / (right - left or 1)
    up = (HEIGHT - TOP - FOOT) / (high - low or 1)

    def points(x: np.ndarray, y: np.ndarray) -> str:
        at = zip(LEFT + (x - left) * across, TOP + (high - y) * up, strict=True)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in at)

    def text(x: float, y: float, words: str, anchor: str) -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{words}</text>'

    last = rows[len(LEVELS), -1]
    bands = "".join(
        f'<polygon points="{points(np.r_[steps, steps[::-1]], np.r_[a, b[::-1]])}" '
        f'fill="{BLUE}" fill-opacity="0.22"/>'
        for a, b in zip(rows[: len(LEVELS)], rows[::-1], strict=False)
    )
    line = '<polyline fill="none" stroke-width="1.5" stroke="{}" points="{}"/>'
    labels = (
        text(LEFT - 6, TOP + 5, _number(high), "end"),
        text(LEFT - 6, HEIGHT - FOOT, _number(low), "end"),
        text(LEFT, HEIGHT - 6, f"step {_number(left)}", "start"),
        text(WIDTH - RIGHT, HEIGHT - 6, _number(right), "middle"),
        text(WIDTH - RIGHT + 6, TOP + (high - last) * up + 4, _number(last), "start"),
    )
    ends_at = [float(end[-1]) for end in forecast.interval(0.9)]
    title = "{!r}; at the last step {:.4g}, 90 % {:.4g} to {:.4g}"
    title = title.format(forecast, last, *ends_at)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="11" '
        'font-family="sans-serif" fill="currentColor">'
        f"<title>{escape(title)}</title>{bands}"
        f"{line.format(BLUE, points(steps, rows[len(LEVELS)]))}"
        f"{line.format('currentColor', points(past, values))}{''.join(labels)}</svg>"
    )
