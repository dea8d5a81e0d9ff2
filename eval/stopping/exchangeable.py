"""Whether a stated risk holds for a search: told by its first finished runs.

A confidence that was chosen on recorded runs (`lcpfn.eval.stopping.risk`) keeps its
promise for runs that are exchangeable with those. What it hangs on is one number per
good run, `lcpfn.stopping.offline.critical`: the lowest probability that the rule met
while the run was to become good. Where these are lower than in the recorded tasks, more
good runs are lost than was promised.

From n runs the mean of its logarithm is taken over all good runs in all orders of them:
a run meets the q-th best of the n as its incumbent with probability 1 / (q (q - 1)), if
it is better. The same is done with as many runs drawn from each recorded task, and what
counts is how often that is as low: a p-value of the search being one more of those
tasks. Tasks are compared and not single runs, because runs of one task are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lcpfn.eval.stopping.simulate import TaskRuns
from lcpfn.stopping.offline import critical
from lcpfn.stopping.rule import Rule, confidence_at

# No confidence is below 0.5, so a probability above that loses nothing; how far below
# 0.01 one is hardly matters.
LOW, HIGH = 0.01, 0.5
FEWEST = 5  # runs that are enough to look at
DRAWS = 2000  # of runs of the recorded tasks, all tasks together
EACH = 40  # of one task, at least
# Where fewer draws than this are as low, the promise is doubted.
DOUBT = 0.1


class Look(NamedTuple):
    """What some runs of a task show of a rule.

    Attributes:
        score: geometric mean, over good runs and orders, of the lowest probability met.
        stopped: share of the good ones that are stopped.
    """

    score: float
    stopped: float


class Check(NamedTuple):
    """Whether a promise is to be trusted for the runs of a search.

    Attributes:
        runs: how many of them, the first ones, were looked at.
        score: as of `Look`.
        stopped: likewise.
        as_low: share of the draws from recorded tasks whose score is as low.
    """

    runs: int
    score: float
    stopped: float
    as_low: float

    @property
    def doubted(self) -> bool:
        """Whether it is not."""
        return self.as_low <= DOUBT


@dataclass(frozen=True)
class Scored:
    """The runs of a task, and what a rule does to those that become good.

    Attributes:
        task_runs: the runs.
        rule: when they are stopped.
        known: lowest probability by run and incumbent, of the pairs asked about.
    """

    task_runs: TaskRuns
    rule: Rule
    known: dict[tuple[int, int], float] = field(default_factory=dict)

    def lowest(self, run: int, incumbent: int) -> float:
        """The lowest probability that a run meets on its way to beat another one."""
        if (run, incumbent) not in self.known:
            beaten = float(self.task_runs.bests[incumbent])
            found = critical(self.rule, self.task_runs.runs[run], beaten)
            self.known[run, incumbent] = found
        return self.known[run, incumbent]

    def look(self, rows: Sequence[int]) -> Look | None:
        """What these runs show, over all of their orders; None if none can be good."""
        bests = self.task_runs.bests
        ranked = sorted(rows, key=lambda i: bests[i])
        pairs = [
            (1 / (rank * (rank - 1)), self.lowest(run, incumbent))
            for rank, incumbent in enumerate(ranked, 1)
            for run in ranked[: rank - 1]
            if bests[run] < bests[incumbent] < np.inf
        ]
        if not pairs:
            return None
        weight, lowest = np.array(pairs).T
        weight = weight / weight.sum()
        least = 1 - confidence_at(self.rule.confidence, 1.0)
        score = np.exp(weight @ np.log(np.clip(lowest, LOW, HIGH)))
        return Look(float(score), float(weight @ (lowest <= least)))

    def drawn(
        self,
        count: int,
        times: int,
        rng: np.random.Generator,
        among: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Scores of `count` runs, drawn so many times at random, from all or some."""
        rows = np.arange(len(self.task_runs.runs)) if among is None else among
        looks = (
            self.look(rng.permutation(rows)[:count].tolist()) for _ in range(times)
        )
        return np.array([look.score for look in looks if look is not None])


def share_as_low(scores: np.ndarray, score: float) -> float:
    """Share of the scores that are as low as one, this one among them."""
    return float((1 + (scores <= score).sum()) / (1 + len(scores)))


def check(tasks: Sequence[TaskRuns], own: TaskRuns, rule: Rule) -> Check:
    """Whether what was promised of recorded tasks is to be trusted for a search.

    Args:
        tasks: those that the confidence was chosen on.
        own: the first finished runs of the search, in their order, not stopped.
        rule: with that confidence.

    Raises:
        ValueError: too few runs on either side, or none that is better than another.
    """
    # Of half of a task many draws differ.
    most = max(len(task.runs) for task in tasks) // 2
    count = min(len(own.runs), most)
    if count < FEWEST:
        raise ValueError(
            f"a check needs {FEWEST} finished runs of a task, and a recorded task of "
            f"{2 * FEWEST}; got {len(own.runs)} of {own.name or 'the task'}, and at "
            f"most {max(len(task.runs) for task in tasks)} of a recorded one"
        )
    look = Scored(own, rule).look(range(count))
    if look is None:
        raise ValueError(
            f"none of the first {count} runs of {own.name or 'the task'} is better "
            "than another; check runs whose values differ"
        )
    large = [task for task in tasks if len(task.runs) >= count]
    times = max(EACH, DRAWS // len(large))
    rng = np.random.default_rng(0)
    drawn = [Scored(task, rule).drawn(count, times, rng) for task in large]
    return Check(count, *look, share_as_low(np.concatenate(drawn), look.score))


def sentence(found: Check, task: str, rate: float) -> str:
    """What a check has found, for people."""
    where = f" of {task}" if task else ""
    runs = (
        f"the rule would have stopped {found.stopped:.1%} of the good ones among the "
        f"first {found.runs} runs{where}, and {found.as_low:.1%} of as many recorded "
        "runs look as bad"
    )
    if found.doubted:
        return (
            f"do not trust the promise of {rate:.1%} for these runs: {runs}; choose "
            "the confidence on runs of this kind, or a higher one"
        )
    return f"nothing speaks against the promise of {rate:.1%}: {runs}"
