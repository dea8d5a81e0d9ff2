"""One run of a search: what it reported, and what was decided of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lcpfn.configs import Config
from lcpfn.context import Context, context_of
from lcpfn.metric import Metric
from lcpfn.stopping.observations import plain
from lcpfn.stopping.threshold import best_of


@dataclass
class StudyRun:
    """One run of a study.

    Attributes:
        steps, values: its observations, the user's units.
        config: its hyperparameters, or None.
        finished: whether nothing more will come.
        streak: consecutive decisions that found it hopeless, each at more
            observations than the one before.
        judged: observations at the newest of these.
        context: its observations as the network takes them; None: some are new.
    """

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    config: Config | None = None
    finished: bool = False
    streak: int = 0
    judged: int = 0
    context: Context | None = None

    def as_context(self, metric: Metric, horizon: float) -> Context:
        """Its observations as the network takes them."""
        curve = dict(zip(self.steps, self.values, strict=True))
        return context_of(curve, metric, horizon)

    def best(self, mode: str, step: float = math.inf) -> float:
        """Its best value up to a step; NaN if it did not get there."""
        if step < math.inf and not (self.steps and self.steps[-1] >= step):
            return math.nan
        known = zip(self.steps, self.values, strict=True)
        return best_of([value for at, value in known if at <= step], mode)

    def state(self) -> dict[str, Any]:
        """All of it, in plain JSON values."""
        config = self.config and {k: plain(value) for k, value in self.config.items()}
        return {
            "curve": plain(list(zip(self.steps, self.values, strict=True))),
            "config": config,
            **{name: getattr(self, name) for name in ("finished", "streak", "judged")},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """What a `state()` says of a run that has the observations already."""
        if type(state["finished"]) is not bool:
            raise ValueError(f"finished must be a bool, got {state['finished']!r:.80}")
        for count in ("streak", "judged"):
            value = state[count]
            if type(value) is not int or not 0 <= value <= len(self.steps):
                raise ValueError(
                    f"{count} must be a whole number up to {len(self.steps)}, the "
                    f"number of observations, got {value!r:.80}"
                )
        self.finished = state["finished"]
        self.streak, self.judged = state["streak"], state["judged"]
