"""Cells: how they are written, numbered and recognised."""

import numpy as np
import pytest

from lcpfn.eval.nas import space
from lcpfn.io import read_curves

CELL = ("nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "none", "nor_conv_1x1")
TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"


def test_a_cell_is_written_as_the_benchmark_does():
    assert space.to_string(CELL) == TEXT
    assert space.from_string(TEXT) == CELL


@pytest.mark.parametrize("text", ["", "|none~0|", TEXT + "|", TEXT.replace("~2", "~1")])
def test_what_is_no_cell_is_refused(text):
    with pytest.raises(ValueError, match="a cell is written"):
        space.from_string(text)


def test_ids_are_those_of_the_benchmark(curves):
    folder = curves.parent / "formats" / "nats-tss-sample"
    runs = read_curves(folder, metric="x-valid_accuracy_pct", progress=False).runs
    assert len({run.name.split("/")[0] for run in runs}) == 3
    for run in runs:
        number = int(run.name.split("/")[0])
        cell = space.cell_of(run.config)
        assert space.by_number()[number] == cell
        assert space.number_of(cell) == number


def test_a_foreign_cell_has_no_id():
    with pytest.raises(ValueError, match="operations of"):
        space.number_of(("spiking 2",) * 6)


def outputs(cells):
    """What cells make of one vector, if an operation is the same on every edge."""
    rng = np.random.default_rng(0)
    matrices = {name: rng.normal(size=(4, 4)) for name in space.OPERATIONS[2:]}

    def flow(name, x):
        if name in matrices:
            return np.tanh(matrices[name] @ x) if x.any() else 0 * x
        return x if name == space.SKIP else 0 * x

    for cell in cells:
        nodes = [np.ones(4), *np.zeros((3, 4))]
        for name, (source, target) in zip(cell, space.EDGES, strict=True):
            nodes[target] = nodes[target] + flow(name, nodes[source])
        yield tuple(np.round(nodes[-1], 9) + 0.0)


def test_cells_are_the_same_if_they_compute_the_same():
    cells = space.by_number()[:3000]
    by_output = {}
    for cell, found in zip(cells, outputs(cells), strict=True):
        by_output.setdefault(found, set()).add(space.canonical(cell))
    names = [name for some in by_output.values() for name in some]
    assert all(len(some) == 1 for some in by_output.values())
    assert len(names) == len(set(names)) < len(cells)


def test_depth_counts_operations_with_weights():
    assert space.depth(CELL) == 2  # a convolution, the identity and a convolution
    assert space.depth((*CELL[:5], "none")) == 0
    assert space.depth(("nor_conv_3x3",) * 6) == 3
    assert space.depth(("none",) * 6) == 0
    through = ("nor_conv_1x1", "none", "skip_connect", "none", "none", "nor_conv_3x3")
    assert space.depth(through) == 2


def test_cells_are_found_in_configurations():
    assert space.cell_of(space.config_of(CELL)) == CELL
    assert space.cell_of({"arch": TEXT}) == CELL
    assert space.cell_of({"lr": 1}) is None
    assert space.cell_of(None) is None
    # By source and then by target: 0-1, 0-2, 0-3, 1-2, 1-3, 2-3.
    codes = {f"edge{k}": float(code) for k, code in enumerate((0, 1, 2, 3, 4, 0))}
    assert space.cell_of(codes) == (
        *("none", "skip_connect", "spiking 3", "spiking 2", "spiking 4", "none"),
    )


def test_spiking_cells_without_a_path_learn_nothing(curves):
    path = curves / "spikenas.npz"
    if not path.exists():
        pytest.skip("needs spikenas.npz")
    runs = [r for r in read_curves(path, progress=False).runs if r.task == "CIFAR10"]
    paths = {True: [], False: []}
    for run in runs:
        paths[bool(space.canonical(space.cell_of(run.config)))].append(run.values[-1])
    assert max(paths[False]) < 15 < min(paths[True])
