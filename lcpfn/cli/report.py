"""`lcpfn report`: runs as they stand, in one file that any browser shows."""

import argparse
import sys
from pathlib import Path

from lcpfn.cli.board import add_board, look, open_board

EXAMPLE = "runs/ --horizon 50 --mode max --metric val_accuracy --out report.html"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn report`."""
    add_board(parser)
    parser.add_argument(
        "--out", default="report.html", help="file to write; - for standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page of `lcpfn watch --web` as one HTML file."""
    from lcpfn.watch.web.data import snapshot
    from lcpfn.watch.web.page import still_page

    source, board = open_board(args)
    trouble = look(source, board, final=True)
    for name, what in trouble.items():
        print(f"{name}: {what}", file=sys.stderr)
    name = "standard input" if args.logs == "-" else args.logs
    found = snapshot(board, name, trouble, source.ended)
    if not found["runs"]:
        raise ValueError(f"there are no observations in {name}")
    page = still_page(found)
    if args.out == "-":
        print(page)
    else:
        Path(args.out).write_text(page, "utf-8")
        print(f"wrote {args.out}", file=sys.stderr)
    return 0
