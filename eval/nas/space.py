"""The cells of NAS-Bench-201: four nodes, an operation on each of the six edges.

    node_j = sum over i < j of operation_ij(node_i),   node 0: input, node 3: output

A cell is the tuple of its operations in the order of `EDGES`. Written it is

    |nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|

Sources: Dong & Yang 2020 (NAS-Bench-201, arXiv 2001.00326); Dong et al. 2021
(NATS-Bench, arXiv 2009.00437).
"""

import functools
import itertools
import random
import re
from collections.abc import Mapping
from typing import Any

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NODES = 4
NONE, SKIP, POOL = "none", "skip_connect", "avg_pool_3x3"
OPERATIONS = (NONE, SKIP, "nor_conv_1x1", "nor_conv_3x3", POOL)
# Fields of a configuration that hold a cell.
FIELDS = tuple(f"edge {i}-{j}" for i, j in EDGES)

Cell = tuple[str, ...]
_PART = re.compile(r"([^|~+]+)~(\d)")


def to_string(cell: Cell) -> str:
    """A cell as NAS-Bench-201 writes it."""
    nodes = []
    for node in range(1, NODES):
        into = [f"{o}~{i}" for o, (i, j) in zip(cell, EDGES, strict=True) if j == node]
        nodes.append(f"|{'|'.join(into)}|")
    return "+".join(nodes)


def from_string(text: str) -> Cell:
    """The cell that is written so.

    Raises:
        ValueError: if it is none of this space.
    """
    cell = tuple(operation for operation, _ in _PART.findall(text))
    if cell not in _numbers() or to_string(cell) != text:
        example = to_string((NONE,) * len(EDGES))
        raise ValueError(f"a cell is written {example}, got {text!r:.120}")
    return cell


@functools.cache
def by_number() -> tuple[Cell, ...]:
    """All 15,625 cells in the order of NAS-Bench-201's ids.

    Its authors shuffled the lexicographic order with Python's generator, seeded by 88.
    """
    cells = list(itertools.product(OPERATIONS, repeat=len(EDGES)))
    random.Random(88).shuffle(cells)
    return tuple(cells)


@functools.cache
def _numbers() -> dict[Cell, int]:
    return {cell: number for number, cell in enumerate(by_number())}


def number_of(cell: Cell) -> int:
    """The id of a cell.

    Raises:
        ValueError: if it has operations of another space.
    """
    if cell not in _numbers():
        raise ValueError(f"a cell has operations of {OPERATIONS}, got {cell}")
    return _numbers()[cell]


def canonical(cell: Cell) -> str:
    """What the cell computes; the same for cells that differ in name alone.

    A node is the sorted sum of what flows into it. Nothing flows through `none`, nor
    from a node into which nothing flows; `skip_connect` hands on the terms of its node.
    The trained weights are not looked at: equal operations on different edges have
    different ones.
    """
    terms: list[list[str]] = [["x"]]
    for node in range(1, NODES):
        found: list[str] = []
        for operation, (source, target) in zip(cell, EDGES, strict=True):
            if target != node or operation == NONE or not terms[source]:
                continue
            inner = terms[source]
            found += inner if operation == SKIP else [f"{operation}({'+'.join(inner)})"]
        terms.append(sorted(found))
    return "+".join(terms[-1])


def depth(cell: Cell) -> int:
    """Operations with weights on the longest path from input to output; 0: no path.

    What is neither `none`, `skip_connect` nor `avg_pool_3x3` has weights.
    """
    far: list[int | None] = [0, None, None, None]
    for operation, (source, target) in zip(cell, EDGES, strict=True):
        before = far[source]
        if operation != NONE and before is not None:
            length = before + (operation not in (SKIP, POOL))
            far[target] = max(far[target] or 0, length)
    return far[-1] or 0


def config_of(cell: Cell) -> dict[str, Any]:
    """A cell as a configuration: a category per edge, and its depth."""
    return {**dict(zip(FIELDS, cell, strict=True)), "depth": depth(cell)}


# Edges of SpikeNAS-Bench, by source and then by target: cells without a path from input
# to output in this order are those that learn nothing.
SPIKING = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def cell_of(config: Mapping[str, Any] | None) -> Cell | None:
    """The cell of a recorded run; None if its configuration holds none.

    Three ways of writing are known: `config_of`; "arch", the string of NAS-Bench-201;
    and edge0 to edge5 of SpikeNAS-Bench, whose operations are numbers: 0 is none, 1 the
    identity, the others have as many weights each.
    """
    config = config or {}
    if all(field in config for field in FIELDS):
        return tuple(str(config[field]) for field in FIELDS)
    if "arch" in config:
        return from_string(str(config["arch"]))
    if all(f"edge{k}" in config for k in range(len(EDGES))):
        by_edge = {edge: int(config[f"edge{k}"]) for k, edge in enumerate(SPIKING)}
        return tuple(_spiking(by_edge[edge]) for edge in EDGES)
    return None


def _spiking(code: int) -> str:
    return (NONE, SKIP)[code] if code < 2 else f"spiking {code}"
