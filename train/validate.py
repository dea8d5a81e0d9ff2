"""How far the network is from knowing everything, on fixed held-out curves.

"gap_40" is the mean over later observations of log p(y | true curve and noise) minus
log q(y | first 40 %). The true curve as control variate takes out most of the spread
between curves. The gap of the exact posterior is not zero: it is what the first 40 %
do not tell. A network that does not learn from misses beyond a limit is not measured by
them either: one curve in a thousand would rule the mean. Where a prior has no such
density ("recorded" differs from "y") the gap is the negative log-density itself, in
units of the prior.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lcpfn.priors import Prior, draw
from lcpfn.train.batches import make_tasks
from lcpfn.train.config import Augment, TrainConfig
from lcpfn.train.data import from_draws
from lcpfn.train.step import clipped, log_probs

CUTOFFS = (10, 20, 40, 80)
CHUNK = 16
UNCHANGED = Augment(thinned=0, pooled=0, truncated=0, shortened=0, hidden=0)


def validation(
    config: TrainConfig, prior: Prior, sharding: jax.sharding.Sharding
) -> Callable[[Any], dict[str, float]]:
    """Draws the held-out curves and returns `weights -> {"gap_10": nats, ...}`."""
    n = max(config.validation // CHUNK, 1) * CHUNK
    # Far from the keys of the run, which are folds of key(seed + 1).
    key_curves, key_tasks = jax.random.split(jax.random.key(2**31 - 1 - config.seed))

    def make() -> tuple:
        draws = draw(prior, key_curves, n)
        curves = from_draws(prior, draws, config.planned)
        tasks = make_tasks(key_tasks, curves, 8, config.model.context, UNCHANGED)
        flat = tasks.target.reshape(n, -1)
        oracle = jnp.take_along_axis(draws.log_prob, flat, axis=1)
        return tasks, oracle.reshape(tasks.target.shape)

    held_out = jax.jit(make, out_shardings=sharding)()

    @jax.jit
    def gaps(params: Any, tasks: Any, oracle: jax.Array) -> jax.Array:
        def chunk(part: tuple) -> jax.Array:
            # The first target is always the horizon; the others are uniform.
            missed = part[1] - log_probs(config.model, params, part[0])
            if config.loss_limit is not None:
                missed = clipped(missed, jnp.asarray(config.loss_limit))
            # The last observation is no cutoff: nothing comes after it.
            tokens = 1 + jnp.sum(part[0].weight > 0, axis=1)
            at = [jnp.maximum(tokens * c // 100, 1) - 1 for c in CUTOFFS]
            by_cutoff = jnp.stack(at, axis=1)
            return jnp.take_along_axis(missed[..., 1:].mean(-1), by_cutoff, axis=1)

        split = jax.tree.map(
            lambda x: x.reshape(-1, CHUNK, *x.shape[1:]), (tasks, oracle)
        )
        return jax.lax.map(chunk, split).mean((0, 1))

    def score(params: Any) -> dict[str, float]:
        names = (f"gap_{percent}" for percent in CUTOFFS)
        return dict(zip(names, map(float, gaps(params, *held_out)), strict=True))

    return score
