"""Forecasts from all cutoffs are those of a stream."""

import numpy as np
import pytest

import lcpfn
from lcpfn.prefixes import AHEAD, final_predictor, forecast_prefixes
from tests.makers import make_run, noisy_root


@pytest.mark.parametrize(
    ("mode", "bounds"), [("min", None), ("max", (0, 1)), ("min", (0, None))]
)
def test_it_is_what_a_stream_forecasts(asking, mode, bounds):
    values = noisy_root(20)
    (found,) = forecast_prefixes(asking, [make_run(values, mode, bounds)])
    assert found.seen.tolist() == list(range(1, 20))
    sign = 1 if mode == "min" else -1
    stream = asking.stream(20, mode=mode, bounds=bounds)
    for i, value in enumerate(values[:-1]):
        forecast = stream.update(value)
        bar = values[: i + 1].min()
        for mixture, same in (
            (found.best, forecast.best),
            (found.final, forecast.final),
        ):
            ours = mixture.cdf(np.full(len(found.seen), sign * bar))[i]
            assert ours == pytest.approx(same.prob_better(bar), abs=2e-4)
        if i:
            assert found.surprise[i] == pytest.approx(forecast.surprise, rel=1e-2)
        else:
            assert np.isnan(found.surprise[i])


def test_runs_of_several_lengths_are_as_each_alone(asking):
    runs = [make_run(noisy_root(n, n)) for n in (5, 37, 12, *[9] * 20)]
    for run, found in zip(
        runs, forecast_prefixes(asking, runs, horizon=60), strict=True
    ):
        (alone,) = forecast_prefixes(asking, [run], horizon=60)
        assert found.seen.tolist() == list(range(1, len(run.values) + 1))
        mean, other = (x.final.moments()[0] for x in (found, alone))
        np.testing.assert_allclose(mean, other, rtol=1e-3, atol=1e-4)


def test_long_curves_are_foreseen_where_their_tokens_are_full(asking):
    context = asking.config.context
    values = noisy_root(3 * context)
    (found,) = forecast_prefixes(asking, [make_run(values)])
    once, twice = np.arange(1, context + 1), np.arange(context + 2, 2 * context + 1, 2)
    late = np.arange(2 * context + 4, 3 * context, 4)
    assert found.seen.tolist() == [*once, *twice, *late]
    for seen in (context, context + 2, 2 * context, 2 * context + 4):
        i = found.seen.tolist().index(seen)
        forecast = asking.extrapolate(values[:seen], len(values), mode="min")
        assert found.final.moments()[0][i] == pytest.approx(
            forecast.final.mean(), rel=1e-3
        )


def test_a_record_that_is_not_finite_is_no_cutoff(asking):
    values = noisy_root(12)
    values[3] = np.nan
    (found,) = forecast_prefixes(asking, [make_run(values)])
    assert found.seen.tolist() == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    forecast = asking.extrapolate(values[:7], 12, mode="min")
    assert found.final.moments()[0][5] == pytest.approx(forecast.final.mean(), rel=1e-3)
    (nothing,) = forecast_prefixes(asking, [make_run([np.nan, np.inf])])
    assert len(nothing.seen) == 0
    assert nothing.ahead.mean.shape[1] == AHEAD


def test_a_checkpoint_without_best_values_has_none(model):
    (found,) = forecast_prefixes(model, [make_run(noisy_root(8))])
    assert found.best is None
    assert found.ahead.mean.shape[:2] == (7, AHEAD)


def test_refusals(asking):
    with pytest.raises(ValueError, match="beyond the horizon 5"):
        forecast_prefixes(asking, [make_run(noisy_root(8))], horizon=5)
    with pytest.raises(ValueError, match="one mode and bounds"):
        forecast_prefixes(
            asking, [make_run(noisy_root(8)), make_run(noisy_root(8), "max")]
        )
    with pytest.raises(ValueError, match="within bounds"):
        forecast_prefixes(asking, [make_run([0.5, 1.5], bounds=(0, 1))])


@pytest.mark.parametrize(("mode", "bounds"), [("min", None), ("max", (0, 2))])
def test_predictor_is_causal_and_keeps_the_direction(asking, mode, bounds):
    curves = np.stack([noisy_root(12, seed) for seed in range(3)])
    sign = 1 if mode == "min" else -1
    predict = final_predictor(asking, 12, mode, bounds)
    found = predict(sign * curves)
    for count in (4, 9):
        part = predict(sign * curves[:, :count])
        np.testing.assert_allclose(part, found[:, :count], rtol=1e-4, atol=1e-5)
    forecast = asking.extrapolate(curves[1, :5], 12, mode=mode, bounds=bounds)
    assert sign * found[1, 4] == pytest.approx(forecast.final.mean(), rel=1e-3)
    assert (found[:, -1] == sign * curves[:, -1]).all()


def test_predictor_in_surestop():
    surestop = pytest.importorskip("surestop", reason="needs surestop")
    rng = np.random.default_rng(0)
    steps = np.arange(1, 21)
    ends = rng.uniform(0.1, 0.9, 60)
    curves = ends[:, None] + 0.5 * np.exp(-steps / 4)
    curves += 0.002 * rng.normal(size=curves.shape)
    predict = final_predictor(lcpfn.load(), 20)
    rule = surestop.KillRule(alpha=0.1, predictor=predict).fit(curves[:40])
    assert rule.should_kill(curves[40:][ends[40:].argmax(), :6])
    assert not rule.should_kill(curves[40:][ends[40:].argmin(), :6])
