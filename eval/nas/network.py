"""Stacked cells as one program: which operations a cell has is data, not structure.

    8 x 8 image -> 3 x 3 convolution with stride 2 -> cell -> cell -> mean over pixels
                -> linear

Every operation with weights is a 3 x 3 convolution in ReLU-convolution-norm order; that
of `nor_conv_1x1` has all weights but the middle one masked. So one compiled program
trains any cell, many cells at once by `jax.vmap`, and a supernet, in which all cells
share their weights. Images are so small that a convolution is one product with a matrix
from all pixels to all pixels: cells of a batch have different kernels, and for such
convolutions CPUs are slow. Norms use the statistics of the batch at hand, also in
validation, where the batch is the whole set.

A cells in a batch, B images, P pixels, C channels, E edges, O operations.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lcpfn.eval.nas.space import EDGES, NODES, OPERATIONS, Cell
from lcpfn.statistics import Array

WIDTH, CELLS, SIDE, CLASSES = 8, 2, 8, 10
Params = Any
_MIDDLE = np.arange(9) == 4


class Output(NamedTuple):
    """What the network says of images, and how it came to it.

    Attributes:
        logits: of the classes `(B, CLASSES)`.
        features: what the linear layer sees `(B, C)`.
        nodes: those with outgoing edges, cell after cell, each `(B, P, C)`.
    """

    logits: jax.Array
    features: jax.Array
    nodes: tuple[jax.Array, ...]


def one_hot(cells: Sequence[Cell]) -> np.ndarray:
    """Operations of cells `(A, E, O)`; unknown ones count as 3 x 3 convolutions."""
    known = {name: i for i, name in enumerate(OPERATIONS)}
    codes = [[known.get(name, known["nor_conv_3x3"]) for name in c] for c in cells]
    return np.eye(len(OPERATIONS), dtype=np.float32)[np.array(codes)]


def _neighbours(side: int, stride: int) -> np.ndarray:
    """Which pixel is which neighbour of which `(9, P', P)`: ones, zeros outside."""
    at = [np.eye(side, k=k)[::stride] for k in (-1, 0, 1)]
    return np.array([np.kron(row, column) for row in at for column in at], np.float32)


_STEM = _neighbours(SIDE, 2)
_TAPS = _neighbours(SIDE // 2, 1)
# Mean over the neighbours that are inside the image.
_MEAN = _TAPS.sum(0) / _TAPS.sum((0, 2))[:, None]


class CellLayer(nnx.Module):
    """One cell; its operations are an argument."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        std = (2 / (9 * WIDTH)) ** 0.5
        shape = (len(EDGES), 9, WIDTH, WIDTH)
        self.kernel = nnx.Param(std * jax.random.normal(rngs.params(), shape))
        self.scale = nnx.Param(jnp.ones((len(EDGES), WIDTH)))
        self.shift = nnx.Param(jnp.zeros((len(EDGES), WIDTH)))

    def __call__(
        self, x: jax.Array, operations: jax.Array, normed: bool
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Output node, and the nodes before it, of `(B, P, C)`.

        Args:
            x: the input node.
            operations: of the edges, one-hot `(E, O)`.
            normed: whether convolutions are followed by norms.
        """
        _, skip, small, large, pool = operations.T[..., None, None]  # each (E, 1, 1)
        taps = small[:, 0] * _MIDDLE + large[:, 0]  # (E, 9)
        kernel = self.kernel[...] * taps[..., None, None]
        matrix = jnp.einsum("kpq,ekcd->qcepd", _TAPS, kernel)
        node, nodes = x, [x]
        coming = jnp.zeros((len(x), NODES - 1, *x.shape[1:]))  # of the nodes to come
        for source in range(NODES - 1):
            # One edge to each of the nodes to come, in their order.
            out = np.array([e for e, edge in enumerate(EDGES) if edge[0] == source])
            flow = jnp.einsum("bqc,qcepd->bepd", jax.nn.relu(node), matrix[:, :, out])
            if normed:
                mean, var = flow.mean((0, 2)), flow.var((0, 2))
                scale = self.scale[...][out] * jax.lax.rsqrt(var + 1e-5)
                shift = self.shift[...][out] - mean * scale
                flow = flow * scale[:, None] + shift[:, None]
            pooled = jnp.einsum("pq,bqc->bpc", _MEAN, node)
            flow = (small + large)[out] * flow + skip[out] * node[:, None]
            coming += flow + pool[out] * pooled[:, None]
            node, coming = coming[:, 0], coming[:, 1:]
            nodes.append(node)
        return node, nodes[:-1]


class Network(nnx.Module):
    """Cells between a convolution and a linear layer."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        stem = jax.random.normal(rngs.params(), (9, WIDTH))
        self.stem = nnx.Param(stem * (2 / 9) ** 0.5)
        self.cells = nnx.List([CellLayer(rngs) for _ in range(CELLS)])
        self.linear = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(
        self, images: jax.Array, operations: jax.Array, normed: bool
    ) -> Output:
        """Of `(B, SIDE, SIDE)`."""
        flat = images.reshape(len(images), -1)
        x = jnp.einsum("kpq,bq,kc->bpc", _STEM, flat, self.stem[...])
        seen: list[jax.Array] = []
        for cell in self.cells:
            x, nodes = cell(x, operations, normed)
            seen += nodes
        features = jax.nn.relu(x).mean(1)
        return Output(self.linear(features), features, tuple(seen))


@functools.cache
def _graph() -> Any:
    return nnx.split(nnx.eval_shape(lambda: Network(nnx.Rngs(0))))[0]


def init(key: jax.Array) -> Params:
    """Fresh weights, for any cell: a nested dict of arrays."""
    return nnx.to_pure_dict(nnx.split(Network(nnx.Rngs(params=key)))[1])


def apply(
    params: Params, operations: Array, images: Array, normed: bool = True
) -> Output:
    """What the network with these weights says; pure, one cell.

    Args:
        params: from `init`.
        operations: one-hot `(E, O)`; or shares of operations, whose sum then flows.
        images: `(B, SIDE, SIDE)`, about in [-1, 1].
        normed: False leaves out the norms.
    """
    return nnx.merge(_graph(), params)(images, operations, normed)


def loss_of(logits: Array, labels: Array) -> jax.Array:
    """Mean cross-entropy of `(B, CLASSES)` and labels `(B,)`."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -chosen.mean()


def parameter_count(cell: Cell) -> int:
    """Weights of a network of this cell."""
    small = sum(name == "nor_conv_1x1" for name in cell)
    large = sum(name not in OPERATIONS or name == "nor_conv_3x3" for name in cell)
    inner = (small + 9 * large) * WIDTH**2 + 2 * (small + large) * WIDTH
    return 9 * WIDTH + CELLS * inner + (WIDTH + 1) * CLASSES
