"""Policies compared on one task, and over tasks: speed-up, regret, risk and cost.

The protocol of LC-PFN (Adriaensen et al. 2023, Sec. 4.3): a budget of `FULL` full runs,
many random orders, and per policy the regret over the observations spent, averaged over
orders.

    speed-up    = observations that no-stop needs for its regret at the budget
                  / observations that the policy needs for it
    improvement = (value found - average run's value) / average run's value

A policy that does not get there within `LATEST` budgets counts as getting there then.
No-stop in random order is random search: the floor. The improvement over the average
run is asked for by Yang et al. 2020 ("NAS evaluation is frustratingly hard"); a run's
value is its best one, for a loss its negative, so that it is the share of the average
loss that is gone. Theirs is of accuracies at the end of the search; ours after one
budget, mean over orders.

Beside that, without a budget: the share of the observations of the first `FULL` runs of
an order that a policy trains, and the regret among these, a point of the front between
cost and regret (Egele et al. 2024).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcpfn.eval.scores import geometric_mean
from lcpfn.eval.stopping.simulate import Policy, TaskRuns, simulate, stopped_early

FULL = 20
LATEST = 3.0
GRID = 2000
# Points of the grid, in budgets.
SHARES = np.arange(1, GRID + 1) / GRID * LATEST
AT_BUDGET = int(np.searchsorted(SHARES, 1.0))
MEANS = (
    *("winner_stopped", "top_3_stopped_early", "regret", "improvement"),
    *("share_trained", "regret_among_first", "share_of_possible"),
)


def measure(
    task_runs: TaskRuns, policies: Mapping[str, Policy], orders: int = 40
) -> dict[str, dict[str, Any]]:
    """All policies on the same orders of one task.

    Args:
        task_runs: the runs.
        policies: by name; "no stop" is among them.
        orders: random orders of the runs.

    Returns:
        By policy: "speed_up" over "no stop", "reached" (whether within the time given),
        "winner_stopped" and "top_3_stopped_early" (shares of orders, and of runs),
        "runs_begun" within the budget, "regret" and "improvement" at the budget,
        "share_of_possible" (of the way from the average run to the best of all),
        "curve", the regret at 60 points of the time, and of the first `FULL` runs alone
        "share_trained", of their observations, and "regret_among_first".
    """
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(len(task_runs.runs)) for _ in range(orders)]
    found = {name: _over_orders(task_runs, p, shuffled) for name, p in policies.items()}
    goal = found["no stop"]["curve"][AT_BUDGET]
    needs = {name: _first(row["curve"], goal) for name, row in found.items()}
    average = float(np.mean(task_runs.regret(task_runs.bests)))
    unit = task_runs.regret_unit
    average_value = abs(task_runs.best + average * unit) or 1.0
    for name, row in found.items():
        curve = row["curve"]
        regret = float(curve[AT_BUDGET])
        row |= {
            "speed_up": float(SHARES[needs["no stop"]] / SHARES[needs[name]]),
            "reached": bool(curve[needs[name]] <= goal),
            "regret": regret,
            "improvement": unit / average_value * (average - regret),
            "share_of_possible": 1 - regret / (average or 1.0),
            "curve": np.round(curve[:: GRID // 60], 5).tolist(),
        }
    return found


def _over_orders(
    task_runs: TaskRuns, policy: Policy, orders: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Means over orders; "curve" is the regret on the grid."""
    budget = FULL * task_runs.length
    traces = [simulate(task_runs, policy, order, LATEST * budget) for order in orders]
    within = [trace.within(budget) for trace in traces]
    early = [stopped_early(trace) for trace in within]
    alone = [cost_and_regret(task_runs, policy, order[:FULL]) for order in orders]
    return {
        "curve": np.mean([t.regret(SHARES * budget) for t in traces], axis=0),
        "winner_stopped": float(np.mean([winner for winner, _ in early])),
        "top_3_stopped_early": float(np.mean([share for _, share in early])),
        "runs_begun": float(np.mean([len(trace.trained) for trace in within])),
        "share_trained": float(np.mean([cost for cost, _ in alone])),
        "regret_among_first": float(np.mean([regret for _, regret in alone])),
    }


def cost_and_regret(
    task_runs: TaskRuns, policy: Policy, runs: np.ndarray
) -> tuple[float, float]:
    """Share of the observations of some runs trained, and regret among these runs."""
    trace = simulate(task_runs, policy, runs)
    total = sum(len(task_runs.runs[run].losses) for run in runs)
    best = float(task_runs.bests[runs].min())
    return trace.spent / total, float(task_runs.regret(trace.best_after[-1], best))


def _first(curve: np.ndarray, goal: float) -> int:
    """The first point at which a regret is reached; the last one if it never is."""
    reached = np.flatnonzero(curve <= goal)
    return int(reached[0]) if len(reached) else len(curve) - 1


def on_the_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Those of which no other is as good in both numbers and better in one."""
    return [
        name
        for name, (x, y) in points.items()
        if not any(a <= x and b <= y and (a < x or b < y) for a, b in points.values())
    ]


def summarise(tasks: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over tasks: geometric of speed-ups, arithmetic of the rest."""
    result = {}
    for name in tasks[0]:
        rows = [task[name] for task in tasks]
        speed_ups = [row["speed_up"] for row in rows]
        result[name] = {
            "speed_up": geometric_mean(speed_ups),
            "slowest": float(min(speed_ups)),
            "slower_than_no_stop": sum(x < 1 for x in speed_ups),
            **{key: float(np.mean([row[key] for row in rows])) for key in MEANS},
            "tasks": len(rows),
        }
    return result
