"""`lcpfn info`: the card of a checkpoint, and which ones there are."""

import argparse
import json

EXAMPLE = "domhan"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn info`."""
    parser.add_argument("checkpoint", nargs="?", help="bundled name or path")
    parser.add_argument("--json", action="store_true", help="print the card alone")


def run(args: argparse.Namespace) -> int:
    """Prints the card of a checkpoint, and which ones are bundled."""
    import lcpfn
    from lcpfn import checkpoint
    from lcpfn.card import read_card
    from lcpfn.io.cells import printable

    path = checkpoint.find(args.checkpoint)
    bundled = checkpoint.bundled()
    card = read_card(path)
    if not args.json:
        print(f"lcpfn {lcpfn.__version__}; bundled: {', '.join(bundled) or 'none'}")
        print(printable(f"{path.name}: {path}"))
    print(json.dumps(card if args.json else card | {"checksum": "..."}, indent=2))
    return 0
