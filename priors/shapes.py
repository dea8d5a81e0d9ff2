"""Effects that shape the noiseless curve; each is small, and of one source.

Lower is better. Time is a fraction of the horizon, u in [0, 1]; s is the optimisation
time that a learning-rate schedule leaves of it. A curve falls from about 1 towards 0.
Every function samples its own parameters as NumPyro sites.
"""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

SCHEDULES = (
    "constant",
    "cosine",
    "linear",
    "exponential",
    "drops",
    "restarts",
    "late",
    "root",
)


def uniform(name: str, low: float, high: float) -> Array:
    """A uniform site."""
    return numpyro.sample(name, dist.Uniform(low, high))


def ten_to(name: str, low: float, high: float) -> Array:
    """A log-uniform site between 10^low and 10^high."""
    return 10.0 ** uniform(name, low, high)


def decay(s: Array) -> Array:
    """Mixture of decays with time scales from a thousandth of the horizon to beyond it.

    Power law, stretched exponential, two Hill curves (those bend: slow start, late
    phase) and a logarithm. Domhan et al. 2015 (pow3, janoschek, mmf, ilog2) and the
    sums of them in LC-PFN (arXiv 2310.20447), all from 1 at s = 0.
    """
    common = jnp.array([1.0, 1.0, 0.5, -1.2, -1.5])
    score = numpyro.sample("share", dist.Normal(common, 2.0).to_event(1))
    share = jax.nn.softmax(score)
    rate = numpyro.sample("power", dist.LogNormal(-0.4, 0.6))
    stretch = numpyro.sample("stretch", dist.LogNormal(0.0, 0.35))
    bend = numpyro.sample("bend", dist.LogNormal(0.7, 0.6).expand([2]).to_event(1))
    scales = ten_to("power_scale", -3.5, 0.0), ten_to("exponential_scale", -3.0, 0.0)
    middle = ten_to("hill_scale", -2.7, -0.2), ten_to("late_hill_scale", -0.8, 0.2)
    knee = ten_to("log_scale", -3.0, 0.0)
    parts = (
        (1 + s / scales[0]) ** -rate,
        jnp.exp(-((s / scales[1] + 1e-6) ** stretch)),
        1 / (1 + (s / middle[0] + 1e-6) ** bend[0]),
        1 / (1 + (s / middle[1] + 1e-6) ** (2 * bend[1])),
        1 - jnp.log1p(s / knee) / jnp.log1p(1 / knee),
    )
    return sum(w * part for w, part in zip(share, parts, strict=True))


def logarithmic(steps: Array, u: Array) -> Array:
    """Time by which as much happens from 10 to 100 as from 100 to 1,000.

    Only of curves whose steps grow apart, such as an error against the sample size:
    there power laws are straight lines. All others keep their time `u`.
    """
    since, first = steps - steps[0], steps[1] - steps[0]
    count = jnp.sum(jnp.diff(steps) > 0)
    time = jnp.log(2 + since / first)
    return jnp.where(since[-1] > 3 * first * count, time / time[-1], u)


def learning_rate(u: Array) -> Array:
    """Learning rate as a share of its peak, one of `SCHEDULES`.

    Source: the schedules in use; restarts: Loshchilov & Hutter 2017 (1608.03983);
    late, constant and then linear to zero: Haegele et al. 2024 (2405.18392).
    """
    odds = jnp.array([0.0, 0.34, 0.16, 0.08, 0.18, 0.06, 0.12, 0.06])
    kind = numpyro.sample("schedule", dist.Categorical(odds))
    floor = ten_to("final_rate", -4.0, -1.0)
    fall = uniform("exponential_rate", 1.0, 7.0)
    times = numpyro.sample("drop_times", dist.Uniform(0.15, 1.4).expand([3]))
    factor = 10.0 ** -uniform("drop_factor", 0.2, 1.2)
    cycles = jnp.ceil(uniform("restart_cycles", 1.0, 8.0))
    tail = uniform("late_share", 0.05, 0.5)
    root = ten_to("root_scale", -2.0, 0.0)

    def half_cosine(x: Array) -> Array:
        return 0.5 + 0.5 * jnp.cos(jnp.pi * x)

    rates = (
        jnp.ones_like(u),
        half_cosine(u),
        1 - u,
        jnp.exp(-fall * u),
        factor ** jnp.sum(u[:, None] > times, axis=1),
        half_cosine((u * cycles * 0.9999) % 1.0),
        jnp.clip((1 - u) / tail, 0.0, 1.0),
        (1 + u / root) ** -0.5,
    )
    return jnp.maximum(jnp.stack(rates)[kind], floor)


def warm_up(u: Array) -> Array:
    """Linear warm-up of the learning rate."""
    return jnp.minimum(1.0, (u + 1e-4) / ten_to("warm_up_until", -2.5, -0.7))


def heat(rate: Array, progress: Array) -> Array:
    """What a high learning rate keeps the loss from reaching: gone when it falls.

    It makes the late gain of cosine and linear schedules, and the drop after a step.
    """
    size = ten_to("heat", -1.7, 0.5)
    return size * rate ** uniform("heat_power", 0.5, 1.5) * (1 - progress)


def onset(s: Array) -> Array:
    """Slow start: nearly no progress until some time, as in grokking and RL."""
    start, power = ten_to("onset", -2.0, -0.05), uniform("onset_power", 1.5, 8.0)
    ratio = (s + 1e-6) / start
    return s * ratio ** (power - 1) / (1 + ratio ** (power - 1))


def breaking(s: Array) -> Array:
    """From some point on progress runs at another pace, backwards if negative.

    FT-PFN's breaking point: rate 1 - Exp(1), Rakotoarison et al. 2024 (2404.16795).
    """
    point = uniform("break", 0.02, 1.0)
    pace = 1 - numpyro.sample("break_pace", dist.Exponential(1.0))
    return jnp.where(s < point, s, jnp.maximum(point + pace * (s - point), 0))


def overfit(s: Array) -> Array:
    """U-turn: what overfitting adds, saturating."""
    size = numpyro.sample("overfit", dist.LogNormal(-1.2, 1.0))
    start, scale = (
        ten_to("overfit_start", -2.0, 0.0),
        ten_to("overfit_scale", -1.3, 0.5),
    )
    power = uniform("overfit_power", 0.7, 2.0)
    late = jnp.maximum(s - start, 0) / scale
    return size * (1 - jnp.exp(-((late + 1e-6) ** power)))


def bump(u: Array) -> Array:
    """Double descent: a hump in log-time. Nakkiran et al. 2020 (1912.02292)."""
    size = numpyro.sample("bump", dist.LogNormal(-1.2, 0.9))
    middle, width = ten_to("bump_middle", -1.7, 0.0), uniform("bump_width", 0.1, 0.6)
    return size * jnp.exp(-0.5 * (jnp.log((u + 1e-4) / middle) / width) ** 2)


def collapse(u: Array) -> Array:
    """A sudden loss of what was learned, for good or with recovery."""
    start, size = uniform("collapse", 0.01, 1.0), ten_to("collapse_size", -1.0, 0.5)
    recovery = ten_to("recovery", -2.3, 1.0)
    since = u - start
    return jnp.where(since >= 0, size * jnp.exp(-since / recovery), 0.0)


def explosion(u: Array) -> Array:
    """Divergence: exponential growth from some time on, by up to e^8."""
    start, pace = uniform("explosion", 0.0, 1.0), ten_to("explosion_pace", -2.0, 0.0)
    size = ten_to("explosion_size", -3.0, -1.0)
    return size * jnp.expm1(jnp.clip((u - start) / pace, 0.0, 8.0))


def transient(index: Array) -> Array:
    """First observations far above the rest; `index` counts observations."""
    size, fade = ten_to("transient", -0.5, 2.2), ten_to("transient_fade", -1.0, 0.7)
    huge = numpyro.sample("transient_huge", dist.Bernoulli(0.08))
    size = size * jnp.where(huge == 1, ten_to("transient_more", 0.0, 4.0), 1.0)
    return size * jnp.exp(-index / fade)
