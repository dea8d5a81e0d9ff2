"""Finished runs under a rule: what it would have saved, and whom it would have lost.

The runs of each task are taken in their recorded order, one after the other; the bar is
the best value that any earlier run has reached, or a value given. Shares of orders are
over random ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.stopping.simulate import Pool
from lcpfn.metric import Metric
from lcpfn.model import Model
from lcpfn.stopping.offline import replay, stop_after
from lcpfn.stopping.rule import ConfidenceSchedule, Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDERS = 40


def pools_of(
    model: Model, runs: Sequence[Run], horizon: float | None = None, source: str = ""
) -> list[Pool]:
    """Runs by task and metric, in their order, each with its forecasts."""
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        tasks.setdefault(f"{run.task} {run.metric}".strip(), []).append(run)
    return [
        Pool(name, source, tuple(replay(model, found, horizon)))
        for name, found in tasks.items()
    ]


def under_rule(
    pool: Pool, rule: Rule, order: Sequence[int], beat: float | None = None
) -> dict[str, Any]:
    """One task in one order.

    Args:
        pool: its runs.
        rule: what stops them.
        order: their numbers.
        beat: value to beat instead of the best earlier one, model space.

    Returns:
        "until": records each run is trained for, in that order; "saved": share of all
        records; "regret": what the best value reached lacks to the best there was, the
        metric's units; "good": runs that beat the bar in the end; "good_stopped": those
        of them that were stopped before; "winner_stopped"; "top_3_stopped": how many of
        the best three were stopped before they beat the bar they met.
    """
    bar = np.inf if beat is None else beat
    until, good, stopped = [], [], []
    for i in order:
        past = pool.runs[i]
        n = stop_after(rule, past, bar)
        until.append(n)
        if past.best < bar:
            good.append(i)
            if not past.own[n - 1] < bar:
                stopped.append(i)
        if beat is None:
            bar = min(bar, float(past.own[n - 1]))
    total = sum(len(pool.runs[i].losses) for i in order)
    reached = min(pool.runs[i].own[n - 1] for i, n in zip(order, until, strict=True))
    by_best = sorted(order, key=lambda i: pool.runs[i].best)
    return {
        "until": until,
        "saved": 1 - sum(until) / total,
        "regret": float(reached - pool.best) if np.isfinite(reached) else float("inf"),
        "good": len(good),
        "good_stopped": len(stopped),
        "winner_stopped": bool(by_best[0] in stopped),
        "top_3_stopped": len(set(by_best[:3]) & set(stopped)),
    }


def replay_task(
    pool: Pool, rule: Rule, beat: float | None = None, seed: int = 0
) -> dict[str, Any]:
    """One task in its recorded order and in random ones; JSON values."""
    count = len(pool.runs)
    recorded = under_rule(pool, rule, range(count), beat)
    rng = np.random.default_rng(seed)
    others = [
        under_rule(pool, rule, rng.permutation(count).tolist(), beat)
        for _ in range(ORDERS if count > 1 else 1)
    ]
    good = sum(o["good"] for o in others)
    return {
        "task": pool.name,
        "runs": count,
        "records": sum(len(past.losses) for past in pool.runs),
        "recorded_order": recorded,
        "saved": float(np.mean([o["saved"] for o in others])),
        "regret": float(np.mean([o["regret"] for o in others])),
        "good_stopped": sum(o["good_stopped"] for o in others) / max(good, 1),
        "winner_stopped": float(np.mean([o["winner_stopped"] for o in others])),
        "top_3_stopped": float(
            np.mean([o["top_3_stopped"] / min(count, 3) for o in others])
        ),
    }


def trade_off(
    pools: Sequence[Pool], rule: Rule, beat: float | None = None
) -> list[dict[str, float]]:
    """What each of several confidences saves and risks, means over tasks."""
    rows = []
    for confidence in (0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9999):
        found = [
            replay_task(pool, replace(rule, confidence=confidence), beat)
            for pool in pools
        ]
        rows.append(
            {"confidence": confidence}
            | {
                key: float(np.mean([f[key] for f in found]))
                for key in ("saved", "good_stopped", "winner_stopped")
            }
        )
    return rows


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per task, and one for all."""
    lines = [
        "| task | runs | records saved, as recorded | in any order | good runs stopped "
        "| winner stopped | regret |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results["tasks"]:
        lines.append(
            f"| {row['task'] or '(one task)'} | {row['runs']} "
            f"| {row['recorded_order']['saved']:.0%} | {row['saved']:.0%} "
            f"| {row['good_stopped']:.1%} | {row['winner_stopped']:.1%} "
            f"| {row['regret']:.4g} |"
        )
    mean = results["mean"]
    lines.append(
        f"| mean over tasks | {sum(r['runs'] for r in results['tasks'])} "
        f"| {mean['saved_as_recorded']:.0%} | {mean['saved']:.0%} "
        f"| {mean['good_stopped']:.1%} | {mean['winner_stopped']:.1%} | |"
    )
    return "\n".join(lines)


def summarise(tasks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over tasks."""
    keys = ("saved", "good_stopped", "winner_stopped", "top_3_stopped")
    mean = {key: float(np.mean([row[key] for row in tasks])) for key in keys}
    as_recorded = [row["recorded_order"]["saved"] for row in tasks]
    return mean | {"saved_as_recorded": float(np.mean(as_recorded))}


def draw(
    pool: Pool,
    until: Sequence[int],
    rows: Sequence[Mapping[str, float]],
    chosen: float | ConfidenceSchedule,
) -> "Figure":
    """Left: every run, trained and saved; right: saving against risk.

    Args:
        pool: one task, in its recorded order.
        until: records each run was trained for.
        rows: from `trade_off`.
        chosen: the confidence of the replay, marked.
    """
    from lcpfn.plot import pyplot

    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    sign = Metric(pool.runs[0].run.mode).sign
    winner = min(range(len(pool.runs)), key=lambda i: pool.runs[i].best)
    for i, (past, n) in enumerate(zip(pool.runs, until, strict=True)):
        steps, values = past.run.steps, sign * past.losses
        wins = i == winner
        color = "#d55e00" if wins else "#0072b2"
        label = "best run" if wins else None
        alpha = 1.0 if wins else 0.45
        drawn = {"color": color, "alpha": alpha, "zorder": 3 if wins else 2}
        left.plot(steps[:n], values[:n], lw=1.5 if wins else 1, label=label, **drawn)
        left.plot(steps[n - 1 :], values[n - 1 :], color="0.85", lw=0.7, zorder=0)
        if n < len(values) and np.isfinite(values[n - 1]):
            left.plot(steps[n - 1], values[n - 1], ".", ms=4, **drawn)
    shown = np.concatenate([p.losses[np.isfinite(p.losses)] for p in pool.runs])
    low, high = np.quantile(sign * shown, [0.0, 1.0])
    near = np.quantile(sign * shown, [0.02, 0.98])
    left.set_ylim(
        max(low, near[0] - 0.2 * np.ptp(near)), min(high, near[1] + 0.2 * np.ptp(near))
    )
    left.set(xlabel="step", ylabel=pool.runs[0].run.metric or "metric")
    left.set_title(f"{pool.name or 'runs'}: trained (blue), saved (grey)", fontsize=10)
    left.legend(loc="best", fontsize=8)
    saved = [row["saved"] for row in rows]
    for key, name in (
        ("good_stopped", "good runs stopped"),
        ("winner_stopped", "winner stopped"),
    ):
        right.plot(saved, [row[key] for row in rows], "o-", ms=3, label=name)
    for row in rows:
        if row["confidence"] in (0.9, 0.99, 0.999) or row["confidence"] == chosen:
            right.annotate(
                f"{row['confidence']:g}",
                (row["saved"], row["good_stopped"]),
                fontsize=8,
                xytext=(0, 6),
                textcoords="offset points",
            )
    right.set(xlabel="share of records saved", ylabel="share of runs or orders")
    right.set_title("what each confidence saves and risks", fontsize=10)
    right.legend(fontsize=8)
    return figure
