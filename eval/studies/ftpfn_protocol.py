"""The protocol of FT-PFN's Table 1 on recorded searches.

    python -m lcpfn.eval.studies.ftpfn_protocol --suite lcbench.npz taskset.npz

The runs of a task share a number of observations, unevenly: most get few or none. Then
the final values of all runs that have begun and not ended are asked for, each with all
others as context. Source: Rakotoarison et al. 2024, "In-context freeze-thaw Bayesian
optimization" (2404.16795).

Two figures, medians over draws: the mean log-density of the final values (nats, higher
is better) and their mean squared error. FT-PFN's metrics have a range of one; here one
is the distance from the median first value of a task to its best final one. Its
published figures stand beside, and are not of the same curves: they are of balanced
accuracies of 35 tables of LCBench and of 24 tasks of Taskset, with draws in which every
run asked about has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

import lcpfn
from lcpfn.curves import Run
from lcpfn.eval.searches import FEWEST, scored_tasks
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import report, table
from lcpfn.metric import Metric
from lcpfn.model import Model
from lcpfn.stopping.given_runs import comparable

OBSERVATIONS = (400, 1000, 1800)
ALONE, OTHERS, CONFIGS = "alone", "other curves", "other curves and configurations"
# Log-density and squared error that its authors give, with and without configurations.
PUBLISHED = {
    ("lcbench", "400"): {OTHERS: (1.649, 0.008), CONFIGS: (1.876, 0.005)},
    ("lcbench", "1000"): {OTHERS: (1.763, 0.007), CONFIGS: (2.118, 0.004)},
    ("lcbench", "1800"): {OTHERS: (1.753, 0.006), CONFIGS: (2.199, 0.003)},
    ("taskset", "400"): {OTHERS: (2.860, 0.005), CONFIGS: (2.934, 0.004)},
    ("taskset", "1000"): {OTHERS: (2.877, 0.005), CONFIGS: (3.016, 0.004)},
    ("taskset", "1800"): {OTHERS: (2.858, 0.005), CONFIGS: (3.057, 0.004)},
}


def shared_out(lengths: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """How many observations of each run are known `(n,)`, `total` if there are.

    Runs take them in proportion to Gamma variables of a common shape below 0.1: a few
    have most of them.

    Args:
        lengths: observations of each run `(n,)`.
        total: how many are known.
        rng: of this draw.
    """
    shape = 10 ** rng.uniform(-4, -1)
    weights = rng.gamma(shape, size=len(lengths)) + 1e-12
    known = np.zeros(len(lengths), int)
    while (left := min(total, lengths.sum()) - known.sum()) > 0:
        share = np.where(known < lengths, weights, 0)
        known += rng.multinomial(left, share / share.sum())
        known = np.minimum(known, lengths)
    return known


def unit(runs: Sequence[Run]) -> float:
    """From the median first value of a task's runs to the best final one."""
    sign = Metric(runs[0].mode).sign
    first = np.median([sign * run.values[0] for run in runs])
    return float(first - min(sign * run.values[-1] for run in runs))


def score(
    model: Model, runs: Sequence[Run], total: int, rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """The two figures of one draw; without any if no run is on the way.

    Args:
        model: the checkpoint.
        runs: of one task.
        total: observations known of them.
        rng: of the draw.

    Returns:
        `ALONE`, `OTHERS`, `CONFIGS` -> "log_density" and "squared_error".
    """
    known = shared_out(np.array([len(run.values) for run in runs]), total, rng)
    parts = [
        replace(run, values=run.values[:n], steps=run.steps[:n])
        for run, n in zip(runs, known, strict=True)
    ]
    way = [0 < n < len(run.values) for run, n in zip(runs, known, strict=True)]
    asked = [i for i, one in enumerate(way) if one]
    truth = np.array([runs[i].values[-1] for i in asked])
    given = [part for part in parts if len(part.values)]
    bare = [replace(part, config=None) for part in given]
    found = {}
    for name, others in {ALONE: [], OTHERS: bare, CONFIGS: given}.items():
        if not asked:
            continue
        final = model.extrapolate(
            [parts[i].values for i in asked],
            [runs[i].steps[-1] for i in asked],
            mode=runs[0].mode,
            bounds=runs[0].bounds,
            steps=[parts[i].steps for i in asked],
            others=others,
            config=[parts[i].config if name == CONFIGS else None for i in asked],
        ).final.mixture
        scale = unit(runs)
        off = (final.quantile(np.array(0.5)) - truth) / scale
        found[name] = {
            "log_density": float((final.log_prob(truth) + np.log(scale)).mean()),
            "squared_error": float((off**2).mean()),
        }
    return found


def study(
    model: Model, tasks: Sequence[Sequence[Run]], draws: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Observations -> what was known -> medians over `draws` draws of every task."""
    results = {}
    for total in OBSERVATIONS:
        every = [(i, k) for i in range(len(tasks)) for k in range(draws)]
        rows = [
            score(model, tasks[i], total, np.random.default_rng([total, i, k]))
            for i, k in tqdm(every, desc=f"{total} observations", disable=None)
        ]
        rows = [row for row in rows if row]
        results[str(total)] = {
            name: {
                key: float(np.median([row[name][key] for row in rows]))
                for key in rows[0][name]
            }
            for name in (rows[0] if rows else ())
        }
    return results


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per source, number of observations and what was known."""
    rows = []
    for source, found in results["sources"].items():
        for total, part in found.items():
            theirs = PUBLISHED.get((source, total), {})
            for name, ours in part.items():
                cells = (tuple(ours.values()), theirs.get(name))
                shown = ("{:.2f} / {:.4f}".format(*c) if c else "" for c in cells)
                rows.append((source, total, name, *shown))
    head = ("log-density / squared error", "observations", "known")
    return table((*head, "lcpfn", "FT-PFN, published, other curves"), rows)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 0, RESULTS / "ftpfn_protocol.json")
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--draws", type=int, default=2, help="of each task; default: 2")
    args, suites = parse(parser, argv)
    model = lcpfn.load(args.checkpoint)
    sources = {}
    for suite in suites:
        tasks = scored_tasks(comparable(suite.runs)).values()
        scored = [runs for runs in tasks if len(runs) >= 2 * FEWEST and unit(runs) > 0]
        sources[suite.name] = study(model, scored, args.draws)
    results = {
        "checkpoint": model.name,
        "checksum": model.card["checksum"],
        "sources": sources,
    }
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
