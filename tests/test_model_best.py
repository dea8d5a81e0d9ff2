"""The question for the best value still to come."""

import numpy as np
import pytest

CURVES = [[0.9, 0.7, 0.6, 0.65], [0.5, 0.4], [0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.44]]


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
