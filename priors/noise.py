"""Noise of recorded curves, and what recording does to them.

    y_t ~ Normal(curve_t + drift_t + spikes_t, sigma_t)

drift is what is correlated between observations; all sizes are shares of the curve's
range. What is recorded may then be smoothed, the best so far, rounded or stuck.
"""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

from lcpfn.priors.shapes import ten_to, uniform


def recursive(keep: Array, x: Array) -> Array:
    """z_t = keep * z_(t-1) + x_t along the observations."""

    def step(z: Array, new: Array) -> tuple[Array, Array]:
        z = keep * z + new
        return z, z

    return jax.lax.scan(step, jnp.zeros(()), x)[1]


def normal_path(name: str, like: Array) -> Array:
    """Independent standard normal innovations, one per observation."""
    return numpyro.sample(name, dist.Normal(0, 1).expand(like.shape).to_event(1))


def noise_level(rate: Array, progress: Array, trend: Array) -> Array:
    """Standard deviation of an observation.

    With `trend` it shrinks with the learning rate and with what is left to learn.
    """
    size = 10.0 ** numpyro.sample("noise", dist.Normal(-2.2, 0.9))
    with_rate = rate ** uniform("noise_with_rate", 0.0, 1.5)
    with_progress = (progress + 0.02) ** uniform("noise_with_progress", 0.0, 1.0)
    return size * jnp.where(trend, with_rate * with_progress, 1.0) + 1e-6


def hot(heat: Array, sigma: Array) -> Array:
    """Noise of a high learning rate, large where that also keeps the loss up.

    Args:
        heat: what the learning rate adds to the curve, 0 where nothing.
        sigma: noise without it.
    """
    usual = jnp.max(heat) / 0.25
    power = uniform("hot", 0.4, 1.2)
    return sigma * jnp.where(usual > 0, jnp.maximum(usual, 1e-3), 1.0) ** power


def heavy(sigma: Array) -> Array:
    """Heavy tails: a log-normal mixture of scales."""
    return sigma * jnp.exp(uniform("tail", 0.4, 1.3) * normal_path("scales", sigma))


def dying(u: Array, sigma: Array) -> Array:
    """Noise that dies out, as of a policy that has converged."""
    return sigma * 10.0 ** -(
        uniform("dying", 1.0, 6.0) * u ** ten_to("dies", -0.7, 0.5)
    )


def correlated(sigma: Array) -> Array:
    """AR(1) noise with standard deviation sigma."""
    keep = 1 - ten_to("correlation", -1.7, -0.1)
    steady = recursive(keep, jnp.sqrt(1 - keep**2) * normal_path("innovations", sigma))
    return sigma * uniform("correlated_share", 0.2, 3.0) * steady


def wander(u: Array) -> Array:
    """A random walk: moves that are no noise, as of a policy in RL."""
    path = jnp.cumsum(normal_path("moves", u) * jnp.sqrt(jnp.diff(u, prepend=0.0)))
    return ten_to("wander", -2.5, -0.3) * path


def skewed(sigma: Array) -> Array:
    """Noise with a long tail towards worse values."""
    skew = uniform("skew", 0.3, 1.5)
    return sigma * jnp.expm1(skew * normal_path("skewed", sigma)) / skew


def spikes(sigma: Array) -> Array:
    """Rare jumps, mostly to the worse, that fade in a few observations."""
    often = ten_to("spike_rate", -2.3, -0.5)
    hit = numpyro.sample("spike_hits", dist.Bernoulli(often).expand(sigma.shape))
    vary = uniform("spike_variation", 0.0, 1.0)
    height = numpyro.sample(
        "spike_heights", dist.Exponential(1.0).expand(sigma.shape).to_event(1)
    )
    down = numpyro.sample("spikes_down", dist.Bernoulli(0.15))
    size = jnp.where(down == 1, -1, 1) * ten_to("spike_size", 0.5, 2.0)
    fade = jnp.maximum(uniform("spike_fade", -0.7, 0.8), 0.0)
    return size * sigma * recursive(fade, hit * (1 - vary + vary * height))


def wild(u: Array) -> Array:
    """One observation far from all others: a glitch of the log or of the loss."""
    # Early ones, the first above all, are the ones that a scale could be taken from.
    at = jnp.minimum(jnp.maximum(uniform("wild_at", -1.0, 1.0), 0.0) ** 3, u[-1])
    hit = jnp.arange(len(u)) == jnp.argmax(u >= at)
    down = numpyro.sample("wild_down", dist.Bernoulli(0.1))
    return jnp.where(hit, ten_to("wild", 0.5, 6.0) * jnp.where(down == 1, -1, 1), 0.0)


def smoothed(y: Array) -> Array:
    """Exponential moving average, as dashboards show."""
    keep = 1 - ten_to("smoothing", -1.3, -0.2)
    first = jnp.zeros_like(y).at[0].set(y[0] * keep)
    return recursive(keep, (1 - keep) * y + first)


def rounded(y: Array) -> Array:
    """Finite resolution: few digits, or a metric on few examples."""
    grid = ten_to("resolution", -4.5, -1.3) * (jnp.max(y) - jnp.min(y)) + 1e-9
    return jnp.round(y / grid) * grid


def _span(y: Array) -> Array:
    """What `y` covers, a wild value or two aside."""
    low, high = jnp.quantile(y, jnp.array([0.05, 0.95]))
    return high - low


def ceiling(y: Array, low: Array) -> Array:
    """Nothing is better than some value, often the bound: a success rate of 1."""
    best = jnp.min(y) + ten_to("ceiling", -3.0, -0.15) * _span(y)
    at_bound = numpyro.sample("ceiling_at_bound", dist.Bernoulli(0.6)) == 1
    down = jnp.where(at_bound & jnp.isfinite(low), best - low, 0.0)
    return jnp.maximum(y, best) - down


def rest(u: Array, y: Array) -> Array:
    """From some observation on it stays where it is, but for a small jitter."""
    start = ten_to("rest_from", -1.3, 0.0)
    first = jnp.argmax(u >= jnp.minimum(start, u[-1]))
    size = ten_to("rest_jitter", -6.0, -2.0) * _span(y)
    return jnp.where(u >= start, y[first] + size * normal_path("jitter", y), y)


def stuck(u: Array, y: Array) -> Array:
    """From some observation on the value does not change any more."""
    start = ten_to("stuck_from", -2.0, 0.0)
    first = jnp.argmax(u >= jnp.minimum(start, u[-1]))
    return jnp.where(u >= start, y[first], y)
