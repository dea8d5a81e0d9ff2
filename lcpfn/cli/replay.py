"""`lcpfn replay`: finished runs under a rule."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.cli.options import add_curves, read_curves_of
from lcpfn.eval.tables import report
from lcpfn.stopping.rule import METHODS, Rule

if TYPE_CHECKING:
    from lcpfn.curves import CurveSet
    from lcpfn.eval.stopping.risk import Risk
    from lcpfn.eval.stopping.simulate import TaskRuns

EXAMPLE = "history.csv --mode max --bounds 0 1 --rate 0.05"


# Fields of the rule that are options, with what argparse is told of each.
RULE: dict[str, dict[str, Any]] = {
    "confidence": {
        "type": float,
        "metavar": "P",
        "help": f"stop at probability 1 - confidence; default: {Rule.confidence:g}",
    },
    "patience": {"type": int, "help": "decisions that must agree"},
    "min_steps": {"type": int, "metavar": "STEPS", "help": "never stop before"},
    "by_cost": {"action": "store_true", "help": "weigh it by what is left of a run"},
    "cautious": {
        "type": int,
        "metavar": "N",
        "help": "be surer up to so many observations; 1: never",
    },
    "max_surprise": {
        "type": float,
        "metavar": "X",
        "help": "never stop above this surprise",
    },
    "min_delta": {"type": float, "metavar": "X", "help": "gains count above it"},
    "method": {"choices": METHODS},
}


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
    for name, how in RULE.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=getattr(Rule, name), **how)
    parser.add_argument(
        "--rate",
        type=float,
        help="choose it to stop at most this share of good runs",
    )
    parser.add_argument(
        "--check", metavar="FILE", help="runs for which that promise is to hold"
    )
    parser.add_argument("--checkpoint", metavar="NAME", help="bundled, or a path")
    parser.add_argument("--out", type=Path, help="results file (JSON)")
    parser.add_argument("--plot", metavar="FILE", help="write a picture")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Replays finished runs: epochs saved, good runs stopped, regret."""
    import lcpfn
    from lcpfn.eval.data import runs_by_task
    from lcpfn.eval.stopping import replay, simulate

    if args.check is not None and args.rate is None:
        raise ValueError("--check is of the promise of --rate; give --rate, say 0.05")
    curves, skipped = read_curves_of(args, args.curves)
    rule, beat = _rule(args, curves), _beat(args, curves)
    model = lcpfn.load(args.checkpoint)

    def pools_of(curves: "CurveSet") -> "list[TaskRuns]":
        tasks = runs_by_task(curves.runs)
        return simulate.with_forecasts(model, curves.name, tasks, args.horizon)

    pools, promise, checks = pools_of(curves), None, None
    if args.rate is not None:
        promise = _promise(pools, rule, args.rate)
        rule = replace(rule, confidence=promise.confidence)
    if args.check is not None:
        own, left_out = read_curves_of(args, args.check)
        skipped = [*skipped, *left_out]
        checks = _checks(pools, pools_of(own), rule, args.rate)
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
    results |= {"checks": checks} if checks else {}
    results |= {"skipped": skipped} if skipped else {}
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


def _rule(args: argparse.Namespace, curves: "CurveSet") -> Rule:
    """The rule that the options describe."""
    return Rule(
        horizon=args.horizon or max(float(run.steps[-1]) for run in curves.runs),
        mode=curves.runs[0].mode,
        **{name: getattr(args, name) for name in RULE},
    )


def _promise(pools: "Sequence[TaskRuns]", rule: Rule, rate: float) -> "Risk":
    """The confidence with which at most this share of good runs is stopped, told."""
    from lcpfn.eval.stopping import risk

    found = risk.choose(risk.losses(pools, rule), rate)
    print(
        f"confidence {found.confidence:.5g}: of {found.good} good runs "
        f"{found.measured:.1%} are stopped; promised: at most {rate:.1%} of further "
        "ones of the same kind",
        file=sys.stderr,
    )
    return found


def _beat(args: argparse.Namespace, curves: "CurveSet") -> float | None:
    """The value to beat, model space."""
    from lcpfn.metric import Metric

    if args.beat is None:
        return None
    modes = {run.mode for run in curves.runs}
    if len(modes) > 1:
        raise ValueError("--beat needs runs of one direction, got max and min")
    return float(Metric(modes.pop()).sign * args.beat)


def _checks(
    recorded: "Sequence[TaskRuns]", own: "Sequence[TaskRuns]", rule: Rule, rate: float
) -> list[dict[str, Any]]:
    """Says of every task whether the promise is to be trusted there."""
    from lcpfn.eval.stopping import exchangeable

    rows = []
    for task in own:
        found = exchangeable.check(recorded, task, rule)
        sentence = exchangeable.sentence(found, task.name, rate)
        print(f"check: {sentence}", file=sys.stderr)
        rows.append(
            {"task": task.name, **found._asdict(), "doubted": found.doubted}
            | {"sentence": sentence}
        )
    return rows
