"""The command line. Data goes to stdout, everything else to stderr."""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = (
    *("forecast", "watch", "report", "replay", "pretrain", "finetune"),
    *("evaluate", "info"),
    "completion",
)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="lcpfn",
        description="Extrapolate learning curves. For instance: "
        "lcpfn forecast curve.csv --horizon 50 --mode max --bounds 0 1",
        epilog="exit codes: 0 done, 1 failed (the reason is on stderr), 2 wrong usage, "
        "130 interrupted",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"lcpfn.cli.{name}")
        summary = command.run.__doc__
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example: lcpfn {name} {command.EXAMPLE}",
        )
        command.add_options(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code.

    0 done, 1 failed, 2 wrong usage (raised by argparse), 130 interrupted.
    """
    args = build_parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
        from lcpfn.io.cells import printable_lines

        print("lcpfn:", printable_lines(str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
