"""What a training loop reports, put in order: the curve of one run.

Hosts repeat themselves, report late, go back to a checkpoint, or begin another curve.
"""

import logging
import math
import warnings
from dataclasses import dataclass
from enum import Enum
from typing import Any

log = logging.getLogger(__name__)


class GuardWarning(UserWarning):
    """Something kept a guard from deciding; the run goes on."""


class Once:
    """Says each kind of trouble once."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def __call__(self, kind: str, message: str) -> None:
        """Warns, unless this kind of trouble has been told."""
        if kind in self.said:
            return
        self.said.add(kind)
        try:
            warnings.warn(f"lcpfn: {message}", GuardWarning, stacklevel=4)
        except GuardWarning:  # under -W error it would end the training
            log.warning("%s", message)


class News(Enum):
    """What a report was.

    Attributes:
        NEWEST: a record after all others.
        REPEATED: the newest record again.
        BACK: a known step with another value: the host went back to its checkpoint.
            Records from that step on are dropped.
        RESTART: the first step again: another curve, the next fold for instance.
        LATE: an unknown step before the last one, put in its place.
        NOTHING: an older record again, or none at all.
    """

    NEWEST = "newest"
    REPEATED = "repeated"
    BACK = "back"
    RESTART = "restart"
    LATE = "late"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Schedule:
    """When to decide.

    Attributes:
        start_from: first step with a decision.
        every: decide at the first record of every so many steps from there on.
    """

    start_from: float = 0
    every: float = 1

    def __post_init__(self) -> None:
        if not self.every > 0:
            raise ValueError(f"the interval must be positive, got {self.every!r}")

    def due(self, step: float, before: float | None) -> bool:
        """Whether to decide at `step`, the record before it being at `before`."""
        if step < self.start_from:
            return False
        if before is None or not self.start_from <= before < step:
            return True
        one, two = ((x - self.start_from) // self.every for x in (before, step))
        return one != two

    def of(self, steps: list[Any]) -> list[Any]:
        """The steps of a whole curve at which to decide."""
        pairs = zip(steps, [None, *steps], strict=False)
        return [step for step, before in pairs if self.due(step, before)]


def number(x: Any) -> float | None:
    """As a float; None for what is not a number."""
    try:
        return float(x)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def plain(x: float) -> float | str:
    """The same in JSON, which has neither NaN nor infinity."""
    return x if math.isfinite(x) else str(x)


def _same(one: float, two: float) -> bool:
    return one == two or (math.isnan(one) and math.isnan(two))


class Reports:
    """The records of one run.

    Attributes:
        curve: values by step, in order of the steps.
    """

    def __init__(self, once: Once) -> None:
        self.once = once
        self.curve: dict[float, float] = {}

    @property
    def last(self) -> float | None:
        """The newest step."""
        return max(self.curve, default=None)

    def add(self, value: Any, step: Any, horizon: float | None) -> News:
        """Takes a report; raises nothing.

        Args:
            value: the metric; what is no number is left out.
            step: its step; None: the last one plus 1.
            horizon: later steps are left out; None: nobody knows it, and all are.
        """
        last = self.last
        y = number(value)
        at = (1.0 if last is None else last + 1) if step is None else number(step)
        if y is None or at is None or not 0 <= at < math.inf:
            self.once("record", f"no record: got {value!r:.80} at step {step!r:.80}")
            return News.NOTHING
        if horizon is None:
            self.once("horizon", "the host did not say how long it runs; give horizon=")
            return News.NOTHING
        if at > horizon:
            text = f"step {at:g} lies beyond the horizon {horizon:g}; no decisions from"
            self.once("horizon", f"{text} here on: give a later horizon")
            return News.NOTHING
        if last is None or at > last:
            self.curve[at] = y
            return News.NEWEST
        return self._again(y, at, last)

    def _again(self, y: float, at: float, last: float) -> News:
        first, known = min(self.curve), self.curve.get(at)
        if at < first or (at == first < last):
            log.info("step %g after step %g: another curve begins", at, last)
            self.curve = {at: y}
            return News.RESTART
        if known is None:
            self.curve = dict(sorted({**self.curve, at: y}.items()))
            return News.LATE
        if _same(known, y):
            return News.REPEATED if at == last else News.NOTHING
        self.curve = {s: v for s, v in self.curve.items() if s < at} | {at: y}
        return News.BACK

    def state(self) -> list[list[float | str]]:
        """The records in plain JSON values."""
        return [[step, plain(value)] for step, value in self.curve.items()]

    def restore(self, state: Any) -> None:
        """The records of a `state()`; raises what Python raises for anything else."""
        self.curve = {float(step): float(value) for step, value in state}
