"""LC-PFN's protocol: what is queried, scored and ranked."""

import numpy as np
from scipy import stats

from lcpfn.eval import method_ranks
from lcpfn.eval.baselines import last_value, least_squares
from lcpfn.eval.curves import of_model
from lcpfn.eval.data import final_value_cases, query
from tests.eval.makers import gaussians, powers


def test_ranks_by_hand():
    cases = final_value_cases(powers("p", tasks=2, runs=2), method_ranks.PERCENTS)
    n = len(cases)
    best, same = np.zeros((2, n)), np.ones((2, n))
    found = method_ranks.rank_methods(cases, {"best": best, "one": same, "other": same})
    for cutoff in map(str, method_ranks.PERCENTS):
        assert found["best"]["suites"]["p"][cutoff]["log_prob_rank"] == 1
        assert found["one"]["overall"][cutoff]["error_rank"] == 2.5
    assert found["other"]["overall"]["all"] == found["one"]["overall"]["all"]


def test_later_records_are_queried_to_the_end_and_never_too_many():
    cases = final_value_cases(powers("p", records=60), (10, 90))
    for case in cases:
        steps, values = query(case, method_ranks.TARGETS)
        assert len(steps) == (method_ranks.TARGETS if case.percent == 10 else 6)
        assert steps[0] > case.steps[-1]
        assert steps[-1] == case.horizon
        assert values[-1] == case.truth


def test_scores_that_are_ranked():
    cases = final_value_cases(powers("p"), (50,))[:3]
    later = [query(case, method_ranks.TARGETS)[1] for case in cases]
    measured = method_ranks.measure(cases, gaussians(np.concatenate(later) + 0.1, 0.1))
    np.testing.assert_allclose(measured[0], -stats.norm.logpdf(1, scale=1) - np.log(10))
    np.testing.assert_allclose(measured[1], 0.01)


def test_a_rule_forecasts_every_later_record(model):
    curves = powers("p", records=30)
    cases = final_value_cases(curves, method_ranks.PERCENTS)
    some, targets = cases[:12], method_ranks.TARGETS
    for method in (
        last_value.across_tasks(cases, last_value.last_value),
        least_squares.fitted("pow3"),
        of_model(model),
    ):
        forecast = method(some, targets)
        count = sum(len(query(case, targets)[0]) for case in some)
        assert forecast.mean.shape[0] == count
        assert np.isfinite(forecast.quantile(np.array(0.5))).all()


def test_forecasts_of_suites_in_turns_stay_with_their_cases():
    one, two = (final_value_cases(powers(n, seed=ord(n))) for n in ("a", "b"))
    method = last_value.across_tasks(one + two, last_value.last_value)
    mixed = [case for pair in zip(one, two, strict=True) for case in pair]
    apart = method(one + two).mean
    np.testing.assert_array_equal(
        method(mixed).mean.reshape(len(one), 2, -1),
        np.stack([apart[: len(one)], apart[len(one) :]], axis=1),
    )
