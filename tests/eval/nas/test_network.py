"""The network of cells, and what can be said of it untrained."""

import jax
import numpy as np
import pytest

from lcpfn.eval.nas import network
from lcpfn.eval.nas.scores import score_cells
from lcpfn.eval.nas.space import NONE, OPERATIONS, POOL, SKIP

LARGE, SMALL = "nor_conv_3x3", "nor_conv_1x1"
IMAGES = np.random.default_rng(0).uniform(-1, 1, (50, 8, 8)).astype(np.float32)
LABELS = np.arange(50) % network.CLASSES


@pytest.fixture(scope="module")
def params():
    return network.init(jax.random.key(0))


@pytest.fixture(scope="module")
def apply():
    return jax.jit(network.apply, static_argnames="normed")


def cell_with(edge, name, rest=NONE):
    cell = [rest] * 6
    cell[edge] = name
    return tuple(cell)


def test_a_cell_without_a_path_sees_nothing(params, apply):
    out = apply(params, network.one_hot([cell_with(0, LARGE)])[0], IMAGES)
    np.testing.assert_array_equal(out.logits, np.tile(out.logits[:1], (50, 1)))
    out = apply(params, network.one_hot([cell_with(3, SKIP)])[0], IMAGES)
    assert np.std(out.logits, 0).min() > 0


def test_operations_are_what_their_names_say(params, apply):
    """Of the first cell's first edge, computed here pixel by pixel."""
    nodes = {}
    for name in OPERATIONS:
        operations = network.one_hot([cell_with(0, name)])[0]
        out = apply(params, operations, IMAGES, normed=False)
        x, nodes[name] = (
            np.asarray(node).reshape(50, 4, 4, -1) for node in out.nodes[:2]
        )
    kernel = np.asarray(params["cells"][0]["kernel"][0]).reshape(3, 3, 8, 8)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    large, pooled = np.zeros_like(x), np.zeros_like(x)
    for i in range(4):
        for j in range(4):
            window = padded[:, i : i + 3, j : j + 3]
            large[:, i, j] = np.einsum("bxyc,xycd->bd", np.maximum(window, 0), kernel)
            inside = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            pooled[:, i, j] = inside.mean((1, 2))
    small = np.maximum(x, 0) @ kernel[1, 1]
    expected = {NONE: 0 * x, SKIP: x, SMALL: small, LARGE: large, POOL: pooled}
    for name, found in nodes.items():
        np.testing.assert_allclose(found, expected[name], atol=1e-5, err_msg=name)


def test_norms_make_a_convolution_independent_of_its_scale(params, apply):
    operations = network.one_hot([cell_with(3, LARGE)])[0]
    bigger = jax.tree.map(lambda x: x, params)
    bigger["cells"][0]["kernel"] = 3 * params["cells"][0]["kernel"]
    one, two = (apply(p, operations, IMAGES).logits for p in (params, bigger))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_weights_are_counted(params):
    everything = sum(x.size for x in jax.tree.leaves(params))
    assert network.parameter_count((LARGE,) * 6) == everything
    assert network.parameter_count((NONE,) * 6) == 9 * 8 + 90
    assert network.parameter_count(("spiking 2",) * 6) == everything


@pytest.mark.slow
def test_scores_know_more_from_less():
    cells = [(LARGE,) * 6, (SMALL,) * 6, cell_with(3, SKIP), cell_with(0, LARGE)]
    found = score_cells(cells, IMAGES, LABELS)
    full, _, bare, dead = range(4)
    for name in ("parameters", "operations", "synflow", "naswot"):
        column = found.whole[name]
        assert column[full] > column[bare], name
    assert found.whole["diswot"][full] == pytest.approx(0, abs=1e-4)
    assert found.whole["diswot"][dead] < found.whole["diswot"][full]
    assert found.whole["synflow"][dead] == found.whole["synflow"].min()
    assert found.edges.shape == (4, 2 * 6 * network.CELLS + 30)
    assert all(np.isfinite(x).all() for x in (*found.whole.values(), found.edges))
    again = score_cells(cells[::-1], IMAGES, LABELS)
    np.testing.assert_allclose(again.edges[::-1], found.edges, rtol=1e-3, atol=1e-3)
