"""What `lcpfn watch` and `lcpfn report` share: observations from anywhere, a board."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from lcpfn.cli.options import add_rule, rule_of
from lcpfn.stopping.search_rule import CONFIDENCE, IN_A_SEARCH

if TYPE_CHECKING:
    from lcpfn.io.sources import Source
    from lcpfn.watch.board import Board


def add_board(parser: argparse.ArgumentParser) -> None:
    """Where the observations are, and the rule that judges them."""
    parser.add_argument(
        "logs",
        help="directory, or a file of any format that lcpfn.io reads; an Optuna "
        "storage (sqlite:///study.db, its file, or a journal); - for standard input",
    )
    add_rule(parser, beat="value to beat beside the finished runs")
    parser.set_defaults(confidence=CONFIDENCE)


def open_board(args: argparse.Namespace) -> "tuple[Source, Board]":
    """The source of the observations and an empty board.

    Raises:
        ValueError: if there is nothing of that name, or it is no source.
        ModuleNotFoundError: if an optional package is missing, saying which.
    """
    from lcpfn.io.request import Request
    from lcpfn.io.sources import open_source
    from lcpfn.jax_setup import confine_jax, enable_compilation_cache
    from lcpfn.watch.board import Board

    rule = replace(rule_of(args), **IN_A_SEARCH)
    request = Request(
        args.logs, rule.mode, rule.bounds, args.metric, args.step, progress=False
    )
    source = open_source(request, args.format)
    confine_jax()
    enable_compilation_cache()
    return source, Board(rule, args.checkpoint, alone=args.alone)


def look(source: "Source", board: "Board", final: bool = False) -> dict[str, str]:
    """Puts what is new on the board; what could not be read, by file or run.

    Args:
        source: of the observations.
        board: for them.
        final: whether this is the only look, and nothing will be written any more.
    """
    reports = source.poll(final)
    board.take(reports, source.gone)
    return source.trouble | board.trouble
