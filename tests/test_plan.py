"""A planned learning rate: what is told of it, who may be told, what it changes."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lcpfn
from lcpfn.curves import Run
from lcpfn.model import Model
from lcpfn.plan import LEAST, check_plan, make_plan, plan_features
from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import MonitorWarning
from lcpfn.stopping.search_monitor import SearchMonitor
from lcpfn.study import Study
from tests.makers import power_laws

ENDS = np.arange(1.0, 11.0)
CURVES = [row[:n] for row, n in zip(power_laws(4, 200), (1, 7, 40, 200), strict=True)]
COSINE = 0.5 + 0.5 * np.cos(np.pi * (np.arange(300) + 0.5) / 300)
METRIC = {"mode": "min", "bounds": (0.0, None)}
CURVE = list(CURVES[2])


def told(rates, cutoff=4.0, target=8.0):
    """Features without their scale: logarithms, and areas as shares of the whole."""
    rates = np.asarray(rates, float)
    plan = make_plan(ENDS, rates)
    found = plan_features(plan, np.array([cutoff]), np.array([[target]]))[0, 0]
    return 2 * found * np.r_[np.ones(9), 0.25, 0.25]


def test_a_constant_rate_is_told_as_one():
    assert told(np.full(10, 0.3)) == pytest.approx([*[0.0] * 8, 0, 0.4, 0.8], abs=1e-7)


def test_a_drop_between_cutoff_and_target():
    found = np.exp(told([1] * 5 + [0.1] * 5))
    here, there, end, past, half, eighth, between, late = found[:8]
    assert (here, past, half, eighth) == pytest.approx((1, 1, 1, 1))
    assert (there, end, late) == pytest.approx((0.1, 0.1, 0.1))
    assert between == pytest.approx((1 + 3 * 0.1) / 4)
    assert found[8] == pytest.approx(1.3 / 4)  # more training time, over that so far
    assert np.log(found[9:]) == pytest.approx([4 / 5.5, 5.3 / 5.5])


def test_a_rate_holds_up_to_the_step_at_which_it_ends():
    rates = [1] * 4 + [0.1] * 6
    assert np.exp(told(rates, cutoff=4.0)[0]) == pytest.approx(1)
    assert np.exp(told(rates, cutoff=4.001)[0]) == pytest.approx(0.1)


def test_only_ratios_count_and_nothing_is_told_as_the_least():
    np.testing.assert_allclose(told(COSINE[::30]), told(5 * COSINE[::30]))
    assert told([1] * 9 + [0])[2] == pytest.approx(np.log(LEAST))


def test_an_observation_before_any_training_is_no_division_by_zero():
    assert np.isfinite(told(COSINE[::30], cutoff=0.0)).all()


def test_numpy_and_jax_tell_the_same():
    rates, cutoff = COSINE[::30], np.array([1.0, 3.0, 9.0])
    targets = np.array([[2.0, 10.0], [4.0, 10.0], [9.5, 10.0]])
    given = (ENDS, rates, cutoff, targets)
    tell = lambda ends, rates, *asked: plan_features(make_plan(ends, rates), *asked)
    traced = jax.jit(tell)(*(jnp.asarray(x, jnp.float32) for x in given))
    np.testing.assert_allclose(traced, tell(*given), atol=1e-4)


@pytest.mark.parametrize(
    "plan",
    [
        *([], [-1, 1], [0, 0], "x", [1, np.nan], [[1], [2]], 0.1, [10**400], {}),
        *([True, False], [0.5, True], np.array([True, True])),
    ],
)
def test_what_is_no_plan(plan):
    with pytest.raises(ValueError, match=r"plan of the curve must be .* per epoch"):
        check_plan(plan)


def test_without_a_plan_forecasts_are_those_of_the_weights_before(planning):
    config = dataclasses.replace(planning.config, plan=0, plan_from=0.0)
    params = {name: x for name, x in planning.params.items() if name != "planned"}
    before = Model(params, config, planning.card)
    for plan in (None, [None] * 4):
        now = planning.extrapolate(CURVES, 300, plan=plan, **METRIC)
        then = before.extrapolate(CURVES, 300, **METRIC)
        for one, other in zip(now.mixture, then.mixture, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_plan_among_none_is_told_to_its_curve_alone(planning):
    plain = planning.extrapolate(CURVES, 300, **METRIC)
    mixed = planning.extrapolate(CURVES, 300, plan=[None, COSINE, None, None], **METRIC)
    one = planning.extrapolate(CURVES[1], 300, plan=COSINE, **METRIC)
    found, alone = (x.final.quantile([0.05, 0.5, 0.95]) for x in (mixed, plain))
    rest = [0, 2, 3]
    np.testing.assert_allclose(found[:, rest], alone[:, rest], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], one.final.quantile([0.05, 0.5, 0.95]), 1e-4)
    assert (np.abs(found[:, 1] / alone[:, 1] - 1) > 1e-3).any()


def test_late_in_a_run_the_plan_is_believed_and_early_hardly(planning):
    def far(seen):
        curve = power_laws(1, 200)[0][:seen]
        plain, told = (
            planning.extrapolate(curve, 300, plan=plan, **METRIC).final
            for plan in (None, COSINE)
        )
        y = plain.quantile(0.5)
        return abs(plain.cdf(y) - told.cdf(y))

    assert far(150) > 5 * far(6)


@pytest.mark.parametrize("horizon", [60, 300])
def test_a_stream_is_told_what_a_fresh_forecast_is(planning, horizon):
    stream = planning.stream(horizon, plan=COSINE, **METRIC)
    for n, value in enumerate(CURVE, 1):
        found = stream.update(value)
        if n in (1, 2, 20, 40):
            fresh = planning.extrapolate(CURVE[:n], horizon, plan=COSINE, **METRIC)
            np.testing.assert_allclose(found.quantile(0.5), fresh.quantile(0.5), 1e-4)
            one, other = (x.best.quantile(0.5) for x in (found, fresh))
            np.testing.assert_allclose(one, other, 1e-4)


def test_paths_follow_the_forecast_that_knows_the_plan(planning):
    found = planning.extrapolate(CURVE, 60, plan=COSINE, **METRIC)
    paths = found.paths(400, seed=0)
    np.testing.assert_allclose(
        np.median(paths[:, -1]), found.final.quantile(0.5), rtol=0.2
    )


def test_a_plan_is_refused_where_it_would_not_be_told(model, planning, default):
    with pytest.raises(ValueError, match="not trained to know a planned learning rate"):
        model.extrapolate(CURVE, 60, plan=COSINE, mode="min")
    with pytest.raises(ValueError, match="not trained to know a planned learning rate"):
        model.stream(60, plan=COSINE, mode="min")
    with pytest.raises(ValueError, match="3 curves, got 2"):
        planning.extrapolate(CURVES[1:], 300, plan=[COSINE, COSINE], **METRIC)
    others = [Run(CURVES[3], mode="min")]
    with pytest.raises(ValueError, match="or other runs, not both"):
        default.extrapolate(CURVE, 300, plan=COSINE, others=others, mode="min")
    among = {"others": others, "horizon": 300, "mode": "min"}
    for refuses in (
        lambda: lcpfn.EarlyStopping(plan=COSINE, **among),
        lambda: RunMonitor(plan=COSINE, **among),
        lambda: SearchMonitor("min", 300, plan=COSINE),
        lambda: Study(300, "min", plan=COSINE),
    ):
        with pytest.raises(ValueError, match=r"forecast alone; .* leave out plan="):
            refuses()


def test_a_monitor_says_that_its_network_knows_no_plan(model):
    monitor = RunMonitor(horizon=60, beat=0.2, plan=COSINE, model=model, **METRIC)
    with pytest.warns(MonitorWarning, match="not trained to know a planned"):
        assert not monitor.read(dict(enumerate(CURVE, 1)))


def test_stoppers_decide_by_what_the_plan_says(planning):
    fresh = planning.extrapolate(CURVE, 60, plan=COSINE, **METRIC)
    options = {"beat": 0.2, "plan": list(COSINE), "model": planning}
    stopper = lcpfn.EarlyStopping(60, **METRIC, **options)
    monitor = RunMonitor(horizon=60, **METRIC, **options)
    for step, value in enumerate(CURVE, 1):
        decision = stopper.update(value, step)
        monitor.report(value, step)
    for found in (decision, monitor.decision):
        assert found.prob_better == pytest.approx(float(fresh.best.prob_better(0.2)))


def test_a_saved_stopper_goes_on_with_its_plan(planning):
    stopper = lcpfn.EarlyStopping(60, plan=COSINE, beat=0.2, model=planning, **METRIC)
    stopper.replay(CURVE[:20], range(1, 21))
    state = json.loads(json.dumps(stopper.state_dict()))
    other = lcpfn.EarlyStopping(60, model=planning, **METRIC)
    other.load_state_dict(state)
    assert other.rule == stopper.rule
    found, expected = (x.update(CURVE[20]) for x in (other, stopper))
    assert found.prob_better == pytest.approx(expected.prob_better, rel=1e-4)
