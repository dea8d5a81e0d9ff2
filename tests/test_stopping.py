"""The stopping rule on forecasts made up for it, and its state on real ones."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import lcpfn
from lcpfn.stopping import EarlyStopping, Rule, bar_of, judge

CURVE = [0.52, 0.61, 0.58, 0.66, 0.69]


def forecast(chances, final=0.7, diverged=False, asked=None):
    """A forecast that beats any bar with these probabilities at its steps."""

    def prob_better(y):
        if asked is not None:
            asked.append(y)
        return np.array(chances, float)

    return SimpleNamespace(
        steps=np.arange(len(chances)) + 3.0,
        diverged=diverged,
        final=SimpleNamespace(mean=lambda: final),
        prob_better=prob_better,
    )


def decide(chances, streak=0, values=(0.5, 0.6), **options):
    rule = Rule(**({"horizon": 10, "mode": "max", "beat": 0.8} | options))
    return judge(rule, list(values), forecast(chances), streak)


def test_hopeless_at_every_step_is_stopped():
    decision, streak = decide([0.01, 0.04, 0.02])
    assert decision.stop
    assert streak == 1
    assert decision.prob_better == 0.04
    assert decision.expected_final == 0.7
    assert decision.bar == 0.8
    assert "4.0%" in decision.reason
    assert "0.8" in decision.reason
    assert "stopped at confidence 0.95" in decision.reason


def test_one_hopeful_step_is_enough_to_go_on():
    decision, streak = decide([0.01, 0.06, 0.01], streak=3)
    assert not decision.stop
    assert streak == 0
    assert "going on" in decision.reason


@pytest.mark.parametrize(
    ("confidence", "stop"), [(0.5, True), (0.9, True), (0.95, False)]
)
def test_confidence_is_the_probability_of_being_right(confidence, stop):
    assert decide([0.08], confidence=confidence)[0].stop is stop


def test_patience_counts_decisions_in_a_row():
    stops, streak = [], 0
    for chance in (0.01, 0.01, 0.5, 0.01, 0.01, 0.01):
        decision, streak = decide([chance], streak, patience=3)
        stops.append(decision.stop)
    assert stops == [False, False, False, False, False, True]
    assert "1 of 3 agreeing" in decide([0.01], 0, patience=3)[0].reason


def test_too_few_records_are_never_stopped():
    decision, streak = decide([0.0], values=(0.5, 0.6), min_steps=3)
    assert not decision.stop
    assert streak == 1
    assert "too early to stop, 2 of 3" in decision.reason
    assert decide([0.0], values=(0.5, 0.6, 0.6), min_steps=3)[0].stop


@pytest.mark.parametrize(
    ("mode", "beat", "values", "bar"),
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
def test_the_bar_counts_the_runs_own_best_in(mode, beat, values, bar):
    rule = Rule(horizon=10, mode=mode, beat=beat)
    assert bar_of(rule, values) == bar
    asked = []
    decision, _ = judge(rule, values, forecast([0.5], asked=asked), 0)
    assert asked == [bar]
    assert decision.bar == bar
    own = beat is None or bar != beat
    assert ("its own best" in decision.reason) is own


def test_without_any_number_there_is_no_bar():
    assert np.isnan(bar_of(Rule(horizon=10, mode="max"), [np.nan]))


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
    decision, streak = judge(rule, [0.5, 0.6], forecast([]), 5)
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
        ({"patience": 1.5}, "patience must be a positive integer"),
        ({"min_steps": 0}, "min_steps must be a positive integer, got 0"),
    ],
)
def test_impossible_rules_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**({"horizon": 10, "mode": "max"} | wrong))


def stopper(model, **options):
    rule = {"horizon": 20, "mode": "max", "bounds": (0.0, 1.0), "patience": 2}
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
    assert decision.bar == last.bar


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
        assert (here.stop, here.reason, here.bar) == (
            there.stop,
            there.reason,
            there.bar,
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
