"""`lcpfn evaluate nas`: architecture search on recorded cells."""

import argparse
import sys
from pathlib import Path

from lcpfn.cli.options import add_checkpoint, add_curves, read_curves_of
from lcpfn.eval.tables import report

TEXT = """\
Searches of recorded cells of NAS-Bench-201, with forecasts in the loop.

Cells come from any file whose configurations hold them: NATS-Bench, NAS-Bench-201,
SpikeNAS-Bench, or the digits of scikit-learn, on which --train trains cells (seconds
a cell) and writes them as such a file. Needs scikit-learn.

tables:
  ranks        Kendall's tau of the order of last values / regret of the best three,
               after a share of the epochs, by what a forecast is given
  searches     random search, evolution, REINFORCE, local search, TPE, BOHB-style and
               successive halving, each alone and with forecasts, on one budget
  transfer     others from one data set, asked on another: tau, 90 % interval holds
  calibration  of forecasts by group, and of the networks trained on the digits
  supernets    few-shot search, its parts trained as a study says
Takes minutes; with --out it goes on where it was interrupted.

example:
  lcpfn evaluate nas --train cells.npz --cells 300
  lcpfn evaluate nas cells.npz --out nas.json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the protocol."""
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="CELLS",
        help="recorded cells: a file or folder per source, in any format of lcpfn.io",
    )
    add_curves(parser, needs_mode=False)
    add_checkpoint(parser)
    parser.add_argument("--seeds", type=int, default=20, help="of every search (20)")
    parser.add_argument(
        "--train", type=Path, metavar="FILE", help="train cells on digits, write them"
    )
    parser.add_argument("--cells", type=int, default=300, help="how many (300)")


def run(args: argparse.Namespace) -> None:
    """Trains cells, or searches those recorded, or one after the other."""
    import lcpfn
    from lcpfn.eval.nas import digits
    from lcpfn.eval.nas.evaluate import evaluate_nas, to_markdown
    from lcpfn.io.arrays import load_arrays

    if not args.suites and not args.train:
        raise ValueError("give files of recorded cells, or --train FILE to make one")
    if args.train:
        digits.save(args.train, digits.train_benchmark(args.cells))
        print(f"wrote {args.train}", file=sys.stderr)
    if args.suites:
        suites = [read_curves_of(args, path)[0] for path in args.suites]
        arrays: dict = {}
        for path in args.suites:
            arrays |= load_arrays(Path(path)) if path.endswith(".npz") else {}
        model = lcpfn.load(args.checkpoint)
        results = evaluate_nas(model, suites, arrays, args.seeds, args.out)
        report(results, to_markdown(results), args.out)
