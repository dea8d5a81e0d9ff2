"""`lcpfn finetune`: a checkpoint, adapted to finished runs."""

import argparse
import json
from pathlib import Path

from lcpfn.cli.options import add_curves, read_curves_of

EXAMPLE = "history.csv --mode max --bounds 0 1 --out runs/mine"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn finetune`."""
    parser.add_argument("file", help="finished runs, see lcpfn.io")
    add_curves(parser, needs_mode=False)
    parser.add_argument("--out", type=Path, required=True, help="directory of the run")
    parser.add_argument("--checkpoint", help="where to start from")
    parser.add_argument("--steps", type=int, default=400, help="default: 400")


def run(args: argparse.Namespace) -> int:
    """Adapts a checkpoint to finished runs."""
    from lcpfn.train.finetune import finetune

    curves, _ = read_curves_of(args, args.file)
    report = finetune(
        curves.runs, args.out, checkpoint=args.checkpoint, steps=args.steps
    )
    print(json.dumps(report))
    return 0
