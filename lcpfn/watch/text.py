"""The board in a terminal: one line per run, with a sparkline and its fan."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lcpfn.json_files import finite
from lcpfn.watch.board import Row

BARS = "▁▂▃▄▅▆▇█"
SEEN, AHEAD = 16, 8
# Values of a run that are looked at for where the bars begin and end.
LOOKED_AT = 256
COLUMNS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    *(("", "right"), ("run", "left"), ("step", "right"), ("curve and fan", "left")),
    *(("last", "right"), ("final", "right"), ("90 % interval", "left")),
    *(("beats best", "right"), ("", "left"), ("why", "left")),
)
STYLES = {"go on": "green", "stop": "yellow", "diverged": "red", "finished": "dim"}


def bar(value: float, low: float, high: float) -> str:
    """A value as a bar between two levels; a dot if it is not finite."""
    if not math.isfinite(value):
        return "·"
    span = high - low if high > low else 1.0
    return BARS[round((min(max(value, low), high) - low) / span * (len(BARS) - 1))]


def sparkline(values: Sequence[float], low: float, high: float, width: int) -> str:
    """The newest values as bars between two levels."""
    edges = np.linspace(0, len(values), min(width, len(values)) + 1).astype(int)
    return "".join(bar(values[edge - 1], low, high) for edge in edges[1:])


def fan(row: Row, low: float, high: float) -> Text:
    """The curve so far, and where its 90 % interval at the horizon lies."""
    text = Text(sparkline(row.values, low, high, SEEN).rjust(SEEN))
    if row.verdict in ("finished", "diverged"):
        return text
    heights = np.linspace(row.values[-1], row.final, AHEAD + 1)[1:].tolist()
    text.append(sparkline(heights, low, high, AHEAD), style="cyan")
    ends = bar(row.low, low, high) + bar(row.high, low, high)
    text.append(f" {ends}", style="blue")
    return text


def levels(rows: Sequence[Row]) -> tuple[float, float]:
    """Between which values the fans are drawn: all but the extremes, of some values."""
    shown = (row.values[:: 1 + len(row.values) // LOOKED_AT] for row in rows)
    seen = [v for values in shown for v in values if math.isfinite(v)]
    if not seen:
        return 0.0, 1.0
    low, high = np.quantile(seen, [0.05, 0.95])
    return float(low), float(high)


def table(
    rows: Sequence[Row], horizon: float, trouble: Mapping[str, str], most: int
) -> RenderableType:
    """Everything on one screen.

    Args:
        rows: from `Board.rows`.
        horizon: last step of a full run.
        trouble: what could not be read, by file or run.
        most: runs shown.
    """
    if not rows and not trouble:
        return Text("no observations yet")
    saved = sum(row.saved for row in rows)
    total = horizon * max(len(rows), 1)
    grid = Table(
        title=f"{len(rows)} runs to step {horizon:g}; stopping as advised saves "
        f"{saved:g} of {total:g} steps ({saved / total:.0%})",
        title_justify="left",
        expand=False,
        box=None,
        pad_edge=False,
    )
    for name, justify in COLUMNS:
        fits = name not in ("run", "why")  # these give way where it is narrow
        width = 4 if name == "run" else None
        grid.add_column(name, justify=justify, no_wrap=fits, min_width=width)
    low, high = levels(rows)
    for row in rows[:most]:
        interval = "" if row.low == row.high else f"{row.low:.4g} to {row.high:.4g}"
        grid.add_row(
            str(row.rank),
            _cut(row.run),
            f"{row.last:g}",
            fan(row, low, high),
            f"{row.values[-1]:.4g}",
            f"{row.final:.4g}",
            interval,
            "" if math.isnan(row.chance) else f"{row.chance:.0%}",
            Text(row.verdict, style=STYLES[row.verdict]),
            _cut(row.reason),
        )
    parts: list[RenderableType] = [grid]
    if len(rows) > most:
        parts.append(Text(f"... and {len(rows) - most} more", style="dim"))
    parts += [Text(f"{name}: {what}", style="red") for name, what in trouble.items()]
    return Group(*parts)


def _cut(text: str) -> Text:
    """One line, however narrow its column is."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def as_json(rows: Sequence[Row], trouble: Mapping[str, str]) -> dict[str, Any]:
    """The same for machines; numbers that are not finite become null."""
    return {
        "runs": [finite(asdict(row)) for row in rows],
        "saved": sum(row.saved for row in rows),
        "trouble": dict(trouble),
    }
