"""The stopping benchmark: rules and baselines on every pool of recorded runs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from lcpfn.curves import CurveSet
from lcpfn.eval.stopping import policies
from lcpfn.eval.stopping.risk import promised_and_measured
from lcpfn.eval.stopping.simulate import (
    GRID,
    LATEST,
    Policy,
    Pool,
    groups,
    measure,
    on_the_front,
    summarise,
)
from lcpfn.model import Model
from lcpfn.stopping.offline import replay
from lcpfn.stopping.rule import Rule
from lcpfn.study import PROTECT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.02, 0.05, 0.1)
# Policies in the picture.
SHOWN = (
    *("no stop", "oracle", "10 %-epoch", "ASHA", "successive halving"),
    *("LC-PFN's rule, 0.95", "ever, 0.975", "population, 0.9"),
)
# Confidences at which the best runs so far are protected.
POPULATION = (0.95, 0.9, 0.8)
# Horizon and direction are those of each run.
PLAIN = Rule(horizon=1, mode="min", confidence=0.95)
RULES = {
    "LC-PFN's rule, 0.95": replace(PLAIN, method="marginal"),
    "ever, 0.95": PLAIN,
    "ever, 0.975": replace(PLAIN, confidence=0.975),
    "ever, 0.99": replace(PLAIN, confidence=0.99),
    "ever, 0.99, patience 3": replace(PLAIN, confidence=0.99, patience=3),
    "ever, 0.95, surprise 3": replace(PLAIN, max_surprise=3.0),
}


def make_pools(model: Model, suites: Sequence[CurveSet], most: int = 150) -> list[Pool]:
    """Pools of every task and metric with enough runs, with their forecasts."""
    found = [
        (f"{suite.name}/{name}", suite.name, runs)
        for suite in suites
        for name, runs in groups(suite, most).items()
    ]
    return [
        Pool(name, source, tuple(replay(model, runs)))
        for name, source, runs in tqdm(found, desc="forecasts", disable=None)
    ]


def baselines(pools: Iterable[Pool], source: str) -> dict[str, Policy]:
    """What a rule has to beat on the pools of one source."""
    others = [pool for pool in pools if pool.source != source]
    return {
        "no stop": policies.no_stop(),
        "oracle": policies.oracle(),
        **{f"patience {k}": policies.patience(k) for k in (0, 1, 5, 10, 20, 50)},
        "1-epoch": policies.i_epoch(1),
        "10 %-epoch": policies.i_epoch(0.1),
        "median rule": policies.median(),
        "ASHA": policies.asha(),
        "successive halving": policies.successive_halving(),
        "last value, 0.95": policies.last_value(others),
    }


def evaluate_stopping(
    model: Model,
    suites: Sequence[CurveSet],
    rules: dict[str, Rule] | None = None,
    orders: int = 40,
    most: int = 150,
) -> dict[str, Any]:
    """Every rule and baseline on every pool; see `lcpfn.eval.stopping.simulate`.

    Returns:
        JSON values: "overall" and "sources" -> source -> policy -> means over pools;
        "curves" -> policy -> regret at 60 points of the time, mean over pools; "pools"
        -> pool -> policy -> figures; "risk" -> rate -> what
        `promised_and_measured` says of our plain rule.
    """
    pools = make_pools(model, suites, most)
    if not pools:
        raise ValueError("no task has 20 runs of 10 records or more: nothing to race")
    known = RULES if rules is None else rules
    figures: dict[str, dict[str, Any]] = {}
    by_source = {
        source: baselines(pools, source) for source in {p.source for p in pools}
    }
    for pool in tqdm(pools, desc="races", disable=None):
        ours = {name: policies.by_rule(rule) for name, rule in known.items()}
        ours |= {
            f"population, {c:g}": policies.in_population(
                replace(PLAIN, confidence=c), PROTECT
            )
            for c in POPULATION
        }
        figures[pool.name] = measure(pool, by_source[pool.source] | ours, orders)
    risks = {str(rate): promised_and_measured(pools, PLAIN, rate) for rate in RATES}
    sources = {
        source: summarise([figures[p.name] for p in pools if p.source == source])
        for source in sorted(by_source)
    }
    return {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum"),
        "orders": orders,
        "runs_per_pool": most,
        "overall": summarise(list(figures.values())),
        "sources": sources,
        "risk": risks,
        "curves": {
            name: np.mean([p[name]["curve"] for p in figures.values()], axis=0)
            .round(5)
            .tolist()
            for name in next(iter(figures.values()))
        },
        "pools": {
            pool: {name: _short(row) for name, row in rows.items()}
            for pool, rows in figures.items()
        },
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    kept = (
        *("speed_up", "reached", "lost", "top_lost", "begun", "improvement"),
        *("way", "epochs", "missed"),
    )
    return {key: round(row[key], 4) for key in kept} | {
        "regret": round(row["regret"]["1.0"], 5)
    }


def to_markdown(results: dict[str, Any]) -> str:
    """One line a policy: speed-up overall and by source, and what it costs."""
    sources = list(results["sources"])
    lines = [
        "| policy | speed-up | slowest pool | pools slower than no stop "
        "| winner lost | top 3 stopped early | better than the average run by "
        "| of the possible | " + " | ".join(sources) + " |",
        "|---|---|---|---|---|---|---|---|" + "---|" * len(sources),
    ]
    for name, row in results["overall"].items():
        cells = [f"{results['sources'][s][name]['speed_up']:.2f}" for s in sources]
        lines.append(
            f"| {name} | {row['speed_up']:.2f} | {row['slowest']:.2f} "
            f"| {row['slower']} of {row['pools']} | {row['lost']:.1%} "
            f"| {row['top_lost']:.0%} | {row['improvement']:.1%} "
            f"| {row['way']:.1%} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def risk_to_markdown(results: dict[str, Any]) -> str:
    """Promised and measured share of good runs stopped, by what was left out."""
    lines = [
        "| promised at most | left out | good runs "
        "| confidence chosen on the rest | measured |",
        "|---|---|---|---|---|",
    ]
    for rate, rows in results["risk"].items():
        for row in rows:
            lines.append(
                f"| {float(rate):.0%} | {row['left_out']} | {row['good']} "
                f"| {row['confidence']:.4g} | {row['measured']:.1%} |"
            )
    return "\n".join(lines)


def front_to_markdown(results: dict[str, Any]) -> str:
    """Records trained on the first 20 runs and regret among them, cheapest first."""
    points = {
        name: (row["epochs"], row["missed"])
        for name, row in results["overall"].items()
        if name != "oracle"
    }
    front = on_the_front(points)
    lines = [
        "| policy | records trained | regret | on the front |",
        "|---|---|---|---|",
    ]
    for name, (epochs, missed) in sorted(points.items(), key=lambda item: item[1]):
        on_it = "yes" if name in front else ""
        lines.append(f"| {name} | {epochs:.1%} | {missed:.3f} | {on_it} |")
    return "\n".join(lines)


def draw(results: dict[str, Any], names: Sequence[str]) -> "Figure":
    """Regret against records trained, and what the first 20 runs cost and lose."""
    from lcpfn.plot import pyplot

    figure, (ax, right) = pyplot().subplots(
        1, 2, figsize=(11, 4.2), layout="constrained"
    )
    for name in names:
        mean = np.array(results["curves"][name])
        share = LATEST * (1 + np.arange(len(mean)) * (GRID // 60)) / GRID
        ours = name.startswith(("ever", "population"))
        ax.plot(share, mean, label=name, lw=2 if ours else 1)
    ax.axvline(1.0, color="0.8", lw=0.8)
    ax.set(
        xlabel="records trained, in budgets of 20 full runs",
        ylabel="regret, from best (0) to median run (1)",
        yscale="log",
        xlim=(0, 1.5),
    )
    ax.legend(fontsize=8)
    rows = {n: r for n, r in results["overall"].items() if n != "oracle"}
    points = {name: (row["epochs"], row["missed"]) for name, row in rows.items()}
    front = sorted(points[name] for name in on_the_front(points))
    right.plot(*zip(*front, strict=True), color="0.7", lw=1, zorder=0)
    kinds = {"ever": "#cc79a7", "population": "#0072b2"}
    for kind, colour in kinds.items():
        own = sorted(xy for name, xy in points.items() if name.startswith(kind))
        right.scatter(*zip(*own, strict=True), s=18, color=colour, label=kind)
    for name, xy in points.items():
        if not name.startswith(tuple(kinds)):
            right.scatter(*xy, s=14, color="0.35", zorder=1)
            right.annotate(name, xy, (3, 3), textcoords="offset points", fontsize=7)
    right.legend(title="ours, at several confidences", fontsize=8, title_fontsize=8)
    right.set(
        xlabel="records trained of the first 20 runs",
        ylabel="regret among them",
        xlim=(0, 1.05),
        ylim=(-0.02, None),
    )
    right.set_yscale("symlog", linthresh=0.05)
    return figure
