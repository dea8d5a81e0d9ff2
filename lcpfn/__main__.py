"""The command line. Data goes to stdout, everything else to stderr."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _bound(text: str) -> float | None:
    return None if text.lower() in ("none", "-", "inf", "-inf") else float(text)


def _add_metric(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", required=True, choices=("max", "min"))
    parser.add_argument(
        "--bounds",
        nargs=2,
        type=_bound,
        metavar=("LOW", "HIGH"),
        help="range of the metric; none where there is no bound",
    )
    parser.add_argument("--column", help="header of the values, where not evident")


def forecast(args: argparse.Namespace) -> int:
    """Forecasts the curves of a file."""
    import lcpfn
    from lcpfn.files import read_runs
    from lcpfn.startup import confine_jax, enable_compilation_cache

    runs = read_runs(args.file, args.mode, args.bounds, args.column)
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
            "bar": _finite(decision.bar),
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


def _overrides(config: Any, pairs: Sequence[str]) -> Any:
    """Applies `field=value` or `model.field=value` to a frozen configuration."""
    for pair in pairs:
        name, equals, text = pair.partition("=")
        outer, _, inner = name.partition(".")
        known = {field.name for field in fields(config)}
        if not equals or outer not in known:
            raise ValueError(
                f"--set takes field=value with a field of {', '.join(sorted(known))}, "
                f"got {pair!r}"
            )
        old = getattr(config, outer)
        if inner:
            value = _overrides(old, [f"{inner}={text}"])
        else:
            try:
                value = type(old)(text)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{name} must be of type {type(old).__name__}, got {text!r}"
                ) from None
        config = replace(config, **{outer: value})
    return config


def pretrain(args: argparse.Namespace) -> int:
    """Pre-trains a network on a prior."""
    if args.hosts:
        import jax

        coordinator, count, index = args.hosts
        jax.distributed.initialize(coordinator, int(count), int(index))
    from lcpfn.train.feeds import describe
    from lcpfn.train.fit import fit
    from lcpfn.train.presets import PRESETS

    if args.preset not in PRESETS:
        raise ValueError(
            f"no preset {args.preset!r}; there are {', '.join(sorted(PRESETS))}"
        )
    config = PRESETS[args.preset]
    if args.prior:
        config = replace(config, prior=args.prior)
    config = _overrides(config, args.set)
    out = args.out or Path("runs") / args.preset
    suites = _read_suites(args.recorded, args.mode, args.bounds)
    if suites:
        origin = "; ".join(describe(suite.name, suite.runs) for suite in suites)
        config = replace(config, origin=origin)
    recorded = [suite.runs for suite in suites]
    print(fit(config, out, recorded=recorded, tensorboard=args.tensorboard))
    return 0


def finetune(args: argparse.Namespace) -> int:
    """Adapts a checkpoint to finished runs."""
    from lcpfn.files import read_runs
    from lcpfn.train.finetune import finetune as run

    runs = read_runs(args.file, args.mode, args.bounds, args.column)
    report = run(runs, args.out, checkpoint=args.checkpoint, steps=args.steps)
    print(json.dumps(report))
    return 0


def _read_suites(paths: Sequence[str], mode: str | None, bounds: Any) -> list:
    from lcpfn.eval.readers import read_curves

    return [read_curves(path, mode=mode, bounds=bounds) for path in paths]


def evaluate(args: argparse.Namespace) -> int:
    """Scores a checkpoint on recorded curves, or on fresh ones of its own prior."""
    import lcpfn
    from lcpfn.eval import importance, prior_score, suites

    if args.suite:
        curves = _read_suites(args.suite, args.mode, args.bounds)
        model = lcpfn.load(args.checkpoint)
        results = suites.evaluate_suites(model, curves, args.curves or 400)
        _save(results, suites.to_markdown(results), args.out)
        return 0
    model = lcpfn.load(args.checkpoint)
    if args.exact:
        results = importance.compare_all(model, n=args.curves or 256, seed=args.seed)
        _save(results, importance.to_markdown(results), args.out)
        return 0
    results = prior_score.prior_score(model, n=args.curves or 4096, seed=args.seed)
    _save(results, prior_score.to_markdown(results), args.out)
    return 0


def bench(args: argparse.Namespace) -> int:
    """Measures speed, memory and growth on this machine."""
    import lcpfn
    from lcpfn.eval.bench import bench as run
    from lcpfn.eval.bench import to_markdown

    results = run(lcpfn.load(args.checkpoint), quick=args.quick)
    _save(results, to_markdown(results), args.out)
    return 0


def _save(results: dict, table: str, out: Path | None) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")
        print(f"wrote {out}", file=sys.stderr)
    print(table)


def info(args: argparse.Namespace) -> int:
    """Prints the card of a checkpoint, and which ones are bundled."""
    import lcpfn
    from lcpfn import checkpoint

    path = checkpoint.find(args.checkpoint)
    bundled = sorted(p.parent.name for p in checkpoint.BUNDLED.glob("*/card.json"))
    card = checkpoint.read_card(path)
    if not args.json:
        print(f"lcpfn {lcpfn.__version__}; bundled: {', '.join(bundled) or 'none'}")
        print(f"{path.name}: {path}")
    print(json.dumps(card if args.json else card | {"checksum": "..."}, indent=2))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="lcpfn",
        description="Extrapolate learning curves.",
        epilog="example: lcpfn forecast curve.csv --horizon 50 --mode max --bounds 0 1",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Any, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            run.__name__,
            help=run.__doc__,
            description=run.__doc__,
            epilog=f"example: lcpfn {run.__name__} {example}",
        )
        sub.set_defaults(run=run)
        return sub

    sub = command(forecast, "curve.csv --horizon 50 --mode max --bounds 0 1")
    sub.add_argument("file", help="CSV or JSON; - for standard input")
    sub.add_argument(
        "--horizon", type=float, required=True, help="last step to predict"
    )
    _add_metric(sub)
    sub.add_argument("--beat", type=float, help="value the run has to beat")
    sub.add_argument("--confidence", type=float, default=0.95)
    sub.add_argument("--checkpoint", help="bundled name or path")
    sub.add_argument("--plot", metavar="FILE", help="write a picture of the fan")
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command(pretrain, "tiny --out runs/tiny --set steps=100")
    sub.add_argument("preset", help="see lcpfn/train/presets")
    sub.add_argument("--out", type=Path, help="directory of the run; resumes there")
    sub.add_argument("--prior", help="module:function or file.py:function")
    sub.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="FIELD=VALUE",
        help="change the preset, e.g. steps=100 model.layers=2",
    )
    sub.add_argument(
        "--recorded",
        nargs="+",
        default=[],
        metavar="CURVES",
        help="recorded runs that make up the share `recorded` of the preset",
    )
    sub.add_argument("--mode", choices=("max", "min"), help="if the files do not say")
    sub.add_argument("--bounds", nargs=2, type=_bound, metavar=("LOW", "HIGH"))
    sub.add_argument("--tensorboard", action="store_true")
    sub.add_argument(
        "--hosts",
        nargs=3,
        metavar=("ADDRESS:PORT", "COUNT", "INDEX"),
        help="one of several hosts: the first one's address, how many, which one",
    )

    sub = command(finetune, "history.csv --mode max --bounds 0 1 --out runs/mine")
    sub.add_argument("file", help="finished runs, CSV or JSON")
    _add_metric(sub)
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--checkpoint", help="where to start from")
    sub.add_argument("--steps", type=int, default=400)

    sub = command(evaluate, "domhan --curves 4096 --out results/domhan.json")
    sub.add_argument("checkpoint", nargs="?")
    sub.add_argument(
        "--suite", nargs="+", help="recorded curves, see lcpfn.eval.readers"
    )
    sub.add_argument("--mode", choices=("max", "min"), help="if the files do not say")
    sub.add_argument("--bounds", nargs=2, type=_bound, metavar=("LOW", "HIGH"))
    sub.add_argument("--curves", type=int, help="how many; runs per suite")
    sub.add_argument(
        "--exact",
        action="store_true",
        help="against exact inference by importance sampling (LC-PFN's prior)",
    )
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", type=Path, help="results file (JSON)")

    sub = command(bench, "--out results/bench.json")
    sub.add_argument("--checkpoint")
    sub.add_argument("--quick", action="store_true")
    sub.add_argument("--out", type=Path, help="results file (JSON)")

    sub = command(info, "domhan")
    sub.add_argument("checkpoint", nargs="?")
    sub.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 done, 1 failed, 2 wrong usage."""
    args = build_parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
        print(f"lcpfn: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
