"""Do searches gain from forecasts that know their other runs?

    python -m lcpfn.eval.studies.decisions_amid_others --suite CURVES...

The stopping benchmark, on fewer orders, with each rule alone and amid what the search
has seen: a decision there asks the network anew, which takes a thousand times as long
as to look up a forecast. Written task by task; goes on where it was interrupted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

import lcpfn
from lcpfn.eval.stopping import amid, benchmark, halving, policies
from lcpfn.eval.stopping.freeze_thaw import freeze_thaw
from lcpfn.eval.stopping.measures import measure, summarise
from lcpfn.eval.stopping.simulate import Policy, with_forecasts
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import columns_table, report
from lcpfn.json_files import add_part, begun
from lcpfn.model import Model
from lcpfn.stopping.search_rule import CONFIDENCE, PROTECT

RULE = replace(benchmark.BY_COST, confidence=CONFIDENCE)


def compared(model: Model) -> dict[str, Policy]:
    """Rules of each run alone, those amid others, and ASHA."""
    return {
        "no stop": policies.no_stop(),
        "ASHA, eta 3, from 5%": halving.asha_paused(),
        "adapters' rule, alone": policies.by_rule(RULE, PROTECT),
        "amid others": amid.by_rule(model, RULE, PROTECT),
        "amid others, no configurations": amid.by_rule(
            model, RULE, PROTECT, configs=False
        ),
        "ASHA by forecast, alone": halving.asha_paused(rank=halving.forecast_best()),
        "ASHA by forecast, amid others": amid.asha(model),
        "Study.next, alone": freeze_thaw(),
        "Study.next, amid others": amid.study(model),
        "Study.next, the best of 10 new ones": amid.study(model, candidates=10),
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per policy, and speed-ups by source."""
    tasks = results["tasks"]
    overall = summarise(list(tasks.values()))
    sources = sorted({name.partition("/")[0] for name in tasks})
    parts = {
        source: summarise([tasks[n] for n in tasks if n.startswith(f"{source}/")])
        for source in sources
    }
    columns = {
        "speed-up": "{speed_up:.2f}",
        "slowest task": "{slowest:.2f}",
        "tasks slower than no stop": "{slower_than_no_stop} of {tasks}",
        "winner stopped": "{winner_stopped:.1%}",
        "mean regret over the budget": "{regret_area:.3f}",
        "observations of the first 20 runs": "{share_trained:.0%}",
        "regret among them": "{regret_among_first:.3f}",
    } | {source: f"{{sources[{source}]:.2f}}" for source in sources}
    rows = []
    for name, row in overall.items():
        each = {source: part[name]["speed_up"] for source, part in parts.items()}
        rows.append(((name,), row | {"sources": each}))
    return columns_table(("policy",), rows, columns)


def spread(tasks: Iterable[str], most: int) -> list[str]:
    """At most so many tasks, evenly spread over all."""
    names = list(tasks)
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[i] for i in places]


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 40, RESULTS / "decisions_amid_others.json")
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--orders", type=int, default=2, help="of the runs; default: 2")
    parser.add_argument(
        "--tasks",
        type=int,
        default=2,
        help="most of a source, evenly spread; default: 2",
    )
    args, suites = parse(parser, argv)
    model = lcpfn.load(args.checkpoint)
    about = {
        "checkpoint": model.name,
        "checksum": model.card["checksum"],
        "orders": args.orders,
        "runs_per_task": args.curves,
    }
    results = begun(args.out, about)
    known = compared(model)
    for suite in suites:
        tasks = benchmark.competing(suite, args.curves)
        for name in tqdm(spread(tasks, args.tasks), desc=suite.name, disable=None):
            (task,) = with_forecasts(model, suite.name, {name: tasks[name]})
            make = lambda task=task: measure(task, known, args.orders)
            add_part(results, ("tasks", f"{suite.name}/{name}"), make, args.out)
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
