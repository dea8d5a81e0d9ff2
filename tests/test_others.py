"""Forecasts that know the other runs of a task."""

import warnings

import numpy as np
import pytest

import lcpfn
from lcpfn.curves import CurveSet

CURVE = [1.0, 0.8, 0.7, 0.64]
RNG = np.random.default_rng(3)
OTHERS = [
    lcpfn.Run(0.3 + RNG.random() * np.arange(1.0, n + 1) ** -0.5, config={"lr": lr})
    for n, lr in ((20, 0.1), (20, 0.2), (12, 0.05), (5, 0.4), (1, 0.1))
]
OPTIONS = {"horizon": 20, "mode": "min"}


def quantiles(model, curve, **options):
    found = model.extrapolate(curve, **(OPTIONS | options))
    levels = np.array([0.1, 0.5, 0.9])
    best = found.best.quantile(levels)
    return np.concatenate([found.quantile(levels).ravel(), best.ravel()])


def test_others_change_the_forecast_and_none_do_not(knowing):
    alone = quantiles(knowing, CURVE)
    np.testing.assert_array_equal(quantiles(knowing, CURVE, others=[]), alone)
    empty = [lcpfn.Run([]), lcpfn.Run([np.nan])]
    np.testing.assert_array_equal(quantiles(knowing, CURVE, others=empty), alone)
    assert np.abs(quantiles(knowing, CURVE, others=OTHERS) - alone).max() > 1e-3


def test_others_are_a_set(knowing):
    turned = quantiles(knowing, CURVE, others=OTHERS[::-1])
    found = quantiles(knowing, CURVE, others=OTHERS)
    np.testing.assert_allclose(turned, found, rtol=1e-4)


def test_a_forecast_moves_with_all_runs(knowing):
    moved = [lcpfn.Run(100 * run.values - 7, config=run.config) for run in OTHERS]
    found = quantiles(knowing, 100 * np.array(CURVE) - 7, others=moved)
    expected = 100 * quantiles(knowing, CURVE, others=OTHERS) - 7
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_steps_may_begin_anywhere(knowing):
    later = [
        lcpfn.Run(run.values, 1e6 + np.arange(len(run.values)), run.config)
        for run in OTHERS
    ]
    steps = 1e6 + np.arange(len(CURVE))
    found = knowing.extrapolate(CURVE, 1e6 + 19, mode="min", steps=steps, others=later)
    expected = knowing.extrapolate(CURVE, 20, mode="min", others=OTHERS)
    np.testing.assert_allclose(found.final.median(), expected.final.median(), rtol=1e-4)


def test_the_run_itself_among_the_others_is_left_out(knowing):
    found = quantiles(knowing, CURVE, others=[*OTHERS, lcpfn.Run(CURVE)])
    expected = quantiles(knowing, CURVE, others=OTHERS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_runs_that_did_alike_are_other_runs(knowing):
    twins = [lcpfn.Run(CURVE), lcpfn.Run(CURVE)]
    one_other = quantiles(knowing, CURVE, others=[*OTHERS, *twins])
    expected = quantiles(knowing, CURVE, others=OTHERS)
    assert np.abs(one_other - expected).max() > 1e-5
    configured = lcpfn.Run(CURVE, config={"lr": 0.7})
    known = {"config": {"lr": 0.3}}
    found = quantiles(knowing, CURVE, others=[*OTHERS, configured], **known)
    alone = quantiles(knowing, CURVE, others=OTHERS, **known)
    assert np.abs(found - alone).max() > 1e-5
    diverged = lcpfn.Run([*CURVE, np.nan])
    found = quantiles(knowing, CURVE, others=[*OTHERS, diverged])
    assert np.abs(found - expected).max() > 1e-5


def test_its_finished_twin_is_not(knowing):
    twin = lcpfn.Run([*CURVE, 0.6, 0.58])
    found = quantiles(knowing, CURVE, others=[*OTHERS, twin])
    assert np.abs(found - quantiles(knowing, CURVE, others=OTHERS)).max() > 1e-4


def test_a_run_without_observations_is_forecast_from_the_others(knowing):
    found = knowing.extrapolate([], **OPTIONS, others=OTHERS, config={"lr": 0.1})
    np.testing.assert_array_equal(found.steps, np.arange(1, 21))
    assert np.isfinite(found.median()).all()
    assert np.isfinite(found.paths(5)).all()
    other = knowing.extrapolate([], **OPTIONS, others=OTHERS, config={"lr": 0.4})
    assert np.abs(found.median() - other.median()).max() > 0


def test_each_curve_of_several_is_as_if_alone(knowing):
    curves, configs = [CURVE, [], CURVE[:2]], [{"lr": 0.2}, {"lr": 0.1}, None]
    several = knowing.extrapolate(curves, **OPTIONS, others=OTHERS, config=configs)
    for i, (curve, config) in enumerate(zip(curves, configs, strict=True)):
        one = knowing.extrapolate(curve, **OPTIONS, others=OTHERS, config=config)
        np.testing.assert_allclose(
            several.final.median()[i], one.final.median(), rtol=1e-3
        )


def test_of_very_many_others_some_are_seen(knowing):
    many = [
        lcpfn.Run(0.3 + RNG.random() * np.arange(1.0, 9) ** -0.5) for _ in range(700)
    ]
    assert np.isfinite(quantiles(knowing, CURVE, others=many)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"others": [[1.0, 2.0]]}, r"others must be runs, lcpfn.Run.*got list at 0"),
        ({"others": [lcpfn.Run(["x"])]}, r"others\[0\]: .*must be numbers"),
        ({"others": [lcpfn.Run([1, 2], [2, 1])]}, r"others\[0\]: steps of"),
        ({"others": OTHERS, "config": 3}, "config of the curve must map names"),
        ({"config": {"lr": [1]}}, "hyperparameter 'lr' of the curve must be a number"),
        ({"config": {1: 2}}, "names of hyperparameters must be strings"),
    ],
)
def test_what_is_no_run_or_configuration_is_refused(knowing, options, message):
    with pytest.raises(ValueError, match=message):
        knowing.extrapolate(CURVE, **OPTIONS, **options)


def test_a_network_that_knows_no_others_refuses_them(model):
    with pytest.raises(ValueError, match="was not trained with other runs"):
        model.extrapolate(CURVE, **OPTIONS, others=OTHERS)


def test_others_known_at_their_ends_alone_are_no_trouble(knowing):
    ends = [lcpfn.Run([value], [20]) for value in (0.3, 0.4, 0.35)]
    for curve in (CURVE, []):
        assert np.isfinite(quantiles(knowing, curve, others=ends)).all()


def test_other_steps_than_those_of_the_horizon_are_warned_of(knowing):
    far = lcpfn.Run([0.5, 0.4], steps=[1, 1e6])
    with pytest.warns(UserWarning, match="ends at step 1e\\+06, and the horizon is 20"):
        knowing.extrapolate(CURVE, **OPTIONS, others=[*OTHERS, far])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        longer = lcpfn.Run([0.5, 0.4], steps=[1, 200])
        knowing.extrapolate(CURVE, **OPTIONS, others=[*OTHERS, longer])


def test_a_curve_without_observations_needs_others_that_have_some(knowing):
    with pytest.raises(ValueError, match="none of them has a finite value"):
        knowing.extrapolate([], **OPTIONS, others=[lcpfn.Run([np.nan])])


def test_an_unseen_run_begins_where_the_others_do(knowing):
    steps = np.arange(10, 110, 5.0)
    later = [lcpfn.Run(run.values, steps[: len(run.values)]) for run in OTHERS]
    found = knowing.extrapolate([], 110, mode="min", others=later)
    assert found.steps[0] == 10
    assert np.isfinite(found.median()).all()
    with pytest.raises(ValueError, match="at must be steps after 5"):
        knowing.extrapolate([], 110, mode="min", others=later, at=[3, 50])


def test_paths_of_an_unseen_run_cover_its_distribution(knowing):
    found = knowing.extrapolate([], **OPTIONS, others=OTHERS)
    last = found.paths(200)[:, -1]
    assert found.final.cdf(last).std() == pytest.approx(12**-0.5, abs=0.05)


def test_a_few_exploded_runs_do_not_say_where_a_run_begins(knowing):
    bad = [lcpfn.Run([1e10, 3e10, 9e10])]
    found = knowing.extrapolate([], **OPTIONS, others=[*OTHERS, *bad])
    assert np.abs(found.final.median()) < 1e3


def test_which_of_very_many_are_seen_does_not_depend_on_their_order(knowing):
    many = [
        lcpfn.Run(a * np.arange(1.0, 9) ** -0.5, config={"lr": float(a > 0.5)})
        for a in RNG.random(150)
    ]
    found = quantiles(knowing, CURVE, others=many)
    np.testing.assert_allclose(
        quantiles(knowing, CURVE, others=many[::-1]), found, rtol=1e-4
    )


@pytest.mark.parametrize("ends", [5, 150])
def test_nor_does_it_where_many_runs_went_alike(knowing, ends):
    draws = np.random.default_rng(1)
    curves = np.round(draws.random((ends, 1)) * np.arange(1.0, 21) ** -0.5, 1)
    many = [
        lcpfn.Run(curves[i % ends], config={"lr": draws.random(), "wd": draws.random()})
        for i in range(150)
    ]
    about = {"config": {"lr": 0.5, "wd": 0.5}}
    found = quantiles(knowing, CURVE, others=many, **about)
    np.testing.assert_allclose(
        quantiles(knowing, CURVE, others=many[::-1], **about), found, rtol=1e-4
    )


def test_a_curve_set_or_a_single_run_are_others_too(knowing):
    one = quantiles(knowing, CURVE, others=OTHERS[0])
    several = quantiles(knowing, CURVE, others=CurveSet("s", (OTHERS[0],)))
    np.testing.assert_array_equal(one, several)
    with pytest.raises(ValueError, match="others must be runs"):
        knowing.extrapolate(CURVE, **OPTIONS, others=3)
