"""When to decide: at which observations, and how much time that may take."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from lcpfn.stopping.rule import is_number

# Of the time of the host, that decisions may take.
SHARE = 0.1
# Decisions that tell how long one takes: the first ones compile.
FEWEST, RECENT = 3, 9


class Pace:
    """Decisions that take at most a share of the time, whatever a step takes.

    One is due when the host has worked for long enough since the last one.

    Args:
        share: of the time, above 0; 1: always.
        clock: seconds.
    """

    def __init__(
        self, share: float = SHARE, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.share, self.clock = share, clock
        self._took: deque[float] = deque(maxlen=RECENT)
        self._ended = 0.0

    def due(self) -> bool:
        """Whether there has been time enough."""
        if len(self._took) < FEWEST:
            return True
        least = statistics.median(self._took) * (1 / self.share - 1)
        return self.clock() - self._ended >= least

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a decision."""
        begun = self.clock()
        try:
            yield
        finally:
            self._ended = self.clock()
            self._took.append(self._ended - begun)

    def __reduce__(self) -> tuple[type["Pace"], tuple[float]]:
        """For pickle and copies: what was timed is of one process."""
        return Pace, (self.share,)


@dataclass(frozen=True)
class DecisionInterval:
    """At which observations to decide.

    Attributes:
        start_from: first step with a decision.
        every: decide at the first observation of every so many steps from there on.
        pace: of the decisions, one for all runs of a host; default: as they come.
    """

    start_from: float = 0
    every: float = 1
    pace: Pace = field(default_factory=lambda: Pace(1.0))

    @classmethod
    def of(
        cls, start_from: float, every: "float | Pace | Literal['auto']"
    ) -> "DecisionInterval":
        """From options of users: "auto" is a `Pace`."""
        pace = Pace() if every == "auto" else every
        if isinstance(pace, Pace):
            return cls(start_from, pace=pace)
        return cls(start_from, pace)

    def __post_init__(self) -> None:
        if not (is_number(self.every, 0) and self.every > 0):
            raise ValueError(
                "the interval of decisions must be a positive number of steps or "
                f"'auto', got {self.every!r}"
            )

    def due(self, step: float, before: float | None) -> bool:
        """Whether to decide at `step`, the observation before it being at `before`."""
        if step < self.start_from:
            return False
        if before is None or not self.start_from <= before < step:
            return True
        one, two = ((x - self.start_from) // self.every for x in (before, step))
        return one != two

    def cutoffs(self, steps: Sequence[float], most: int) -> list[int]:
        """The newest numbers of observations after which to decide.

        Args:
            steps: of a whole curve, in order.
            most: how many numbers at most.

        Returns:
            In order; none if no decision is due at the end.
        """
        found: list[int] = []
        for count in range(len(steps), 0, -1):
            if self.due(steps[count - 1], steps[count - 2] if count > 1 else None):
                found.append(count)
            if not found or len(found) == most:
                break
        return found[::-1]
