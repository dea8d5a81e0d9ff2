"""A stated risk: the confidence at which few good runs are stopped, with a guarantee.

A run is good, in some order of the runs of its task, if it beats the best of those
before it. With the loss of a good run the share of orders in which it is stopped before
it beats them, conformal risk control (Angelopoulos et al. 2024, arXiv 2208.02814)
chooses the lowest confidence for which

    (sum of losses + 1) / (good runs + 1) <= rate

Then the expected loss of one more good run is at most `rate`, if it is exchangeable
with those: of the same tasks, from the same kind of search.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lcpfn.eval.stopping.policies import no_stop
from lcpfn.eval.stopping.simulate import TaskRuns, good_runs, simulate
from lcpfn.stopping.offline import critical
from lcpfn.stopping.rule import Rule

# Confidences that are tried: 0.5 and up, evenly in the logarithm of what is left to 1.
LEVELS = 1 - np.logspace(np.log10(0.5), -5, 60)


class Risk(NamedTuple):
    """What a confidence was found to risk.

    Attributes:
        confidence: the lowest one that keeps the rate.
        rate: promised.
        measured: mean loss of the good runs it was chosen on.
        good: how many of them.
    """

    confidence: float
    rate: float
    measured: float
    good: int


def losses(tasks: Sequence[TaskRuns], rule: Rule, orders: int = 40) -> np.ndarray:
    """The loss of every good run at each of `LEVELS` `(good runs, len(LEVELS))`."""
    rng = np.random.default_rng(0)
    rows = []
    for task_runs in tasks:
        count = len(task_runs.runs)
        # A run often meets the same incumbent in several orders.
        lowest = cache(
            lambda run, beaten, runs=task_runs.runs: critical(rule, runs[run], beaten)
        )
        total, times = np.zeros((count, len(LEVELS))), np.zeros(count)
        for _ in range(orders):
            full = simulate(task_runs, no_stop(), rng.permutation(count))
            for run, incumbent in good_runs(full).items():
                if np.isfinite(incumbent):
                    total[run] += lowest(run, incumbent) <= 1 - LEVELS
                    times[run] += 1
        good = times > 0
        rows.append(total[good] / times[good, None])
    return np.concatenate(rows) if rows else np.empty((0, len(LEVELS)))


def choose(found: np.ndarray, rate: float) -> Risk:
    """The lowest confidence that keeps the rate.

    Args:
        found: from `losses`.
        rate: share of good runs that may be stopped, in (0, 1).

    Raises:
        ValueError: if there are too few good runs for such a rate, or none of the
            confidences keeps it.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate must lie in (0, 1), for instance 0.05, got {rate!r}")
    good = len(found)
    if 1 / (good + 1) > rate:
        raise ValueError(
            f"a rate of {rate:g} needs {int(np.ceil(1 / rate)) - 1} good runs (runs "
            f"that beat those before them), got {good}; record more runs or allow a "
            "higher rate"
        )
    bound = (found.sum(0) + 1) / (good + 1)
    # Monotone up to the sampling of orders, which is shared: lowest that keeps it, and
    # so do all above it.
    kept = np.flatnonzero(bound > rate)
    first = int(kept[-1]) + 1 if len(kept) else 0
    if first == len(LEVELS):
        raise ValueError(
            f"no confidence up to {LEVELS[-1]:g} keeps a rate of {rate:g}: "
            f"{found[:, -1].mean():.1%} of good runs would be stopped even there; use "
            "more patience or min_steps"
        )
    return Risk(float(LEVELS[first]), rate, float(found[:, first].mean()), good)


def promised_and_measured(
    tasks: Sequence[TaskRuns], rule: Rule, rates: Sequence[float], orders: int = 40
) -> dict[str, list[dict[str, Any]]]:
    """Chooses on all tasks but those left out, measures on these.

    Returns:
        By rate a row for single tasks ("left_out" is "any one task": every task in
        turn, and the mean over all good runs), and a row per source, all of whose tasks
        are left out: "left_out", "confidence" (mean), "measured", "good".
    """
    found = [losses([task], rule, orders) for task in tasks]
    groups = {
        source: {i for i, task in enumerate(tasks) if task.source == source}
        for source in sorted({task.source for task in tasks})
    }
    result = {}
    for rate in rates:
        single = [_left_out(found, {i}, rate) for i in range(len(found))]
        good = sum(int(row["good"]) for row in single)
        total = {
            "confidence": float(np.mean([row["confidence"] for row in single])),
            "measured": sum(row["measured"] * row["good"] for row in single) / good,
            "good": good,
        }
        rows = {"any one task": total}
        rows |= {name: _left_out(found, own, rate) for name, own in groups.items()}
        result[str(rate)] = [{"left_out": name, **row} for name, row in rows.items()]
    return result


def _left_out(
    found: Sequence[np.ndarray], tasks: set[int], rate: float
) -> dict[str, float]:
    """Chosen on the other tasks, measured on these."""
    others = [x for i, x in enumerate(found) if i not in tasks]
    risk = choose(np.concatenate(others), rate)
    level = int(np.argmin(np.abs(risk.confidence - LEVELS)))
    own = np.concatenate([found[i] for i in sorted(tasks)])
    return {
        "confidence": risk.confidence,
        "measured": float(own[:, level].mean()),
        "good": len(own),
    }
