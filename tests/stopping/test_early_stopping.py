"""The stopping rule on forecasts made up for it, and its state on real ones."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lcpfn
import lcpfn.stopping.decision
from lcpfn.stopping.decision import KINDS, Evidence, Progress, decide, decide_all
from lcpfn.stopping.early_stopping import EarlyStopping
from lcpfn.stopping.rule import Rule
from lcpfn.stopping.threshold import (
    among_best,
    best_of,
    chance_of,
    incumbent_of,
    threshold_of,
)

CURVE = [0.52, 0.61, 0.58, 0.66, 0.69]


def forecast(chances, final=0.7, diverged=False, queried=None):
    """A forecast that beats any threshold with these probabilities at its steps."""

    def prob_better(y):
        if queried is not None:
            queried.append(y)
        return np.array(chances, float)

    return SimpleNamespace(
        steps=np.arange(len(chances)) + 3.0,
        diverged=diverged,
        finished=not len(chances),
        final=SimpleNamespace(
            mean=lambda: final,
            std=lambda: 0.02,
            quantile=lambda q: final + 0.1 * (np.asarray(q) - 0.5),
        ),
        prob_better=prob_better,
        has_best=False,
    )


def joint(ever, each=(0.01,), surprise=1.0):
    """A forecast that knows the probability of ever beating the threshold."""
    made = forecast(each)
    made.has_best, made.surprise = True, surprise
    made.best = SimpleNamespace(prob_better=lambda y: ever)
    return made


def judge(rule, values, forecast, streak, protected=False, step=None):
    at = len(values) if step is None else step
    run = Progress.of(list(values), rule.mode, at)
    return decide(rule, run, forecast, streak, protected)


def decide_with(chances, streak=0, values=(0.5, 0.6), **options):
    plain = {"horizon": 10, "mode": "max", "beat": 0.8, "method": "marginal"}
    rule = Rule(**(plain | {"cautious": 1} | options))
    return judge(rule, values, forecast(chances), streak)


def test_hopeless_at_every_step_is_stopped():
    decision, streak = decide_with([0.01, 0.02, 0.015])
    assert decision.stop
    assert streak == 1
    assert decision.prob_better == 0.02
    assert decision.expected_final == 0.7
    assert decision.threshold == 0.8
    assert "2.0%" in decision.reason
    assert "0.8" in decision.reason
    assert "stopped at confidence 0.975" in decision.reason


def test_one_hopeful_step_is_enough_to_go_on():
    decision, streak = decide_with([0.01, 0.06, 0.01], streak=3)
    assert not decision.stop
    assert streak == 0
    assert "going on" in decision.reason


@pytest.mark.parametrize(
    ("confidence", "stop"), [(0.5, True), (0.9, True), (0.95, False)]
)
def test_confidence_is_the_probability_of_being_right(confidence, stop):
    assert decide_with([0.08], confidence=confidence)[0].stop is stop


def test_patience_counts_decisions_in_a_row():
    stops, streak = [], 0
    for chance in (0.01, 0.01, 0.5, 0.01, 0.01, 0.01):
        decision, streak = decide_with([chance], streak, patience=3)
        stops.append(decision.stop)
    assert stops == [False, False, False, False, False, True]
    assert "1 of 3 agreeing" in decide_with([0.01], 0, patience=3)[0].reason


def test_from_few_observations_it_has_to_be_surer():
    chance, sure = 0.02, {"confidence": 0.9, "cautious": 5}
    kinds = [
        decide_with([chance], values=[0.5] * count, **sure)[0].kind
        for count in (2, 3, 4, 5)
    ]
    # 0.1 times 1/16, 1/4, 9/16 and 1.
    assert kinds == ["too early", "hopeless", "hopeless", "hopeless"]
    early = decide_with([chance], values=[0.5] * 2, **sure)[0]
    assert "not sure enough to stop after 2 observations" in early.reason
    assert decide_with([0.0], values=[0.5] * 2, **sure)[0].stop


def test_too_few_records_are_never_stopped():
    decision, streak = decide_with([0.0], values=(0.5, 0.6), min_steps=3)
    assert not decision.stop
    assert streak == 1
    assert "too early to stop, 2 of 3" in decision.reason
    assert decide_with([0.0], values=(0.5, 0.6, 0.6), min_steps=3)[0].stop


@pytest.mark.parametrize(
    ("mode", "beat", "values", "threshold"),
    [
        ("max", 0.8, [0.5, 0.6], 0.8),
        ("max", 0.8, [0.5, 0.9, 0.7], 0.9),
        ("max", None, [0.5, 0.9, 0.7], 0.9),
        ("min", 0.8, [0.9, 1.1], 0.8),
        ("min", 0.8, [0.5, 0.9], 0.5),
        ("min", None, [0.5, 0.4, 0.9], 0.4),
        ("min", None, [np.nan, 0.4, -np.inf], 0.4),
        ("max", 0.8, [np.nan], 0.8),
        ("max", -np.inf, [0.5], 0.5),
    ],
)
def test_the_threshold_counts_the_runs_own_best_in(mode, beat, values, threshold):
    rule = Rule(horizon=10, mode=mode, beat=beat, method="marginal")
    assert threshold_of(rule, best_of(values, rule.mode)) == threshold
    queried = []
    decision, _ = judge(rule, values, forecast([0.5], queried=queried), 0)
    assert queried == [threshold]
    assert decision.threshold == threshold
    own = beat is None or threshold != beat
    assert ("its own best" in decision.reason) is own


def test_without_any_number_there_is_no_threshold():
    assert np.isnan(threshold_of(Rule(horizon=10, mode="max"), np.nan))


def test_a_diverged_run_is_stopped_for_that_reason():
    rule = Rule(horizon=10, mode="max", beat=0.8)
    lost = forecast([0.0], final=-np.inf, diverged=True)
    decision, streak = judge(rule, [0.5, 0.6, np.nan], lost, 0)
    assert decision.stop
    assert streak == 1
    assert decision.reason.startswith("The run diverged: its last value is nan")


@pytest.mark.parametrize(("beat", "chance"), [(0.55, 1.0), (0.8, 0.0), (None, 0.0)])
def test_at_the_horizon_there_is_nothing_to_stop(beat, chance):
    rule = Rule(horizon=2, mode="max", beat=beat)
    decision, streak = judge(rule, [0.5, 0.6], forecast([], final=0.6), 5)
    assert not decision.stop
    assert streak == 0
    assert decision.expected_final == 0.6
    assert decision.prob_better == chance
    assert "reached its horizon of 2" in decision.reason


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"horizon": 0}, "positive number"),
        ({"mode": "best"}, "mode must be"),
        ({"bounds": (1, 0)}, "low < high"),
        ({"beat": "0.8"}, "beat must be a number or None, got '0.8'"),
        ({"beat": np.nan}, "beat must be a number"),
        ({"beat": 81, "bounds": (0, 1)}, "beat must lie within bounds.*81"),
        ({"confidence": 0.3}, r"confidence must lie in \[0.5, 1\).*got 0.3"),
        ({"confidence": 1}, "confidence must lie"),
        ({"confidence": 95}, "confidence must lie"),
        ({"patience": 0}, "patience must be a positive integer, got 0"),
        ({"by_cost": "no"}, "by_cost must be True or False, got 'no'"),
        ({"by_cost": None}, "by_cost must be True or False"),
        ({"patience": 1.5}, "patience must be a positive integer"),
        ({"min_steps": 0}, "min_steps must be a positive integer, got 0"),
        ({"method": "always"}, 'method must be "ever" or "marginal", got .always'),
        ({"max_surprise": -1}, "max_surprise must be a number >= 0 or None, got -1"),
        ({"min_delta": "1"}, "min_delta must be a number >= 0 or None"),
        ({"confidence": ((0.5, 0.9), (0.2, 0.95))}, "increasing shares"),
        ({"confidence": ((0.0, 0.2),)}, "confidence must lie"),
        ({"confidence": [0.9, 0.95]}, "confidence must be a number such as 0.95"),
    ],
)
def test_impossible_rules_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**({"horizon": 10, "mode": "max"} | wrong))


def stopper(model, **options):
    rule = {
        "horizon": 20,
        "mode": "max",
        "bounds": (0.0, 1.0),
        "patience": 2,
        "method": "marginal",
    }
    return EarlyStopping(**(rule | options), model=model)


def test_decisions_come_from_the_forecast(model):
    watch = stopper(model, beat=0.8)
    for i, value in enumerate(CURVE, start=1):
        decision = watch.update(value, step=i)
        wanted = model.extrapolate(CURVE[:i], 20, mode="max", bounds=(0, 1))
        chance = wanted.prob_better(0.8).max()
        assert decision.prob_better == pytest.approx(chance, abs=1e-4)
        expected = wanted.final.mean()
        assert decision.expected_final == pytest.approx(expected, abs=1e-4)
        assert isinstance(decision, lcpfn.Decision)


def test_an_impossible_goal_stops_the_run(model):
    watch = stopper(model, beat=1.0)
    stops = [watch.update(value).stop for value in CURVE]
    assert stops == [False, True, True, True, True]


def test_replay_decides_at_the_newest_record(model):
    one, two = stopper(model, beat=0.8), stopper(model, beat=0.8)
    decision = one.replay(CURVE, range(1, 6))
    for value in CURVE:
        last = two.update(value)
    assert decision.prob_better == pytest.approx(last.prob_better, abs=1e-5)
    assert decision.threshold == last.threshold


def test_refused_values_leave_the_state_as_it_was(model):
    watch = stopper(model)
    watch.update(0.5)
    before = watch.state_dict()
    for value, step in ((50.0, None), (0.6, 1), (0.6, 99)):
        with pytest.raises(ValueError, match=r"bounds|increase|beyond"):
            watch.update(value, step)
    assert watch.state_dict() == before


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beat": np.float32(0.75), "horizon": np.int64(20), "patience": np.int64(2)},
        {"beat": -np.inf, "bounds": (0, np.inf)},
        {"bounds": (np.float32(0), None), "min_steps": np.int32(3)},
        {"bounds": None},
        {"confidence": ((0.0, 0.99), (0.5, 0.9)), "min_delta": 0.01},
    ],
)
def test_state_survives_json(model, options):
    one = stopper(model, **options)
    for value in (0.5, np.nan, 0.6):
        one.update(value)
    text = json.dumps(one.state_dict(), allow_nan=False)
    two = EarlyStopping(horizon=5, mode="min", model=model)
    two.load_state_dict(json.loads(text))
    assert two.rule == one.rule
    assert two.state_dict() == json.loads(text)
    for value in (0.62, np.nan):
        here, there = one.update(value), two.update(value)
        assert (here.stop, here.reason, here.threshold) == (
            there.stop,
            there.reason,
            there.threshold,
        )
        assert here.prob_better == pytest.approx(there.prob_better, abs=1e-6)
    assert one.state_dict()["streak"] == two.state_dict()["streak"]


def test_a_streak_survives_with_the_state(model):
    one = stopper(model, beat=1.0, patience=3)
    one.update(0.5), one.update(0.6)
    two = stopper(model)
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    decision = two.update(0.6)
    assert decision.stop


def test_state_is_a_copy(model):
    watch = stopper(model)
    watch.update(0.5)
    state = watch.state_dict()
    watch.update(0.6)
    assert state["values"] == [0.5]
    assert state["steps"] == [1.0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: None,
        lambda s: [],
        lambda s: {},
        lambda s: {"epoch": 3},
        lambda s: s | {"format": 99},
        lambda s: s | {"values": [0.5, 0.6]},
        lambda s: s | {"values": ["high"]},
        lambda s: s | {"streak": None},
        lambda s: s | {"streak": -1},
        lambda s: s | {"values": [0.5, 0.6], "steps": [2.0, 1.0]},
        lambda s: s | {"steps": [21.0]},
        lambda s: s | {"values": [50.0]},
        lambda s: s | {"nan": "ignore"},
        lambda s: s | {"rule": s["rule"] | {"horizon": 10**400}},
        lambda s: s | {"rule": {"horizon": 20}},
        lambda s: s | {"rule": s["rule"] | {"mode": "up"}},
        lambda s: s | {"rule": s["rule"] | {"extra": 1}},
    ],
)
def test_foreign_states_are_refused(model, damage):
    watch = stopper(model)
    watch.update(0.5)
    before = watch.state_dict()
    with pytest.raises(ValueError, match="not a state of EarlyStopping"):
        watch.load_state_dict(damage(watch.state_dict()))
    assert watch.state_dict() == before
    watch.update(0.6)


def test_ever_asks_for_the_best_value_still_to_come():
    rule = Rule(horizon=10, mode="max", beat=0.8, cautious=1)
    hopeless, _ = judge(rule, [0.5, 0.6], joint(0.02, each=[0.9]), 0)
    assert hopeless.stop
    assert hopeless.prob_better == 0.02
    assert hopeless.kind == "hopeless"
    # Many records with a small chance each are a large one together.
    fine, _ = judge(rule, [0.5, 0.6], joint(0.4, each=[0.01] * 40), 0)
    assert not fine.stop
    assert fine.kind == "promising"


@pytest.mark.parametrize("mode", ["max", "min"])
def test_ever_without_such_a_checkpoint_counts_joint_paths(mode):
    sign = 1 if mode == "max" else -1
    made = forecast([0.03, 0.03])
    rng = np.random.default_rng(0)
    drawn = {}

    def paths(n):
        drawn["n"] = n
        # Never both at once: together they beat it twice as often.
        beats = np.zeros((n, 2))
        lucky = rng.random(n)
        beats[lucky < 0.03, 0] = beats[lucky > 0.97, 1] = 1
        return sign * beats

    made.paths = paths
    rule = Rule(horizon=10, mode=mode, beat=sign * 0.8)
    chance = chance_of(rule, made, sign * 0.8, 0.05)
    assert chance == pytest.approx(0.06, abs=0.02)
    assert drawn["n"] >= 64
    # Not simulated where it cannot matter.
    drawn.clear()
    assert chance_of(rule, made, sign * 0.8, 0.02) == 0.03
    assert chance_of(rule, made, sign * 0.8, 0.2) == pytest.approx(0.06)
    assert not drawn


def test_a_surprised_model_stops_nothing():
    rule = Rule(horizon=10, mode="max", beat=0.8, max_surprise=3)
    lost, streak = judge(rule, [0.5, 0.6], joint(0.0, surprise=4.2), 2)
    assert not lost.stop
    assert (lost.kind, streak) == ("surprised", 0)
    assert "surprise 4.2" in lost.reason
    for surprise in (2.0, np.nan):
        assert judge(rule, [0.5, 0.6], joint(0.0, surprise=surprise), 0)[0].stop


def test_a_protected_run_is_not_stopped_unless_it_diverged():
    rule = Rule(horizon=10, mode="max", beat=0.8)
    decision, streak = judge(rule, [0.5, 0.6], joint(0.0), 1, protected=True)
    assert not decision.stop
    assert (decision.kind, streak) == ("protected", 0)
    gone = judge(rule, [0.5, np.nan], forecast([0.0], diverged=True), 0, protected=True)
    assert gone[0].kind == "diverged"
    assert gone[0].reason == "The run diverged: its last value is nan; stopped."
    alone, _ = judge(
        replace(rule, beat=None), [0.5, 0.6], joint(0.0), 1, protected=True
    )
    assert alone.reason.endswith("protected, there is no value to beat yet.")


def test_confidence_may_follow_a_schedule():
    schedule = ((0.0, 0.99), (0.5, 0.9))
    rule = Rule(10, "max", beat=0.8, confidence=schedule, cautious=1)
    early, _ = judge(rule, [0.5, 0.6], joint(0.05), 0, step=4)
    late, _ = judge(rule, [0.5, 0.6], joint(0.05), 0, step=5)
    assert (early.stop, late.stop) == (False, True)
    assert rule.confidence_at(0) == 0.99
    assert Rule(10, "max", confidence=((0.3, 0.8),)).confidence_at(1) == 0.8


def test_by_cost_a_run_that_is_nearly_through_may_finish():
    rule = Rule(10, "max", beat=0.8, confidence=0.9, by_cost=True, cautious=1)
    found = [
        judge(rule, [0.5, 0.6], joint(0.05), 0, step=step)[0] for step in (2, 4, 6)
    ]
    assert [decision.stop for decision in found] == [True, True, False]
    assert "stopped at confidence 0.9, by cost." in found[0].reason
    plain = replace(rule, by_cost=False)
    assert judge(plain, [0.5, 0.6], joint(0.05), 0, step=9)[0].stop


def test_without_others_a_run_stops_on_its_plateau():
    queried = []
    rule = Rule(10, "min", method="marginal", min_delta=0.1, cautious=1)
    decision, _ = judge(rule, [0.9, 0.5], forecast([0.01], queried=queried), 0)
    assert queried == [0.4]
    assert decision.kind == "plateau"
    assert "its own best, 0.5, by 0.1" in decision.reason


EVIDENCE = st.tuples(
    st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.7]),  # chance
    st.booleans(),  # diverged
    st.sampled_from([0.5, 3.0, np.nan]),  # surprise
    st.booleans(),  # protected
    st.booleans(),  # its own best is above the value to beat
)
RULES = st.builds(
    Rule,
    horizon=st.just(8.0),
    mode=st.just("max"),
    beat=st.just(0.8),
    confidence=st.sampled_from([0.9, ((0.0, 0.99), (0.5, 0.8))]),
    by_cost=st.booleans(),
    patience=st.integers(1, 3),
    min_steps=st.integers(1, 4),
    max_surprise=st.sampled_from([None, 1.0]),
)


@given(rule=RULES, found=st.lists(EVIDENCE, min_size=1, max_size=8))
def test_one_decision_is_the_same_as_many(rule, found):
    chance, diverged, surprise, kept, above = (
        np.array(x) for x in zip(*found, strict=True)
    )
    count = np.arange(1, len(found) + 1)
    evidence = Evidence(
        *(chance, diverged, count / rule.horizon, count, surprise, kept, above)
    )
    made, streaks = [], [0]
    for i, (c, d, s, p, a) in enumerate(found, 1):
        one = joint(c, each=[] if i == 8 else [0.01], surprise=s)
        one.diverged = d
        values = [0.9 if a else 0.5] * i
        decision, streak = judge(rule, values, one, streaks[-1], protected=p)
        made.append((decision.kind, decision.stop))
        streaks.append(streak)
    for many in (
        decide_all(rule, evidence, np.array(streaks[:-1])),
        decide_all(rule, evidence, in_turn=True),
    ):
        assert list(zip(many.kind, many.stop, strict=True)) == made
        assert many.streak.tolist() == streaks[1:]


def test_every_decision_has_a_documented_kind():
    told = lcpfn.stopping.decision.__doc__
    assert all(f"\n{kind} " in told for kind in KINDS)
    assert decide_with([0.0], values=(0.5, 0.6), min_steps=3)[0].kind == "too early"
    assert decide_with([0.01], 0, patience=3)[0].kind == "patience"
    assert decide_with([])[0].kind == "finished"
    assert decide_with([0.0])[0].final_std == 0.02


@pytest.mark.parametrize(
    ("values", "mode", "top_k", "incumbent"),
    [
        ([0.2, 0.9, 0.5], "max", 1, 0.9),
        ([0.2, 0.9, 0.5], "max", 2, 0.5),
        ([0.2, 0.9, 0.5], "min", 2, 0.5),
        ([0.2, 0.9, 0.5], "min", 9, 0.9),
        ([np.nan, 0.9, np.inf], "max", 1, 0.9),
    ],
)
def test_the_incumbent_of_a_search(values, mode, top_k, incumbent):
    assert incumbent_of(values, mode, top_k) == incumbent


def test_without_runs_there_is_no_incumbent():
    assert np.isnan(incumbent_of([np.nan], "max"))
    with pytest.raises(ValueError, match="top_k must be a positive integer, got 0"):
        incumbent_of([1.0], "max", 0)


def test_the_value_to_beat_may_move_while_a_run_goes_on(model):
    watch = stopper(model, patience=1)
    watch.update(0.5)
    watch.beat = 1.0
    assert watch.update(0.6).threshold == 1.0
    with pytest.raises(ValueError, match="beat must lie within bounds"):
        watch.beat = 2.0
    assert watch.beat == 1.0


def test_a_state_of_the_first_format_keeps_its_rule(model):
    watch = stopper(model, beat=0.8)
    watch.update(0.5)
    state = watch.state_dict() | {"format": 1}
    new = ("method", "max_surprise", "min_delta")
    state["rule"] = {k: v for k, v in state["rule"].items() if k not in new}
    other = EarlyStopping(horizon=5, mode="min", model=model)
    other.load_state_dict(state)
    assert other.rule == watch.rule
    assert other.rule.method == "marginal"


def test_the_best_of_a_population_is_protected():
    assert among_best(0.9, [0.5, 0.6], "max", 0.05)
    assert not among_best(0.55, [0.5, 0.6], "max", 0.05)
    assert among_best(0.55, [0.5, 0.6], "max", 0.8)
    assert among_best(0.5, [float("inf"), float("nan")], "min", 0.05)
    assert not among_best(0.5, [], "min", 0.05)
    assert not among_best(0.5, [0.9], "min", 0.0)
    assert not among_best(float("nan"), [0.9], "min", 0.5)
    rivals = list(np.linspace(0.1, 0.9, 40))
    kept = [
        x for x in rivals if among_best(x, [r for r in rivals if r != x], "max", 0.1)
    ]
    assert kept == rivals[-4:]


def test_protection_is_queried_only_where_it_matters():
    queried = []

    def protect():
        queried.append(True)
        return True

    rule = Rule(horizon=10, mode="max", beat=0.8)
    hopeful, _ = judge(rule, [0.5, 0.6], joint(0.5), 0, protected=protect)
    assert hopeful.kind == "promising"
    assert not queried
    hopeless, streak = judge(rule, [0.5, 0.6], joint(0.01), 2, protected=protect)
    assert hopeless.kind == "protected"
    assert not hopeless.stop
    assert streak == 0
    assert queried


def test_a_copy_goes_on_by_itself():
    one = EarlyStopping(20, "max", (0, 1), model=lcpfn.load("domhan"), patience=3)
    for value in CURVE[:3]:
        one.update(value)
    two = copy.deepcopy(one)
    assert two.state_dict() == one.state_dict()
    first, second = one.update(CURVE[3]), two.update(CURVE[3])
    assert second.prob_better == pytest.approx(first.prob_better, rel=1e-4)
    assert second.streak == first.streak


def test_a_state_out_of_soft_bounds_is_read(soft_model):
    one = EarlyStopping(horizon=20, mode="max", bounds=(0, 1), model=soft_model)
    one.update(1.2)
    two = EarlyStopping(horizon=20, mode="max", model=soft_model)
    two.load_state_dict(one.state_dict())
    assert two.update(0.9).forecast is not None


def test_an_undefined_score_is_skipped_where_wanted(model):
    skips, plain = stopper(model, nan="skip", patience=1), stopper(model, patience=1)
    first = skips.update(np.nan)
    assert (first.stop, first.kind) == (False, "too early")
    for value, step in ((0.5, 2), (0.6, 4)):
        decision, same = skips.update(value, step), plain.update(value, step)
        assert decision.prob_better == pytest.approx(same.prob_better, abs=1e-6)
        assert (decision.kind, decision.stop) == (same.kind, same.stop)
        assert skips.update(np.nan) is decision
    again = stopper(model)
    again.load_state_dict(json.loads(json.dumps(skips.state_dict())))
    assert again.nan == "skip"
    assert skips.update(np.inf).kind == "diverged"
    with pytest.raises(ValueError, match='nan must be "diverged"'):
        stopper(model, nan="gap")
