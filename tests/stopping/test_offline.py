"""Finished runs under a rule: the same decisions as record by record."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.curves import Run
from lcpfn.stopping.early_stopping import EarlyStopping
from lcpfn.stopping.offline import critical, replay, stop_after
from lcpfn.stopping.rule import Rule

RULE = Rule(horizon=30, mode="min", confidence=0.9)


def runs(count=8, length=30, mode="min"):
    rng = np.random.default_rng(3)
    steps = np.arange(1.0, length + 1)
    sign = 1 if mode == "min" else -1
    return [
        Run(
            sign * (0.3 * rng.random() + steps ** -rng.random())
            + 0.02 * rng.normal(size=length),
            steps,
            name=f"run {i}",
            mode=mode,
        )
        for i in range(count)
    ]


def streamed(model, rule, run, threshold):
    stopper = EarlyStopping(
        rule.horizon,
        run.mode,
        beat=threshold,
        confidence=rule.confidence,
        by_cost=rule.by_cost,
        model=model,
        patience=rule.patience,
        min_steps=rule.min_steps,
        max_surprise=rule.max_surprise,
        min_delta=rule.min_delta,
    )
    for count, (value, step) in enumerate(
        zip(run.values, run.steps, strict=True), start=1
    ):
        if stopper.update(value, step).stop:
            return count
    return len(run.values)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 3, "min_steps": 5},
        {"confidence": ((0.0, 0.99), (0.5, 0.6))},
        {"max_surprise": 1.0},
        {"min_delta": 0.05},
        {"by_cost": True, "confidence": 0.8},
    ],
)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_it_stops_where_a_stream_does(default, mode, options):
    rule = replace(RULE, mode=mode, **options)
    sign = 1 if mode == "min" else -1
    found = set()
    for past in replay(default, runs(4, mode=mode)):
        for threshold in (past.best - 0.05, past.best + 0.02):
            until = stop_after(rule, past, threshold)
            assert until == streamed(default, rule, past.run, sign * threshold)
            found.add(until)
    assert len(found) > 1


def test_a_diverged_run_is_stopped_when_it_has(default):
    run = runs(1)[0]
    run.values[6:] = np.nan
    (past,) = replay(default, [run])
    assert stop_after(replace(RULE, confidence=0.999), past, -9.0) <= 7
    hopeful = replace(RULE, confidence=0.999999)
    assert stop_after(hopeful, past, np.inf) == 7
    assert stop_after(replace(hopeful, patience=4), past, np.inf) == 10


def test_critical_is_where_a_good_run_begins_to_be_lost(default):
    checked = 0
    for past in replay(default, runs()):
        threshold = past.best + 0.02
        for options in (
            *({}, {"patience": 2}, {"min_steps": 6}, {"max_surprise": 2.0}),
            {"by_cost": True},
        ):
            rule = replace(RULE, **options)
            edge = critical(rule, past, threshold)
            for shift, lost in ((1.02, True), (0.98, False)):
                if not 0 < edge * shift <= 0.5:
                    continue
                tried = replace(rule, confidence=1 - edge * shift)
                until = stop_after(tried, past, threshold)
                assert (past.own[until - 1] >= threshold) == lost
                checked += 1
    assert checked > 10


def test_a_run_that_beats_nothing_cannot_be_lost(default):
    (past,) = replay(default, runs(1))
    assert critical(RULE, past, past.best) == np.inf
