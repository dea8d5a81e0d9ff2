"""`lcpfn completion`: commands and options at the press of the tab key."""

import argparse

EXAMPLE = "bash > ~/.local/share/bash-completion/completions/lcpfn"
SHELLS = ("bash", "zsh")
# Options and arguments that name a file.
FILES = ("file", "logs", "curves", "out", "plot", "suite", "recorded", "checkpoint")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn completion`."""
    parser.add_argument("shell", choices=SHELLS)


def run(args: argparse.Namespace) -> int:
    """Prints the completion script of a shell (needs shtab)."""
    try:
        import shtab
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "completion needs shtab: pip install 'lcpfn-jax[completion]'"
        ) from None
    from lcpfn.__main__ import build_parser

    parser = build_parser()
    _mark_files(parser, shtab.FILE)
    print(shtab.complete(parser, args.shell))
    return 0


def _mark_files(parser: argparse.ArgumentParser, how: object) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_files(command, how)
        elif action.dest in FILES and action.type is not int and not action.choices:
            action.complete = how  # type: ignore[attr-defined]
