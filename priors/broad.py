"""The prior of the default checkpoint: learning curves of all kinds of training.

    s       = optimisation time left by a learning-rate schedule, warped
    curve   = decay(s) + heat + overfit(s) + bump + collapse + explosion + transient
    y       = curve + correlated noise, spikes + Gaussian noise of varying size
    metric  = where 0, the bounds and the size of y lie

Every effect is switched on at random, with its probability in `Effects`. The switches
are discrete sites: conditioned on them (`member`) what is left is continuous, and exact
inference applies. What recording does (smoothing, rounding, ...) comes after the
observed site "y", as "recorded"; a member without it is observed as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro import handlers

from lcpfn.priors import noise, shapes
from lcpfn.priors.base import Prior, check_shares, observe
from lcpfn.priors.step_grids import ragged

# What runs of one task have in common: the metric, and what is known of it; but for
# exceptions also the learning-rate schedule and what recording does.
FIXED = ("metric", "accuracy", "easy", "any_offset", "has_known")
USUAL = (
    *("has_schedule", "schedule", "has_warm_up", "warm_up_until", "final_rate"),
    *("exponential_rate", "drop_times", "drop_factor", "restart_cycles"),
    *("late_share", "root_scale", "has_trend", "has_untrained"),
    *("has_smoothed", "smoothing", "has_best_so_far", "has_rounded", "resolution"),
    *("has_ceiling", "ceiling", "ceiling_at_bound"),
)


@dataclass(frozen=True)
class Effects:
    """Probability that a curve shows an effect; 0 switches it off.

    See the function of the same name in `lcpfn.priors.shapes` or `.noise`.
    `logarithmic` is of curves whose steps grow apart. `flat`:
    nothing is learned; `small`: next to nothing is; `rising`: it gets worse from the
    start; `untrained`: the first observation is from before training; `trend`: noise
    shrinks; `hot`: noise goes with what a high learning rate costs; `best_so_far`: what
    is recorded is the running best; `known`: bounds are.
    """

    logarithmic: float = 0.8
    schedule: float = 0.55
    warm_up: float = 0.15
    heat: float = 0.5
    untrained: float = 0.45
    onset: float = 0.12
    breaking: float = 0.12
    overfit: float = 0.11
    bump: float = 0.03
    collapse: float = 0.025
    explosion: float = 0.012
    transient: float = 0.14
    flat: float = 0.05
    small: float = 0.08
    rising: float = 0.012
    trend: float = 0.6
    hot: float = 0.0
    correlated: float = 0.2
    wander: float = 0.12
    skewed: float = 0.15
    heavy: float = 0.2
    spikes: float = 0.1
    wild: float = 0.12
    dying: float = 0.08
    ceiling: float = 0.12
    rest: float = 0.05
    smoothed: float = 0.04
    best_so_far: float = 0.015
    rounded: float = 0.18
    stuck: float = 0.02
    known: float = 0.8

    def __post_init__(self) -> None:
        check_shares(vars(self))


def broad_model(
    steps: Array, observed: Array | None = None, effects: Effects = Effects()
) -> None:
    """NumPyro model of one curve, lower is better.

    Args:
        steps: increasing `(length,)`, the last one is the horizon; it may be repeated.
        observed: values `(length,)`, NaN where not observed; None to sample.
        effects: how often each effect is there.
    """

    def switch(name: str) -> Array:
        return (
            numpyro.sample(f"has_{name}", dist.Bernoulli(getattr(effects, name))) == 1
        )

    def maybe(name: str, changed: Callable[[], Array], plain: Array) -> Array:
        """`changed()` where the effect is on; not even sampled where it never is."""
        if getattr(effects, name) == 0:
            return plain
        return jnp.where(switch(name), changed(), plain)

    u = steps / steps[-1]
    u = maybe("logarithmic", lambda: shapes.logarithmic(steps, u), u)
    index = jnp.arange(len(steps), dtype=steps.dtype)
    zero, one = jnp.zeros_like(u), jnp.ones_like(u)
    u = maybe("untrained", lambda: u - u[0], u)
    rate = maybe("schedule", lambda: shapes.learning_rate(u), one)
    rate = maybe("warm_up", lambda: rate * shapes.warm_up(u), rate)
    numpyro.deterministic("rate", rate)
    s = jnp.cumsum(rate * jnp.diff(u, prepend=0.0))
    s = maybe("onset", lambda: shapes.onset(s), s)
    s = maybe("breaking", lambda: shapes.breaking(s), s)
    progress = shapes.decay(s)
    heat = maybe("heat", lambda: shapes.heat(rate, progress), zero)
    curve = progress + heat
    curve += maybe("overfit", lambda: shapes.overfit(s), zero)
    curve += maybe("bump", lambda: shapes.bump(u), zero)
    curve = maybe("rising", lambda: -curve, curve)
    curve += maybe("collapse", lambda: shapes.collapse(u), zero)
    curve += maybe("explosion", lambda: shapes.explosion(u), zero)
    curve = maybe("flat", lambda: zero, curve)
    width = jnp.max(curve) - jnp.min(curve)
    curve = maybe("small", lambda: curve * shapes.ten_to("gain", -2.5, -0.3), curve)
    curve, size, grain, low, high = place(curve, width)
    sigma = grain * noise.noise_level(
        rate, progress, trend=maybe("trend", lambda: one, zero) > 0
    )
    sigma = maybe("hot", lambda: noise.hot(heat, sigma), sigma)
    sigma = maybe("dying", lambda: noise.dying(u, sigma), sigma)
    drift = (
        maybe("correlated", lambda: noise.correlated(sigma), zero)
        + maybe("wander", lambda: noise.wander(u), zero)
        + maybe("skewed", lambda: noise.skewed(sigma), zero)
        + maybe("spikes", lambda: noise.spikes(sigma), zero)
        + maybe("wild", lambda: noise.wild(u), zero)
    )
    # The first observations of a transient say nothing of where the metric lies.
    jump = maybe("transient", lambda: shapes.transient(index), zero)
    curve += size * jnp.where(jnp.isinf(high), jump, 0)
    numpyro.deterministic("curve", curve)
    sigma = maybe("heavy", lambda: noise.heavy(sigma), sigma)
    y = observe(dist.Normal(curve + size * drift, size * sigma), observed)
    y = maybe("smoothed", lambda: noise.smoothed(y), y)
    y = maybe("ceiling", lambda: noise.ceiling(y, low), y)
    y = maybe("best_so_far", lambda: jnp.minimum.accumulate(y), y)
    y = jnp.clip(y, low, high)
    y = maybe("rounded", lambda: noise.rounded(y), y)
    y = maybe("rest", lambda: noise.rest(u, y), y)
    y = maybe("stuck", lambda: noise.stuck(u, y), y)
    numpyro.deterministic("recorded", jnp.clip(y, low, high))
    known = maybe("known", lambda: one[0], zero[0]) > 0
    numpyro.deterministic("low", jnp.where(known, low, -jnp.inf))
    numpyro.deterministic("high", jnp.where(known, high, jnp.inf))


def place(curve: Array, width: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Puts a curve where a metric lies: an error or accuracy, a loss, anything.

    Noise does not tell how much is still to be gained. That of an accuracy hangs on the
    distance from a perfect one, not on what is learned (on recorded curves its share of
    that distance is the same for gains of 3 and of 60 %); that of a loss on both.

    Args:
        curve: lower is better `(length,)`.
        width: range that a run which learns well would have on this task.

    Returns:
        The curve, the factor it was stretched by, the unit of noise before stretching,
        the lowest and the highest value.
    """
    kind = numpyro.sample("metric", dist.Categorical(jnp.array([0.4, 0.35, 0.25])))
    bottom = jnp.min(curve)
    width = jnp.where(width > 1e-3, width, 1.0)
    start = shapes.uniform("worst_error", 0.0, 1.0) ** 0.4
    # Easy tasks: even the worst error is a few percent.
    easy = numpyro.sample("easy", dist.Bernoulli(0.15)) == 1
    start = jnp.where(easy, start * shapes.ten_to("easy_error", -3.0, 0.0), start)
    end = start * shapes.uniform("best_error", 0.0, 1.0) ** 1.4
    size = jnp.where(kind == 0, (start - end + 1e-6) / width, 1.0)
    # An accuracy is one minus an error: the same bounds, but another distance to 0.
    shift = numpyro.sample("accuracy", dist.Bernoulli(0.5)) * 1.0
    offset = 10.0 ** numpyro.sample("loss_offset", dist.Normal(0.4, 1.0))
    anywhere = 5 * numpyro.sample("any_offset", dist.Normal(0, 1))
    base = jnp.stack([end - shift, offset * width, anywhere])[kind]
    base = jnp.where(kind == 2, base, base - size * bottom)
    grain = jnp.stack([0.7 * start / size, 0.6 * (1 + offset) ** 0.35, 1.0])[kind]
    low = jnp.stack([-shift, 0.0, -jnp.inf])[kind]
    high = jnp.stack([1 - shift, jnp.inf, jnp.inf])[kind]
    return base + size * curve, size, grain, low, high


def member(**sites: int) -> Callable[..., None]:
    """The broad model given discrete sites, for example `has_overfit=0, schedule=1`."""
    return handlers.condition(
        broad_model, data={k: jnp.array(v) for k, v in sites.items()}
    )


def broad_prior(effects: Effects = Effects(), name: str = "broad") -> Prior:
    """A prior over curves of `ragged` lengths that shows these effects."""
    return Prior(
        partial(broad_model, effects=effects),
        name=name,
        length=128,
        mode="min",
        axis=ragged,
        source="lcpfn.priors.broad",
    )


BROAD_PRIOR = broad_prior()
# Of runs whose learning rate is planned more have a schedule, and gain by it.
SCHEDULED_PRIOR = broad_prior(
    replace(Effects(), schedule=0.75, heat=0.7, hot=0.8),
    name="scheduled",
)
