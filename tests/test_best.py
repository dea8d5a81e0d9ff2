"""The question for the best value still to come."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.train.batches import best_ahead, make_tasks
from lcpfn.train.config import Augment
from lcpfn.train.data import recorded_curves, recorded_source

CURVES = [[0.9, 0.7, 0.6, 0.65], [0.5, 0.4], [0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.44]]


def test_best_ahead_is_the_minimum_of_what_comes():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3, 12))
    last, end = np.array([[0, 3, 7]] * 3), np.array([11, 9, 8])
    expected = [
        [row[i + 1 : stop + 1].min() for i in lasts]
        for row, lasts, stop in zip(y, last, end, strict=True)
    ]
    found = best_ahead(jnp.array(y), jnp.array(last), jnp.array(end))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_tasks_ask_for_it_as_one_more_question():
    values = np.array([5.0, 4, 3, 1, 2, 2.5, 2.2, 2.4, 2.1, 2.3])
    run = Run("run", np.arange(1.0, 11), values, "min")
    source = recorded_source(recorded_curves([run]))
    none = Augment(0, 0, 0, 0, 0)
    key = jax.random.key(0)
    plain = make_tasks(key, source(key, 1), 3, 16, none)
    tasks = make_tasks(key, source(key, 1), 3, 16, none, best=True)
    assert tasks.query.shape == (*plain.query.shape[:2], 4, plain.query.shape[-1] + 1)
    np.testing.assert_array_equal(tasks.query[0, :, :3, -1], 0)
    np.testing.assert_array_equal(tasks.query[0, :9, 3, -1], 1)
    np.testing.assert_array_equal(tasks.truth[..., :3], plain.truth)
    # In units of the anchor the difference of two truths is that of two values.
    scale = np.exp(np.asarray(tasks.log_scale))[0, :9]
    size = np.median(values)
    ahead = np.array([values[i + 1 :].min() for i in range(9)])
    off = (ahead - values[-1]) / size / scale
    np.testing.assert_allclose(
        tasks.truth[0, :9, 3] - tasks.truth[0, :9, 0], off, rtol=1e-3, atol=1e-4
    )


def test_batch_is_single_and_stream_is_fresh(asking, same):
    ends = [20, 9, 300]
    batch = asking.extrapolate(CURVES, ends, mode="min", bounds=(0, 1))
    for i, (curve, end) in enumerate(zip(CURVES, ends, strict=True)):
        single = asking.extrapolate(curve, end, mode="min", bounds=(0, 1))
        same(batch[i], single)
        assert batch[i].best.mean() == pytest.approx(single.best.mean(), rel=1e-4)
        stream = asking.stream(end, mode="min", bounds=(0, 1))
        for value in curve:
            streamed = stream.update(value)
        same(streamed, single)
        assert streamed.best.mean() == pytest.approx(single.best.mean(), rel=1e-4)
        assert single.best.steps == end


def test_it_is_another_answer_than_the_final_value(asking):
    forecast = asking.extrapolate(CURVES[0], 20, mode="min", bounds=(0, 1))
    assert forecast.best.mean() != forecast.final.mean()
    assert 0 <= forecast.best.prob_better(0.5) <= 1
    assert forecast.best.quantile([0.1, 0.9]).shape == (2,)


def test_a_diverged_run_has_no_better_value_to_come(asking):
    forecast = asking.extrapolate([0.5, 0.4, np.nan], 9, mode="min", bounds=(0, 1))
    assert forecast.best.prob_better(0.9) == 0
    assert forecast.best.mean() == 1


def test_a_checkpoint_that_was_not_trained_for_it_says_so(model):
    forecast = model.extrapolate(CURVES[0], 20, mode="min")
    with pytest.raises(ValueError, match="not trained for it"):
        _ = forecast.best
