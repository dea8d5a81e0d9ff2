"""`lcpfn watch`: runs that are being logged, live in the terminal or a browser."""

import argparse
import json
import sys
import time

from lcpfn.cli.board import add_board, look, open_board

EXAMPLE = "runs/ --horizon 50 --mode max --metric val_accuracy --bounds 0 1"
PORT = 8765


def port(text: str) -> int:
    """The number of a port."""
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"it takes a port or nothing, got {text!r}; put other arguments before it"
        )
    return int(text)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn watch`."""
    add_board(parser)
    parser.add_argument(
        "--every", type=float, default=2.0, help="seconds between looks"
    )
    parser.add_argument("--most", type=int, default=40, help="runs shown")
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per look, no table"
    )
    parser.add_argument(
        "--web",
        nargs="?",
        type=port,
        const=PORT,
        metavar="PORT",
        help=f"serve a page instead; port {PORT} by default, 0: any free one",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="who may see the page: by default, you"
    )


def run(args: argparse.Namespace) -> int:
    """Watches runs that are being logged; ends with Ctrl-C."""
    try:
        if args.web is not None:
            _serve(args)
        elif args.json or args.once:
            return 0 if _print(args) else 1
        else:
            _live(args)
    except KeyboardInterrupt:
        pass
    return 0


def _serve(args: argparse.Namespace) -> None:
    from lcpfn.watch.web.data import snapshot
    from lcpfn.watch.web.server import LOOPBACK, serving

    source, board = open_board(args)
    with serving(args.host, args.web, args.every) as server:
        print(server.address, flush=True)
        if args.host not in LOOPBACK:
            print(
                f"whoever reaches {args.host} can see names and values of these runs",
                file=sys.stderr,
            )
        while True:
            trouble = look(source, board)
            server.publish(snapshot(board, args.logs, trouble, source.ended))
            time.sleep(args.every)


def _print(args: argparse.Namespace) -> bool:
    """Prints one look or one after the other; whether there was any run."""
    from rich.console import Console

    from lcpfn.watch import text

    source, board = open_board(args)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    while True:
        trouble = look(source, board, args.once)
        rows = board.rows(source.ended)
        if args.json:
            print(json.dumps(text.as_json(rows, trouble)), flush=True)
        else:
            console.print(text.table(rows, args.horizon, trouble, args.most))
        if args.once:
            return bool(rows)
        time.sleep(args.every)


def _live(args: argparse.Namespace) -> None:
    from rich.live import Live

    from lcpfn.watch import text

    source, board = open_board(args)
    with Live(auto_refresh=False) as live:
        while True:
            trouble = look(source, board)
            rows = board.rows(source.ended)
            shown = text.table(rows, args.horizon, trouble, args.most)
            live.update(shown, refresh=True)
            time.sleep(args.every)
