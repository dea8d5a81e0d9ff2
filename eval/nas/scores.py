"""What can be said of a cell before it is trained: counts, and freshly drawn weights.

    parameters     weights of its convolutions
    operations     multiplications of one image
    gradient_norm  of the loss of one batch (Abdelfattah et al. 2021, arXiv 2101.08134)
    synflow        log sum |w dR/dw|, R the sum of outputs for an image of ones, weights
                   replaced by their magnitudes, no norms (Tanaka et al. 2020,
                   arXiv 2006.05467)
    naswot         log-determinant of how alike the ReLUs of two images are switched
                   (Mellor et al. 2021, arXiv 2006.04647)
    diswot         minus the distance of the similarities of images from those in a
                   teacher, the cell with a 3 x 3 convolution on every edge, untrained
                   as well (Dong et al. 2023, arXiv 2303.15678; the relation of samples
                   alone, not the semantic one)

All on the network for the digits, means over a few drawings of weights. A cell of
another space has the scores of the cell with 3 x 3 convolutions in place of what is
unknown. The part of each edge in gradient and synflow is kept as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.eval.nas import network
from lcpfn.eval.nas.space import EDGES, NODES, NONE, POOL, SKIP, Cell

IMAGES, DRAWINGS, TOGETHER = 50, 3, 50
SEED = 201
# Multiplications for one output of an edge.
_COSTS = {NONE: 0, SKIP: 1, POOL: 9, "nor_conv_1x1": network.WIDTH}
_LARGE = 9 * network.WIDTH
_SOURCES = np.eye(NODES - 1)[[source for source, _ in EDGES]]  # of the edges (E, 3)


class Scores(NamedTuple):
    """Training-free scores of n cells.

    Attributes:
        whole: by name, higher is meant to be better `(n,)`.
        edges: logarithms of gradient and synflow, edge by edge and layer by layer, and
            the operation of each edge, one-hot `(n, F)`.
    """

    whole: dict[str, np.ndarray]
    edges: np.ndarray


def _relations(features: jax.Array) -> jax.Array:
    """Similarities of images, rows of length one `(B, B)`."""
    gram = features @ features.T
    return gram / (jnp.linalg.norm(gram, axis=1, keepdims=True) + 1e-9)


def _switching(nodes: Sequence[jax.Array], convolutions: jax.Array) -> jax.Array:
    """NASWOT of the inputs of convolutions; as often as there are of these."""
    alike = 1e-3 * jnp.eye(len(nodes[0]))
    for node, weight in zip(nodes, convolutions, strict=True):
        on = (node > 0).reshape(len(node), -1).astype(float)
        alike += weight * (on @ on.T + (1 - on) @ (1 - on).T)
    return jnp.linalg.slogdet(alike)[1]


@jax.jit
def _of_cells(
    key: jax.Array, operations: jax.Array, images: jax.Array, labels: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Scores of cells `(A,)` that begin with the same weights, and parts of edges."""
    params = network.init(key)
    large = network.one_hot([("nor_conv_3x3",) * operations.shape[1]])[0]
    teacher = _relations(network.apply(params, large, images).features)
    magnitudes = jax.tree.map(jnp.abs, params)
    ones = jnp.ones_like(images[:1])
    per_edge = lambda tree: jnp.concatenate(
        [tree["cells"][k]["kernel"].sum((1, 2, 3)) for k in range(network.CELLS)]
    )

    def one(operations: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        def loss(params: network.Params) -> tuple[jax.Array, network.Output]:
            out = network.apply(params, operations, images)
            return network.loss_of(out.logits, labels), out

        def flow(params: network.Params) -> jax.Array:
            return network.apply(params, operations, ones, normed=False).logits.sum()

        slopes, out = jax.grad(loss, has_aux=True)(params)
        squares = jax.tree.map(jnp.square, slopes)
        saliency = jax.tree.map(jnp.multiply, magnitudes, jax.grad(flow)(magnitudes))
        convolutions = jnp.tile(operations[:, 2:4].sum(1) @ _SOURCES, network.CELLS)
        total = lambda tree: sum(leaf.sum() for leaf in jax.tree.leaves(tree))
        found = {
            "gradient_norm": jnp.sqrt(total(squares)),
            "synflow": jnp.log(total(saliency) + 1e-9),
            "naswot": _switching(out.nodes, convolutions),
            "diswot": -jnp.linalg.norm(_relations(out.features) - teacher),
        }
        parts = [jnp.sqrt(per_edge(squares)), per_edge(saliency)]
        return found, jnp.log(jnp.concatenate(parts) + 1e-9)

    return jax.vmap(one)(operations)


def score_cells(
    cells: Sequence[Cell], images: np.ndarray, labels: np.ndarray
) -> Scores:
    """Training-free scores of cells.

    Args:
        cells: n of them.
        images: some of those to train on `(B, 8, 8)`; the first `IMAGES` are looked at.
        labels: what they show `(B,)`.
    """
    some, found = (images[:IMAGES], labels[:IMAGES]), []
    operations = network.one_hot(cells)
    for start in range(0, len(cells), TOGETHER):
        part = operations[start : start + TOGETHER]
        filled = np.resize(part, (TOGETHER, *part.shape[1:]))
        drawn = [
            _of_cells(jax.random.key(SEED + i), filled, *some) for i in range(DRAWINGS)
        ]
        found.append(jax.tree.map(lambda *x: np.mean(x, 0), *drawn))
    joined = jax.tree.map(lambda *x: np.concatenate(x)[: len(cells)], *found)
    whole, parts = joined
    outputs = network.CELLS * network.WIDTH * (network.SIDE // 2) ** 2
    each = [sum(_COSTS.get(name, _LARGE) for name in cell) for cell in cells]
    counts = {
        "parameters": np.array([network.parameter_count(c) for c in cells], float),
        "operations": outputs * np.array(each, float),
    }
    known = operations.reshape(len(cells), -1)
    return Scores(counts | whole, np.concatenate([parts, known], 1))
