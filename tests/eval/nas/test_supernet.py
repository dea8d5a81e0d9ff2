"""Supernets: how they are split, and trained as a study says."""

import jax
import numpy as np
import pytest

from lcpfn.eval.nas import supernet
from lcpfn.eval.nas.space import EDGES, OPERATIONS

ALL = np.ones((len(EDGES), len(OPERATIONS)), bool)


def test_random_cells_are_among_those_allowed():
    allowed = ALL.copy()
    allowed[2] = np.eye(5, dtype=bool)[3]
    allowed[4, :2] = False
    keys = jax.random.split(jax.random.key(0), 200)
    cells = np.asarray(jax.vmap(supernet.sample, (0, None))(keys, allowed))
    np.testing.assert_array_equal(cells.sum(-1), 1)
    np.testing.assert_array_equal(cells.any(0), allowed)


def test_the_split_is_where_gradients_disagree():
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(1, 1, 20)) + 0.1 * rng.normal(size=(6, 5, 20))
    other = [1, 4]
    slopes[3, other] = -slopes[3, other]
    edge, half, alike = supernet.halves(slopes, ALL)
    assert edge == 3
    assert set(np.flatnonzero(half)) == set(other)
    assert alike < -0.9
    # What is not allowed is in neither half.
    allowed = ALL.copy()
    allowed[3, 4] = False
    edge, half, _ = supernet.halves(slopes, allowed)
    assert edge == 3
    assert not half[4]


def test_parts_cover_all_cells_once(monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(supernet, "gradients", lambda *_: rng.normal(size=(6, 5, 10)))
    whole = supernet.Part(ALL, {})
    parts = supernet.split(jax.random.key(0), None, whole, None, 3)
    assert len(parts) == 8
    sizes = [np.prod(part.allowed.sum(1)) for part in parts]
    assert sum(sizes) == 5**6
    names = {tuple(sorted(part.config.items())) for part in parts}
    assert len(names) == 8


@pytest.mark.slow
def test_a_study_trains_the_best_part_to_its_end(default):
    tops = np.array([0.5, 0.9, 0.6, 0.55, 0.4, 0.5])
    steps = np.arange(1, 21)
    curves = tops[:, None] * steps / (steps + 2.0)
    configs = [{"edge 0-1": str(i)} for i in range(len(tops))]
    spent, best = supernet.by_study(default, curves, configs)
    assert best == 1
    assert spent < curves.size
