"""One search: its runs, and forecasts that know the others."""

import json
import pickle

import numpy as np
import pytest

import lcpfn
from lcpfn import programs
from lcpfn.stopping.next_step import Prospect, prospect_of_new, worth_of_any
from lcpfn.stopping.rule import METHODS, Rule
from lcpfn.stopping.search_monitor import SearchMonitor
from lcpfn.stopping.threshold import chance_of
from tests.makers import power_laws

RNG = np.random.default_rng(5)
CURVES = {
    f"trial {i}": 0.3 + RNG.random() * np.arange(1.0, n + 1) ** -0.6
    for i, n in enumerate((20, 20, 9, 4, 1))
}
CONFIGS = {name: {"lr": float(RNG.random())} for name in CURVES}


def make_study(model, curves=CURVES, **options):
    study = lcpfn.Study(20, "min", model=model, **options)
    for name, values in curves.items():
        study.extend(name, values, config=CONFIGS[name])
    return study


def median(study, run):
    return study.forecast(run).median()


def test_a_forecast_is_that_of_extrapolate_with_the_other_runs(knowing):
    study = make_study(knowing)
    others = [
        lcpfn.Run(values, config=CONFIGS[name])
        for name, values in CURVES.items()
        if name != "trial 3"
    ]
    expected = knowing.extrapolate(
        CURVES["trial 3"], 20, mode="min", others=others, config=None
    )
    assert study.forecast("trial 3").steps.tolist() == expected.steps.tolist()
    without = make_study(knowing, {"trial 3": CURVES["trial 3"]})
    alone = knowing.extrapolate(CURVES["trial 3"], 20, mode="min")
    np.testing.assert_allclose(median(without, "trial 3"), alone.median(), rtol=1e-6)
    assert np.abs(median(study, "trial 3") - alone.median()).max() > 1e-3


def test_it_does_not_matter_how_observations_arrived(knowing):
    slow = lcpfn.Study(20, "min", model=knowing)
    longest = max(map(len, CURVES.values()))
    for step in range(longest):
        for name, values in CURVES.items():
            if step < len(values):
                slow.report(name, values[step], step + 1, config=CONFIGS[name])
        if step % 4 == 0:
            slow.forecast("trial 0")
    fresh = make_study(knowing)
    for name in ("trial 2", "trial 4"):
        np.testing.assert_allclose(median(slow, name), median(fresh, name), 1e-4)


def test_runs_that_began_earlier_and_dropped_ones(knowing):
    study = make_study(knowing)
    study.forecast("trial 3")
    study.extend("early", [0.9, 0.8], [0.0, 1.0])
    study.drop("trial 1")
    curves = {n: v for n, v in CURVES.items() if n != "trial 1"}
    fresh = make_study(knowing, curves)
    fresh.extend("early", [0.9, 0.8], [0.0, 1.0])
    np.testing.assert_allclose(
        median(study, "trial 3"), median(fresh, "trial 3"), rtol=1e-4
    )


def test_a_study_goes_on_from_its_state(knowing):
    study = make_study(knowing)
    study.report("trial 2", float("nan"))
    study.decide("trial 3")
    state = json.loads(json.dumps(study.state_dict(), allow_nan=False))
    again = lcpfn.Study(20, "min", model=knowing)
    again.load_state_dict(state)
    assert json.dumps(again.state_dict()) == json.dumps(state)
    np.testing.assert_allclose(median(again, "trial 3"), median(study, "trial 3"))


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {"format": 9, "runs": []},
        {"format": 1, "runs": [{"name": "a"}]},
        {"format": 1, "runs": [{"name": "a", "curve": [[1, 2], [1, 3]]}]},
    ],
)
def test_what_is_no_state_is_refused_and_changes_nothing(knowing, broken):
    study = make_study(knowing)
    with pytest.raises(ValueError, match="this is no state of a study"):
        study.load_state_dict(broken)
    assert len(study) == len(CURVES)


def test_nothing_is_stopped_before_a_run_has_finished(knowing):
    study = make_study(knowing, {"trial 3": CURVES["trial 3"]})
    assert study.incumbent() is None
    decision = study.decide("trial 3")
    assert not decision.stop or decision.kind == "plateau"


def test_all_runs_are_decided_as_one_by_one(knowing):
    every = make_study(knowing).decide_all()
    assert list(every) == ["trial 2", "trial 3", "trial 4"]
    for name, decision in every.items():
        one = make_study(knowing).decide(name)
        assert one.kind == decision.kind
        assert one.prob_better == pytest.approx(decision.prob_better, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_chances_of_many_are_those_of_each(knowing, method):
    rule, study = Rule(20, "min", method=method), make_study(knowing)
    study.report("trial 2", float("inf"))
    forecasts = study.forecast_all(CURVES)
    thresholds = np.where(np.arange(len(CURVES)) == 3, np.nan, 0.3)
    chances = chance_of(rule, forecasts, thresholds, np.full(len(CURVES), 0.05))
    assert chances.shape == (len(CURVES),)
    for i, chance in enumerate(chances):
        one = chance_of(rule, forecasts[i], float(thresholds[i]), 0.05)
        assert chance == pytest.approx(one, rel=1e-9)


def test_runs_of_a_study_are_told_apart_by_name(knowing):
    alike = {name: CURVES["trial 3"] for name in CURVES}
    many, one = (make_study(knowing, c) for c in (alike, {"trial 0": alike["trial 0"]}))
    apart = np.abs(median(many, "trial 0") - median(one, "trial 0"))
    assert apart.max() > 1e-6


@pytest.mark.parametrize("other", [(20, "max"), (30, "min"), (20, "min", (0, 1))])
def test_the_state_of_another_search_is_refused(knowing, other):
    state = make_study(knowing).state_dict()
    study = lcpfn.Study(*other, model=knowing)
    with pytest.raises(ValueError, match="give that one's horizon, mode and bounds"):
        study.load_state_dict(state)
    assert len(study) == 0


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "2", None])
def test_what_resuming_costs_is_checked(knowing, cost):
    with pytest.raises(ValueError, match="resume_cost must be"):
        make_study(knowing).next(resume_cost=cost)


def test_what_is_no_list_is_refused(knowing):
    study = make_study(knowing)
    with pytest.raises(ValueError, match="busy must be a list of names, got 5"):
        study.next(busy=5)
    with pytest.raises(ValueError, match="candidates must be a list of configurations"):
        study.next(5)
    with pytest.raises(ValueError, match=r"protect must lie in \[0, 1\], got 'a'"):
        lcpfn.Study(20, "min", protect="a")


def test_the_same_question_has_the_same_answer(knowing):
    study = make_study(knowing, patience=2)
    first, second = study.decide("trial 3"), study.decide("trial 3")
    assert (first.kind, first.streak) == (second.kind, second.streak)


def test_refused_reports_change_nothing():
    study = lcpfn.Study(20, "max", (0, 1))
    for report, message in (
        ((("a",), 0.5), "name of a run must be"),
        ((True, 0.5), "name of a run must be .*, got True"),
        (("a", 50.0), "run 'a': .*outside|run 'a':.*bounds"),
        (("a", 0.5, 21), "beyond the horizon"),
    ):
        with pytest.raises(ValueError, match=message):
            study.report(*report)
    with pytest.raises(ValueError, match="hyperparameter 'lr'"):
        study.report("a", 0.5, config={"lr": []})
    assert len(study) == 0
    with pytest.raises(KeyError, match="there is no run 'b'"):
        study.finish("b")


def test_next_begins_some_runs_before_it_compares(knowing):
    study = lcpfn.Study(20, "min", model=knowing)
    assert study.next().kind == "stop"
    first = study.next([{"lr": 0.1}])
    assert (first.kind, first.candidate, first.run) == ("start", 0, None)
    study.extend("a", CURVES["trial 3"])
    todo = study.next([{"lr": 0.1}])
    assert (todo.kind, todo.until) == ("start", 1)
    assert "1 begun so far" in todo.reason
    todo = study.next()
    assert (todo.kind, todo.run, todo.until) == ("continue", "a", 5)
    assert study.next(busy=["a"]).kind == "stop"


def test_next_prefers_what_gains_most_for_its_price(knowing):
    study = make_study(knowing)
    found = [study.next([{"lr": 0.1}, {}], busy=busy) for busy in ([], ["trial 2"])]
    for todo in found:
        assert todo.kind in ("continue", "start")
        assert todo.reason.endswith(" steps.")
        assert todo.score > 0
    assert found[1].run != "trial 2"
    dear = study.next(resume_cost=1e9)
    assert dear.score < study.next().score


def test_next_without_others_in_the_checkpoint_still_has_a_price_for_a_fresh_run(model):
    study = make_study(model)
    todo = study.next([{}], busy=["trial 2", "trial 3", "trial 4"])
    assert (todo.kind, todo.candidate) == ("start", 0)
    with pytest.raises(ValueError, match="config of candidate 0 must map"):
        study.next([3])
    for one in ({"lr": 0.1}, "lr"):
        with pytest.raises(ValueError, match="candidates must be a list"):
            study.next(one)
    # Candidates are looked at once.
    assert study.next({"lr": lr} for lr in (0.1, 0.2)) == study.next(
        [{"lr": 0.1}, {"lr": 0.2}]
    )


def test_a_candidate_is_worth_what_is_forecast_and_no_more_than_is_usual():
    low, high = (
        Prospect(np.array([2.0, 4]), np.array(x), 0.5) for x in ([1, 3], [2, 9])
    )
    usual = Prospect(np.array([1.0]), np.array([1.0]), 0.1)
    assert prospect_of_new(low, usual) is low
    assert prospect_of_new(high, usual) is usual


def test_a_candidate_that_will_improve_on_first_steps_is_worth_no_more_than_is_usual(
    default,
):
    """All runs have begun and rise: every new one will get beyond what they showed."""
    study = lcpfn.Study(40, "max", (0, 1), model=default)
    for k in range(8):
        study.extend(k, [0.3 + 0.01 * k, 0.45], config={"lr": 0.1 + 0.01 * k})
    todo = study.next([{"lr": 0.14}], busy=range(8))
    gain, _ = worth_of_any([0.45] * 8, 0.45)
    assert todo.score == pytest.approx(gain / 2)  # at the first rung, 0.05 * 40
    study.report(0, 0.5, step=3)
    gain, _ = worth_of_any([0.5, *[0.45] * 7], 0.5)
    assert study.next([{"lr": 0.14}], busy=range(8)).score == pytest.approx(gain / 2)


def test_an_option_that_there_is_not_is_named():
    with pytest.raises(TypeError, match="there is no option 'protct'; those of a stop"):
        lcpfn.Study(20, "min", protct=0.1)


@pytest.mark.parametrize("count", [4, 18])
def test_a_study_agrees_with_extrapolate_also_on_configurations(knowing, count):
    """Also where the run is far enough to say which hyperparameters matter."""
    rng = np.random.default_rng(1)
    runs = {
        name: lcpfn.Run(values, config={k: float(rng.random()) for k in "abc"})
        for name, values in (CURVES | dict(enumerate(power_laws(80, 20)))).items()
    }
    asked, config = power_laws(1, count, seed=9)[0], {"a": 0.5, "b": 0.2, "c": 0.9}
    study = lcpfn.Study(20, "min", model=knowing)
    for name, run in runs.items():
        study.extend(name, run.values, config=run.config)
    study.extend("asked", asked, config=config)
    expected = knowing.extrapolate(
        *(asked, 20), mode="min", others=runs.values(), config=config
    )
    found = median(study, "asked")
    np.testing.assert_allclose(found, expected.median(), rtol=1e-6)


def test_runs_that_diverged_at_once_are_over(knowing):
    study = lcpfn.Study(20, "min", model=knowing)
    study.report("a", float("nan"))
    decision = study.decide("a")
    assert decision.forecast.diverged
    assert study.next().kind == "stop"
    assert study.next([{"lr": 1.0}]).kind == "start"


def test_a_value_to_beat_does_for_a_finished_run(knowing):
    study = lcpfn.Study(20, "min", model=knowing, beat=0.5)
    assert study.next([{"lr": 1.0}]).kind == "start"


def test_a_run_can_be_stopped_when_only_the_incumbent_has_changed(knowing):
    study = make_study(knowing, {"trial 3": CURVES["trial 3"]}, protect=0)
    before = study.decide("trial 3")
    study.extend("better", [1e-9], [20])
    after = study.decide("trial 3")
    assert after.streak <= 1
    assert after.kind != "patience"
    assert before.streak <= 1


def test_a_run_that_was_stopped_is_no_finished_one(knowing):
    """As in the adapters; only a diverged one could be better than the incumbent."""
    study = make_study(knowing)
    before = study.incumbent()
    for name in ("stopped", "ended"):
        study.extend(name, [1e-9, float("nan")])
    assert study.decide("stopped").stop
    study.finish("stopped")
    assert study.incumbent() == before
    again = lcpfn.Study(20, "min", model=knowing)
    again.load_state_dict(json.loads(json.dumps(study.state_dict())))
    for one in (study, again):
        assert one.incumbent() == before
        one.finish("ended")
        assert one.incumbent() == 1e-9
        one.report("stopped", 1e-10)  # it went on all the same
        assert one.incumbent() == 1e-10
        assert "stopped" not in one.going
    old = study.state_dict()
    for run in old["runs"]:
        del run["stopped"]
    again.load_state_dict(old)
    assert again.incumbent() == 1e-10


def test_a_study_decides_as_the_adapters_do(knowing):
    """One that reports to monitors, and one that keeps the observations itself."""
    options = {"model": knowing, "n_startup": 2, "confidence": 0.5, "cautious": 1}
    study = lcpfn.Study(20, "min", **options)
    told, asked = (SearchMonitor("min", 20, **options) for _ in range(2))
    said, known = set(), {}
    for name, values in (CURVES | {"trial 4": [0.9, np.nan]}).items():
        for step, value in enumerate(values, 1):
            curve = dict(enumerate(values[:step], 1))
            study.report(name, value, step, config=CONFIGS[name])
            told.configure(name, CONFIGS[name])
            stop = told.report(name, value, step)
            known[name] = asked.hold(name, curve, CONFIGS[name])
            if step == 20:
                asked.over(known[name])
            judged, monitor = asked.judge(name, curve, known)
            assert study.incumbent() == asked.incumbent(known)
            if study.incumbent() is None or step == 20:
                continue
            decision = study.decide(name)
            assert decision.stop == stop == judged
            for other in (told.runs[name].decision, monitor.decision):
                assert other.kind == decision.kind
                assert other.prob_better == pytest.approx(decision.prob_better, 1e-4)
            said.add(decision.kind)
    assert told.incumbent() == asked.incumbent() == study.incumbent()
    assert {"promising", "diverged"} <= said


def test_thousands_of_runs_are_read_once_and_forecast_in_one_call(
    model, knowing, monkeypatch
):
    """By checkpoints that know other runs, and by those that do not."""
    read: list[int] = []
    for name in ("read", "read_runs"):
        program = getattr(programs, name)

        def counted(*args, program=program, **options):
            read.append(int((args[2].last >= 0).sum()))
            return program(*args, **options)

        monkeypatch.setattr(programs, name, counted)
    curves = power_laws(264, 5)
    for one in (model, knowing):
        study = lcpfn.Study(20, "min", model=one)
        for i, values in enumerate(curves):
            study.extend(i, values[:4])
        before = study.forecast_all()
        assert len(before) == len(curves)
        assert sum(read) >= len(curves)
        read.clear()
        for i in (7, 200):
            study.report(i, curves[i, 4])
        found = study.forecast_all()
        assert sum(read) <= 8  # two, and what fills the batch
        read.clear()
        fresh = lcpfn.Study(20, "min", model=one)
        for i, values in enumerate(curves):
            fresh.extend(i, values[: 5 if i in (7, 200) else 4])
        expected = fresh.forecast_all(range(len(curves))).final.median()
        np.testing.assert_allclose(found.final.median(), expected, rtol=1e-3)
        read.clear()


def test_several_runs_are_a_batch_in_the_order_of_their_names(model):
    study = make_study(model)
    assert study.going == ["trial 2", "trial 3", "trial 4"]
    some = study.forecast_all(["trial 4", "trial 0"])
    for i, name in enumerate(["trial 4", "trial 0"]):
        one = study.forecast(name)
        assert some.final.mean()[i] == pytest.approx(float(one.final.mean()), rel=1e-4)
    assert some.final.std()[1] == 0  # at its horizon
    gains = study.forecast_all().final.expected_improvement(0.4)
    assert gains.shape == (3,)
    for runs, message in (("trial 4", "list of names"), ([], "no runs to forecast")):
        with pytest.raises(ValueError, match=message):
            study.forecast_all(runs)
    with pytest.raises(KeyError, match="there is no run 'x'"):
        study.forecast_all(["x"])


def test_long_runs_are_forecast_as_streams(model):
    length = 2 * model.config.context + 5
    (values,) = power_laws(1, length)
    study, stream = (
        lcpfn.Study(length + 20, "min", model=model),
        model.stream(length + 20, mode="min"),
    )
    for value in values:
        study.report("a", value)
        stream.extend([value], [None])
    expected = stream.forecast().final.mean()
    assert study.forecast("a").final.mean() == pytest.approx(expected, rel=1e-3)


def test_nothing_is_said_of_a_run_without_observations_and_without_others(
    model, knowing
):
    for one, others in ((model, True), (knowing, False)):
        study = lcpfn.Study(20, "min", model=one)
        study.extend("a", [], config={"lr": 0.1})
        if others:
            study.extend("b", CURVES["trial 3"])
        with pytest.raises(ValueError, match="a run without observations"):
            study.forecast("a")
        assert study.going == ["b"] * others
    study.extend("b", CURVES["trial 3"])
    assert np.isfinite(median(study, "a")).all()


def test_a_finished_run_that_only_diverged_is_no_measure(model):
    study = lcpfn.Study(20, "min", model=model, beat=0.5)
    study.report("gone", float("nan"))
    study.finish("gone")
    study.extend("far", [0.9, 0.8], [1, 20])
    study.extend("also far", [0.9, 0.85], [1, 20])
    todo = study.next([{}])
    assert (todo.kind, todo.candidate) == ("start", 0)
    assert todo.score > 0


def test_a_study_is_pickled_without_its_network():
    study = lcpfn.Study(20, "min", model=lcpfn.load("domhan"))
    study.extend("a", CURVES["trial 3"])
    before = median(study, "a")
    packed = pickle.dumps(study)
    assert len(packed) < 10_000
    np.testing.assert_allclose(median(pickle.loads(packed), "a"), before, rtol=1e-6)


def test_names_and_horizon_may_be_numbers_of_numpy(model):
    study = lcpfn.Study(np.int64(20), "min", model=model)
    study.report(np.int64(3), 0.5)
    study.report(3, 0.4)
    assert list(study.runs) == [3]
    json.dumps(study.state_dict())


def test_finalists_are_runs_that_may_be_the_best(knowing):
    study = make_study(knowing)
    study.extend("diverged", [0.5, float("nan")])
    found = study.finalists(10)
    assert {f.run for f in found} == set(CURVES)
    assert sum(f.chance for f in found) == pytest.approx(1)
    chances = [f.chance for f in found]
    assert chances == sorted(chances, reverse=True)
    for finalist in found:
        reached = min(CURVES[finalist.run])
        word = "reached" if len(CURVES[finalist.run]) == 20 else "is forecast to reach"
        assert word in finalist.reason
        assert finalist.value <= reached + 1e-12
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        study.finalists(0)
    assert lcpfn.Study(20, "min", model=knowing).finalists() == []


def test_replicas_say_how_often_finalists_are_run_again():
    study = lcpfn.Study(3, "max", (0, 1))
    for seed, end in enumerate((0.80, 0.82, 0.84)):
        study.extend(f"a{seed}", [0.5, 0.6, end], config={"lr": 0.1})
    study.extend("b", [0.5, 0.6, 0.79], config={"lr": 0.2})
    best, *_ = study.finalists(1)
    assert (best.run, best.value) == ("a2", 0.84)
    # Seeds stray by 0.02, as far as the next run is away: eight of each, one is there.
    assert best.seeds == 7
