"""MCMC on a prior: NumPyro's ensemble sampler and NUTS, one curve at a time.

The prior is the NumPyro model itself. Its parameters z move in NumPyro's unconstrained
space, where the target is

    log p(z | y_1..y_n) = log prior(z) + sum_{t <= n} log p(y_t | z) + log accept(z)

The acceptance rule is the model's own factor: 0 for a curve that it accepts, -inf for
one it does not; its normaliser, a constant, cancels. Chains start at accepted draws of
the prior, picked by their likelihood, and cannot leave what the prior could have drawn:
NUTS takes a trajectory that runs into the rule for a divergence and ends it there.

Everything is float32: at noise of 1e-4, the smallest in practice, the distance of an
observation from the curve is still exact to 1e-3 standard deviations.

Sources: Goodman & Weare 2010 (the stretch move, emcee's); Hoffman & Gelman 2014 (NUTS).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.infer import AIES
from numpyro.infer.hmc import hmc
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

from lcpfn.priors import Prior

# Unconstrained values of the latent sites of a model, by name.
Latents = dict[str, jax.Array]
# Accepted draws that chains may start from.
STARTS = 100


class Settings(NamedTuple):
    """How a posterior is sampled.

    Attributes:
        sampler: "ensemble" (stretch moves of walkers) or "nuts".
        chains: walkers, an even number; or chains of NUTS.
        warmup: steps thrown away.
        samples: steps after them.
        thin: every how many of these a sample is kept.
        depth: of NUTS: a trajectory has at most 2^depth - 1 steps.
    """

    sampler: str
    chains: int
    warmup: int
    samples: int
    thin: int = 1
    depth: int = 5


class Target(NamedTuple):
    """A model and what is conditioned on.

    Attributes:
        model: NumPyro model `(steps, observed)` with an observed site "y".
        steps: `(length,)`.
        y: `(length,)`, NaN where nothing was seen.
    """

    model: Callable[..., None]
    steps: jax.Array
    y: jax.Array


def energy(target: Target, z: Latents) -> jax.Array:
    """Minus the log-density above, up to a constant."""
    value = potential_energy(target.model, (target.steps, target.y), {}, z)
    return jnp.where(jnp.isnan(value), jnp.inf, value)


def records(target: Target, z: Latents) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the parameters say of every observation.

    Returns:
        Log-density of y, 0 where it is NaN; mean; standard deviation, each `(length,)`.
    """
    arguments = target.steps, target.y
    fixed = constrain_fn(target.model, arguments, {}, z)
    model = handlers.substitute(target.model, fixed)
    site = handlers.trace(model).get_trace(*arguments)["y"]
    fn = site["fn"]
    return fn.log_prob(site["value"]), fn.mean, jnp.sqrt(fn.variance)


def make_bank(prior: Prior, key: jax.Array, candidates: int) -> Latents:
    """Accepted ones of so many draws of the prior: latents `(accepted, ...)`.

    Raises:
        ValueError: if fewer than `STARTS` are accepted.
    """
    target = Target(prior.model, prior.steps, jnp.full(prior.length, jnp.nan))

    def one(key: jax.Array) -> tuple[Latents, jax.Array]:
        sites = handlers.trace(handlers.seed(prior.model, key)).get_trace(prior.steps)
        drawn = {
            name: site["value"]
            for name, site in sites.items()
            if site["type"] == "sample" and not site["is_observed"] and name != "y"
        }
        z = unconstrain_fn(target.model, target[1:], {}, drawn)
        return z, jnp.isfinite(energy(target, z))

    z, accepted = jax.jit(jax.vmap(one))(jax.random.split(key, candidates))
    index = np.flatnonzero(np.asarray(accepted))
    if len(index) < STARTS:
        raise ValueError(
            f"prior {prior.name}: {len(index)} of {candidates} draws were accepted, "
            f"{STARTS} are needed to start from; draw more"
        )
    return jax.tree.map(lambda x: x[index], z)


def starts(target: Target, bank: Latents, key: jax.Array) -> Latents:
    """`STARTS` different draws of the bank, weighted by their likelihood."""
    fit = jax.lax.map(lambda z: jnp.sum(records(target, z)[0]), bank, batch_size=1024)
    fit = jnp.where(jnp.isfinite(fit), fit, -jnp.inf)
    # With Gumbel noise the largest ones are a weighted draw without replacement.
    _, index = jax.lax.top_k(fit + jax.random.gumbel(key, fit.shape), STARTS)
    return jax.tree.map(lambda x: x[index], bank)


def _collect(settings: Settings, step: Callable[[Any], Any], state: Any) -> Latents:
    """Latents of every `thin`-th state after the warm-up `(kept, ...)`."""

    def keep(state: Any, _: None) -> tuple[Any, Latents]:
        state = jax.lax.fori_loop(0, settings.thin, lambda _, s: step(s), state)
        return state, state.z

    state = jax.lax.fori_loop(0, settings.warmup, lambda _, s: step(s), state)
    kept = settings.samples // settings.thin
    return jax.lax.scan(keep, state, None, length=kept)[1]


def _ensemble(
    target: Target, settings: Settings, keys: jax.Array, start: Latents
) -> Latents:
    with jax.ensure_compile_time_eval():  # its constructor checks the weights
        kernel = AIES(
            potential_fn=lambda z: energy(target, z), moves={AIES.StretchMove(): 1.0}
        )
    state = kernel.init(keys, settings.warmup, start)
    return _collect(settings, lambda s: kernel.sample(s, (), {}), state)


def _nuts(
    target: Target, settings: Settings, keys: jax.Array, start: Latents
) -> Latents:
    def chain(key: jax.Array, start: Latents) -> Latents:
        init, step = hmc(lambda z: energy(target, z), algo="NUTS")
        state = init(
            start,
            settings.warmup,
            step_size=0.1,
            dense_mass=True,
            max_tree_depth=settings.depth,
            rng_key=key,
        )
        return _collect(settings, step, state)

    return jax.vmap(chain, out_axes=1)(keys, start)


def run_chains(
    target: Target, settings: Settings, key: jax.Array, start: Latents
) -> Latents:
    """Samples of the posterior, unconstrained `(kept, chains, ...)`.

    `start` holds unconstrained latents of at least as many chains.
    """
    sampler = {"ensemble": _ensemble, "nuts": _nuts}[settings.sampler]
    start = jax.tree.map(lambda x: x[: settings.chains], start)
    return sampler(target, settings, jax.random.split(key, settings.chains), start)
