"""Curves of logs that name metric, run and step of every value, and their order.

A log holds many metrics of many runs and does not say which way any of them is better:
one is chosen, and the caller gives its mode.
"""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import Run
from lcpfn.io.request import Request, one_of


class Curve(NamedTuple):
    """The observations of one run, in order.

    Attributes:
        run, task: as the log names them, or empty.
        metric: what was measured.
        steps, values: `(n,)` float64.
        origin: of two curves with the same one, the longer begins as the other; None:
            nothing is known of that.
    """

    run: str
    task: str
    metric: str
    steps: np.ndarray
    values: np.ndarray
    origin: object = None


class GrowingCurve:
    """A curve that goes on: what comes at its end costs the same however long it is.

    Args:
        curve: what there is of it.
    """

    def __init__(self, curve: Curve) -> None:
        self._about, self._count = curve[:3], len(curve.steps)
        self._rows = np.stack([curve.steps, curve.values])

    def extend(self, steps: Sequence[float], values: Sequence[float]) -> bool:
        """Puts further observations at the end; False, and nothing, if not all do."""
        new = np.array(steps, np.float64)
        last = self._rows[0, self._count - 1] if self._count else -np.inf
        if not (np.diff(new, prepend=last) > 0).all():
            return False
        end = self._count + len(new)
        if end > self._rows.shape[1]:
            known, self._rows = self._rows, np.empty((2, 2 * end))
            self._rows[:, : self._count] = known[:, : self._count]
        self._rows[:, self._count : end] = new, values
        self._count = end
        return True

    @property
    def curve(self) -> Curve:
        """All of it; not to be changed."""
        steps, values = self._rows[:, : self._count]
        return Curve(*self._about, steps, values, self)


class Logged:
    """The observations of one run as they were logged.

    Args:
        run, metric: their names.
    """

    def __init__(self, run: str, metric: str) -> None:
        self._about = run, "", metric
        self._steps: list[float] = []
        self._values: list[float] = []
        self._grown: GrowingCurve | None = None
        self._taken = 0

    def add(self, step: float, value: float) -> None:
        """One more."""
        self._steps.append(step)
        self._values.append(value)

    @property
    def curve(self) -> Curve:
        """All in order; what is new is put at the end if it belongs there."""
        new = self._steps[self._taken :], self._values[self._taken :]
        self._taken = len(self._steps)
        if self._grown is not None and self._grown.extend(*new):
            return self._grown.curve
        steps, values = np.array(self._steps), np.array(self._values)
        curve = Curve(*self._about, *in_order(steps, values))
        # Counted observations may yet turn out to have steps.
        counted = len(steps) > 1 and (steps == steps[0]).all()
        self._grown = None if counted else GrowingCurve(curve)
        return curve


class Log:
    """Observations as they were logged, by metric and run.

    Attributes:
        observed: metric -> run -> its observations.
    """

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted
        self._seen: set[str] = set()
        self.observed: dict[str, dict[str, Logged]] = {}

    def wants(self, metric: str) -> bool:
        """Whether observations of it are kept; remembers its name, for an error."""
        self._seen.add(metric)
        return self._wanted in (None, metric)

    def add(self, metric: str, run: str, step: float, value: float) -> None:
        """One observation."""
        runs = self.observed.setdefault(metric, {})
        if run not in runs:
            runs[run] = Logged(run, metric)
        runs[run].add(step, value)

    def curves(self) -> list[Curve]:
        """Curves of the chosen metric, in the order in which they were logged.

        Raises:
            ValueError: if it is not evident which one, or it has no observations.
        """
        metric = one_of(self._seen, self._wanted)
        if not self.observed.get(metric):
            raise ValueError(f"no observations of {metric!r}")
        return [logged.curve for logged in self.observed[metric].values()]


def as_run(
    curve: Curve, request: Request, config: Mapping[str, Any] | None = None
) -> Run:
    """A curve as a checked run."""
    about: dict[str, Any] = {"task": curve.task, "metric": curve.metric}
    return request.run(curve.run, curve.steps, curve.values, config=config, **about)


def in_order(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observations as they were logged, put in the order of their steps, `(n,)` each.

    One at a new step takes its place, however late it comes. A known step with another
    value means that the run went back to a checkpoint or began again: what was logged
    from that step on no longer counts. If a log has one step alone, none was given to
    the logger, and the observations are counted 1..n.
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    if (np.diff(steps) > 0).all():
        return steps, values
    distinct, first = np.unique(steps, return_index=True)
    if len(distinct) == 1:
        return np.arange(1.0, len(steps) + 1), values
    if len(distinct) == len(steps):
        return distinct, values[first]
    return _replayed(steps.tolist(), values.tolist())


def _replayed(
    steps: Sequence[float], values: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    value_at: dict[float, float] = {}
    latest: list[float] = []  # a heap of their steps, negative: the last one first
    for step, value in zip(steps, values, strict=True):
        old = value_at.get(step)
        if old is None:
            heappush(latest, -step)
        elif old == value or (old != old and value != value):
            continue
        else:
            while -latest[0] > step:
                del value_at[-heappop(latest)]
        value_at[step] = value
    kept = sorted(value_at)
    return np.array(kept), np.array([value_at[step] for step in kept])
