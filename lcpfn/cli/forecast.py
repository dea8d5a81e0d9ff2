"""`lcpfn forecast`: the curves of a file, as tables, JSON or a picture."""

import argparse
import json
import sys
from typing import Any

import numpy as np

from lcpfn.cli.options import add_rule

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
EXAMPLE = "curve.csv --horizon 50 --mode max --bounds 0 1"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn forecast`."""
    parser.add_argument("file", help="CSV or JSON; - for standard input")
    add_rule(parser, beat="value the run has to beat")
    parser.add_argument("--plot", metavar="FILE", help="write a picture of the fan")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Forecasts the curves of a file."""
    import lcpfn
    from lcpfn.io.text import read_runs
    from lcpfn.jax_setup import confine_jax, enable_compilation_cache

    runs = read_runs(args.file, args.mode, args.bounds, args.metric)
    confine_jax()
    enable_compilation_cache()
    model = lcpfn.load(args.checkpoint)
    reports = []
    for run in runs:
        stopper = lcpfn.EarlyStopping(
            args.horizon,
            args.mode,
            args.bounds,
            args.beat,
            args.confidence,
            model=model,
        )
        reports.append((run, stopper.replay(run.values, run.steps)))
    if args.plot:
        _plot(args, reports)
    if args.json:
        objects = [_as_json(run, decision, model) for run, decision in reports]
        print(json.dumps(objects[0] if len(objects) == 1 else objects))
        return 0
    for run, decision in reports:
        _print_table(run, decision, model)
    return 0


def _as_json(run: Any, decision: Any, model: Any) -> dict:
    fan = decision.forecast
    rows = fan.quantile(np.array(LEVELS))
    final = fan.final
    return {
        "name": run.name,
        "checkpoint": model.name,
        "steps": fan.steps.tolist(),
        "mean": _finite(fan.mean()),
        "std": _finite(fan.std()),
        "quantiles": {
            f"{q:g}": _finite(row) for q, row in zip(LEVELS, rows, strict=True)
        },
        "final": {
            "step": float(final.steps),
            "mean": _finite(final.mean()),
            "std": _finite(final.std()),
            "quantiles": {f"{q:g}": _finite(final.quantile(q)) for q in LEVELS},
        },
        "diverged": bool(fan.diverged),
        "decision": {
            "stop": decision.stop,
            "reason": decision.reason,
            "prob_better": decision.prob_better,
            "bar": _finite(decision.threshold),
        },
    }


def _finite(x: Any) -> Any:
    """Numbers for JSON, which has neither NaN nor infinity."""
    if np.ndim(x):
        return [_finite(v) for v in x]
    return float(x) if np.isfinite(x) else None


def _print_table(run: Any, decision: Any, model: Any) -> None:
    fan = decision.forecast
    shown = np.unique(np.linspace(0, len(fan.steps) - 1, 10).round().astype(int))
    rows = fan.quantile(np.array(LEVELS))
    mean = fan.mean()
    print(f"{run.name}: {len(run.values)} records, last {run.values[-1]:.5g}")
    print(f"forecast by {model.name}")
    print("      step        mean " + "".join(f"{q:>11.0%} " for q in LEVELS))
    for i in shown:
        cells = "".join(f"{row[i]:>12.5g}" for row in rows)
        print(f"{fan.steps[i]:>10g}{mean[i]:>12.5g}{cells}")
    print(("stop: " if decision.stop else "go on: ") + decision.reason + "\n")


def _plot(args: argparse.Namespace, reports: list) -> None:
    from lcpfn.plot import fan, pyplot

    plt = pyplot()
    plt.switch_backend("agg")
    columns = min(len(reports), 3)
    lines = -(-len(reports) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(7 if columns == 1 else 5 * columns, 4 * lines),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat[len(reports) :]:
        ax.remove()
    for ax, (run, decision) in zip(axes.flat, reports, strict=False):
        fan(
            decision.forecast,
            run.values,
            run.steps,
            ax=ax,
            beat=args.beat,
            title=run.name,
        )
    figure.savefig(args.plot, dpi=130)
    print(f"wrote {args.plot}", file=sys.stderr)
