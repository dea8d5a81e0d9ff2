"""Do drawn searches look like real ones? Statistics and pictures side by side.

    python -m lcpfn.eval.studies.search_check --suite a.npz b.npz --plot searches.png

A search is some runs of one task and metric; values in model space, lower is better.

order at p %
    Spearman correlation of the values at p % of the observations with the final ones;
    at 0 % of the first ones.
starts / ends
    Spread of the first values over that of the final ones, between the 10 % and 90 %
    quantiles.
ends / gain
    Spread of the final values over the median distance of first and final value.
crossing
    Share of the pairs of runs whose order at 25 % is not their final one.
diverged
    Share of the runs that ended worse than they began, or not finite.
configuration
    Largest Spearman correlation of one hyperparameter with the final values; of
    categories, by the mean rank of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.stats import rankdata, spearmanr

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.data import LEAST_OBSERVATIONS, runs_by_task, stratum
from lcpfn.eval.report_plots import grid
from lcpfn.eval.studies.options import parse, study_parser
from lcpfn.eval.tables import report, table
from lcpfn.metric import Metric
from lcpfn.priors.configurations import CATEGORY
from lcpfn.priors.searches import BROAD_SEARCHES, Search, SearchPrior, draw_search

RUNS = 32
LENGTH = 64
LEAST_RUNS = 12
SEARCHES = 6  # of one task at most
PERCENTS = (0, 10, 25, 50)
QUANTILES = (0.25, 0.5, 0.75)
PANELS = 8

SearchRuns = Sequence[Run]


def drawn_searches(prior: SearchPrior, count: int, seed: int = 0) -> list[SearchRuns]:
    """Searches of a prior as runs; a category is text."""
    one = replace(prior.prior, length=LENGTH, shortest=LEAST_OBSERVATIONS)
    sized = replace(prior, prior=one)
    sample = jax.jit(jax.vmap(lambda key: draw_search(sized, key, RUNS)))
    keys = jax.random.split(jax.random.key(seed), count)
    drawn = jax.tree.map(np.asarray, sample(keys))
    mode = prior.prior.mode
    return [as_runs(Search(*(x[i] for x in drawn)), mode) for i in range(count)]


def as_runs(search: Search, mode: str) -> list[Run]:
    """The runs of one search; NaN behind the last finite observation."""
    runs = []
    for i, count in enumerate(search.length):
        values = np.where(
            np.arange(count) < search.finite[i], search.y[i, :count], np.nan
        )
        config = {
            f"h{d}": f"level {x:g}" if search.kind[d] == CATEGORY else float(x)
            for d, x in enumerate(search.config[i])
            if np.isfinite(x)
        }
        steps = np.asarray(search.steps[i, :count], float)
        runs.append(
            Run(values.astype(float), steps, config=config, name=f"run {i}", mode=mode)
        )
    return runs


def real_searches(suite: CurveSet, seed: int = 0) -> list[SearchRuns]:
    """Runs of one task and metric, `RUNS` at a time."""
    long = (run for run in suite.runs if len(run.values) >= LEAST_OBSERVATIONS)
    tasks = runs_by_task(run for run in long if np.isfinite(run.values).any())
    rng = np.random.default_rng(seed)
    found: list[SearchRuns] = []
    for runs in tasks.values():
        order = rng.permutation(len(runs))
        parts = [order[i : i + RUNS] for i in range(0, len(runs), RUNS)][:SEARCHES]
        found += [[runs[i] for i in p] for p in parts if len(p) >= LEAST_RUNS]
    return found


def values_at(runs: SearchRuns, share: float) -> np.ndarray:
    """Values in model space at a share of the observations `(n,)`; infinite if NaN."""
    values = np.array(
        [
            Metric(run.mode).sign * run.values[round(share * (len(run.values) - 1))]
            for run in runs
        ]
    )
    return np.where(np.isfinite(values), values, np.inf)


def statistics(runs: SearchRuns) -> dict[str, float]:
    """The statistics above of one search; NaN where there is nothing to say."""
    first, end = values_at(runs, 0.0), values_at(runs, 1.0)
    fine = np.isfinite(first) & np.isfinite(end)
    found = {
        f"order at {percent} %": correlation(values_at(runs, percent / 100), end)
        for percent in PERCENTS
    }
    early = values_at(runs, 0.25)
    one, other = np.triu_indices(len(runs), 1)
    with np.errstate(invalid="ignore"):
        before, after = early[one] - early[other], end[one] - end[other]
    pairs = np.isfinite(before) & np.isfinite(after) & (after != 0)
    crossing = before[pairs] * after[pairs] < 0
    gain = np.median(np.abs(end - first)[fine]) if fine.any() else 0.0
    return found | {
        "starts / ends": ratio(spread(first[fine]), spread(end[fine])),
        "ends / gain": ratio(spread(end[fine]), gain),
        "crossing": float(crossing.mean()) if len(crossing) else np.nan,
        "diverged": float(np.mean([stratum(run) == "diverged" for run in runs])),
        "configuration": of_configuration(runs, end),
    }


def spread(x: np.ndarray) -> float:
    """Distance of the 10 % and 90 % quantiles."""
    return float(np.subtract(*np.quantile(x, (0.9, 0.1)))) if len(x) else 0.0


def ratio(x: float, y: float) -> float:
    """X / y, NaN where y is zero."""
    return x / y if y > 0 else np.nan


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's; NaN if one of them is constant."""
    if len(x) < LEAST_RUNS or np.all(x == x[0]) or np.all(y == y[0]):
        return np.nan
    return float(spearmanr(rankdata(x), rankdata(y)).statistic)


def of_configuration(runs: SearchRuns, end: np.ndarray) -> float:
    """The statistic "configuration" of runs that end at `end` `(n,)`."""
    configs = [run.config or {} for run in runs]
    found = [np.nan]
    for name in sorted({key for config in configs for key in config}):
        given = [config.get(name) for config in configs]
        rows = np.flatnonzero([value is not None for value in given])
        x, rank = [given[i] for i in rows], rankdata(end[rows])
        if any(isinstance(value, str) for value in x):
            labels = np.array([str(value) for value in x])
            # Levels that nothing repeats would explain everything.
            names, counts = np.unique(labels, return_counts=True)
            if counts.min() < 3:
                continue
            means = {label: rank[labels == label].mean() for label in names}
            x = [means[label] for label in labels]
        found.append(abs(correlation(np.array(x, float), rank)))
    return float(np.nanmax(found)) if np.isfinite(found).any() else np.nan


def summary(searches: Sequence[SearchRuns]) -> dict[str, list[float] | None]:
    """Quantiles of every statistic over searches; None where no search has it."""
    rows = [statistics(runs) for runs in searches]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: np.nanquantile(x, QUANTILES).tolist() if np.isfinite(x).any() else None
        for name, x in columns.items()
    }


def to_markdown(result: Mapping[str, Any]) -> str:
    """Median and quartiles of every statistic, a column per source."""
    sources = result["sources"]
    rows = []
    for name in next(iter(sources.values()))["statistics"]:
        found = (source["statistics"][name] for source in sources.values())
        cells = ("{1:.2f} ({0:.2f}, {2:.2f})".format(*q) if q else "-" for q in found)
        rows.append((name, *cells))
    counts = (str(source["searches"]) for source in sources.values())
    return table(("", *sources), [*rows, ("searches", *counts)])


def picture(sources: Mapping[str, Sequence[SearchRuns]]) -> Any:
    """A line of searches per source; runs from best (blue) to worst at their end."""
    lines = [
        (name if not start else "", searches[start : start + PANELS])
        for name, searches in sources.items()
        for start in range(0, 3 * PANELS if name == "drawn" else PANELS, PANELS)
    ]
    figure, axes = grid(len(lines), PANELS, (1.7 * PANELS, 1.25 * len(lines)))
    for row, (name, searches) in zip(axes, lines, strict=True):
        row[0].set_ylabel(name, fontsize=8)
        for ax in row:
            ax.set(xticks=[], yticks=[])
        for ax, runs in zip(row, searches, strict=False):
            draw_panel(ax, runs)
    return figure


def draw_panel(ax: Any, runs: SearchRuns) -> None:
    """One search; where few values are extreme they leave the picture."""
    sign = Metric(runs[0].mode).sign
    everything = np.concatenate([sign * run.values for run in runs])
    everything = everything[np.isfinite(everything)]
    low, high = np.quantile(everything, (0.0, 0.96))
    margin = 0.05 * (high - low) + 1e-12
    ax.set_ylim(low - margin, high + margin)
    ranks = rankdata(values_at(runs, 1.0)) / len(runs)
    for run, rank in zip(runs, ranks, strict=True):
        color = (0.1 + 0.8 * rank, 0.3, 0.9 - 0.8 * rank)
        ax.plot(run.steps / run.steps[-1], sign * run.values, color=color, lw=0.5)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 256)
    parser.add_argument("--plot", type=Path, help="picture of searches")
    parser.add_argument("--seed", type=int, default=0, help="of drawn searches")
    args, suites = parse(parser, argv)
    sources = {"drawn": drawn_searches(BROAD_SEARCHES, args.curves, args.seed)}
    sources |= {suite.name: real_searches(suite) for suite in suites}
    result = {
        "sources": {
            name: {"searches": len(searches), "statistics": summary(searches)}
            for name, searches in sources.items()
        }
    }
    report(result, to_markdown(result), args.out)
    if args.plot:
        rng = np.random.default_rng(args.seed)
        shown = {
            name: [found[i] for i in rng.permutation(len(found))]
            for name, found in sources.items()
        }
        picture(shown).savefig(args.plot, dpi=110)


if __name__ == "__main__":
    main()
