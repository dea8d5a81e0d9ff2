"""Scores forecasts that know the other runs of a search, beside the same weights alone.

Of every task some runs are asked about and others are given. The error of the last
value is the unit, as in `lcpfn.eval.curves`; before the first observation it is that of
the median of what the other runs had at their ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.eval import scores
from lcpfn.eval.curves import MOST
from lcpfn.eval.data import LEAST_OBSERVATIONS, SCORED, over_suites, stratum, task_of
from lcpfn.eval.tables import table
from lcpfn.forecast import Forecast
from lcpfn.metric import Metric
from lcpfn.model import Model
from lcpfn.stopping.given_runs import comparable

PERCENTS = (0, 10, 20, 40, 80)
ASKED = 12
FEWEST = 5  # others, and runs that can be ordered


@dataclass(frozen=True)
class Setting:
    """Which other runs are given.

    Attributes:
        others: how many.
        partial: share of them that is somewhere on the way.
        halved: stopped by successive halving instead, so that the good ones are long.
        configs: whether configurations are given.
        foreign: further runs, of another task.
    """

    others: int = 20
    partial: float = 0.5
    halved: bool = False
    configs: bool = True
    foreign: int = 0


ALONE = "alone"
SETTINGS = {
    ALONE: Setting(others=0),
    "5 others": Setting(others=5),
    "20 others": Setting(),
    "50 others": Setting(others=50),
    "20, all finished": Setting(partial=0.0),
    "20, successive halving": Setting(halved=True),
    "20 without configurations": Setting(configs=False),
    "20 and 10 of another task": Setting(foreign=10),
}


class Search(NamedTuple):
    """The runs of one task.

    Attributes:
        suite, task: where they are from.
        asked: runs asked about.
        others: the rest, in random order.
        foreign: runs of another task.
        scale: typical gain, the unit of errors before the first observation.
    """

    suite: str
    task: str
    asked: tuple[Run, ...]
    others: tuple[Run, ...]
    foreign: tuple[Run, ...]
    scale: float


def searches(suites: Sequence[CurveSet], seed: int = 0) -> Iterator[Search]:
    """All tasks with runs enough to ask about some and to give others."""
    for suite in suites:
        rng, tasks = np.random.default_rng(seed), dict[str, list[Run]]()
        known = comparable(suite.runs)
        for run in known:
            long = len(run.values) >= LEAST_OBSERVATIONS
            if long and np.isfinite(run.values[-1]) and stratum(run) in SCORED:
                tasks.setdefault(task_of(run), []).append(run)
        for name, runs in tasks.items():
            if len(runs) < 2 * FEWEST:
                continue
            order = rng.permutation(len(runs))
            count = min(ASKED, len(runs) // 2)
            parts = np.split(order, [count])
            asked, others = ([runs[int(k)] for k in part] for part in parts)
            elsewhere = _elsewhere(runs[0], known)
            gains = [abs(run.values[-1] - run.values[0]) for run in runs]
            scale = float(np.median(gains))
            if scale > 0:
                yield Search(
                    *(suite.name, name, tuple(asked), tuple(others), elsewhere, scale)
                )


def _elsewhere(run: Run, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Runs of another task with the same metric, finite and within its bounds."""
    metric = Metric(run.mode, run.bounds)
    same = [r for r in runs if (r.metric, r.mode) == (run.metric, run.mode)]
    return tuple(
        other
        for other in same
        if other.task != run.task
        and np.isfinite(other.values).all()
        and not metric.outside(other.values).any()
    )[:ASKED]


def given(search: Search, setting: Setting, rng: np.random.Generator) -> list[Run]:
    """The other runs that a setting shows, each up to where it is known."""
    runs = list(search.others[: setting.others])
    lengths = np.array([len(run.values) for run in runs])
    if setting.halved:
        lengths = _halved(runs, search.asked[0].mode)
    elif setting.partial:
        short = rng.random(len(runs)) < setting.partial
        lengths = np.where(short, rng.integers(1, lengths + 1), lengths)
    foreign = search.foreign[: setting.foreign]
    return [
        Run(run.values[:n], run.steps[:n], run.config if setting.configs else None)
        for run, n in [
            *zip(runs, lengths, strict=True),
            *((run, len(run.values)) for run in foreign),
        ]
    ]


def _halved(runs: Sequence[Run], mode: str) -> np.ndarray:
    """Observations of each run under successive halving with a factor of three."""
    lengths = np.array([len(run.values) for run in runs])
    left, share, known = np.arange(len(runs)), 1 / 9, lengths.copy()
    while share < 1 and len(left) > 1:
        at = np.maximum((lengths[left] * share).astype(int), 1)
        known[left] = at
        values = [runs[int(i)].values[n - 1] for i, n in zip(left, at, strict=True)]
        signed = Metric(mode).sign * np.array(values)
        order = np.argsort(np.where(np.isnan(signed), np.inf, signed))
        left, share = left[order[: -(-len(left) // 3)]], share * 3
    known[left] = lengths[left]
    return known


def ask(
    model: Model, search: Search, setting: Setting, percent: int, others: list[Run]
) -> Forecast:
    """Forecasts of all runs asked about, after a share of their observations."""
    parts = [len(run.values) * percent // 100 for run in search.asked]
    if percent:
        parts = [max(n, 1) for n in parts]
    one = search.asked[0]
    return model.extrapolate(
        [run.values[:n] for run, n in zip(search.asked, parts, strict=True)],
        [run.steps[-1] for run in search.asked],
        mode=one.mode,
        bounds=one.bounds,
        steps=[run.steps[:n] for run, n in zip(search.asked, parts, strict=True)],
        others=others,
        config=[run.config if setting.configs else None for run in search.asked],
    )


def score(
    model: Model, search: Search, setting: Setting, rng: np.random.Generator
) -> dict[int, dict[str, np.ndarray]]:
    """Columns `(runs,)` at every cutoff, errors in units of the task's gain."""
    others = given(search, setting, rng)
    truth = np.array([run.values[-1] for run in search.asked])
    ends = [run.values[np.isfinite(run.values)][-1] for run in search.others]
    sign = Metric(search.asked[0].mode).sign
    found: dict[int, dict[str, np.ndarray]] = {}
    for percent in PERCENTS:
        if not percent and not others:
            continue
        final = ask(model, search, setting, percent, others).final
        median, (low, high) = final.median(), final.interval(0.9)
        seen = [max(len(run.values) * percent // 100, 1) for run in search.asked]
        shown = [run.values[:n] for run, n in zip(search.asked, seen, strict=True)]
        last = np.array([y[np.isfinite(y)][-1:].sum() for y in shown])
        best = np.array([np.nanmin(sign * y) for y in shown]) * sign
        guess = last if percent else np.full(len(truth), np.median(ends))
        error = lambda y: np.minimum(np.abs(y - truth) / search.scale, MOST)
        found[percent] = {
            "last_error": error(guess),
            "error": error(median),
            "crps": np.minimum(scores.crps(final.mixture, truth) / search.scale, MOST),
            "covered_90": ((low <= truth) & (truth <= high)).astype(float),
            "median": sign * median,
            "best": sign * best,
            "truth": sign * truth,
        }
    return found


def evaluate_context(
    model: Model, suites: Sequence[CurveSet], seed: int = 0
) -> dict[str, Any]:
    """The protocol.

    Returns:
        JSON values: "checkpoint", "checksum"; "settings" -> name -> "suites" -> suite
        -> cutoff -> figures, and "overall", geometric means over suites; "searches".
    """
    tasks = list(searches(suites, seed))
    settings = {}
    for name, setting in SETTINGS.items():
        cells: dict[tuple[str, int], list[dict[str, np.ndarray]]] = {}
        for i, search in enumerate(tasks):
            if len(search.others) < min(setting.others, FEWEST):
                continue
            rng = np.random.default_rng([seed, i])
            for percent, columns in score(model, search, setting, rng).items():
                cells.setdefault((search.suite, percent), []).append(columns)
        by_suite: dict[str, dict[str, dict[str, Any]]] = {}
        for (suite, percent), parts in cells.items():
            by_suite.setdefault(suite, {})[str(percent)] = figures(parts)
        settings[name] = {
            "suites": by_suite,
            "overall": over_suites(by_suite, _means, PERCENTS),
        }
    return {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum", ""),
        "searches": len(tasks),
        "settings": settings,
    }


def figures(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Of the runs of several tasks; standard errors are clustered by task."""
    cluster = np.repeat(np.arange(len(parts)), [len(part["error"]) for part in parts])
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    last = joined["last_error"]
    many = [part for part in parts if len(part["error"]) >= FEWEST]

    def tau(key: str) -> float:
        taus = [scores.rank_scores(p[key], p["truth"], 1)["kendall"] for p in many]
        return float(np.mean(taus))

    order = {"kendall": tau("median"), "kendall_best": tau("best")} if many else {}
    return {
        "runs": len(last),
        "tasks": len(parts),
        **scores.ratio_with_error("error_ratio", joined["error"], last, cluster),
        **scores.ratio_with_error("crps_ratio", joined["crps"], last, cluster),
        "covered_90": float(joined["covered_90"].mean()),
        **order,
    }


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    geometric = {
        key: float(np.exp(np.mean(np.log([row[key] for row in rows]))))
        for key in ("error_ratio", "crps_ratio")
    }
    plain = {
        key: float(np.mean([row[key] for row in rows if key in row]))
        for key in ("covered_90", "kendall", "kendall_best")
        if any(key in row for row in rows)
    }
    return geometric | plain


def to_markdown(results: dict[str, Any]) -> str:
    """A line per setting: error / CRPS, share in the 90 % interval, by cutoff."""
    cutoffs = (f"{percent} %" if percent else "none yet" for percent in PERCENTS)
    head = ("other runs", *cutoffs, "tau, 10 %")
    shown = "{error_ratio:.2f} / {crps_ratio:.2f}, {covered_90:.0%}"
    rows = []
    for name, setting in results["settings"].items():
        overall = setting["overall"]
        cells = [
            shown.format(**overall[p]) if (p := str(percent)) in overall else ""
            for percent in PERCENTS
        ]
        order = overall.get("10", {})
        tau = "{kendall:.2f} ({kendall_best:.2f})".format(**order) if order else ""
        rows.append((name, *cells, tau))
    return table(head, rows)
