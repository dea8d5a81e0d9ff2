"""Tables of cells from recorded runs."""

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.nas.cells import FEWEST, recorded_cells
from lcpfn.eval.nas.space import by_number, config_of, to_string


def runs(count, length=12, top=1.0, **known):
    return [
        Run(
            top * np.linspace(0.1, 0.5 + 0.001 * i, length),
            config={"arch": to_string(by_number()[i]), "seed": i},
            mode="max",
            task="t",
            metric="acc",
            **known,
        )
        for i in range(count)
    ]


def test_the_first_run_of_a_cell_counts():
    first, again = runs(FEWEST), runs(FEWEST, top=0.5)
    (found,) = recorded_cells([*first, *again])
    assert len(found) == FEWEST
    assert found.final[0] == pytest.approx(0.5)
    assert found.runs[3].config == {
        **config_of(by_number()[3]),
        "parameters": found.runs[3].config["parameters"],
    }


def test_longer_runs_are_cut_and_bounds_follow_from_values():
    (found,) = recorded_cells([*runs(FEWEST), *runs(FEWEST + 5, length=20)[FEWEST:]])
    assert found.values.shape == (FEWEST + 5, 12)
    assert found.runs[0].bounds == (0.0, 1.0)
    (percent,) = recorded_cells(runs(FEWEST, top=100))
    assert percent.runs[0].bounds == (0.0, 100.0)


def test_runs_that_are_no_cells_are_left_out():
    other = Run(np.ones(12), config={"lr": 0.1}, mode="max", task="t", metric="acc")
    (found,) = recorded_cells([other, *runs(FEWEST)])
    assert len(found) == FEWEST
    with pytest.raises(ValueError, match=f"{FEWEST} cells or more"):
        recorded_cells([other, *runs(FEWEST - 1)])


def test_a_part_of_the_cells():
    (found,) = recorded_cells(runs(FEWEST))
    some = found.some([5, 2])
    assert some.cells == (found.cells[5], found.cells[2])
    np.testing.assert_array_equal(some.values, found.values[[5, 2]])
    assert some.codes.shape == (2, 6)
