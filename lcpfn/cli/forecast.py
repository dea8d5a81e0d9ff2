"""`lcpfn forecast`: the curves of a file, as tables, JSON or a picture."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lcpfn.cli.options import add_rule, bounds_option, read_curves_of, rule_of
from lcpfn.json_files import finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lcpfn.curves import Run
    from lcpfn.stopping.early_stopping import Decision
    from lcpfn.stopping.given_runs import GivenRuns

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SHOWN = 10
EXAMPLE = "curve.csv --horizon 50 --mode max --bounds 0 1"


class Outcome(NamedTuple):
    """What there is to say of one run.

    Attributes:
        run: as it was read.
        decision: None if the run has ended, or has gone on beyond the horizon.
        ended: in a sentence, in that case.
        others: how many other runs the forecast knows.
    """

    run: "Run"
    decision: "Decision | None"
    ended: str = ""
    others: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn forecast`."""
    parser.add_argument("file", help="see lcpfn.io; - for standard input")
    add_rule(parser, beat="value the run has to beat")
    parser.add_argument("--plot", metavar="FILE", help="write a picture of the fan")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Forecasts the curves of a file."""
    import lcpfn
    from lcpfn.jax_setup import confine_jax, enable_compilation_cache
    from lcpfn.stopping.given_runs import comparable

    curves, skipped = read_curves_of(args, args.file)
    runs = comparable(curves.runs)
    rule = rule_of(args)
    confine_jax()
    enable_compilation_cache()
    model = lcpfn.load(args.checkpoint)
    tasks = {}
    if model.config.others and not args.alone:
        tasks = _tasks(runs)
    outcomes = [
        _outcome(run, tasks.get((run.task, run.metric)), rule, model) for run in runs
    ]
    if args.json:
        objects = [_as_json(o, rule.horizon, model.name, skipped) for o in outcomes]
        print(json.dumps(objects[0] if len(objects) == 1 else objects))
    else:
        for outcome in outcomes:
            _print_table(outcome, model.name)
    if args.plot:
        _plot(args, [(o.run, o.decision) for o in outcomes if o.decision])
    beyond = [o for o in outcomes if o.run.steps[-1] > rule.horizon]
    return 1 if len(beyond) == len(outcomes) else 0


def _tasks(runs: "Sequence[Run]") -> "dict[tuple[str, str], GivenRuns]":
    """The runs of each task and metric with several."""
    from lcpfn.stopping.given_runs import GivenRuns

    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.task, run.metric), []).append(run)
    return {key: GivenRuns(some) for key, some in found.items() if len(some) > 1}


def _outcome(run: "Run", others: "GivenRuns | None", rule: Any, model: Any) -> Outcome:
    """One run, whatever becomes of the others; `others` are all runs of its task."""
    from lcpfn import EarlyStopping

    last, value = float(run.steps[-1]), float(run.values[-1])
    if last > rule.horizon:
        return Outcome(
            run,
            None,
            f"its last step {last:g} lies beyond the horizon {rule.horizon:g}; give a "
            "later --horizon, or another step axis with --step",
        )
    if last == rule.horizon:
        return Outcome(run, None, f"finished at {value:.5g}")
    options = (rule.horizon, run.mode, run.bounds, rule.beat, rule.confidence)
    stopper = EarlyStopping(*options, model=model, others=others, config=run.config)
    decision = stopper.replay(run.values, run.steps)
    return Outcome(run, decision, others=len(others.runs) - 1 if others else 0)


def _as_json(
    outcome: Outcome, horizon: float, checkpoint: str, skipped: list[str]
) -> dict[str, Any]:
    run, decision, ended, others = outcome
    found: dict[str, Any] = {"name": run.name, "checkpoint": checkpoint}
    found |= {"others": others, "bounds": run.bounds}
    if skipped:
        found["skipped"] = skipped
    if decision is None:
        found |= _ended_json(run, ended, horizon)
        return finite(found)
    fan, final = decision.forecast, decision.forecast.final
    rows = fan.quantile(np.array(LEVELS))
    found |= {
        "steps": fan.steps.tolist(),
        "mean": fan.mean().tolist(),
        "std": fan.std().tolist(),
        "quantiles": {f"{q:g}": r.tolist() for q, r in zip(LEVELS, rows, strict=True)},
        "final": {
            "step": float(final.steps),
            "mean": float(final.mean()),
            "std": float(final.std()),
            "quantiles": {f"{q:g}": float(final.quantile(q)) for q in LEVELS},
        },
        "diverged": bool(fan.diverged),
        "decision": {
            "stop": decision.stop,
            "reason": decision.reason,
            "prob_better": decision.prob_better,
            "threshold": decision.threshold,
        },
    }
    return finite(found)


def _ended_json(run: "Run", ended: str, horizon: float) -> dict[str, Any]:
    """The same of a run that has nothing ahead: its last value is final."""
    value = float(run.values[-1])
    is_known = run.steps[-1] == horizon
    final = {
        "step": float(run.steps[-1]),
        "mean": value,
        "std": 0.0,
        "quantiles": {f"{q:g}": value for q in LEVELS},
    }
    return {
        "steps": [],
        "mean": [],
        "std": [],
        "quantiles": {f"{q:g}": [] for q in LEVELS},
        "final": final if is_known else None,
        "diverged": not np.isfinite(value),
        "decision": {
            "stop": False,
            "reason": ended,
            "prob_better": None,
            "threshold": None,
        },
    }


def _print_table(outcome: Outcome, checkpoint: str) -> None:
    from lcpfn.io.cells import printable

    run, decision, ended, others = outcome
    count, last = len(run.values), run.values[-1]
    print(f"{printable(run.name)}: {count} observations, last {last:.5g}")
    if decision is None:
        print(ended + "\n")
        return
    fan = decision.forecast
    shown = np.linspace(0, len(fan.steps) - 1, SHOWN).round().astype(int)
    rows = fan.quantile(np.array(LEVELS))
    beside = f" with {others} other run{'s'[: others > 1]}" if others else ""
    # Some files imply them by the name of the metric.
    within = f", {bounds_option(run.bounds)}" if run.bounds else ""
    print(f"forecast by {printable(checkpoint)}{beside}{within}")
    print("      step" + "".join(f"{q:>11.0%} " for q in LEVELS))
    for i in np.unique(shown):
        cells = "".join(f"{row[i]:>12.5g}" for row in rows)
        print(f"{fan.steps[i]:>10g}{cells}")
    print(("stop: " if decision.stop else "go on: ") + decision.reason + "\n")


def _plot(args: argparse.Namespace, decided: "list[tuple[Run, Decision]]") -> None:
    from lcpfn.plot import fan, pyplot

    plt = pyplot()
    if not decided:
        print("no run has anything ahead to draw", file=sys.stderr)
        return
    plt.switch_backend("agg")
    columns = min(len(decided), 3)
    lines = -(-len(decided) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(7 if columns == 1 else 5 * columns, 4 * lines),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat[len(decided) :]:
        ax.remove()
    for ax, (run, decision) in zip(axes.flat, decided, strict=False):
        fan(
            decision.forecast,
            run.values.tolist(),
            run.steps.tolist(),
            ax=ax,
            beat=args.beat,
            title=run.name,
        )
    figure.savefig(args.plot, dpi=130)
    print(f"wrote {args.plot}", file=sys.stderr)
