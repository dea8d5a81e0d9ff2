"""Monitors and stoppers that know other runs."""

import numpy as np
import pytest

import lcpfn
from lcpfn.stopping.monitor import RunMonitor
from lcpfn.stopping.observations import MonitorWarning
from lcpfn.stopping.search_monitor import SearchMonitor

CURVE = [0.9, 0.7, 0.62, 0.58]
OTHERS = [
    lcpfn.Run(0.2 + a * np.arange(1.0, 21) ** -0.5, config={"lr": a})
    for a in (0.5, 0.6, 0.9)
]


def expected(model, config=None):
    return model.extrapolate(CURVE, 20, mode="min", others=OTHERS, config=config)


@pytest.mark.parametrize("config", [None, {"lr": 0.5}])
def test_a_stopper_knows_the_runs_it_is_given(knowing, config):
    stopper = lcpfn.EarlyStopping(
        20, "min", model=knowing, others=OTHERS, config=config
    )
    for value in CURVE:
        decision = stopper.update(value)
    wanted = expected(knowing, config).final.median()
    assert decision.forecast.final.median() == pytest.approx(wanted, rel=1e-4)


def test_a_monitor_knows_the_runs_in_a_file(knowing, tmp_path):
    rows = [
        f"{i},{step},{value}"
        for i, run in enumerate(OTHERS)
        for step, value in zip(run.steps, run.values, strict=True)
    ]
    (tmp_path / "past.csv").write_text("\n".join(["run,step,loss", *rows]))
    monitor = RunMonitor("min", model=knowing, others=tmp_path / "past.csv")
    monitor.set_horizon(20)
    for value in CURVE:
        monitor.report(value)
    others = [lcpfn.Run(run.values) for run in OTHERS]  # there are no configurations
    wanted = knowing.extrapolate(CURVE, 20, mode="min", others=others)
    found = monitor.decision.forecast.final.median()
    assert found == pytest.approx(wanted.final.median(), rel=1e-4)


def test_a_checkpoint_that_knows_no_runs_goes_on_without(model):
    monitor = RunMonitor("min", 20, model=model, others=OTHERS)
    for value in CURVE:
        monitor.report(value)
    alone = model.extrapolate(CURVE, 20, mode="min").final.median()
    assert monitor.decision.forecast.final.median() == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"others": [[1, 2]]}, "others must be runs"),
        ({"others": "no-such-file.csv"}, "no-such-file.csv"),
        ({"others": OTHERS, "config": [1]}, "config of this run must map names"),
    ],
)
def test_what_is_no_run_is_refused_at_once(options, message):
    stopper = lambda mode, horizon, **rest: lcpfn.EarlyStopping(horizon, mode, **rest)
    for make in (RunMonitor, stopper):
        with pytest.raises((ValueError, OSError), match=message):
            make("min", 20, **options)


def test_the_runs_of_a_search_know_each_other(knowing):
    def search(**options):
        runs = SearchMonitor("min", 20, model=knowing, protect=0, **options)
        for i, other in enumerate(OTHERS):
            runs.configure(f"old {i}", other.config)
            for step, value in zip(other.steps, other.values, strict=True):
                runs.report(f"old {i}", value, step)
        for step, value in enumerate(CURVE, 1):
            runs.report("new", value, step)
        return runs.runs["new"].decision.forecast.final.median()

    assert search() == pytest.approx(expected(knowing).final.median(), rel=1e-4)
    alone = knowing.extrapolate(CURVE, 20, mode="min").final.median()
    assert search(alone=True) == pytest.approx(alone, rel=1e-4)


def test_configurations_that_cannot_be_compared_are_said_once(knowing):
    runs = SearchMonitor("min", 20, model=knowing)
    config = {"lr": 0.1, "layers": [3, 4], "o": {"wd": 0.0}}
    with pytest.warns(MonitorWarning, match="'layers' is left out"):
        runs.configure("a", config)
    runs.configure("b", config)  # said once
    assert runs.known["b"].config == {"lr": 0.1, "o.wd": 0.0}


def test_a_configuration_that_cannot_be_compared_is_refused_at_once(knowing):
    given = lcpfn.EarlyStopping(20, "min", model=knowing, others=OTHERS)._reader.given
    for others in (None, OTHERS, given):
        with pytest.raises(ValueError, match="hyperparameter 'layers' of this run"):
            RunMonitor("min", 20, others=others, config={"layers": [1, 2]})


def test_what_a_curve_will_end_with_knows_the_other_runs(knowing):
    search = SearchMonitor("min", 20, model=knowing)
    curve = dict(enumerate(CURVE, 1))
    alone = search.predict("a", curve, {})
    known = {
        i: search.hold(i, dict(zip(run.steps, run.values, strict=True)))
        for i, run in enumerate(OTHERS)
    }
    found = search.predict("a", curve, known)
    others = [lcpfn.Run(run.values) for run in OTHERS]
    wanted = knowing.extrapolate(CURVE, 20, mode="min", others=others).final
    assert found == pytest.approx((float(wanted.mean()), float(wanted.std())), rel=1e-4)
    assert found != pytest.approx(alone, rel=1e-3)
