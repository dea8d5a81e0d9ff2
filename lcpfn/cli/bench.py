"""`lcpfn bench`: speed, memory and growth on this machine."""

import argparse
from pathlib import Path

from lcpfn.cli.options import report

EXAMPLE = "--out results/bench.json"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn bench`."""
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--out", type=Path, help="results file (JSON)")


def run(args: argparse.Namespace) -> int:
    """Measures speed, memory and growth on this machine."""
    import lcpfn
    from lcpfn.eval.speed.bench import bench, to_markdown

    results = bench(lcpfn.load(args.checkpoint), quick=args.quick)
    report(results, to_markdown(results), args.out)
    return 0
