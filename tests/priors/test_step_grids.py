"""Grids of steps."""

import jax
import numpy as np

from lcpfn.priors.step_grids import ragged


def test_steps_increase_and_stand_still_behind_the_end():
    for seed in range(40):
        steps, count = ragged(jax.random.key(seed), 8, 64)
        gaps = np.diff(steps)
        assert (gaps[: count - 1] > 0).all()
        assert (gaps[count - 1 :] == 0).all()
        assert float(steps[0]) >= 0
