"""Every check of what a user hands in as curves.

Non-finite values are observations too: the run had diverged at that step. They are
never fed to the network. A finite value after them means that the run recovered, and
they count as steps without an observation; at the end of a curve they mean that the
run has diverged for good. In a 2-D array NaN at the end of a row is padding instead.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lcpfn.metric import Metric
from lcpfn.plan import check_plan, plan_of
from lcpfn.seen_curve import Context, step_unit


def as_numbers(x: Any, what: str) -> np.ndarray:
    """A float64 copy, or a ValueError that says what was got."""
    try:
        array = np.array(x, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} must be numbers, got {x!r:.80}") from None
    return array


def check_count(x: Any, what: str) -> int:
    """A positive integer, NumPy's too; True is none."""
    whole = isinstance(x, int | np.integer) and not isinstance(x, bool)
    if not whole or x < 1:
        raise ValueError(f"{what} must be a positive integer, got {x!r:.80}")
    return int(x)


def _is_nested(x: Any) -> bool:
    """Whether x is a collection of curves and not one curve."""
    if isinstance(x, np.ndarray):
        return x.ndim > 1 or x.dtype == object
    return isinstance(x, Sequence) and len(x) > 0 and np.ndim(x[0]) > 0


def split_curves(curves: Any, unseen: bool) -> tuple[list[np.ndarray], bool]:
    """Separate curves of float64 values, and whether the user gave just one.

    Args:
        curves: one curve; a list of curves of any lengths; a 2-D array whose rows may
            be padded with NaN at the end.
        unseen: whether a curve may have no observation.

    Raises:
        ValueError: if it is none of these, or a curve has no observation.
    """
    if isinstance(curves, str | bytes | dict) or not hasattr(curves, "__len__"):
        raise ValueError(
            "curves must be one sequence of values, a list of them, or a 2-D array, "
            f"got {type(curves).__name__}"
        )
    if not isinstance(curves, np.ndarray) and hasattr(curves, "__array__"):
        curves = np.asarray(curves)
    single = not _is_nested(curves)
    name = lambda i: "the curve" if single else f"curve {i}"
    given = [curves] if single else curves
    rows = [as_numbers(row, name(i)) for i, row in enumerate(given)]
    if isinstance(curves, np.ndarray) and curves.ndim == 2 and curves.dtype != object:
        last = [np.flatnonzero(~np.isnan(row)).max(initial=-1) for row in rows]
        rows = [row[: end + 1] for row, end in zip(rows, last, strict=True)]
    for i, row in enumerate(rows):
        if row.ndim != 1:
            raise ValueError(
                f"{name(i)} must be one-dimensional, got an array of shape {row.shape}"
            )
        if not len(row) and not unseen:
            raise ValueError(
                f"{name(i)} has no observations; a forecast needs at least one"
            )
    return rows, single


def _per_curve(x: Any, count: int, what: str) -> list[Any]:
    """One entry per curve: x itself for all, or its elements if it is nested."""
    begins_with_none = isinstance(x, list | tuple) and len(x) > 0 and x[0] is None
    if x is None or not (begins_with_none or _is_nested(x)):
        return [x] * count
    if len(x) != count:
        raise ValueError(
            f"{what} must be given per curve: {count} curves, got {len(x)}"
        )
    return list(x)


def check_steps(steps: Any, count: int, name: str) -> np.ndarray:
    """Steps of one curve: 1..count by default, else finite, >= 0 and increasing."""
    if steps is None or not count:
        return np.arange(1.0, count + 1)
    steps = as_numbers(steps, f"steps of {name}")
    if steps.shape != (count,):
        raise ValueError(
            f"steps of {name} must be one per value: {count} values, got shape "
            f"{steps.shape}"
        )
    if not np.isfinite(steps).all() or steps[0] < 0 or (np.diff(steps) <= 0).any():
        raise ValueError(
            f"steps of {name} must be finite, >= 0 and strictly increasing, got "
            f"{steps[:8]}"
        )
    return steps


def check_horizon(horizon: Any, name: str = "the curve") -> float:
    """A finite positive number."""
    number = as_numbers(horizon, "horizon")
    if number.shape != () or not np.isfinite(number) or number <= 0:
        raise ValueError(
            f"horizon of {name} must be one positive number, the last step to predict, "
            f"got {horizon!r:.80}"
        )
    return float(number)


def _check_targets(at: Any, last: float, horizon: float, name: str) -> np.ndarray:
    targets = np.atleast_1d(as_numbers(at, f"at of {name}"))
    fine = (
        targets.ndim == 1
        and len(targets)
        and np.isfinite(targets).all()
        and (np.diff(targets) > 0).all()
        and targets[0] > last
        and targets[-1] <= horizon
    )
    if not fine:
        raise ValueError(
            f"at of {name} must be increasing steps after the last observed one "
            f"({last:g}) and up to the horizon ({horizon:g}), got {at!r:.80}"
        )
    return targets


def check_observation(
    value: Any, step: Any, last: float | None, horizon: float, metric: Metric
) -> tuple[float, float]:
    """One more observation of a curve: its value and step as numbers.

    Args:
        value: in the user's units; NaN or infinity: the run diverged.
        step: None: the one after the last.
        last: newest step so far; None before the first.
        horizon: last possible step.
        metric: direction and bounds.

    Raises:
        ValueError: no numbers, a step not after the last one or beyond the horizon, a
            value outside hard bounds.
    """
    try:
        number = float(value)
        at = float(step) if step is not None else 1.0 if last is None else last + 1
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            "an observation is a number, and so is its step, got "
            f"{value!r:.80}, step {step!r:.80}"
        ) from None
    metric.check(np.array([number]), f"the value at step {at:g}")
    if not math.isfinite(at) or at < 0:
        raise ValueError(f"step must be a finite number >= 0, got {step!r}")
    if last is not None and at <= last:
        raise ValueError(
            f"steps must increase: the last was {last:g}, got {at:g}; a run that "
            "restarted is another run, with a stream or a name of its own"
        )
    if at > horizon:
        raise ValueError(
            f"step {at:g} lies beyond the horizon {horizon:g}; give a later horizon"
        )
    return number, at


def check_curves(
    curves: Any,
    horizon: Any,
    metric: Metric,
    steps: Any = None,
    at: Any = None,
    plan: Any = None,
    unseen: bool = False,
) -> tuple[list[Context], bool]:
    """Checks everything `extrapolate` is given, before any number is computed.

    With `unseen` a curve may have no observation yet.

    Returns:
        One `Context` per curve, and whether the user gave a single curve.

    Raises:
        ValueError: saying what was expected, what was got and what to do.
    """
    rows, single = split_curves(curves, unseen)
    count = len(rows)
    if count and np.ndim(horizon) and len(horizon) != count:
        raise ValueError(
            f"horizon must be one number or one per curve: {count} curves, got "
            f"{len(horizon)}"
        )
    horizons = list(horizon) if np.ndim(horizon) else [horizon] * count
    parts = zip(
        rows,
        _per_curve(steps, count, "steps"),
        horizons,
        _per_curve(at, count, "at"),
        _per_curve(plan, count, "plan"),
        strict=True,
    )
    contexts = [
        _check_curve("the curve" if single else f"curve {i}", metric, *part)
        for i, part in enumerate(parts)
    ]
    return contexts, single


def _check_curve(
    name: str,
    metric: Metric,
    values: np.ndarray,
    steps: Any,
    horizon: Any,
    at: Any,
    plan: Any,
) -> Context:
    """One of the curves, with what was given for it."""
    metric.check(values, f"values of {name}")
    steps = check_steps(steps, len(values), name)
    end = check_horizon(horizon, name)
    last = float(steps[-1]) if len(steps) else 0.0
    if end < last:
        raise ValueError(
            f"horizon of {name} must not lie before its last observed step "
            f"{last:g}, got {end:g}"
        )
    targets = None if at is None else _check_targets(at, last, end, name)
    finite = np.isfinite(values)
    return Context(
        steps[finite],
        metric.sign * values[finite],
        last,
        metric.sign * float(values[-1]) if len(values) else 0.0,
        end,
        targets,
        step_unit(steps),
        plan_of(check_plan(plan, name), end),
    )
