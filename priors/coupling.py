"""Makes the runs of one task resemble each other, for any NumPyro model of one curve.

Every sample site of a run gets a standard normal

    z = sqrt(1 - o) z_task + sqrt(o c) f_site(x) + sqrt(o (1 - c)) e_run

and the value at which the site's distribution function is Phi(z): a Gaussian copula.
So each run by itself is a draw of the model; o is the share that differs between runs
of a task, c the share of that which the configuration x explains. Sites with one value
per observation stay independent: they are noise.

Source: FT-PFN draws the parameters of curves from a random network of the
configuration, Rakotoarison et al. 2024 (2404.16795); the copula needs no network and
keeps the model's distributions.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike
from numpyro import handlers
from numpyro.primitives import Messenger

from lcpfn.priors.configurations import WAVES

EDGE = 1e-6  # float32 knows no probability nearer to one
WRAPPERS = (dist.ExpandedDistribution, dist.Independent, dist.MaskedDistribution)
BINARY = (dist.BernoulliProbs, dist.BernoulliLogits)
CATEGORICAL = (dist.CategoricalProbs, dist.CategoricalLogits)


class Sites(NamedTuple):
    """What a model samples once per run.

    Attributes:
        shapes: of the values of each site, by name.
        rejects: whether the model has factors.
    """

    shapes: Mapping[str, tuple[int, ...]]
    rejects: bool


class TaskNormals(NamedTuple):
    """What the runs of one task share; D values of all sites, S sites.

    Attributes:
        centres: z_task of the runs of either family `(2, D)`.
        weights: of f_site on the waves of the configuration `(D, 2 * WAVES)`.
        differs: o of each value `(D,)`.
        explained: c of each value `(D,)`.
    """

    centres: Array
    weights: Array
    differs: Array
    explained: Array


def once_per_run(model: Callable[..., None], steps: Array) -> Sites:
    """The sites of a model that are not one value per observation.

    Args:
        model: NumPyro model `(steps)`; it is only traced.
        steps: `(length,)`; an axis as long as that is one of observations.
    """
    found: dict[str, tuple[int, ...]] = {}
    rejects = []

    def trace(steps: Array) -> None:
        seeded = handlers.seed(model, jax.random.key(0))
        for name, site in handlers.trace(seeded).get_trace(steps).items():
            if site["type"] != "sample":
                continue
            rejects.append(isinstance(site["fn"], dist.Unit))
            shape = jnp.shape(site["value"])
            if not site["is_observed"] and steps.shape[0] not in shape:
                found[name] = shape

    jax.eval_shape(trace, steps)
    return Sites(found, any(rejects))


def at_normal(distribution: dist.Distribution, z: Array, q: Array, name: str) -> Array:
    """The value at which the distribution function is that of a normal at `z`.

    Args:
        distribution: of a site.
        z: shape of a value of the site.
        q: Phi(z).
        name: of the site.

    Raises:
        ValueError: if the distribution's inverse is not known, naming the site.
    """
    plain = distribution
    while isinstance(plain, WRAPPERS):
        plain = plain.base_dist
    if isinstance(plain, dist.Normal):
        return plain.loc + plain.scale * z
    if isinstance(plain, dist.LogNormal):
        return jnp.exp(plain.loc + plain.scale * z)
    if isinstance(plain, BINARY):
        return (q > 1 - plain.probs).astype(jnp.int32)
    if isinstance(plain, CATEGORICAL):
        borders = jnp.cumsum(plain.probs, axis=-1)[..., :-1]
        return jnp.sum(q[..., None] > borders, axis=-1, dtype=jnp.int32)
    try:
        return plain.icdf(q)
    except (NotImplementedError, ImportError):  # some need further packages
        raise ValueError(
            f"the runs of a search cannot share site {name!r}: numpyro knows no "
            f"inverse distribution function of {type(plain).__name__}; write it as a "
            "function of sites that have one (Uniform, Normal, LogNormal, "
            "Exponential, Bernoulli, Categorical, ...)"
        ) from None


class Coupled(Messenger):
    """Handler: sites in `normals` take their value there, others are sampled."""

    def __init__(
        self, model: Callable[..., None], normals: Mapping[str, tuple[Array, Array]]
    ) -> None:
        self.normals = normals
        super().__init__(model)

    def process_message(self, msg: dict[str, Any]) -> None:
        """Sets the value of a site that was given a normal."""
        name = str(msg.get("name"))
        if msg["type"] == "sample" and not msg["is_observed"] and name in self.normals:
            msg["value"] = at_normal(msg["fn"], *self.normals[name], name)


def task_normals(
    key: Array,
    shapes: Mapping[str, tuple[int, ...]],
    limits: Mapping[str, tuple[ArrayLike, ArrayLike]],
    differs: Array,
    explained: Array,
    alike: Array,
) -> TaskNormals:
    """Draws what the runs of a task share.

    Args:
        key: PRNG key of the task.
        shapes: of the sites that are coupled.
        limits: least and largest o of some sites; they do not depend on the family.
        differs: typical o of the sites, logit.
        explained: typical c of the sites, logit.
        alike: correlation of the centres of the two families.
    """
    keys = jax.random.split(key, 5)
    sizes = [prod(shape) for shape in shapes.values()]
    bounds = jnp.array([limits.get(name, (0.0, 1.0)) for name in shapes]).T
    limited = jnp.array([name in limits for name in shapes])

    def each_value(x: Array) -> Array:
        """One entry per site `(S, ...)` to one per value `(D, ...)`."""
        return jnp.repeat(x, jnp.array(sizes), axis=0, total_repeat_length=sum(sizes))

    o, c = (
        jax.nn.sigmoid(typical + 1.5 * jax.random.normal(k, (len(sizes),)))
        for typical, k in zip((differs, explained), keys[:2], strict=True)
    )
    one, other = jax.random.normal(keys[2], (2, sum(sizes)))
    alike = each_value(jnp.where(limited, 1.0, alike))
    other = alike * one + jnp.sqrt(1 - alike**2) * other
    share = jax.nn.softmax(3.0 * jax.random.normal(keys[3], (len(sizes), WAVES)))
    weights = jax.random.normal(keys[4], (sum(sizes), 2 * WAVES))
    weights *= jnp.sqrt(each_value(jnp.tile(share, (1, 2))))
    o = jnp.clip(o, bounds[0], bounds[1])
    return TaskNormals(jnp.stack([one, other]), weights, each_value(o), each_value(c))


def run_normals(
    key: Array,
    task: TaskNormals,
    basis: Array,
    family: Array,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[Array, Array]]:
    """Z and Phi(z) of every site of one run.

    Args:
        key: PRNG key of the run.
        task: what it shares with the others.
        basis: waves of its configuration `(2 * WAVES,)`.
        family: 0 or 1, scalar.
        shapes: of the sites, as given to `task_normals`.
    """
    o, c = task.differs, task.explained
    own = jax.random.normal(key, o.shape)
    of_run = jnp.sqrt(c) * (task.weights @ basis) + jnp.sqrt(1 - c) * own
    z = jnp.sqrt(1 - o) * task.centres[family] + jnp.sqrt(o) * of_run
    ends = list(accumulate(map(prod, shapes.values())))
    q = jnp.clip(jax.scipy.special.ndtr(z), EDGE, 1 - EDGE)
    parts = zip(shapes.items(), *(jnp.split(x, ends[:-1]) for x in (z, q)), strict=True)
    return {
        name: (own.reshape(shape), below.reshape(shape))
        for (name, shape), own, below in parts
    }
