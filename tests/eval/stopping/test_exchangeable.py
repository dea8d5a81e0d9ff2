"""A promise is doubted where first runs are unlike recorded ones, and only there."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from lcpfn.eval.stopping import exchangeable
from lcpfn.eval.stopping.exchangeable import Check, Scored, check, share_as_low
from lcpfn.eval.stopping.policies import no_stop
from lcpfn.eval.stopping.simulate import TaskRuns, good_runs, simulate
from tests.eval.stopping.makers import (
    ENDS,
    RULE,
    lines,
    recorded,
    unsure,
    with_wrong_forecast,
)

SURE = replace(RULE, confidence=0.9)


def task_of(chances, seed=0):
    """Runs with these chances, in random order of their ends."""
    ends = np.random.default_rng(seed).permutation(np.linspace(0.1, 0.9, len(chances)))
    runs = (unsure(end, chance) for end, chance in zip(ends, chances, strict=True))
    return TaskRuns("task", "source", tuple(runs))


def drawn(low, high, count=20, seed=0):
    """A task whose chances lie between two."""
    return task_of(np.random.default_rng(seed).uniform(low, high, count), seed)


def with_diverged(ends):
    """Lines, and a run that never had a finite value."""
    task = lines(ends)
    return replace(task, runs=(*task.runs, recorded(np.full(10, np.inf), end=1.0)))


def test_weights_are_those_of_all_orders():
    task = with_diverged([0.5, 0.3, 0.7, 0.3, 0.4])
    stopped = {1: 0.3, 4: 0.02}  # lowest chance by run; others meet none
    scored = Scored(task, SURE)
    for run, incumbent in permutations(range(6), 2):
        scored.known[run, incumbent] = stopped.get(run, np.inf)
    total, lost, logs = 0, 0, 0.0
    for order in permutations(range(6)):
        trace = simulate(task, no_stop(), np.array(order))
        for run, incumbent in good_runs(trace).items():
            if np.isfinite(incumbent):
                total += 1
                lost += stopped.get(run, 1) <= 0.1
                logs += np.log(min(stopped.get(run, 1), 0.5))
    look = scored.look(range(6))
    assert look.stopped == pytest.approx(lost / total)
    assert look.score == pytest.approx(np.exp(logs / total))


def test_equal_runs_and_diverged_ones_are_never_good():
    assert Scored(lines([0.5, 0.5, 0.5]), SURE).look(range(3)) is None
    assert Scored(with_diverged([0.5]), SURE).look(range(2)) is None
    with pytest.raises(ValueError, match="none of the first 5 runs of task"):
        check([lines(ENDS)], lines([0.5] * 5), SURE)


def test_what_the_forecasts_saw_coming_is_trusted():
    tasks = [drawn(0.2, 0.5, seed=i) for i in range(5)]
    found = check(tasks, drawn(0.2, 0.5, seed=9), SURE)
    assert found.runs == 10
    assert found.stopped == 0
    assert not found.doubted
    # Runs that are foreseen better than those recorded are no reason to doubt.
    assert check(tasks, lines(ENDS), SURE).as_low == 1


def test_what_they_did_not_is_doubted_from_five_runs_on():
    tasks = [drawn(0.2, 0.5, seed=i) for i in range(5)]
    own = drawn(0.0, 0.1, 5, seed=9)
    found = check(tasks, own, SURE)
    assert found.doubted
    assert found.runs == 5
    assert found.stopped > 0.5
    # The promise was made with such runs among the recorded: then it counts them.
    mixed = [*tasks, *(drawn(0.0, 0.1, seed=i) for i in range(5, 10))]
    assert not check(mixed, own, SURE).doubted


def test_a_search_of_the_recorded_kind_is_doubted_as_often_as_said():
    tasks = [
        drawn(*sorted(pair), 20, i)
        for i, pair in enumerate(np.random.default_rng(0).uniform(0.01, 0.5, (40, 2)))
    ]
    rng = np.random.default_rng(1)
    scores = [Scored(task, SURE).drawn(10, 20, rng) for task in tasks]
    doubts = []
    for i, own in enumerate(scores):
        others = np.concatenate(scores[:i] + scores[i + 1 :])
        doubts += [share_as_low(others, x) <= exchangeable.DOUBT for x in own]
    assert 0.03 < np.mean(doubts) < 0.17


def test_too_few_runs_say_nothing():
    with pytest.raises(ValueError, match=r"needs 5 finished runs.*got 4 of task"):
        check([lines(ENDS)], lines(ENDS[:4]), SURE)
    with pytest.raises(ValueError, match=r"a recorded task of 10; .* most 9"):
        check([lines(ENDS[:9])], lines(ENDS), SURE)


def test_sentence_says_what_was_found():
    found = Check(10, 0.1, 0.25, 0.02)
    text = exchangeable.sentence(found, "digits", 0.05)
    assert "do not trust the promise of 5.0%" in text
    assert "25.0% of the good ones among the first 10 runs of digits" in text
    assert "2.0% of as many recorded runs look as bad" in text
    kept = exchangeable.sentence(found._replace(as_low=0.4), "", 0.05)
    assert kept.startswith("nothing speaks against the promise")


def test_wrong_forecasts_are_the_lowest_of_all():
    wrong = lines(ENDS[:10])
    for run in range(10):
        wrong = with_wrong_forecast(wrong, run, 5.0)
    look = Scored(wrong, SURE).look(range(10))
    assert look.score == pytest.approx(exchangeable.LOW)
    assert look.stopped == pytest.approx(1)
