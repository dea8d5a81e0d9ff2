"""What a training loop reports, put in order: the observations of one run.

Hosts repeat themselves, report late, go back to a checkpoint, or begin another curve.
"""

import logging
import math
import warnings
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from lcpfn.metric import Metric

log = logging.getLogger(__name__)


class MonitorWarning(UserWarning):
    """Something kept a monitor from deciding; the run goes on."""


class WarnOnce:
    """Warns of each kind of trouble once."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def __call__(self, kind: str, message: str) -> None:
        """Warns, unless it has warned of this kind of trouble before."""
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
        LATE: an unknown step before the last one, put in its place.
        NOTHING: an older observation again, or none at all.
    """

    NEWEST = "newest"
    REPEATED = "repeated"
    BACK = "back"
    RESTART = "restart"
    LATE = "late"
    NOTHING = "nothing"


@dataclass(frozen=True)
class DecisionInterval:
    """At which observations to decide.

    Attributes:
        start_from: first step with a decision.
        every: decide at the first observation of every so many steps from there on.
    """

    start_from: float = 0
    every: float = 1

    def __post_init__(self) -> None:
        if not self.every > 0:
            raise ValueError(f"the interval must be positive, got {self.every!r}")

    def due(self, step: float, before: float | None) -> bool:
        """Whether to decide at `step`, the observation before it being at `before`."""
        if step < self.start_from:
            return False
        if before is None or not self.start_from <= before < step:
            return True
        one, two = ((x - self.start_from) // self.every for x in (before, step))
        return one != two

    def cutoffs(self, steps: list[float]) -> list[int]:
        """Numbers of observations, of a whole curve, after which to decide."""
        pairs = zip(steps, [None, *steps], strict=False)
        return [i for i, (at, before) in enumerate(pairs, 1) if self.due(at, before)]


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


class Observations:
    """The observations of one run.

    Attributes:
        curve: values by step, in order of the steps.
    """

    def __init__(self, warn_once: WarnOnce) -> None:
        self.warn_once = warn_once
        self.curve: dict[float, float] = {}

    @property
    def last(self) -> float | None:
        """The newest step."""
        return next(reversed(self.curve), None)

    def add(self, value: Any, step: Any, horizon: float | None) -> ReportKind:
        """Takes a report; raises nothing.

        Args:
            value: the metric; what is no number is left out.
            step: its step; None: the last one plus 1.
            horizon: later steps are left out; None: it is not known, and all are.
        """
        last = self.last
        y = number(value)
        at = (1.0 if last is None else last + 1) if step is None else number(step)
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
        if last is None or at > last:
            self.curve[at] = y
            return ReportKind.NEWEST
        return self._put_in_order(y, at, last)

    def _put_in_order(self, y: float, at: float, last: float) -> ReportKind:
        """Takes an observation that is not after all others."""
        first, known = next(iter(self.curve)), self.curve.get(at)
        if at < first or (at == first < last):
            log.info("step %g after step %g: another curve begins", at, last)
            self.curve = {at: y}
            return ReportKind.RESTART
        if known is None:
            self.curve = dict(sorted({**self.curve, at: y}.items()))
            return ReportKind.LATE
        if known == y or (math.isnan(known) and math.isnan(y)):
            return ReportKind.REPEATED if at == last else ReportKind.NOTHING
        self.curve = {s: v for s, v in self.curve.items() if s < at} | {at: y}
        return ReportKind.BACK

    def leave_out_beyond(self, metric: Metric, steps: list[float]) -> None:
        """Leaves out those of these steps whose values lie outside hard bounds."""
        for step in steps:
            try:
                metric.check(
                    np.array([self.curve[step]]), f"the value at step {step:g}"
                )
            except ValueError as error:
                self.warn_once("observation", f"an observation was left out: {error}")
                del self.curve[step]

    def state(self) -> list[Any]:
        """The observations in plain JSON values."""
        return plain(list(self.curve.items()))

    def restore(self, state: Any) -> None:
        """The observations of a `state()`; raises for anything else."""
        self.curve = {float(step): float(value) for step, value in state}
