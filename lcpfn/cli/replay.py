"""`lcpfn replay`: finished runs under a rule."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lcpfn.cli.options import add_curves, read_curves_of
from lcpfn.eval.tables import report
from lcpfn.stopping.rule import METHODS, Rule

EXAMPLE = "history.csv --mode max --bounds 0 1 --rate 0.05"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn replay`."""
    parser.add_argument("curves", help="recorded runs, see lcpfn.io")
    add_curves(parser, needs_mode=False)
    parser.add_argument(
        "--horizon", type=float, help="last step of a full run; default: of each run"
    )
    parser.add_argument(
        "--beat", type=float, help="value to beat; default: the best earlier run"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="P",
        default=Rule.confidence,
        help=f"stop at probability 1 - confidence; default: {Rule.confidence:g}",
    )
    parser.add_argument(
        "--rate",
        type=float,
        help="choose the confidence so that at most this share of good runs is stopped",
    )
    parser.add_argument(
        "--patience", type=int, default=Rule.patience, help="decisions that must agree"
    )
    parser.add_argument(
        "--min-steps",
        type=int,
        metavar="STEPS",
        default=Rule.min_steps,
        help="never stop before",
    )
    parser.add_argument(
        "--max-surprise",
        type=float,
        metavar="X",
        help="never stop above this surprise",
    )
    parser.add_argument(
        "--min-delta", type=float, metavar="X", help="gains count above it"
    )
    parser.add_argument("--method", choices=METHODS, default=Rule.method)
    parser.add_argument("--checkpoint", metavar="NAME", help="bundled, or a path")
    parser.add_argument("--out", type=Path, help="results file (JSON)")
    parser.add_argument("--plot", metavar="FILE", help="write a picture")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Replays finished runs: epochs saved, good runs stopped, regret."""
    import lcpfn
    from lcpfn.eval.stopping import replay, risk, simulate
    from lcpfn.metric import Metric

    curves, skipped = read_curves_of(args, args.curves)
    rule = Rule(
        horizon=args.horizon or max(float(run.steps[-1]) for run in curves.runs),
        mode=curves.runs[0].mode,
        confidence=args.confidence,
        patience=args.patience,
        min_steps=args.min_steps,
        max_surprise=args.max_surprise,
        min_delta=args.min_delta,
        method=args.method,
    )
    beat = None
    if args.beat is not None:
        modes = {run.mode for run in curves.runs}
        if len(modes) > 1:
            raise ValueError("--beat needs runs of one direction, got max and min")
        beat = Metric(rule.mode).sign * args.beat
    model = lcpfn.load(args.checkpoint)
    pools = simulate.with_forecasts(
        model, curves.name, simulate.by_task(curves.runs), args.horizon
    )
    promise = None
    if args.rate is not None:
        promise = risk.choose(risk.losses(pools, rule), args.rate)
        rule = replace(rule, confidence=promise.confidence)
        print(
            f"confidence {promise.confidence:.5g}: of {promise.good} good runs "
            f"{promise.measured:.1%} are stopped; promised: at most {args.rate:.1%} of "
            "further ones of the same kind",
            file=sys.stderr,
        )
    tasks = [replay.replay_task(pool, rule, beat) for pool in pools]
    trade_off = replay.trade_off(pools, rule, beat)
    results: dict[str, Any] = {
        "checkpoint": model.name,
        "rule": {k: v for k, v in asdict(rule).items() if k not in ("horizon", "mode")},
        "risk": promise and promise._asdict(),
        "tasks": tasks,
        "mean": replay.summarise(tasks),
        "trade_off": trade_off,
    }
    if skipped:
        results["skipped"] = skipped
    if args.plot:
        widest = max(range(len(pools)), key=lambda i: len(pools[i].runs))
        until = tasks[widest]["recorded_order"]["until"]
        figure = replay.draw(pools[widest], until, trade_off, rule.confidence)
        figure.savefig(args.plot, dpi=130)
        print(f"wrote {args.plot}", file=sys.stderr)
    if args.json:
        print(json.dumps(results))
        return 0
    report(results, replay.to_markdown(results), args.out)
    return 0
