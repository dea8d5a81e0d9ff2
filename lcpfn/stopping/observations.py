"""What a training loop reports, put in order: the observations of one run.

Hosts repeat themselves, report late, go back to a checkpoint, or begin another curve.
"""

import logging
import math
import warnings
from enum import Enum
from itertools import compress, takewhile
from typing import Any

import numpy as np

from lcpfn.metric import Metric

log = logging.getLogger(__name__)
# What NaN as the newest value means; infinity is always a diverged run.
NAN_MEANINGS = ("diverged", "skip")


class MonitorWarning(UserWarning):
    """Something kept a monitor from deciding; the run goes on."""


class WarnOnce:
    """Warns of each kind of trouble once."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def __call__(self, kind: str, message: str, error: Exception | None = None) -> None:
        """Warns, unless it has warned of this kind of trouble before."""
        if error is not None:
            message = f"{message} ({type(error).__name__}: {error})"
        if kind in self.known:
            return
        self.known.add(kind)
        try:
            warnings.warn(f"lcpfn: {message}", MonitorWarning, stacklevel=4)
        except MonitorWarning:  # under -W error it would end the training
            log.warning("%s", message)


class ReportKind(Enum):
    """What a report was.

    Attributes:
        NEWEST: an observation after all others.
        REPEATED: the newest observation again.
        BACK: a known step with another value: the host went back to its checkpoint.
            Observations from that step on are dropped.
        RESTART: the first step again: another curve, the next fold for instance.
        LATE: an unknown step before the last one, the first one too, put in its place.
        NOTHING: an older observation again, or none at all.
    """

    NEWEST = "newest"
    REPEATED = "repeated"
    BACK = "back"
    RESTART = "restart"
    LATE = "late"
    NOTHING = "nothing"


def number(x: Any) -> float | None:
    """As a float; None for what is not a number."""
    try:
        return float(x)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def plain(x: Any) -> Any:
    """The same in JSON, which has neither NumPy's numbers nor NaN and infinity.

    Those two become strings that `float` reads.
    """
    if isinstance(x, np.generic | np.ndarray):
        x = x.tolist()
    if isinstance(x, list | tuple):
        return [plain(part) for part in x]
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


def check_nan(nan: Any) -> str:
    """One of `NAN_MEANINGS`; refuses anything else."""
    if nan not in NAN_MEANINGS:
        raise ValueError(
            'nan must be "diverged" (a run whose newest value is NaN is stopped) or '
            f'"skip" (such a value is no observation), got {nan!r:.80}'
        )
    return str(nan)


class Observations:
    """The observations of one run.

    Args:
        warn_once: how to warn.
        nan: of `NAN_MEANINGS`.

    Attributes:
        changes: how often anything but the end of the curve has changed.
        last: the newest step; None if there is none.
    """

    def __init__(self, warn_once: WarnOnce, nan: str = "diverged") -> None:
        self.warn_once, self.nan, self.changes = warn_once, nan, 0
        self.last: float | None = None
        self._skipped: float | None = None  # the newest step without a value
        self._curve: dict[float, float] = {}
        self._first, self._in_order = math.inf, True

    @property
    def curve(self) -> dict[float, float]:
        """Values by step, in order of the steps; not to be changed."""
        if not self._in_order:
            self._curve, self._in_order = dict(sorted(self._curve.items())), True
        return self._curve

    def after(self, step: float | None) -> list[float]:
        """All later steps, in order, in time of their number; None: all there are."""
        low = -math.inf if step is None else step
        return [*takewhile(lambda at: at > low, reversed(self.curve))][::-1]

    def add(self, value: Any, step: Any, horizon: float | None) -> ReportKind:
        """Takes a report; raises nothing.

        Args:
            value: the metric; what is no number is left out.
            step: its step; None: the last one plus 1.
            horizon: later steps are left out; None: it is not known, and all are.
        """
        y = number(value)
        before = max(filter(None, (self.last, self._skipped)), default=0.0)
        at = before + 1 if step is None else number(step)
        if y is None or at is None or not 0 <= at < math.inf:
            self.warn_once(
                "observation", f"no observation: got {value!r:.80} at step {step!r:.80}"
            )
            return ReportKind.NOTHING
        if horizon is None:
            self.warn_once(
                "horizon", "the host did not say how long it runs; give horizon="
            )
            return ReportKind.NOTHING
        if at > horizon:
            self.warn_once(
                "horizon",
                f"step {at:g} lies beyond the horizon {horizon:g}; no decisions from "
                "here on: give a later horizon",
            )
            return ReportKind.NOTHING
        if math.isnan(y) and self.nan == "skip":
            return self._skip(at)
        if self.last is None or at > self.last:
            # Steps behind all others keep the order there is.
            self._curve[at], self.last = y, at
            self._first = min(self._first, at)
            return ReportKind.NEWEST
        kind = self._put_in_order(y, at, self.last)
        self.changes += kind not in (ReportKind.REPEATED, ReportKind.NOTHING)
        return kind

    def _skip(self, at: float) -> ReportKind:
        """Counts a step without a value; another curve may begin with one."""
        self._skipped = at
        if self.last is None or not at == self._first < self.last:
            return ReportKind.NOTHING
        self.restore({})
        self.changes += 1
        return ReportKind.RESTART

    def _put_in_order(self, y: float, at: float, last: float) -> ReportKind:
        """Takes an observation that is not after all others."""
        known = self._curve.get(at)
        if known is None:
            self._curve[at], self._in_order = y, False
            self._first = min(self._first, at)
            return ReportKind.LATE
        if at == self._first < last:
            log.info("step %g after step %g: another curve begins", at, last)
            self._skipped = None
            self.restore({at: y})
            return ReportKind.RESTART
        if known == y or (math.isnan(known) and math.isnan(y)):
            return ReportKind.REPEATED if at == last else ReportKind.NOTHING
        curve = self.curve
        while next(reversed(curve)) > at:
            curve.popitem()
        curve[at], self.last, self._skipped = y, at, None
        return ReportKind.BACK

    def leave_out_beyond(self, metric: Metric, steps: list[float]) -> None:
        """Leaves out those of these steps whose values lie outside hard bounds."""
        curve = self.curve
        outside = metric.outside(np.array([curve[step] for step in steps]))
        if not outside.any():
            return
        for step in compress(steps, outside):
            value = np.array([curve.pop(step)])
            try:
                metric.check(value, f"the value at step {step:g}")
            except ValueError as error:
                self.warn_once("observation", f"an observation was left out: {error}")
        self.restore(curve)
        self.changes += 1

    def state(self) -> list[Any]:
        """The observations in plain JSON values."""
        return plain(list(self.curve.items()))

    def restore(self, curve: dict[float, float]) -> None:
        """Goes on from values by step, in order of the steps."""
        self._curve, self._in_order = curve, True
        self.last = next(reversed(curve), None)
        self._first = next(iter(curve), math.inf)
