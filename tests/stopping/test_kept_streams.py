"""Curves that are handed in whole, again and again: read once, answered alike."""

import logging
import pickle

import numpy as np
import pytest

from lcpfn.metric import Metric
from lcpfn.seen_curve import context_of
from lcpfn.stopping import kept_streams
from lcpfn.stopping.decision import Decision
from lcpfn.stopping.kept_streams import KeptStreams
from lcpfn.stopping.search_monitor import SearchMonitor
from lcpfn.task import Task

METRIC = Metric("max", (0, 1))


def curve_of(count, seed=0):
    """Values by step, rising."""
    rng = np.random.default_rng(seed)
    values = 0.8 * (1 - np.exp(-np.arange(1, count + 1) / 30)) + rng.normal(
        0, 0.01, count
    )
    return dict(enumerate(np.clip(values, 0, 1).tolist(), 1))


def same(one, two):
    """That two forecasts end alike, up to float32 inside the network."""
    np.testing.assert_array_equal(one.diverged, two.diverged)
    for part in ("mean", "std"):
        ends = [getattr(found.final, part)() for found in (one, two)]
        np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-6)


def part_of(count, seed=0, horizon=200.0):
    return context_of(_first(count, seed), METRIC, horizon)


def _first(count, seed):
    return dict(list(curve_of(200, seed).items())[:count])


@pytest.fixture
def reads(model, monkeypatch):
    """Numbers of observations that were read with whole curves."""
    found = []
    read = type(model).read_now

    def counted(self, contexts, metric):
        found.extend(len(context.values) for context in contexts)
        return read(self, contexts, metric)

    monkeypatch.setattr(type(model), "read_now", counted)
    return found


# Beyond 128 observations tokens hold two of them.
@pytest.mark.parametrize("counts", [range(1, 7), (1, 7, 8, 20), (128, 129, 150)])
def test_answers_are_those_of_the_whole_curve(counts, model, reads):
    streams, task = KeptStreams(model, METRIC), Task(model, METRIC)
    for count in counts:
        asked = [("run", part_of(count))]
        found = streams.ask(asked)
        assert not reads
        same(found, task.ask({}, {}, asked))
        reads.clear()


def test_agreeing_decisions_look_back_without_reading_anew(model, reads):
    streams = KeptStreams(model, METRIC)
    for count in range(3, 9):
        asked = [("run", part_of(n)) for n in (count - 2, count - 1, count)]
        found = streams.ask(asked)
        assert not reads
    same(found, Task(model, METRIC).ask({}, {}, asked))


def test_what_does_not_go_on_is_read_anew(model, reads):
    streams, task = KeptStreams(model, METRIC), Task(model, METRIC)
    streams.ask([("run", part_of(12))])
    other = part_of(13)
    other.values[4] = -0.5
    for part in (
        other,  # another value in the past
        part_of(12, horizon=150.0),
        part_of(12, seed=3),  # another curve under the same name
        part_of(2),  # a restart
        part_of(30),
    ):
        found = streams.ask([("run", part)])
        reads.clear()
        same(found, task.ask({}, {}, [("run", part)]))
    assert len(streams.ask([("run", part_of(20)), ("b", part_of(3, 5))])) == 2


def test_gaps_and_divergence(model):
    streams, task = KeptStreams(model, METRIC), Task(model, METRIC)
    nan, curve = float("nan"), _first(9, 0)
    for gone in ({1: nan}, {1: nan, 2: nan}, {3: nan}, {9: nan}):
        part = context_of(curve | gone, METRIC, 200.0)
        same(streams.ask([("r", part)]), task.ask({}, {}, [("r", part)]))
    only = context_of({1: nan}, METRIC, 200.0)
    assert streams.ask([("r", only)]).diverged.all()
    with pytest.raises(ValueError, match="'r' has no observations"):
        streams.ask([("r", context_of({}, METRIC, 200.0))])


def test_those_asked_about_longest_ago_are_forgotten(model, monkeypatch):
    monkeypatch.setattr(kept_streams, "MOST", 2)
    streams = KeptStreams(model, METRIC)
    for name in "abacb":
        streams.ask([(name, part_of(3))])
    assert list(streams._kept) == ["c", "b"]
    streams.drop("c")
    streams.drop("never seen")
    assert list(streams._kept) == ["b"]


def judged(runs, count, name="run"):
    """The decision on a run while another has finished at .95."""
    if "finished" not in runs.known:
        runs.over(runs.hold("finished", curve_of(200, 1)), 0.95)
    return runs.judge(name, _first(count, 0), runs.known)[1].decision


@pytest.mark.parametrize("patience", [1, 3])
def test_a_search_reads_what_is_new_and_decides_as_before(patience, asking, reads):
    options = {"bounds": (0, 1), "model": asking, "alone": True, "patience": patience}
    kept = SearchMonitor("max", 200, **options)
    for count in range(3, 8):
        decision = judged(kept, count)
        fresh = judged(SearchMonitor("max", 200, **options), count)
        assert decision.prob_better == pytest.approx(fresh.prob_better, abs=1e-5)
        assert (decision.kind, decision.streak) == (fresh.kind, fresh.streak)
    assert not reads
    kept.drop("run")
    assert judged(kept, 7).prob_better == pytest.approx(decision.prob_better, abs=1e-5)


def test_a_search_goes_to_another_process_without_its_streams():
    runs = SearchMonitor("max", 200, bounds=(0, 1), alone=True)
    before = judged(runs, 5)
    copy = pickle.loads(pickle.dumps(runs))
    assert copy.forecasts._streams is None
    assert judged(copy, 5).prob_better == pytest.approx(before.prob_better, abs=1e-5)


def test_a_run_amid_others_is_read_once(default, monkeypatch):
    runs = SearchMonitor("max", 200, bounds=(0, 1), model=default)
    read, found = type(default).read_runs, []

    def counted(self, contexts, metric, span):
        found.append(len(contexts))
        return read(self, contexts, metric, span)

    monkeypatch.setattr(type(default), "read_runs", counted)

    runs.over(runs.hold("other", _first(199, 1)), 0.95)

    def ask(count):
        runs.hold("run", _first(count, 0))
        return runs.judge("run", _first(count, 0), runs.known)[1].decision

    ask(5)
    assert found == [2]
    one = ask(6)
    assert found == [2, 1]
    monkeypatch.setattr(
        "lcpfn.stopping.search_forecasts._same", lambda known, part: part
    )
    other = ask(6)
    assert found == [2, 1, 1]
    assert one.prob_better == pytest.approx(other.prob_better, abs=1e-6)


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_a_reason_that_nobody_reads_is_not_made(level, asking, caplog, monkeypatch):
    made = []
    reason = Decision.reason.func
    monkeypatch.setattr(
        Decision, "reason", property(lambda self: made.append(1) or reason(self))
    )
    runs = SearchMonitor(
        *("max", 200),
        **{"bounds": (0, 1), "model": asking, "alone": True, "cautious": 1},
        **{"confidence": 0.5, "protect": 0},
    )
    runs.over(runs.hold("finished", curve_of(200, 1)), 1.0)
    with caplog.at_level(level, logger="lcpfn"):
        stops = [runs.judge("run", _first(n, 0), runs.known)[0] for n in (10, 11)]
    assert stops == [True, True]
    # Said once, however often it is asked.
    assert len(made) == len(caplog.records) == (level == logging.INFO)
