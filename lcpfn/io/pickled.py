"""Pickles read as data: nothing of what they name is ever imported or called.

A pickle is a program for a stack machine. This machine knows the instructions that
build numbers, strings and containers. Of the objects that a pickle may ask for by
name, it knows three and builds each by itself: an OrderedDict (a dict here), a NumPy
dtype and a NumPy scalar (a Python number here). Every other name is refused.

Source: the opcodes as documented in the standard library's `pickletools`.
"""

import pickletools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

ORDERED = ("collections", "OrderedDict")
DTYPE = ("numpy", "dtype")
# The second is its name since NumPy 2.
SCALARS = (("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"))
ADMITTED = {ORDERED, DTYPE, *SCALARS}
# Far above real files, which have 50,000. Each may cost two hundred bytes of memory.
MOST_OPCODES = 1 << 19
PLAIN_DTYPE = re.compile(r"[fiu][1248]|b1")


class _Global(NamedTuple):
    """A name that is admitted, in place of the object that it names."""

    module: str
    name: str


class _DType:
    """A NumPy dtype under construction; its byte order comes by BUILD."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="


def _is_key(x: Any) -> bool:
    """Text, a number or a tuple of these: Python crashes on hashing deeper ones."""
    flat = (str, bytes, int, float)
    return isinstance(x, flat) or (
        isinstance(x, tuple) and all(isinstance(y, flat) for y in x)
    )


class _Machine:
    """Stack, marks and memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def tuple(self, count: int) -> None:
        items = self.stack[-count:]
        if len(items) != count:
            raise ValueError("a tuple of missing items")
        self.stack[-count:] = [tuple(items)]

    def fill(self, items: list[Any]) -> None:
        """Adds items to the container on top of the stack."""
        target = self.stack[-1]
        keys = items[::2] if isinstance(target, dict) else items
        if isinstance(target, dict | set) and not all(map(_is_key, keys)):
            raise ValueError("a key that is neither text, a number nor a flat tuple")
        if isinstance(target, dict):
            target.update(zip(items[::2], items[1::2], strict=True))
        elif isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(items)
        else:
            raise ValueError(f"items for a {type(target).__name__}")

    def named(self, module: Any, name: Any) -> None:
        # A few nested tuples can take for ever to hash, compare or print.
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("it asks for something by a name that is no text")
        if (module, name) not in ADMITTED:
            raise ValueError(
                f"refused: it asks for {module}.{name}, and no pickle of numbers needs "
                "that"
            )
        self.stack.append(_Global(module, name))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global):
            raise ValueError(f"refused: it calls a {type(function).__name__}")
        if function == ORDERED and arguments == ():
            self.stack.append({})
        elif function == DTYPE and PLAIN_DTYPE.fullmatch(arguments[0]):
            self.stack.append(_DType(arguments[0]))
        elif function in SCALARS and isinstance(arguments[0], _DType):
            dtype, content = arguments
            (number,) = np.frombuffer(content, dtype.order + dtype.code)
            self.stack.append(number.item())
        else:
            raise ValueError(f"refused: how it calls {function.module}.{function.name}")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _DType) or state[1] not in ("<", ">", "|", "="):
            raise ValueError(f"refused: it sets the state of a {type(target).__name__}")
        target.order = state[1]


LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES"),
}
STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),
    **dict.fromkeys(LITERALS, lambda m, value: m.stack.append(value)),
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_SET": lambda m, _: m.stack.append(set()),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.tuple(1),
    "TUPLE2": lambda m, _: m.tuple(2),
    "TUPLE3": lambda m, _: m.tuple(3),
    "APPEND": lambda m, _: m.fill([m.stack.pop()]),
    "SETITEM": lambda m, _: m.fill([m.stack.pop(-2), m.stack.pop()]),
    **dict.fromkeys(
        ("APPENDS", "SETITEMS", "ADDITEMS"), lambda m, _: m.fill(m.since_mark())
    ),
    "MEMOIZE": lambda m, _: m.memo.update({len(m.memo): m.stack[-1]}),
    **dict.fromkeys(
        ("BINPUT", "LONG_BINPUT"), lambda m, key: m.memo.update({key: m.stack[-1]})
    ),
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"), lambda m, key: m.stack.append(m.memo[key])
    ),
    "GLOBAL": lambda m, names: m.named(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.named(m.stack.pop(-2), m.stack.pop()),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
}


def plain_data(pickled: bytes) -> Any:
    """The numbers, strings and containers in a pickle.

    Raises:
        ValueError: if it asks for any other object, naming it, or is no pickle.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
            if count > MOST_OPCODES:
                raise ValueError(f"it has more than {MOST_OPCODES} instructions")
            if opcode.name not in STEPS:
                raise ValueError(f"refused: its instruction {opcode.name} is not data")
            STEPS[opcode.name](machine, argument)
        (result,) = machine.stack
    # What a machine does on a broken program: too short a stack, a number as a key.
    except (ValueError, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a pickle of plain data: {error}") from None
    return result
