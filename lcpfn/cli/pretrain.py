"""`lcpfn pretrain`: a preset, possibly changed, on its prior or another one."""

import argparse
import ast
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lcpfn.cli.options import add_curves, read_curves_of

EXAMPLE = "tiny --out runs/tiny --set steps=100"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `lcpfn pretrain`."""
    parser.add_argument("preset", help="see lcpfn/train/presets")
    parser.add_argument("--out", type=Path, help="directory of the run; resumes there")
    parser.add_argument("--prior", help="module:function or file.py:function")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="FIELD=VALUE",
        help="change the preset, e.g. steps=100 model.layers=2 lengths=64,128",
    )
    parser.add_argument(
        "--recorded",
        nargs="+",
        default=[],
        metavar="CURVES",
        help="recorded runs that make up the share `recorded` of the preset",
    )
    parser.add_argument(
        "--start", metavar="CHECKPOINT", help="weights to begin with: name or path"
    )
    parser.add_argument(
        "--ended",
        action="store_true",
        help="train no further: release the newest checkpoint of the run",
    )
    add_curves(parser, needs_mode=False)
    parser.add_argument(
        "--tensorboard", action="store_true", help="log to OUT/tensorboard"
    )
    parser.add_argument(
        "--hosts",
        nargs=3,
        metavar=("ADDRESS:PORT", "COUNT", "INDEX"),
        help="one of several hosts: the first one's address, how many, which one",
    )


def _value(name: str, text: str, old: Any) -> Any:
    """A Python literal, or text, of the type that the field has."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(old, float) and type(value) is int:
        value = float(value)
    if isinstance(old, tuple) and type(value) is int:
        value = (value,)
    if old is not None and type(value) is not type(old):
        raise ValueError(f"{name} must be of type {type(old).__name__}, got {text!r}")
    return value


def _overrides(config: Any, pairs: Sequence[str]) -> Any:
    """Applies `field=value` or `model.field=value` to a frozen configuration."""
    for pair in pairs:
        name, equals, text = pair.partition("=")
        outer, _, inner = name.partition(".")
        known = {field.name for field in fields(config)}
        if not equals or outer not in known:
            raise ValueError(
                f"--set takes field=value with a field of {', '.join(sorted(known))}, "
                f"got {pair!r}"
            )
        old = getattr(config, outer)
        if inner:
            value = _overrides(old, [f"{inner}={text}"])
        else:
            value = _value(name, text, old)
        config = replace(config, **{outer: value})
    return config


def run(args: argparse.Namespace) -> int:
    """Pre-trains a network on a prior."""
    if args.hosts:
        import jax

        coordinator, count, index = args.hosts
        jax.distributed.initialize(coordinator, int(count), int(index))
    from lcpfn import checkpoint
    from lcpfn.train.data import describe
    from lcpfn.train.fit import fit
    from lcpfn.train.presets import PRESETS

    if args.preset not in PRESETS:
        raise ValueError(
            f"no preset {args.preset!r}; there are {', '.join(sorted(PRESETS))}"
        )
    config = PRESETS[args.preset]
    if args.prior:
        config = replace(config, prior=args.prior)
    config = _overrides(config, args.set)
    out = args.out or Path("runs") / args.preset
    suites = [read_curves_of(args, path)[0] for path in args.recorded]
    origins = [describe(suite.name, suite.runs) for suite in suites]
    start = card = None
    if args.start:
        start, model, card = checkpoint.restore(checkpoint.find(args.start))
        # The weights may be those of a network that does not know as much yet.
        more = {
            name: getattr(config.model, name) or getattr(model, name)
            for name in ("others", "plan")
        }
        if config.planned:  # what is trained is believed from the start of a run
            more["plan_from"] = config.model.plan_from
        config = replace(config, model=replace(model, **more))
        origins.insert(0, f"from {card['checksum'][:23]}")
    if origins:
        config = replace(config, origin="; ".join(origins))
    recorded = [suite.runs for suite in suites]
    print(
        fit(
            *(config, out),
            recorded=recorded,
            start=start,
            card=card,
            tensorboard=args.tensorboard,
            ended=args.ended,
        )
    )
    return 0
