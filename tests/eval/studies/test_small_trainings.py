"""Real trainings of random configurations."""

import json

import numpy as np
import pytest

from lcpfn.io import read_curves

pytest.importorskip("sklearn", reason="needs scikit-learn")
from lcpfn.eval.studies import small_trainings


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("trainings") / "trainings.npz"
    small_trainings.main(["--configs", "2", "--out", str(path)])
    return path


def test_it_is_a_file_of_curves(file):
    runs = read_curves(file).runs
    spaces = small_trainings.SPACES
    assert len(runs) == 2 * len(spaces)
    assert {len(run.values) for run in runs} == {small_trainings.EPOCHS}
    assert [run.task for run in runs[::2]] == [space.task for space in spaces]
    for run in runs:
        assert run.bounds == ((0, 1) if run.mode == "max" else (0, None))
        assert run.config["rate"] > 0


def test_every_epoch_took_its_time(file):
    arrays = np.load(file)
    assert arrays["seconds"].shape == arrays["curves"].shape
    assert (arrays["seconds"] > 0).all()


@pytest.mark.parametrize("space", small_trainings.SPACES, ids=lambda x: x.task)
def test_a_training_can_be_done_again(file, space):
    arrays = np.load(file)
    row = list(arrays["run_id"]).index(f"{space.task} 1")
    config = json.loads(str(arrays["config"][row]))
    again = list(space.train(config, small_trainings.split_of(space), 1))
    np.testing.assert_allclose(arrays["curves"][row], again, rtol=1e-5)


def test_networks_learn_and_trees_do(file):
    for run in read_curves(file).runs:
        better = max if run.mode == "max" else min
        assert better(run.values) != run.values[0]


def test_weights_that_are_not_finite_have_diverged_and_other_errors_are_errors():
    def fails(after, why):
        yield from range(after)
        raise ValueError(why)

    values, seconds = small_trainings.timed(fails(3, "non-finite weights"))
    assert values[:3] == [0, 1, 2]
    assert np.isnan(values[3:]).all()
    assert len(values) == len(seconds) == small_trainings.EPOCHS
    with pytest.raises(ValueError, match="classes"):
        small_trainings.timed(fails(0, "classes are missing"))
