"""Finished runs under a rule: what it would have saved, and what it would have missed.

The runs of each task are taken in their recorded order, one after the other; the
incumbent is the best value that any earlier run has reached, or a value given. Shares
of orders are over random ones. Words as in `lcpfn.eval.stopping.simulate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.eval.stopping.policies import by_rule
from lcpfn.eval.stopping.simulate import (
    TaskRuns,
    good_runs,
    simulate,
    stopped_early,
)
from lcpfn.eval.tables import columns_table
from lcpfn.metric import Metric
from lcpfn.stopping.rule import ConfidenceSchedule, Rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORDERS = 40
CONFIDENCES = (0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9999)
MEANS = ("saved", "good_stopped", "winner_stopped", "top_3_stopped")


def under_rule(
    task_runs: TaskRuns, rule: Rule, order: Sequence[int], beat: float | None = None
) -> dict[str, Any]:
    """One task in one order; `beat` replaces the best earlier value, model space.

    Returns:
        "until": observations each run is trained for, in that order; "saved": share of
        all observations; "regret": the metric's units; "good", "good_stopped": how many
        good runs there are and how many of them are stopped; "winner_stopped";
        "top_3_stopped": share of the best three that are stopped before their best.
    """
    trace = simulate(task_runs, by_rule(rule, beat=beat), np.asarray(order))
    good = good_runs(trace, beat)
    total = sum(len(task_runs.runs[i].losses) for i in order)
    reached = float(trace.best_after[-1])
    winner_stopped, top_3_stopped = stopped_early(trace)
    return {
        "until": [trace.trained[i] for i in order],
        "saved": 1 - trace.spent / total,
        "regret": reached - task_runs.best if np.isfinite(reached) else float("inf"),
        "good": len(good),
        "good_stopped": sum(not trace.reached(i) < x for i, x in good.items()),
        "winner_stopped": winner_stopped,
        "top_3_stopped": top_3_stopped,
    }


def replay_task(
    task_runs: TaskRuns, rule: Rule, beat: float | None = None
) -> dict[str, Any]:
    """One task in its recorded order and in random ones; JSON values."""
    count = len(task_runs.runs)
    rng = np.random.default_rng(0)
    found = [
        under_rule(task_runs, rule, rng.permutation(count).tolist(), beat)
        for _ in range(ORDERS if count > 1 else 1)
    ]
    good = sum(row["good"] for row in found)
    return {
        "task": task_runs.name,
        "runs": count,
        "records": sum(len(run.losses) for run in task_runs.runs),
        "recorded_order": under_rule(task_runs, rule, range(count), beat),
        "good_stopped": sum(row["good_stopped"] for row in found) / max(good, 1),
    } | {
        key: float(np.mean([row[key] for row in found]))
        for key in ("saved", "regret", "winner_stopped", "top_3_stopped")
    }


def trade_off(
    tasks: Sequence[TaskRuns], rule: Rule, beat: float | None = None
) -> list[dict[str, float]]:
    """What each of several confidences saves and risks, means over tasks."""
    rows = []
    for confidence in CONFIDENCES:
        at = replace(rule, confidence=confidence)
        mean = summarise([replay_task(task_runs, at, beat) for task_runs in tasks])
        kept = ("saved", "good_stopped", "winner_stopped")
        rows.append({"confidence": confidence} | {key: mean[key] for key in kept})
    return rows


def summarise(tasks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over tasks."""
    as_recorded = [row["recorded_order"]["saved"] for row in tasks]
    return {key: float(np.mean([row[key] for row in tasks])) for key in MEANS} | {
        "saved_as_recorded": float(np.mean(as_recorded))
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per task, and one for all."""
    mean = results["mean"]
    total = {
        "task": "mean over tasks",
        "runs": sum(row["runs"] for row in results["tasks"]),
        "recorded_order": {"saved": mean["saved_as_recorded"]},
    }
    rows = [
        ((row["task"] or "(one task)",), {"regret": None} | row)
        for row in [*results["tasks"], mean | total]
    ]
    columns = {
        "runs": "{runs}",
        "observations saved, as recorded": "{recorded_order[saved]:.0%}",
        "in any order": "{saved:.0%}",
        "good runs stopped": "{good_stopped:.1%}",
        "winner stopped": "{winner_stopped:.1%}",
        "regret": "{regret:.4g}",
    }
    return columns_table(("task",), rows, columns)


def draw(
    task_runs: TaskRuns,
    until: Sequence[int],
    rows: Sequence[Mapping[str, float]],
    chosen: float | ConfidenceSchedule,
) -> "Figure":
    """Left: every run, trained and saved; right: saving against risk.

    Args:
        task_runs: one task, in its recorded order.
        until: observations each run was trained for.
        rows: from `trade_off`.
        chosen: the confidence of the replay, marked.
    """
    from lcpfn.eval.report_plots import grid

    figure, ((left, right),) = grid(1, 2, (11, 4))
    _draw_runs(left, task_runs, until)
    saved = [row["saved"] for row in rows]
    for key in ("good_stopped", "winner_stopped"):
        name = key.replace("good", "good runs").replace("_", " ")
        right.plot(saved, [row[key] for row in rows], "o-", ms=3, label=name)
    for row in rows:
        if row["confidence"] in (0.9, 0.99, 0.999, chosen):
            right.annotate(
                f"{row['confidence']:g}",
                (row["saved"], row["good_stopped"]),
                fontsize=8,
                xytext=(0, 6),
                textcoords="offset points",
            )
    right.set(xlabel="share of observations saved", ylabel="share of runs or orders")
    right.set_title("what each confidence saves and risks", fontsize=10)
    right.legend(fontsize=8)
    return figure


def _draw_runs(ax: "Axes", task_runs: TaskRuns, until: Sequence[int]) -> None:
    """Trained parts in colour, saved ones in grey, the best run marked."""
    sign = Metric(task_runs.runs[0].run.mode).sign
    winner = int(np.argmin(task_runs.bests))
    for i, (recorded, n) in enumerate(zip(task_runs.runs, until, strict=True)):
        steps, values = recorded.run.steps, sign * recorded.losses
        drawn: dict[str, Any] = {"color": "#0072b2", "alpha": 0.45, "lw": 1}
        if i == winner:
            drawn = {"color": "#d55e00", "lw": 1.5, "zorder": 3, "label": "best run"}
        ax.plot(steps[:n], values[:n], **drawn)
        ax.plot(steps[n - 1 :], values[n - 1 :], color="0.85", lw=0.7, zorder=0)
        if n < len(values) and np.isfinite(values[n - 1]):
            ax.plot(steps[n - 1], values[n - 1], ".", ms=4, color=drawn["color"])
    shown = np.concatenate(
        [run.losses[np.isfinite(run.losses)] for run in task_runs.runs]
    )
    low, near_low, near_high, high = np.quantile(sign * shown, [0.0, 0.02, 0.98, 1.0])
    margin = 0.2 * (near_high - near_low)
    ax.set_ylim(max(low, near_low - margin), min(high, near_high + margin))
    ax.set(xlabel="step", ylabel=task_runs.runs[0].run.metric or "metric")
    ax.set_title(
        f"{task_runs.name or 'runs'}: trained (blue), saved (grey)", fontsize=10
    )
    ax.legend(loc="best", fontsize=8)
