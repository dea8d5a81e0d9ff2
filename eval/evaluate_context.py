"""Scores forecasts that know the other runs of a search, beside the same weights alone.

Of every task some runs are asked about and others are given. The error of the last
value is the unit, as in `lcpfn.eval.curves`; before the first observation it is that of
the median of what the other runs had at their ends.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.eval import scores
from lcpfn.eval.baselines.other_runs import (
    decaying_process,
    kernel_regression,
    latent_kronecker,
)
from lcpfn.eval.curves import errors
from lcpfn.eval.data import over_suites
from lcpfn.eval.searches import FEWEST, Search, Setting, given, searches
from lcpfn.eval.tables import table
from lcpfn.json_files import add_part, begun
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture
from lcpfn.model import Model

PERCENTS = (0, 10, 20, 40, 80)
KERNEL, LKGP, DECAYING = "kernel regression", "LKGP", "decaying GP"
# Figures whose means over suites are geometric, and arithmetic.
RATIOS = ("error_ratio", "crps_ratio")
MEANS = ("covered_90", "seconds", "kendall", "kendall_best")
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


class Rival(Protocol):
    """Another way to forecast runs from other runs, see `eval.baselines.other_runs`."""

    def __call__(
        self, asked: Sequence[Run], horizons: Sequence[float], others: Sequence[Run]
    ) -> Mixture:
        """Final values of the runs asked about, one row each."""


def of_model(model: Model) -> Rival:
    """A checkpoint as one of them."""

    def predict(
        asked: Sequence[Run], horizons: Sequence[float], others: Sequence[Run]
    ) -> Mixture:
        return model.extrapolate(
            [run.values for run in asked],
            list(horizons),
            mode=asked[0].mode,
            bounds=asked[0].bounds,
            steps=[run.steps for run in asked],
            others=list(others),
            config=[run.config for run in asked],
        ).final.mixture

    return predict


def score(
    method: Rival, search: Search, setting: Setting, rng: np.random.Generator
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
        asked = [known(run, percent, setting.configs) for run in search.asked]
        begun = time.perf_counter()
        mixture = method(asked, [run.steps[-1] for run in search.asked], others)
        seconds = (time.perf_counter() - begun) / len(asked)
        low, high = (mixture.quantile(np.array(q)) for q in (0.05, 0.95))
        guess, best = np.full(len(truth), np.median(ends)), np.full(len(truth), np.nan)
        if percent:
            finite = [run.values[np.isfinite(run.values)] for run in asked]
            guess = np.array([y[-1:].sum() for y in finite])
            best = np.array([min(sign * y, default=np.inf) for y in finite])
        columns = errors(mixture, truth, guess, search.scale)
        found[percent] = columns | {
            "covered_90": ((low <= truth) & (truth <= high)).astype(float),
            "median": sign * columns["median"],
            "best": best,
            "truth": sign * truth,
            "seconds": np.full(len(truth), seconds),
        }
    return found


def known(run: Run, percent: int, configs: bool = True) -> Run:
    """A run after a share of its observations, one at least if the share is not 0."""
    count = max(len(run.values) * percent // 100, min(percent, 1))
    config = run.config if configs else None
    return replace(
        run, values=run.values[:count], steps=run.steps[:count], config=config
    )


def evaluate_context(
    model: Model,
    suites: Sequence[CurveSet],
    rivals: int = 0,
    out: Path | None = None,
) -> dict[str, Any]:
    """The protocol; goes on where it was interrupted, if a file is given.

    Args:
        model: the checkpoint.
        suites: recorded searches, one set per source.
        rivals: tasks of each suite on which Gaussian processes are fitted too, half
            a minute a cutoff; they are left out for 0. Needs the extra `rivals`.
        out: results file; parts that it has of this checkpoint are not made again.

    Returns:
        JSON values: "checkpoint", "checksum"; "searches": how many; "settings" -> name
        -> what `over_searches` says; "rivals" -> method -> the same, given 20 others;
        "few": all methods on the same few searches, if there are any.
    """
    tasks = list(searches(suites))
    usual = Setting()
    about = {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum", ""),
        "searches": len(tasks),
    }
    results = begun(out, about)

    def part(
        section: str, name: str, by: Rival, some: Sequence[Search], setting: Setting
    ) -> None:
        make = partial(over_searches, by, some, setting)
        add_part(results, (section, name), make, out)

    for name, setting in SETTINGS.items():
        part("settings", name, of_model(model), tasks, setting)
    part("rivals", KERNEL, kernel_regression, tasks, usual)
    few = _few(tasks, rivals)
    methods: dict[str, Rival] = {
        model.name: of_model(model),
        KERNEL: kernel_regression,
        LKGP: latent_kronecker,
        DECAYING: decaying_process,
    }
    for name, method in methods.items() if few else ():
        part("few", name, method, few, usual)
    return results


def _few(tasks: Sequence[Search], most: int) -> list[Search]:
    """The first tasks of each suite, those with configurations."""
    suites = groupby(tasks, lambda search: search.suite)
    first = [search for _, suite in suites for search in islice(suite, most)]
    return [s for s in first if all(run.config for run in (*s.asked, *s.others))]


def over_searches(
    method: Rival, tasks: Sequence[Search], setting: Setting
) -> dict[str, Any]:
    """One method on all searches that have others enough.

    Returns:
        "suites" -> suite -> cutoff -> `figures`; "overall": means over suites.
    """
    cells: dict[str, dict[str, list[dict[str, np.ndarray]]]] = {}
    for i, search in enumerate(tasks):
        if len(search.others) < min(setting.others, FEWEST):
            continue
        rng = np.random.default_rng([0, i])
        for percent, columns in score(method, search, setting, rng).items():
            by_cutoff = cells.setdefault(search.suite, {})
            by_cutoff.setdefault(str(percent), []).append(columns)
    by_suite = {
        suite: {percent: figures(parts) for percent, parts in by_cutoff.items()}
        for suite, by_cutoff in cells.items()
    }
    overall = over_suites(by_suite, MEANS, RATIOS, PERCENTS)
    return {"suites": by_suite, "overall": overall}


def figures(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Of the runs of several tasks; standard errors are clustered by task."""
    cluster = np.repeat(np.arange(len(parts)), [len(part["error"]) for part in parts])
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    last = joined["last_error"]
    many = [part for part in parts if len(part["error"]) >= FEWEST]

    def tau(key: str) -> float:
        taus = [scores.rank_scores(p[key], p["truth"], 1)["kendall"] for p in many]
        return float(np.mean(taus))

    order = {}
    if many:
        order["kendall"] = tau("median")
    if many and not np.isnan(joined["best"]).any():
        order["kendall_best"] = tau("best")
    return {
        "runs": len(last),
        "tasks": len(parts),
        **scores.ratio_with_error("error_ratio", joined["error"], last, cluster),
        **scores.ratio_with_error("crps_ratio", joined["crps"], last, cluster),
        "covered_90": float(joined["covered_90"].mean()),
        "seconds": float(joined["seconds"].mean()),
        **order,
    }


def to_markdown(results: dict[str, Any]) -> str:
    """A line per setting and rival: error / CRPS, 90 % interval holds, by cutoff."""
    cutoffs = (f"{percent} %" if percent else "none yet" for percent in PERCENTS)
    head = ("other runs", *cutoffs, "tau, 10 %", "ms a run")
    shown = "{error_ratio:.2f} / {crps_ratio:.2f}, {covered_90:.0%}"
    rows = []
    for name, part in _lines(results):
        overall = part["overall"]
        cells = [
            shown.format(**overall[p]) if (p := str(percent)) in overall else ""
            for percent in PERCENTS
        ]
        order = overall.get("10", {})
        tau = "{kendall:.2f} ({kendall_best:.2f})".format(**order) if order else ""
        rows.append((name, *cells, tau, f"{1e3 * order.get('seconds', np.nan):.3g}"))
    return table(head, rows)


def _lines(results: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from results["settings"].items()
    for name, part in results["rivals"].items():
        yield f"{name}, 20 others", part
    for name, part in results.get("few", {}).items():
        yield f"{name}, 20 others, the few", part
