"""What the page shows, as plain JSON: the board's rows with thinned curves and fans."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from lcpfn.io.cells import printable
from lcpfn.watch.board import Board, Row
from lcpfn.watch.outlook import LEVELS, Outlook

# Records of a run that the page gets.
MOST = 64


def snapshot(
    board: Board,
    name: str,
    trouble: Mapping[str, str],
    ended: Mapping[str, str],
) -> dict[str, Any]:
    """Everything the page shows of one look.

    About 2 kB a run: at most `MOST` observations, and the fan at few steps. Numbers
    have six digits; those that are not finite are null.

    Args:
        board: has taken all observations.
        name: of what is watched.
        trouble: what could not be read, by file or run.
        ended: as of `Board.rows`.
    """
    return {
        "name": printable(name),
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "horizon": board.rule.horizon,
        "mode": board.rule.mode,
        "beat": board.rule.beat,
        "levels": LEVELS,
        "runs": [_run(row, board.outlooks.get(row.run)) for row in board.rows(ended)],
        "trouble": dict(trouble),
    }


def _run(row: Row, ahead: Outlook | None) -> dict[str, Any]:
    shown = {k: _short(x) if isinstance(x, float) else x for k, x in vars(row).items()}
    kept = thinned(row.steps)
    return shown | {
        "steps": [_short(row.steps[i]) for i in kept],
        "values": [_short(row.values[i]) for i in kept],
        "value": _short(row.values[-1]),
        "fan": _fan(ahead) if ahead and row.verdict in ("go on", "stop") else None,
    }


def _fan(ahead: Outlook) -> dict[str, Any]:
    return {
        "steps": [_short(x) for x in ahead.steps],
        "quantiles": [[_short(x) for x in row] for row in ahead.quantiles],
    }


def thinned(steps: Sequence[float], most: int = MOST) -> list[int]:
    """Which observations to show: all, or some evenly spread in time and both ends."""
    if len(steps) <= most:
        return list(range(len(steps)))
    wanted = np.linspace(steps[0], steps[-1], most)
    return np.unique(np.searchsorted(steps, wanted)).tolist()


def _short(x: float) -> float | int | None:
    if not math.isfinite(x):
        return None
    return int(x) if x == int(x) and abs(x) < 2**53 else float(f"{x:.6g}")
