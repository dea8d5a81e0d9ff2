"""Other ways to forecast a run from the other runs of its task."""

import importlib.util

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.eval.baselines import other_runs
from lcpfn.eval.baselines.other_runs import (
    decaying_process,
    kernel_regression,
    latent_kronecker,
)

T = np.arange(1.0, 21.0)


def run(scale, count=20, lr=None):
    values = (0.2 + scale * T**-0.5)[:count]
    return Run(values, T[:count], {"lr": lr or scale}, mode="min", bounds=(0, None))


OTHERS = [run(scale) for scale in (0.3, 0.4, 0.5, 0.6, 0.7)]


def test_like_runs_say_how_much_is_gained():
    found = kernel_regression([run(0.5, 5), run(0.3, 5)], [20, 20], OTHERS)
    ends = [0.2 + scale * 20**-0.5 for scale in (0.5, 0.3)]
    np.testing.assert_allclose(found.quantile(np.array(0.5)), ends, atol=0.02)
    assert found.weight.shape == (2, 5)


def test_before_the_first_observation_others_end_as_they_end():
    found = kernel_regression([run(0.5, 0)], [20], OTHERS)
    assert found.quantile(np.array(0.5))[0] == pytest.approx(
        0.2 + 0.5 * 20**-0.5, abs=0.02
    )
    low, high = (found.quantile(np.array(q))[0] for q in (0.05, 0.95))
    assert low < OTHERS[0].values[-1]
    assert high > OTHERS[-1].values[-1]


def test_runs_on_the_way_are_left_out_where_others_have_ended():
    astray = [run(50.0, 3)]
    expected = kernel_regression([run(0.5, 5)], [20], OTHERS)
    found = kernel_regression([run(0.5, 5)], [20], OTHERS + astray)
    np.testing.assert_allclose(
        found.quantile(np.array([0.1])), expected.quantile(np.array([0.1]))
    )


with_botorch = pytest.mark.skipif(
    importlib.util.find_spec("botorch") is None, reason="BoTorch is not installed"
)


@pytest.mark.slow
@with_botorch
@pytest.mark.parametrize("process", [latent_kronecker, decaying_process])
def test_gaussian_processes_know_where_runs_of_a_configuration_end(process):
    asked = [run(0.45, 10), run(0.55, 0)]
    found = process(asked, [20, 20], OTHERS)
    ends = [0.2 + scale * 20**-0.5 for scale in (0.45, 0.55)]
    np.testing.assert_allclose(found.quantile(np.array(0.5)), ends, atol=0.05)


@with_botorch
@pytest.mark.parametrize("process", [latent_kronecker, decaying_process])
def test_a_gaussian_process_answers_where_no_fit_succeeds(process, monkeypatch):
    from botorch.exceptions.errors import ModelFittingError

    def fail(likelihood, optimizer_kwargs):
        likelihood.train()  # as a failed fit leaves it
        raise ModelFittingError("All attempts to fit the model have failed.")

    monkeypatch.setattr("botorch.fit.fit_gpytorch_mll", fail)
    found = process([run(0.45, 10), run(0.55, 0)], [20, 20], OTHERS)
    assert np.isfinite(found.quantile(np.array(0.5))).all()


@with_botorch
def test_a_process_that_cannot_be_drawn_from_is_the_one_before_the_fit(monkeypatch):
    from linear_operator.utils.errors import NotPSDError

    drawn: list[float] = []
    draw = other_runs._samples

    def refuse_once(model, *points):
        drawn.append(float(model.likelihood.noise.detach()))
        if len(drawn) == 1:
            raise NotPSDError("Matrix not positive definite")
        return draw(model, *points)

    monkeypatch.setattr(other_runs, "_samples", refuse_once)
    found = latent_kronecker([run(0.45, 10), run(0.55, 0)], [20, 20], OTHERS)
    assert drawn[0] != drawn[1]
    assert np.isfinite(found.quantile(np.array(0.5))).all()
