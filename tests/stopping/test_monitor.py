"""A monitor inside somebody's training: what hosts do to a curve, and what follows."""

import copy
import json
import logging
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcpfn.integrations.loop import Epochs
from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import (
    MonitorWarning,
    Observations,
    ReportKind,
    WarnOnce,
)
from lcpfn.stopping.search_monitor import SearchMonitor

CURVE = [0.5, 0.6, 0.62, 0.65, 0.66]


def ended(runs, *curves):
    """Finished runs of a search whose host keeps their curves."""
    known = {f"other {i}": runs.hold(f"other {i}", c) for i, c in enumerate(curves)}
    for run in known.values():
        runs.over(run)
    return known


def monitor(model, **options):
    """Nothing beats 1.0 under these bounds: hopeless from the second record on."""
    usual = {"horizon": 20, "bounds": (0, 1), "beat": 1.0, "patience": 1}
    return RunMonitor("max", model=model, **(usual | options))


def test_it_stops_a_hopeless_run_and_says_why(model):
    watch = monitor(model)
    assert [watch.report(y, i) for i, y in enumerate(CURVE, 1)][:2] == [False, True]
    assert watch.stopped_at == 2
    assert "probability 0.0%" in watch.reason
    mean, std = watch.predicted_final
    assert 0 <= mean <= 1
    assert std > 0


def test_a_dry_run_logs_and_stops_nothing(model, caplog):
    watch = monitor(model, dry_run=True)
    with caplog.at_level(logging.WARNING):
        assert not any(watch.report(y, i) for i, y in enumerate(CURVE, 1))
    assert watch.stopped_at == 2
    assert caplog.text.count("dry run, would stop the run at step 2") == 1


def test_a_failing_forecast_lets_the_run_go_on_with_one_warning():
    watch = monitor("no such checkpoint")
    with pytest.warns(MonitorWarning, match="no forecast, the run goes on") as told:
        assert not any(watch.report(y, i) for i, y in enumerate(CURVE, 1))
    assert len(told) == 1


def test_not_even_warnings_as_errors_reach_the_training():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not monitor("no such checkpoint").report(0.5, 1)


def test_wrong_options_are_refused_at_once(model):
    for wrong in ({"confidence": 3}, {"patience": 0}, {"beat": 81}, {"every": 0}):
        with pytest.raises(ValueError, match=r"must|interval"):
            monitor(model, **wrong)


@pytest.mark.parametrize("value", [None, "high", [0.5, 0.6], 50.0])
def test_what_is_no_record_is_left_out_and_said_once(model, value):
    watch = monitor(model, min_steps=3)
    watch.report(0.5, 1)
    with pytest.warns(MonitorWarning) as told:
        assert [watch.report(value, i) for i in (2, 3)] == [False, False]
    assert len(told) == 1
    assert list(watch.observations.curve.values()) == [0.5]


def test_a_missing_metric_is_said_once(model):
    watch = monitor(model)
    with pytest.warns(
        MonitorWarning, match="'acc' was not reported, only loss"
    ) as told:
        assert [watch.take({"loss": 1.0}, "acc", i) for i in (1, 2)] == [False, False]
    assert len(told) == 1
    assert not watch.take({"acc": 0.5}, "acc", 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_run_is_stopped_for_that_reason(model, value):
    watch = monitor(model, beat=0.1)
    assert not watch.report(0.5, 1)
    assert watch.report(value, 2)
    assert watch.decision.kind == "diverged"


def test_a_repeated_record_keeps_its_decision(model):
    watch = monitor(model, patience=2)
    for i, y in enumerate(CURVE[:2], 1):
        watch.report(y, i)
    decision = watch.decision
    assert watch.report(CURVE[1], 2) is decision.stop
    assert watch.decision is decision


def test_a_late_record_takes_its_place_and_decides_nothing(model):
    straight, late = monitor(model), monitor(model)
    for i, y in enumerate(CURVE, 1):
        straight.report(y, i)
    for i in (1, 3, 4):
        late.report(CURVE[i - 1], i)
    assert not late.report(CURVE[1], 2)
    late.report(CURVE[4], 5)
    assert list(late.observations.curve) == [1, 2, 3, 4, 5]
    mean = straight.decision.expected_final
    assert late.decision.expected_final == pytest.approx(mean, abs=1e-5)


def test_a_host_that_went_back_forgets_what_came_after(model):
    watch = monitor(model)
    for i, y in enumerate(CURVE, 1):
        watch.report(y, i)
    watch.report(0.58, 3)
    assert watch.observations.curve == {1: 0.5, 2: 0.6, 3: 0.58}


def test_a_curve_that_restarts_is_another_curve(model):
    watch = monitor(model)
    stops = [watch.report(y, i) for _ in range(2) for i, y in enumerate(CURVE[:3], 1)]
    assert stops == [False, True, True] * 2
    assert len(watch.observations.curve) == 3


@pytest.mark.parametrize(
    "options", [{}, {"patience": 3}, {"beat": 0.7}, {"start_from": 2, "every": 3}]
)
def test_a_curve_read_at_once_is_decided_as_if_it_had_been_reported(model, options):
    one, many = monitor(model, **options), monitor(model, **options)
    for i in range(1, len(CURVE) + 1):
        before = many.decision
        stop = many.report(CURVE[i - 1], i)
        assert one.read(dict(enumerate(CURVE[:i], 1))) is stop
        if many.decision is not before:
            assert one.decision.kind == many.decision.kind
            chance = many.decision.prob_better
            assert one.decision.prob_better == pytest.approx(chance, abs=1e-5)
    assert not one.read({})
    with pytest.warns(MonitorWarning, match="must lie within bounds"):
        assert not one.read({1: 0.5, 2: 50.0})
    one.read({1: 0.5, 20: 0.6})
    assert one.predicted_final == (0.6, 0.0)


def test_a_state_of_the_first_format_is_read(model):
    rule = monitor(model, patience=3).rule.state()
    del rule["by_cost"]  # as before there was such an option
    old = {
        "format": 1,
        "curve": [[1.0, 0.5], [2.0, 0.6]],
        "stopped_at": None,
        "read": 2,
        "stopper": {
            "format": 2,
            "rule": rule,
            "values": [0.5, 0.6],
            "steps": [1.0, 2.0],
            "streak": 2,
        },
    }
    watch = monitor(model, patience=3)
    watch.load_state_dict(json.loads(json.dumps(old)))
    assert watch.report(0.62, 3)
    other = monitor(model, patience=4)  # another rule counts anew
    other.load_state_dict(old)
    assert [other.report(y, i) for i, y in enumerate(CURVE[2:], 3)] == [False] * 3


def test_at_and_beyond_the_horizon_nothing_is_stopped(model):
    watch = monitor(model, horizon=3, min_steps=3)
    assert not watch.report(0.5, 1)
    assert not watch.report(0.6, 3)
    assert watch.decision.kind == "finished"
    with pytest.warns(MonitorWarning, match="step 4 lies beyond the horizon 3"):
        assert not watch.report(0.7, 4)


def test_without_a_horizon_it_says_what_is_missing(model):
    watch = monitor(model, horizon=None)
    with pytest.warns(MonitorWarning, match="give horizon="):
        assert not watch.report(0.5, 1)
    watch.set_horizon(20)
    assert watch.horizon == 20


def test_decisions_follow_the_schedule(model):
    watch = monitor(model, start_from=3, every=2)
    stops = [watch.report(y, i) for i, y in enumerate([*CURVE, 0.67], 1)]
    assert stops == [False, False, True, False, True, False]


def test_a_resumed_host_goes_on_where_it_was(model):
    one, two = monitor(model, patience=3), monitor(model, patience=3)
    for i, y in enumerate(CURVE[:3], 1):
        one.report(y, i)
    two.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    assert two.report(CURVE[3], 4) is one.report(CURVE[3], 4) is True
    assert two.reason == one.reason


def test_a_damaged_state_begins_anew_with_one_warning(model):
    watch = monitor(model)
    for damaged in ({}, {"format": 9}, None):
        with pytest.warns(MonitorWarning, match="no state of a monitor"):
            monitor(model).load_state_dict(damaged)
    watch.report(0.5, 1)
    assert watch.report(0.6, 2)


def test_it_travels_without_its_network():
    watch = monitor("domhan", bounds=None, beat=50.0, cautious=1)
    watch.report(0.5, 1)
    for other in (pickle.loads(pickle.dumps(watch)), copy.deepcopy(watch)):
        assert other.decision is None
        assert other.report(0.6, 2)
    assert len(pickle.dumps(watch)) < 20_000


def test_a_loop_ends_itself_and_resumes_behind_the_last_epoch(model):
    options = {"model": model, "bounds": (0, 1), "beat": 1.0, "patience": 3}
    epochs, seen = Epochs(20, "max", **options), []
    for epoch in epochs:
        seen.append(epoch)
        epochs.report(0.5 + epoch / 100)
        if epoch == 2:
            state = epochs.state_dict()
    assert seen == [1, 2, 3]
    resumed = Epochs(20, "max", **options)
    resumed.load_state_dict(state)
    again = []
    for epoch in resumed:
        again.append(epoch)
        resumed.report(0.5 + epoch / 100)
    assert again == [3]


@pytest.mark.parametrize("how", ["to the end", "stopped", "left"])
def test_each_further_loop_begins_anew(model, how):
    options = {"model": model, "bounds": (0, 1), "patience": 2}
    epochs = Epochs(5, "max", beat=1.0 if how == "stopped" else 0.0, **options)
    for fold in range(3):
        seen = []
        for epoch in epochs:
            seen.append(epoch)
            epochs.report(0.5 + epoch / 100 + fold / 1000)
            if how == "left" and epoch == 3:
                break
        assert seen == {"to the end": [1, 2, 3, 4, 5], "stopped": [1, 2]}.get(
            how, [1, 2, 3]
        )
        assert epochs.observations.curve[1] == 0.51 + fold / 1000
        assert len(epochs.observations.curve) == len(seen)
    state = epochs.state_dict()
    epochs.load_state_dict(state)
    assert next(iter(epochs), 6) == len(seen) + 1


def test_a_population_waits_for_finished_runs(model):
    runs = SearchMonitor("max", 5, n_startup=2, bounds=(0, 1), model=model)
    for run in ("a", "b"):
        assert not any(runs.report(run, y, i) for i, y in enumerate(CURVE, 1))
    assert runs.incumbent() == pytest.approx(0.66)
    runs.report("c", 1.0, 5)
    worse = [y - 0.1 for y in CURVE[:3]]
    assert [runs.report("d", y, i) for i, y in enumerate(worse, 1)][-1]
    assert runs.chance("d") < 0.05
    # As hopeless, but no run was better at these steps.
    assert not any(runs.report("e", y, i) for i, y in enumerate(CURVE[:3], 1))
    assert runs.runs["e"].decision.kind == "protected"
    assert runs.chance("new") == 1
    assert runs.most_promising(["d", "new"]) == "new"
    unprotected = SearchMonitor("max", 5, protect=0, bounds=(0, 1), model=model)
    unprotected.report("c", 1.0, 5)
    assert [unprotected.report("e", y, i) for i, y in enumerate(CURVE[:3], 1)][-1]
    with pytest.raises(ValueError, match="protect must lie"):
        SearchMonitor("max", 5, protect=2)
    second = SearchMonitor("max", 5, top_k=2, model=model)
    for run, value in (("a", 0.3), ("b", 0.9), ("c", 0.5)):
        second.report(run, value, 5)
    assert second.incumbent() == 0.5


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ((200, 100, 300), [100, 200, 300]),
        ((200, 100), [100, 200]),
        ((3, 2, 1, 4), [1, 2, 3, 4]),
        ((5, 0, 10), [0, 5, 10]),
        # The first of all that are known again: another curve.
        ((200, 100, 300, 100, 150), [100, 150]),
        ((2, 1, 3, 1, 2), [1, 2]),
    ],
)
def test_a_late_first_observation_is_told_from_a_restart(model, steps, kept):
    watch = monitor(model, horizon=1000)
    for i, step in enumerate(steps):
        watch.report(0.3 + i / 100, step)
    assert list(watch.observations.curve) == kept
    newest = {step: 0.3 + i / 100 for i, step in enumerate(steps)}
    assert list(watch.observations.curve.values()) == [newest[step] for step in kept]


@given(st.permutations(range(1, 9)))
def test_observations_in_any_order_are_one_curve(steps):
    observations = Observations(WarnOnce())
    assert not any(
        observations.add(step / 10, step, 10) is ReportKind.RESTART for step in steps
    )
    assert list(observations.curve.items()) == [(i, i / 10) for i in range(1, 9)]
    assert observations.last == 8
    assert observations.after(5) == [6, 7, 8]


def test_a_score_that_is_undefined_in_one_epoch_is_skipped_where_wanted(model):
    plain, skips = monitor(model, beat=0.1), monitor(model, beat=0.1, nan="skip")
    assert [plain.report(y, i) for i, y in enumerate((0.5, np.nan), 1)] == [False, True]
    for step, y in ((1, 0.5), (2, np.nan), (None, 0.6), (None, np.nan), (None, 0.7)):
        assert not skips.report(y, step)
    assert skips.observations.curve == {1: 0.5, 3: 0.6, 5: 0.7}
    assert skips.report(np.inf, 6)
    assert skips.decision.kind == "diverged"
    assert not skips.read({1: 0.5, 2: np.nan})
    fold = monitor(model, nan="skip")  # the next fold begins with an undefined score
    for step, y in ((1, 0.5), (2, 0.6), (1, np.nan), (2, 0.4)):
        fold.report(y, step)
    assert fold.observations.curve == {2: 0.4}
    with pytest.raises(ValueError, match='nan must be "diverged"'):
        monitor(model, nan="ignore")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({"streak": float("inf")}, "streak must be a whole number"),
        ({"streak": 10**400}, "streak must be a whole number"),
        ({"streak": -1}, "streak must be a whole number"),
        ({"streak": True}, "streak must be a whole number"),
        ({"curve": [[1, 10**400]]}, "observation 0 must be numbers"),
        ({"curve": [[10**400, 0.5]]}, "observation 0 must be numbers"),
        ({"curve": [[2, 0.5], [1, 0.6]]}, "steps must increase"),
        ({"curve": [[1, 0.5], [1, 0.6]]}, "steps must increase"),
        ({"curve": [[-1, 0.5]]}, "steps must increase"),
        ({"curve": [["inf", 0.5]]}, "steps must increase"),
        ({"stopped_at": "there"}, "stopped_at must be"),
    ],
)
def test_what_is_wrong_with_a_state_is_named_when_it_is_loaded(model, damage, named):
    watch = monitor(model)
    for i, y in enumerate(CURVE, 1):
        watch.report(y, i)
    with pytest.warns(MonitorWarning, match=named):
        watch.load_state_dict(watch.state_dict() | damage)
    assert not watch.observations.curve
    assert watch.state_dict()["streak"] == 0


def test_many_observations_are_restored_in_one_pass(model):
    curve = [[i, 0.9 - 0.5 / i] for i in range(1, 20_001)]
    watch = monitor(model, horizon=40_000)
    state = watch.state_dict() | {"curve": curve}

    watch.load_state_dict(state)
    watch.report(0.9, 20_001)
    assert len(watch.observations.curve) == 20_001


def test_a_finished_run_out_of_bounds_does_not_end_all_stopping(model):
    runs = SearchMonitor("max", 5, bounds=(0, 1), model=model)
    known = ended(runs, {5: 85.0}, {5: 0.5}, {5: np.nan})
    with pytest.warns(MonitorWarning, match="a finished run was left out"):
        runs.over(known["other 0"], 85.0)
    assert runs.incumbent(known) == 0.5
    runs.over(known["other 2"], 85.0)  # said once
    assert runs.incumbent(known) == 0.5
    # Nor does it take the protection from the best of the others.
    own, *others = (
        x.bests for x in ended(runs, {1: 0.5}, {1: 85.0}, {1: 0.4}).values()
    )
    assert runs.rule.spares(own, others, 0.9)


def test_what_beats_the_incumbent_is_never_stopped_for_its_plateau(model):
    curve = {i: 0.9 for i in range(1, 15)}
    runs = SearchMonitor(
        "max", 20, bounds=(0, 1), model=model, protect=0, confidence=0.5
    )
    known = ended(runs, {i: 0.8 for i in range(1, 21)})
    known["going"] = runs.hold("going", {i: 0.95 for i in range(1, 21)})
    assert not runs.judge("a", curve, known)[0]
    stop, watch = runs.judge("b", curve | {15: np.nan}, known)
    assert stop
    assert watch.decision.kind == "diverged"


@pytest.mark.parametrize(
    ("steps", "last", "warns"),
    [
        (range(1, 11), 10, False),  # 1, ..., n
        (range(10), 9, False),  # 0, ..., n - 1
        (range(0, 10, 2), 8, False),
        (range(1, 8), 7, True),
        (range(1, 13), 10, True),
        ([4], 4, False),
    ],
)
def test_finished_runs_tell_where_a_run_ends(steps, last, warns):
    runs = SearchMonitor("max", 10, bounds=(0, 1))
    known = ended(runs, {i: 0.5 for i in steps}, {1: 0.4})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = [runs.end(known) for _ in range(2)]
        assert found == [last, last]
    assert len(told) == warns
    assert all(
        f"horizon is 10, but the longest finished run ended at step {max(steps)}"
        in str(warning.message)
        for warning in told
    )


def test_no_run_is_stopped_at_its_last_observation(model):
    runs = SearchMonitor(
        "max", 5, bounds=(0, 1), model=model, protect=0, confidence=0.5
    )
    for i, y in enumerate(CURVE):
        runs.report("a", y, i)
    runs.report("b", 1.0, 4)
    for run in "ab":
        runs.finish(run)
    assert [runs.report("c", y, i) for i, y in enumerate(CURVE)][1:] == [True] * 3 + [
        False
    ]


def test_a_search_has_no_configuration_of_its_own():
    with pytest.raises(TypeError, match="config is of one run"):
        SearchMonitor("max", 10, config={"lr": 0.1})
