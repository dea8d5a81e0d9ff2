"""At which observations to decide, and how much time that may take."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcpfn.stopping.interval import FEWEST, SHARE, DecisionInterval, Pace
from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.search_monitor import SearchMonitor


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=15),
    st.sampled_from([0, 1, 3, 7.5, 40]),
    st.sampled_from([0.3, 1, 2, 2.5, 5]),
    st.integers(1, 4),
)
def test_the_newest_decisions_are_those_that_were_due(steps, first, every, most):
    interval, steps = DecisionInterval(first, every), [s / 2 for s in sorted(steps)]
    pairs = zip(steps, [None, *steps], strict=False)
    due = [i for i, (at, before) in enumerate(pairs, 1) if interval.due(at, before)]
    at_the_end = bool(due) and due[-1] == len(steps)
    assert interval.cutoffs(steps, most) == (due[-most:] if at_the_end else [])


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def played(step, decision, count=400, first=0.0):
    """Decisions, and the seconds of all but the first few, of a run of such steps."""
    clock, made, spent = Clock(), 0, 0.0
    pace = Pace(SHARE, clock)
    for _ in range(count):
        clock.now += step
        if pace.due():
            made += 1
            took = decision + (first if made == 1 else 0)
            spent += took * (made > FEWEST)
            with pace.timed():
                clock.now += took
    return made, spent / (clock.now - 100.0)


@given(st.floats(1e-4, 1e-2), st.floats(1e-4, 1e-1))
def test_decisions_take_a_tenth_of_the_time_at_most(step, decision):
    made, share = played(step, decision)
    assert share <= SHARE + 1e-9
    # And no less, but for what is lost by waiting for a step.
    assert made >= min(400, 400 * step * SHARE / (decision + step)) - 1


def test_long_steps_are_all_decided_on():
    assert played(step=10.0, decision=0.1)[0] == 400


def test_compiling_does_not_count():
    assert played(0.01, 0.01, first=60.0)[0] >= played(0.01, 0.01)[0]


def test_a_decision_that_fails_is_timed():
    clock = Clock()
    pace = Pace(SHARE, clock)

    @pace.timed()
    def failing():
        clock.now += 1.0
        raise OSError("no forecast")

    for _ in range(FEWEST):
        with pytest.raises(OSError, match="no forecast"):
            failing()
    assert not pace.due()
    clock.now += 10.0
    assert pace.due()


def test_a_copy_is_timed_anew():
    again, pace = copy.deepcopy, Pace(0.2)
    for _ in range(FEWEST):
        with pace.timed():
            pass
    assert again(pace).share == 0.2
    assert again(pace).due()


@pytest.mark.parametrize("every", [0, -1, "often", None, float("nan")])
def test_other_intervals_are_refused(every):
    with pytest.raises(ValueError, match="positive number of steps or 'auto'"):
        RunMonitor("min", 10, every=every)


def test_a_monitor_decides_as_often_as_there_is_time(model):
    clock, decided = Clock(), []
    pace = Pace(SHARE, clock)
    monitor = RunMonitor("min", 100, model=model, every=pace)
    update = monitor.reader.newest

    def slow(rule):
        clock.now += 0.9
        decided.append(monitor.observations.last)
        return update(rule)

    monitor.reader.newest = slow
    for step in range(1, 40):
        clock.now += 1.0
        monitor.report(1 / step, step)
    assert decided[:FEWEST] == [1, 2, 3]
    assert set(range(3, 40, 9)) <= set(decided)
    assert len(decided) < 10


def test_runs_of_a_search_share_their_pace(model):
    search = SearchMonitor("min", 10, model=model, every="auto")
    paces = {search.monitor(run, {}).interval.pace for run in "abc"}
    assert len(paces) == 1
    assert RunMonitor("min", 10, every="auto").interval.pace not in paces
