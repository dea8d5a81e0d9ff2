"""Checks of the states that hosts keep in their checkpoints, when they are loaded."""

import math
from typing import Any

from lcpfn.stopping.observations import number

# Of the states that are written now; the first format is still read.
STATE_FORMAT = 2


def saved_curve(pairs: Any, horizon: float = math.inf) -> dict[float, float]:
    """Values by step, of a saved state.

    Args:
        pairs: steps and values.
        horizon: last possible step.

    Raises:
        ValueError: if these are no numbers, or the steps do not increase from 0 or
            later up to the horizon.
    """
    curve: dict[float, float] = {}
    last = -math.inf
    for i, (at, value) in enumerate(pairs):
        step, y = number(at), number(value)
        if step is None or y is None:
            raise ValueError(
                f"observation {i} must be numbers a float can hold, got "
                f"{value!r:.80} at step {at!r:.80}"
            )
        if not (0 <= step < math.inf and last < step <= horizon):
            raise ValueError(
                f"steps must increase from 0 or later up to the horizon, got {step:g} "
                f"at position {i}, the one before it {last:g}, the horizon {horizon:g}"
            )
        curve[step], last = y, step
    return curve


def saved_count(state: Any, name: str, most: int) -> int:
    """A count such as "streak", of a saved state with so many observations.

    Raises:
        ValueError: if it cannot be that.
    """
    count = state[name]
    if type(count) is not int or not 0 <= count <= most:
        raise ValueError(
            f"{name} must be a whole number from 0 to {most}, the number of "
            f"observations, got {count!r:.80}"
        )
    return count


def saved_run(
    state: Any,
) -> tuple[dict[float, float], float | None, int, dict[str, Any] | None]:
    """Reads a state of a monitor.

    Returns:
        Values by step; the step at which it first said stop, None if it did not;
        decisions in a row that agreed; under which rule, None if nothing was decided.

    Raises:
        Exception: of any kind, if it is not such a state; a ValueError that names what
            is wrong with one that looks like it.
    """
    if state["format"] not in (1, STATE_FORMAT):
        raise ValueError(f"format {state['format']!r:.80}, not {STATE_FORMAT}")
    curve, stopped_at = saved_curve(state["curve"]), number(state["stopped_at"])
    if (stopped_at is None) != (state["stopped_at"] is None):
        raise ValueError(
            f"stopped_at must be a step or None, got {state['stopped_at']!r:.80}"
        )
    # The first format had both in "stopper", which was None before a decision.
    counted = state["stopper"] if state["format"] == 1 else state
    if counted is None:
        return curve, stopped_at, 0, None
    streak = saved_count(counted, "streak", len(curve))
    return curve, stopped_at, streak, counted["rule"]
