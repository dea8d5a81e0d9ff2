"""Options and habits that several commands share."""

import argparse
import sys
from typing import TYPE_CHECKING

from lcpfn.stopping.rule import Rule

if TYPE_CHECKING:
    from lcpfn.curves import CurveSet
    from lcpfn.metric import Bounds


def bound(text: str) -> float | None:
    """One end of a range; none where there is no bound."""
    return None if text.lower() in ("none", "-", "inf", "-inf") else float(text)


def add_curves(parser: argparse.ArgumentParser, needs_mode: bool = True) -> None:
    """How curves are read from files; the same options for every command.

    Args:
        parser: of a command.
        needs_mode: whether direction and range are asked for, and not only where the
            files do not say.
    """
    hint = "" if needs_mode else ", if the files do not say"
    parser.add_argument(
        "--mode",
        required=needs_mode,
        choices=("max", "min"),
        help="which way is better" + hint,
    )
    parser.add_argument(
        "--bounds",
        nargs=2,
        type=bound,
        metavar=("LOW", "HIGH"),
        help="range of the metric; none: no bound",
    )
    parser.add_argument("--metric", metavar="NAME", help="column of the values")
    parser.add_argument("--column", dest="metric", help=argparse.SUPPRESS)
    parser.add_argument("--step", metavar="NAME", help="column of the steps")
    parser.add_argument("--format", metavar="NAME", help="of the files, see lcpfn.io")


def add_rule(parser: argparse.ArgumentParser, beat: str) -> None:
    """What a rule judges runs by, and what it is told of them.

    Args:
        parser: of a command.
        beat: help of `--beat`.
    """
    parser.add_argument(
        "--horizon", type=float, required=True, help="last step of a full run"
    )
    add_curves(parser)
    parser.add_argument("--beat", type=float, help=beat)
    parser.add_argument("--confidence", type=float, default=Rule.confidence)
    add_checkpoint(parser)
    parser.add_argument(
        "--alone",
        action="store_true",
        help="forecast each run from its own curve, not from the other runs of its "
        "task as well",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """By which weights runs are forecast."""
    parser.add_argument("--checkpoint", help="bundled name or path")


def bounds_of(args: argparse.Namespace) -> "Bounds | None":
    """The pair that `--bounds` gives."""
    return None if args.bounds is None else (args.bounds[0], args.bounds[1])


def bounds_option(bounds: "Bounds") -> str:
    """The option that gives this pair, as it is typed."""
    ends = ("none" if end is None else f"{end:g}" for end in bounds)
    return " ".join(("--bounds", *ends))


def rule_of(args: argparse.Namespace) -> Rule:
    """The rule that these options describe."""
    return Rule(args.horizon, args.mode, bounds_of(args), args.beat, args.confidence)


def read_curves_of(args: argparse.Namespace, path: str) -> "tuple[CurveSet, list[str]]":
    """Recorded curves by the options of `add_curves`, and what was left out.

    What was left out is also told on standard error.
    """
    from lcpfn.io import read
    from lcpfn.io.request import Request

    request = Request(path, args.mode, bounds_of(args), args.metric, args.step)
    curves = read(request, args.format)
    for sentence in request.skipped:
        print(f"lcpfn: {sentence}", file=sys.stderr)
    return curves, request.skipped
