"""How the runs of a search stand to each other: the value to beat, who is spared."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lcpfn.checks import check_count
from lcpfn.plan import refuse_plan
from lcpfn.stopping.best_so_far import BestSoFar
from lcpfn.stopping.rule import is_number
from lcpfn.stopping.threshold import best_of, few_better, incumbent_of

# What was best on the recorded searches: see `lcpfn.eval.stopping.benchmark`.
PROTECT, CONFIDENCE = 0.05, 0.85
# Further fields of `lcpfn.stopping.rule.Rule`, where others are there to compare with.
IN_A_SEARCH: dict[str, Any] = {"by_cost": True, "cautious": 10}


def in_a_search(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a rule, above those that it has in a search.

    Raises:
        ValueError: for a plan, which is of a run that is forecast alone.
    """
    refuse_plan(options.get("plan"))
    return IN_A_SEARCH | options


@dataclass(frozen=True)
class SearchRule:
    """Which runs of a search may be stopped.

    Attributes:
        mode: "max" or "min".
        n_startup: finished runs before there is an incumbent, at least 1, as it is
            everywhere but in the adapters of Optuna (2) and Ax (5).
        top_k: the incumbent is the `top_k`-th best finished run.
        protect: share of the runs that is never stopped, see
            `lcpfn.stopping.threshold.among_best`; 0: none is for that.
        beat: a value to beat beside the finished runs.
    """

    mode: str
    n_startup: int = 1
    top_k: int = 1
    protect: float = PROTECT
    beat: float | None = None

    def __post_init__(self) -> None:
        if not is_number(self.protect, 0, 1):
            raise ValueError(f"protect must lie in [0, 1], got {self.protect!r}")
        for name in ("n_startup", "top_k"):
            check_count(getattr(self, name), name)

    def incumbent(self, ended: Iterable[float]) -> float | None:
        """The value to beat; None while too few runs have finished.

        Args:
            ended: best values of the finished runs; what is not finite does not count.
        """
        values = [value for value in ended if math.isfinite(value)]
        if len(values) < max(self.n_startup, self.top_k):
            return self.beat
        best = incumbent_of(values, self.mode, self.top_k)
        return best if self.beat is None else best_of([best, self.beat], self.mode)

    def spares(
        self,
        own: BestSoFar,
        others: Iterable[BestSoFar],
        incumbent: float | None,
    ) -> bool:
        """Whether a run is better than the incumbent, or among the best at its step.

        Args:
            own: the run.
            others: all other runs; gone through only if that can matter.
            incumbent: the value to beat; what a run has reached counts only if it
                finishes, so one that is better is spared.
        """
        best = own.final
        if math.isnan(best):
            return False
        if incumbent is not None and best_of((best, incumbent), self.mode) != incumbent:
            return True
        begun = [other for other in others if other.steps]
        there = (other.at(own.steps[-1]) for other in begun)
        return few_better(best, there, len(begun), self.mode, self.protect)
