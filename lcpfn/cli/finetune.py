"""`lcpfn finetune`: a checkpoint, adapted to finished runs."""

import argparse
import json
from pathlib import Path

from lcpfn.cli.options import add_metric

EXAMPLE = "history.csv --mode max --bounds 0 1 --out runs/mine"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn finetune`."""
    parser.add_argument("file", help="finished runs, CSV or JSON")
    add_metric(parser)
    parser.add_argument("--out", type=Path, required=True, help="directory of the run")
    parser.add_argument("--checkpoint", help="where to start from")
    parser.add_argument("--steps", type=int, default=400, help="default: 400")


def run(args: argparse.Namespace) -> int:
    """Adapts a checkpoint to finished runs."""
    from lcpfn.io.text import read_runs
    from lcpfn.train.finetune import finetune as run

    runs = read_runs(args.file, args.mode, args.bounds, args.metric)
    report = run(runs, args.out, checkpoint=args.checkpoint, steps=args.steps)
    print(json.dumps(report))
    return 0
