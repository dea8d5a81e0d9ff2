"""Curves, runs and processes made up for tests, each of a known shape."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

from lcpfn.curves import Run

ROOT = Path(__file__).parents[1]


def make_run(values, mode="min", bounds=None, steps=None, name="run", task=""):
    """A run with these values, by default at steps 1, 2, ..."""
    values = np.asarray(values, float)
    if steps is None:
        steps = np.arange(1.0, len(values) + 1)
    return Run(
        values, np.asarray(steps, float), name=name, mode=mode, bounds=bounds, task=task
    )


def power_laws(count, length, noise=0.02, seed=3):
    """Falling curves `(count, length)` with ends, paces and noise of their own."""
    rng = np.random.default_rng(seed)
    steps = np.arange(1.0, length + 1)
    return np.array(
        [
            0.3 * rng.random()
            + steps ** -rng.random()
            + noise * rng.normal(size=length)
            for _ in range(count)
        ]
    )


def noisy_root(length, seed=0):
    """A falling curve `(length,)` inside [0, 1]."""
    rng = np.random.default_rng(seed)
    return 0.2 + 0.6 / np.sqrt(np.arange(1, length + 1)) + rng.normal(0, 0.01, length)


def falling(steps, observed=None):
    """A prior that compiles soon: a loss falls with its rate, which falls to a share.

    Of the shares some are rejected. In training, `FALLING`.
    """
    final = numpyro.sample("final", dist.Uniform(0.1, 1.0))
    numpyro.factor("accept", jnp.where(final < 0.7, 0.0, -jnp.inf))
    rate = numpyro.deterministic("rate", 1 - (1 - final) * steps / steps[-1])
    numpyro.sample("y", dist.Normal(rate, 0.01), obs=observed)


FALLING = f"{__name__}:{falling.__name__}"


def cheap_step(bad_loss=10**9, bad_norm=10**9):
    """Stands in for `train_step`: moves all weights by a thousandth."""

    def step(config, feeds, state, key):
        number = state.step + 1
        params = jax.tree.map(lambda x: x + 1e-3, state.params)
        metrics = {
            "loss": jnp.where(number >= bad_loss, jnp.nan, 1.0 / number),
            "grad_norm": jnp.where(number >= bad_norm, jnp.inf, 1.0),
            "curves": jnp.int32(config.batch),
        }
        return state._replace(step=number, params=params, average=params), metrics

    return step


def run_effect(function, *args, **sites):
    """What a part of a prior makes when some of its parameters are given."""
    seeded = handlers.seed(function, jax.random.key(3))
    return handlers.substitute(seeded, data=sites)(*args)


def start_python(*words, env=None, unset=(), **options):
    """A new interpreter in the repository's root, which sees this checkout's lcpfn.

    Args:
        words: its arguments.
        env: environment variables to add.
        unset: names of those to leave out.
        options: of `subprocess.Popen`.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    inherited = {k: v for k, v in os.environ.items() if k not in unset}
    env = inherited | {"PYTHONPATH": path} | (env or {})
    words = [sys.executable, *map(str, words)]
    return subprocess.Popen(words, cwd=ROOT, env=env, **options)
