"""Cells that are trained on digits, and the file of them."""

import jax
import numpy as np
import pytest

pytest.importorskip("sklearn")

from lcpfn.eval.nas import confidence, digits, network, training
from lcpfn.eval.nas.cells import recorded_cells
from lcpfn.eval.nas.space import NONE, canonical, cell_of, depth, number_of
from lcpfn.io import read_curves

LARGE, DEAD = ("nor_conv_3x3",) * 6, (NONE,) * 6


def test_the_digits_are_split_without_overlap():
    parts = training.load()
    sizes = [len(part.labels) for part in parts]
    assert sizes == [500, 500, 797]
    together = np.concatenate([part.images for part in parts])
    assert len(np.unique(together.reshape(len(together), -1), axis=0)) > 1790
    assert together.min() == -1
    assert together.max() == 1


def test_an_epoch_lowers_the_loss_and_the_rate_ends_at_zero():
    parts, cell = training.load(), network.one_hot([LARGE])[0]
    loss = lambda p: network.loss_of(
        network.apply(p, cell, parts.train.images).logits, parts.train.labels
    )
    epoch = jax.jit(training.train_epoch, static_argnames="epochs")
    state = training.begin(network.init(jax.random.key(0)), 2)
    before, values = state.params, []
    for k in range(3):
        values.append(loss(state.params))
        before = state.params
        state = epoch(state, cell, parts.train, jax.random.key(k), epochs=2)
    assert values[2] < values[1] < values[0]
    same = jax.tree.map(np.array_equal, before, state.params)
    assert all(jax.tree.leaves(same))  # after the last epoch nothing moves


def test_cells_of_the_benchmark_compute_different_things():
    cells = digits.different_cells(300)
    assert len({canonical(cell) for cell in cells}) == 300
    assert cells == digits.different_cells(400)[:300]
    assert cells[:50] != digits.different_cells(50, seed=1)
    with pytest.raises(ValueError, match=r"1\.\.4930"):
        digits.different_cells(5000)


@pytest.mark.slow
def test_the_file_is_one_that_the_library_reads(tmp_path):
    arrays = digits.train_benchmark(40)
    digits.save(tmp_path / "cells.npz", arrays)
    runs = read_curves(tmp_path / "cells.npz", progress=False).runs
    assert len(runs) == 2 * 44  # some cells twice, two metrics
    accuracy = [run for run in runs if run.metric == "valid_accuracy"]
    assert accuracy[0].bounds == (0, 1)
    cells = [cell_of(run.config) for run in accuracy]
    assert accuracy[3].name == f"cell {number_of(cells[3])} seed 0"
    ends = np.array([run.values[-1] for run in accuracy])
    deep = np.array([depth(cell) for cell in cells])
    assert np.median(ends[deep >= 2]) > 0.85
    np.testing.assert_allclose(arrays["test_accuracy"], ends, atol=0.08)
    again = ends[40:] - ends[:4]
    assert 0 < np.abs(again).max() < 0.1  # another seed, another end
    tables = recorded_cells(runs)
    assert [len(part) for part in tables] == [40, 40]
    found = confidence.of_networks(arrays)
    assert found["ece"]["scaled"] < found["ece"]["15"]
    assert "temperature scaling" in confidence.networks_to_markdown(found)
