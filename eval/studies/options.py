"""The options that all studies share, and where their results go."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lcpfn.curves import CurveSet
from lcpfn.io import read_curves

RESULTS = Path(__file__).resolve().parents[1] / "results"


def study_parser(
    about: str | None, curves: int, out: Path | None = None
) -> argparse.ArgumentParser:
    """The options that all studies know; a study adds its own.

    Args:
        about: docstring of the study, shown as its help.
        curves: default of `--curves`.
        out: default of `--out`.
    """
    parser = argparse.ArgumentParser(
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--suite", nargs="+", default=[], metavar="CURVES", help="recorded curves"
    )
    parser.add_argument(
        "--curves", type=int, default=curves, help=f"of each suite; default: {curves}"
    )
    parser.add_argument(
        "--out", type=Path, default=out, help=f"results file; default: {out}"
    )
    return parser


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, list[CurveSet]]:
    """The options, and the suites that they name."""
    args = parser.parse_args(argv)
    if not args.suite:
        parser.error("recorded curves are needed: give files with --suite")
    return args, [read_curves(path) for path in args.suite]
