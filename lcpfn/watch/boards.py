"""What `lcpfn watch` and `lcpfn report` share: records from anywhere, and a board."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lcpfn.cli.options import add_rule, rule_of
from lcpfn.study import CONFIDENCE

if TYPE_CHECKING:
    from lcpfn.io.sources import Source
    from lcpfn.watch.board import Board

# Read as a whole; other files are logs that may grow.
WHOLE = (".json", ".txt")


def add_board(parser: argparse.ArgumentParser) -> None:
    """Where the records are, and the rule that judges them."""
    parser.add_argument(
        "logs",
        help="directory, or a file: CSV, JSON lines, event files; an Optuna storage "
        "(sqlite:///study.db or its file); - for standard input",
    )
    add_rule(parser, beat="value to beat beside the finished runs")
    parser.set_defaults(confidence=CONFIDENCE)
    parser.add_argument(
        "--step",
        metavar="NAME",
        help="name of the steps in CSV and JSON lines, such as epoch where there is a "
        "step too",
    )


def open_board(args: argparse.Namespace) -> "tuple[Source, Board]":
    """The source of the records and an empty board.

    Raises:
        ValueError: if there is nothing of that name, or it is no source.
        ModuleNotFoundError: if an optional package is missing, saying which.
    """
    from lcpfn.jax_setup import confine_jax, enable_compilation_cache
    from lcpfn.watch.board import Board

    rule = rule_of(args)
    source = _source(args)
    confine_jax()
    enable_compilation_cache()
    return source, Board(rule, args.checkpoint)


def look(source: "Source", board: "Board") -> dict[str, str]:
    """Puts what is new on the board; what could not be read, by file or run."""
    board.take(source.poll())
    return source.trouble | board.trouble


def _source(args: argparse.Namespace) -> "Source":
    from lcpfn.io import sources
    from lcpfn.io.tail import Logs

    path, storage = Path(args.logs), sources.is_storage(args.logs)
    whole = args.logs == "-" or (path.is_file() and path.suffix.lower() in WHOLE)
    if args.step and (storage or whole):
        raise ValueError(f"--step is for logs, which {args.logs} is not")
    if storage:
        return sources.Studies(args.logs, args.mode)
    if whole:
        from lcpfn.io.text import read_runs

        return sources.Recorded(
            read_runs(args.logs, args.mode, args.bounds, args.metric)
        )
    if not path.exists():
        raise ValueError(f"there is no {path}")
    return Logs(path, args.metric, {"*tfevents*": _events}, args.step)


def _events(path: Path, metric: str | None) -> Iterator[tuple[str, float, float]]:
    """Scalars of a TensorBoard event file, as far as it is complete."""
    from lcpfn.io.events import scalars

    for tag, step, value in scalars(path):
        if metric in (None, tag):
            yield "", step, value
