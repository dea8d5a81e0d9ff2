"""Recorded runs made up for tests of searches."""

from dataclasses import replace

import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.stopping.simulate import TaskRuns
from lcpfn.mixture import Mixture
from lcpfn.prefixes import AHEAD, PrefixForecasts
from lcpfn.stopping.offline import recorded_run
from lcpfn.stopping.rule import Rule

RULE = Rule(horizon=10, mode="min", confidence=0.9)
ENDS = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 60))


def sure_of(end, count):
    """Forecasts after 1 to `count` observations that are certain of the end."""
    center, one = np.full((count, 1), float(end)), np.ones((count, 1))
    free = np.full(count, np.inf)
    best = Mixture(one, center, 1e-6 * one, -free, free)
    ahead = Mixture(*(np.repeat(x[:, None], AHEAD, 1) for x in best))
    return PrefixForecasts(np.arange(1, count + 1), best, ahead, np.zeros(count))


def recorded(values, end=None, mode="min"):
    """A run and forecasts of it that say where it ends, or another end."""
    run = Run(np.asarray(values, float), name="r", mode=mode)
    end = values[-1] if end is None else end
    return recorded_run(run, sure_of(end, len(values) - 1), float(len(values)))


def unsure(end, chance, hoped=None, length=10):
    """A run whose forecasts give its end, or another one, some chance, and else 1."""
    run = recorded(np.linspace(1, end, length))
    parts = np.broadcast_to([chance, 1 - chance], (length - 1, 2))
    ends = np.broadcast_to([end if hoped is None else hoped, 1.0], parts.shape)
    free = np.full(length - 1, np.inf)
    best = Mixture(parts, ends, np.full(parts.shape, 1e-6), -free, free)
    return run._replace(forecasts=run.forecasts._replace(best=best))


def lines(ends, length=10):
    """Straight lines from 1 to these values, of which the forecasts are right."""
    runs = tuple(recorded(np.linspace(1, end, length)) for end in ends)
    return TaskRuns("task", "source", runs)


def with_wrong_forecast(task_runs, run, end):
    """The same, but the forecasts of one run expect it to end elsewhere."""
    runs = list(task_runs.runs)
    runs[run] = recorded(runs[run].run.values, end)
    return replace(task_runs, runs=tuple(runs))
