"""Suites of runs, and forecasts, made up for tests of the evaluation."""

import numpy as np

from lcpfn.curves import CurveSet, Run
from lcpfn.mixture import Mixture


def powers(name, tasks=3, runs=6, records=20, seed=0, bounds=(0.0, 1.0)):
    """Noisy power laws, each task with an end of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, records + 1)
    about, found = {"mode": "min", "bounds": bounds, "metric": "m"}, []
    for task in range(tasks):
        end = rng.uniform(0.1, 0.3)
        for i in range(runs):
            y = end + 0.1 * rng.random() + 0.5 * t ** -rng.uniform(0.4, 1.0)
            y = y + 0.003 * rng.normal(size=records)
            found.append(Run(y, name=f"{task}/{i}", task=f"task {task}", **about))
    flat = Run(np.full(records, 0.5), name="flat", task="task 0", **about)
    worse = Run(0.1 + 0.01 * t, name="worse", task="task 1", **about)
    return CurveSet(name, (*found, flat, worse))


def gaussians(mean, std):
    mean = np.asarray(mean, float)[:, None]
    free = np.full(len(mean), np.inf)
    return Mixture(np.ones_like(mean), mean, np.full_like(mean, std), -free, free)
