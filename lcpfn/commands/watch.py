"""`lcpfn watch`: runs that are being logged, live in the terminal."""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from lcpfn.commands.options import bound
from lcpfn.rule import Rule

EXAMPLE = "runs/ --horizon 50 --mode max --metric val_accuracy --bounds 0 1"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn watch`."""
    parser.add_argument(
        "logs", type=Path, help="directory, or a file: CSV, JSON lines, event files"
    )
    parser.add_argument(
        "--horizon", type=float, required=True, help="last step of a full run"
    )
    parser.add_argument("--mode", required=True, choices=("max", "min"))
    parser.add_argument("--metric", help="its name in the logs, if not evident")
    parser.add_argument(
        "--bounds",
        nargs=2,
        type=bound,
        metavar=("LOW", "HIGH"),
        help="range of the metric; none where there is no bound",
    )
    parser.add_argument("--beat", type=float, help="value to beat beside other runs")
    parser.add_argument("--confidence", type=float, default=Rule.confidence)
    parser.add_argument(
        "--every", type=float, default=2.0, help="seconds between looks"
    )
    parser.add_argument("--most", type=int, default=40, help="runs shown")
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per look, no table"
    )


def _events(path: Path, metric: str | None) -> Iterator[tuple[str, float, float]]:
    """Scalars of a TensorBoard event file, as far as it is complete."""
    from lcpfn.eval.readers.events import scalars

    for tag, step, value in scalars(path):
        if metric in (None, tag):
            yield "", step, value


def run(args: argparse.Namespace) -> int:
    """Watches runs that are being logged; ends with Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    from lcpfn.startup import confine_jax, enable_compilation_cache
    from lcpfn.watching import text
    from lcpfn.watching.board import Board
    from lcpfn.watching.logs import Logs

    if not args.logs.exists():
        raise ValueError(f"there is no {args.logs}")
    bounds = None if args.bounds is None else (args.bounds[0], args.bounds[1])
    rule = Rule(args.horizon, args.mode, bounds, args.beat, args.confidence)
    confine_jax()
    enable_compilation_cache()
    logs = Logs(args.logs, args.metric, {"*tfevents*": _events})
    board = Board(rule, args.checkpoint)
    console = Console()
    if args.once and not args.json and not console.is_terminal:
        console = Console(width=200)

    def look() -> tuple:
        board.take(logs.poll())
        return board.rows(), logs.trouble | board.trouble

    if args.json or args.once:
        while True:
            rows, trouble = look()
            if args.json:
                print(json.dumps(text.as_json(rows, trouble)), flush=True)
            else:
                console.print(text.table(rows, args.horizon, trouble, args.most))
            if args.once:
                return 0
            time.sleep(args.every)
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                rows, trouble = look()
                shown = text.table(rows, args.horizon, trouble, args.most)
                live.update(shown, refresh=True)
                time.sleep(args.every)
    except KeyboardInterrupt:
        return 0
