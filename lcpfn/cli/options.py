"""Options and habits that several commands share."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcpfn.json_files import write_json
from lcpfn.stopping.rule import Rule

if TYPE_CHECKING:
    from lcpfn.curves import CurveSet


def bound(text: str) -> float | None:
    """One end of a range; none where there is no bound."""
    return None if text.lower() in ("none", "-", "inf", "-inf") else float(text)


def add_metric(parser: argparse.ArgumentParser) -> None:
    """What must be known of a metric in a file that does not say."""
    parser.add_argument("--mode", required=True, choices=("max", "min"))
    parser.add_argument(
        "--bounds",
        nargs=2,
        type=bound,
        metavar=("LOW", "HIGH"),
        help="range of the metric; none where there is no bound",
    )
    parser.add_argument(
        "--metric",
        "--column",
        metavar="NAME",
        help="name of the values in the file, where not evident",
    )


def add_rule(parser: argparse.ArgumentParser, beat: str) -> None:
    """What a rule judges runs by.

    Args:
        parser: of a command.
        beat: help of `--beat`.
    """
    parser.add_argument(
        "--horizon", type=float, required=True, help="last step of a full run"
    )
    add_metric(parser)
    parser.add_argument("--beat", type=float, help=beat)
    parser.add_argument("--confidence", type=float, default=Rule.confidence)
    parser.add_argument("--checkpoint", help="bundled name or path")


def rule_of(args: argparse.Namespace) -> Rule:
    """The rule that these options describe."""
    bounds = None if args.bounds is None else (args.bounds[0], args.bounds[1])
    return Rule(args.horizon, args.mode, bounds, args.beat, args.confidence)


def add_hints(parser: argparse.ArgumentParser) -> None:
    """What may have to be said of recorded curves, by the format of their files."""
    hint = "if the files do not say"
    parser.add_argument("--mode", choices=("max", "min"), help=hint)
    parser.add_argument(
        "--bounds", nargs=2, type=bound, metavar=("LOW", "HIGH"), help=hint
    )


def read_suites(
    paths: Sequence[str], mode: str | None, bounds: Any
) -> "list[CurveSet]":
    """Recorded curves, one set per file or directory."""
    from lcpfn.io import read_curves

    return [read_curves(path, mode=mode, bounds=bounds) for path in paths]


def report(results: dict, table: str, out: Path | None) -> None:
    """Prints a table, and writes what it is made of."""
    if out is not None:
        write_json(out, results)
        print(f"wrote {out}", file=sys.stderr)
    print(table)
