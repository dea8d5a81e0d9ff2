"""Do a few finished runs tell in advance that a stated risk will not hold?

    python -m lcpfn.eval.studies.promise --suite CURVES...

A confidence is chosen on some sources, to stop at most 5 or 10 % of the good runs, and
measured on all runs of another source. How far it is off there is compared with how
often `lcpfn.eval.stopping.exchangeable` doubts it from 5, 10 or 20 runs drawn from one
task. Likewise for single tasks left out, and for one half of a task by the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import lcpfn
from lcpfn.eval.stopping import benchmark, risk
from lcpfn.eval.stopping.exchangeable import DOUBT, EACH, Scored, share_as_low
from lcpfn.eval.stopping.simulate import TaskRuns, with_forecasts
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import report, table

COUNTS = (5, 10, 20)
RATES = (0.05, 0.1)
HEADS = tuple(f"doubted after {count} runs" for count in COUNTS)
RULE = benchmark.PLAIN
# The sources that confidences are chosen on, or on those of them left.
CHOSEN_ON = ("deepobs", "lcbench", "olmo_ladder", "taskset")
ON_THESE = "the benchmark"
# How many times the promised share is measured, from and up to.
BROKEN = ((0.0, 1.0), (1.0, 1.5), (1.5, 2.5), (2.5, np.inf))


class Known(NamedTuple):
    """One task.

    Attributes:
        source: where it is from.
        scored: its runs.
        losses: as of `risk.losses`.
        scores: by number of runs, the scores of random draws.
    """

    source: str
    scored: Scored
    losses: np.ndarray
    scores: dict[int, np.ndarray]


def known_of(task: TaskRuns, rng: np.random.Generator) -> Known:
    """One task, looked at."""
    scored = Scored(task, RULE)
    scores = {count: scored.drawn(count, EACH, rng) for count in COUNTS}
    return Known(task.source, scored, risk.losses([task], RULE), scores)


def doubted(recorded: Sequence[Known], own: Sequence[Known]) -> dict[str, float]:
    """By "after_" a number of runs: how often the draws from some tasks are doubted."""
    shares = {}
    for count in COUNTS:
        there = np.concatenate([task.scores[count] for task in recorded])
        asked = np.concatenate([task.scores[count] for task in own])
        found = [share_as_low(there, score) <= DOUBT for score in asked]
        shares[f"after_{count}"] = float(np.mean(found))
    return shares


def as_met(task: Known, confidence: float) -> float:
    """Share of good runs stopped, each as often as it is one in the orders."""
    scored = replace(task.scored, rule=replace(RULE, confidence=confidence))
    look = scored.look(range(len(scored.task_runs.runs)))
    return np.nan if look is None else look.stopped


def compared(
    recorded: Sequence[Known], own: Sequence[Known], about: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """A row per rate: what is measured on some tasks, and how often it is doubted."""
    for rate in RATES:
        try:
            found = risk.choose(np.concatenate([x.losses for x in recorded]), rate)
        except ValueError:  # no confidence keeps this rate even where it is chosen
            continue
        level = int(np.argmin(np.abs(found.confidence - risk.LEVELS)))
        measured = np.concatenate([x.losses for x in own])[:, level]
        yield {
            **about,
            "rate": rate,
            "confidence": found.confidence,
            "measured": float(measured.mean()),
            "as_met": float(np.mean([as_met(x, found.confidence) for x in own])),
            "doubted": doubted(recorded, own),
        }


def by_source(tasks: Sequence[Known]) -> list[dict[str, Any]]:
    """Chosen on every source, and on those of the benchmark, measured on each other."""
    sources = sorted({task.source for task in tasks})
    groups = {name: {name} for name in sources} | {ON_THESE: {*CHOSEN_ON}}
    rows: list[dict[str, Any]] = []
    for left_out in sources:
        own = [task for task in tasks if task.source == left_out]
        for chosen_on, group in groups.items():
            kept = group - {left_out}
            recorded = [task for task in tasks if task.source in kept]
            if recorded:
                about = {"chosen_on": chosen_on, "left_out": left_out}
                rows += compared(recorded, own, about)
    return rows


def single_tasks(tasks: Sequence[Known]) -> dict[str, float]:
    """How often one task is doubted, all others being recorded."""
    rows = [
        doubted([task for task in tasks if task is not own], [own]) for own in tasks
    ]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def halves(tasks: Sequence[Known], rng: np.random.Generator) -> dict[str, float]:
    """How often runs are doubted by other runs of the very same task."""
    found: dict[str, list[bool]] = {}
    for task in tasks:
        rows = rng.permutation(len(task.scored.task_runs.runs))
        recorded, own = (half.tolist() for half in np.array_split(rows, 2))
        for count in COUNTS:
            if 2 * count > len(recorded):
                continue
            drawn = [task.scored.drawn(count, EACH, rng, x) for x in (recorded, own)]
            found.setdefault(f"after_{count}", []).extend(
                share_as_low(drawn[0], score) <= DOUBT for score in drawn[1]
            )
    return {after: float(np.mean(all_)) for after, all_ in found.items()}


def to_markdown(results: Mapping[str, Any]) -> str:
    """How often a promise is doubted, by how far it is off."""
    rows = results["by_source"]
    groups = []
    for low, high in BROKEN:
        name = f"{low:g} to {high:g} times" if high < np.inf else f"over {low:g} times"
        inside = [row for row in rows if low <= row["measured"] / row["rate"] < high]
        groups.append((f"another source, {name} what was promised", inside))
    lines = [
        (name, f"{len(some)}", *_mean([row["doubted"] for row in some]))
        for name, some in groups
        if some
    ]
    lines.append(("one more task of the sources", "", *_mean([results["task"]])))
    lines.append(("more runs of the same task", "", *_mean([results["halves"]])))
    return table(("measured on", "promises", *HEADS), lines)


def _mean(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Mean shares by number of runs."""
    keys = [f"after_{count}" for count in COUNTS]
    parts = ([row[key] for row in rows if key in row] for key in keys)
    return [f"{np.mean(part):.0%}" if part else "" for part in parts]


def sources_to_markdown(results: Mapping[str, Any]) -> str:
    """Every source, with the confidence chosen on those of the benchmark."""
    chosen = [r for r in results["by_source"] if r["chosen_on"] == ON_THESE]
    found = {(row["left_out"], row["rate"]): row for row in chosen}
    rows = []
    for name in dict.fromkeys(row["left_out"] for row in chosen):
        each = [found.get((name, rate)) for rate in RATES]
        known = next(row for row in each if row)
        measured = [
            f"{row['measured']:.1%} / {row['as_met']:.1%}" if row else ""
            for row in each
        ]
        rows.append((name, *measured, *_mean([known["doubted"]])))
    heads = (f"promised {rate:.0%}: measured / as met" for rate in RATES)
    return table(("left out", *heads, *HEADS), rows)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 40, RESULTS / "promise.json")
    parser.add_argument("--checkpoint", help="bundled name or path")
    args, suites = parse(parser, argv)
    model, rng = lcpfn.load(args.checkpoint), np.random.default_rng(0)
    tasks: list[Known] = []
    for suite in suites:
        competing = benchmark.competing(suite, args.curves)
        found = with_forecasts(model, suite.name, competing)
        tasks += [known_of(task, rng) for task in tqdm(found, suite.name, disable=None)]
    results = {
        "checkpoint": model.name,
        "checksum": model.card["checksum"],
        "runs_per_task": args.curves,
        "tasks": len(tasks),
        "doubt": DOUBT,
        "by_source": by_source(tasks),
        "task": single_tasks(tasks),
        "halves": halves(tasks, rng),
    }
    text = f"{to_markdown(results)}\n\n{sources_to_markdown(results)}"
    report(results, text, args.out)


if __name__ == "__main__":
    main()
