"""Bayesian fits of parametric curves by MCMC, each as a `Method`.

MCMC, 11 families
    The weighted sum of the eleven families of Domhan et al. 2015 by an ensemble of 100
    walkers. Weights are positive and normalised; all priors are flat within the bounds
    of `lcpfn.priors.families` (a log-normal parameter in its logarithm, within three
    spreads), so is log noise; a curve that ends worse than it begins is rejected.
    Walkers start at draws from the bounds, weighted by how well each family fits alone,
    which stands for least squares. Left out of the original: weights that grow with the
    step, and that a family whose fit is poor is dropped.
NUTS, mmf4
    One family: 200 steps of warm-up and 1,000 more. Parameters are
    normal around their least-squares fit with spread 1, noise is exponential with mean
    1. Source: LCModelStopper of DeepHyper, but the forecast includes the noise.

Steps count from 1 in units of their gap. Values are scaled so that higher is better: by
the bounds where both are known, otherwise so that what is shown spans the lower half of
[0, 1] (11 families); as they are, by what is shown (mmf4).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions.transforms import biject_to
from tqdm import tqdm

from lcpfn.eval.baselines.last_value import gaussians, shown
from lcpfn.eval.baselines.least_squares import CURVES, best_fit
from lcpfn.eval.curves import Method
from lcpfn.eval.data import Case
from lcpfn.eval.exact.mcmc import Latents, Settings, Target, records, run_chains
from lcpfn.mixture import Mixture
from lcpfn.priors import observe
from lcpfn.priors.families import FAMILIES

ENSEMBLE = Settings("ensemble", chains=100, warmup=300, samples=300, thin=30)
NUTS = Settings("nuts", chains=1, warmup=200, samples=1000, thin=20)
COMPONENTS = 50  # samples in a forecast
BANK = 512  # draws of each family that walkers start from
NOISE = dist.Uniform(-9.0, 0.0)  # of log sigma
# Curves are padded to one of these lengths, longer ones are thinned to the last.
LENGTHS = (16, 64, 256)
BATCH = 32


class Scaled(NamedTuple):
    """Cases in the units of a fit, of one padded length.

    Attributes:
        t: steps `(n, length)`; the horizon behind the observations.
        v: values `(n, length)`, NaN behind them.
        center: parameters that a fit starts from `(n, p)`; p may be 0.
    """

    t: Any
    v: Any
    center: Any


def box(distribution: dist.Distribution) -> dist.Distribution:
    """The flat prior within the bounds of a parameter."""
    if isinstance(distribution, dist.LogNormal):
        loc, reach = distribution.loc, 3 * distribution.scale
        return dist.LogUniform(jnp.exp(loc - reach), jnp.exp(loc + reach))
    return distribution


def eleven_families(
    center: jax.Array, steps: jax.Array, observed: jax.Array | None = None
) -> None:
    """NumPyro model of eleven families; there is no center."""
    weight = numpyro.sample(
        "weight", dist.Uniform(0.0, 1.0).expand([len(FAMILIES)]).to_event(1)
    )
    curve = jnp.zeros_like(steps)
    for share, (name, family) in zip(weight, FAMILIES.items(), strict=True):
        drawn = {
            parameter: numpyro.sample(f"{name}_{parameter}", box(prior))
            for parameter, prior in family.parameters.items()
        }
        curve = curve + share / jnp.sum(weight) * family.value(steps, **drawn)
    numpyro.factor("rises", jnp.where(curve[-1] >= curve[0], 0.0, -jnp.inf))
    log_sigma = numpyro.sample("log_sigma", NOISE)
    observe(dist.Normal(curve, jnp.exp(log_sigma)), observed)


def mmf4(
    center: jax.Array, steps: jax.Array, observed: jax.Array | None = None
) -> None:
    """NumPyro model of mmf4: a + b / (1 + (t e^-c)^(e^d))."""
    free = dist.Normal(center, 1.0).to_event(1)
    a, b, c, d = numpyro.sample("parameters", free)
    power = jnp.exp(jnp.clip(jnp.exp(d) * (jnp.log(steps) - c), -50.0, 50.0))
    sigma = numpyro.sample("sigma", dist.Exponential(1.0))
    observe(dist.Normal(a + b / (1 + power), sigma), observed)


def walkers(key: jax.Array, case: Scaled, chains: int) -> tuple[jax.Array, Latents]:
    """Starts of eleven families: draws of each by its fit, nearly equal weights."""
    key, key_chains = jax.random.split(key)
    known = ~jnp.isnan(case.v)
    seen, count = jnp.where(known, case.v, 0.0), jnp.sum(known)
    start: Latents = {}
    total = jnp.zeros((chains, len(case.t)))
    for name, family in FAMILIES.items():
        boxes = {parameter: box(p) for parameter, p in family.parameters.items()}
        key, key_pick, *keys = jax.random.split(key, 2 + len(boxes))
        drawn = {
            parameter: prior.sample(k, (BANK,))
            for k, (parameter, prior) in zip(keys, boxes.items(), strict=True)
        }
        curves = jax.vmap(lambda p, value=family.value: value(case.t, **p))(drawn)
        error = jnp.sum(jnp.where(known, curves - seen, 0.0) ** 2, axis=1)
        error = jnp.where(jnp.all(jnp.isfinite(curves), axis=1), error, jnp.inf)
        # The likelihood with the noise at its best.
        fit = -0.5 * count * jnp.log(error + 1e-6)
        _, index = jax.lax.top_k(fit + jax.random.gumbel(key_pick, (BANK,)), chains)
        total = total + curves[index] / len(FAMILIES)
        for parameter, prior in boxes.items():
            inverse = biject_to(prior.support).inv
            start[f"{name}_{parameter}"] = inverse(drawn[parameter][index])
    key_weight, key_noise = jax.random.split(key)
    start["weight"] = 0.1 * jax.random.normal(key_weight, (chains, len(FAMILIES)))
    error = jnp.where(known, total - seen, 0.0) ** 2
    rough = 0.5 * jnp.log(jnp.sum(error, axis=1) / count + 1e-6)
    rough = rough + 0.1 * jax.random.normal(key_noise, (chains,))
    low, high = NOISE.low + 0.1, NOISE.high - 0.1
    inverse = biject_to(NOISE.support).inv
    start["log_sigma"] = inverse(jnp.clip(rough, low, high))
    return key_chains, start


def around_center(
    key: jax.Array, case: Scaled, chains: int
) -> tuple[jax.Array, Latents]:
    """Starts of mmf4: the least-squares fit and a noise of e^-3."""
    center = jnp.tile(case.center, (chains, 1))
    return key, {"parameters": center, "sigma": jnp.full(chains, -3.0)}


class Fit(NamedTuple):
    """A model, a sampler and how a case is put to them.

    Attributes:
        model: NumPyro model `(center, steps, observed)`.
        settings: of the chains.
        start: `(key, case, chains)` -> key of the chains, unconstrained latents.
        least: observations up to which the forecast is the last value, give or take
            the range of what is shown, as that of `least_squares.fitted`.
        scale: offset and unit of the values of a case.
        center: parameters to start from, of steps and scaled values.
    """

    model: Callable[..., None]
    settings: Settings
    start: Callable[[jax.Array, Scaled, int], tuple[jax.Array, Latents]]
    least: int
    scale: Callable[[Case], tuple[float, float]]
    center: Callable[[np.ndarray, np.ndarray], np.ndarray]


@partial(jax.jit, static_argnums=0)
def sample(fit: Fit, key: jax.Array, scaled: Scaled) -> tuple[jax.Array, jax.Array]:
    """Means and standard deviations of the final values `(n, COMPONENTS)`."""

    def one(key: jax.Array, case: Scaled) -> tuple[jax.Array, jax.Array]:
        key, start = fit.start(key, case, fit.settings.chains)
        target = Target(partial(fit.model, case.center), case.t, case.v)
        z = run_chains(target, fit.settings, key, start)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), z)
        count = len(jax.tree.leaves(flat)[0])
        index = jnp.linspace(0, count - 1, COMPONENTS).astype(int)
        kept = jax.tree.map(lambda x: x[index], flat)
        _, mean, std = jax.vmap(lambda z: records(target, z))(kept)
        return mean[:, -1], std[:, -1]

    return jax.vmap(one)(jax.random.split(key, len(scaled.t)), scaled)


def rising_scale(case: Case) -> tuple[float, float]:
    """Offset and unit that make higher better, in [0, 1] where the bounds say so."""
    _, values, reach = shown(case)
    low, high = float(values.min()), float(values.min()) + 2 * reach
    if case.mode == "min":
        high, low = float(values.max()), float(values.max()) - 2 * reach
    if case.bounds is not None and None not in case.bounds:
        low, high = (float(bound) for bound in case.bounds)  # type: ignore[arg-type]
    return (low, high - low) if case.mode == "max" else (high, low - high)


def shown_scale(case: Case) -> tuple[float, float]:
    """Offset and unit of what is shown."""
    _, values, reach = shown(case)
    return float(values.min()), reach


def no_center(t: np.ndarray, v: np.ndarray) -> np.ndarray:
    """No parameters `(0,)`."""
    return np.zeros(0)


FITS = {
    "MCMC, 11 families": Fit(
        *(eleven_families, ENSEMBLE, walkers, 2, rising_scale, no_center)
    ),
    "NUTS, mmf4": Fit(
        *(mmf4, NUTS, around_center, 4, shown_scale),
        partial(best_fit, CURVES["mmf4"]),
    ),
}


def _scaled(fit: Fit, case: Case) -> Scaled:
    """One case, padded, without the axis of cases."""
    steps, values, _ = shown(case)
    offset, unit = fit.scale(case)
    gap = (steps[-1] - steps[0]) / (len(steps) - 1)
    t, v = 1 + (steps - steps[0]) / gap, (values - offset) / unit
    length = next((n for n in LENGTHS if n > len(t)), LENGTHS[-1])
    if len(t) >= length:
        kept = np.linspace(0, len(t) - 1, length - 1).round().astype(int)
        t, v = t[kept], v[kept]
    rest = length - len(t)
    horizon = 1 + (case.horizon - steps[0]) / gap
    return Scaled(
        np.concatenate([t, np.full(rest, horizon)]).astype(np.float32),
        np.concatenate([v, np.full(rest, np.nan)]).astype(np.float32),
        np.asarray(fit.center(t, v), np.float32),
    )


def bayesian(name: str) -> Method:
    """One of `FITS`, in batches of cases of similar length."""
    fit = FITS[name]

    def predict(cases: Sequence[Case], targets: int = 1) -> Mixture:
        if targets != 1:
            raise ValueError("fits by MCMC predict the final value alone: 1 target")
        mean, std = np.empty((2, len(cases), COMPONENTS))
        groups: dict[int, list[tuple[int, Scaled]]] = {}
        for i, case in enumerate(cases):
            _, values, reach = shown(case)
            mean[i], std[i] = values[-1], reach
            if len(values) > fit.least:
                scaled = _scaled(fit, case)
                groups.setdefault(len(scaled.t), []).append((i, scaled))
        batches = [
            group[i : i + BATCH]
            for group in groups.values()
            for i in range(0, len(group), BATCH)
        ]
        for number, batch in enumerate(tqdm(batches, desc=name, disable=None)):
            index = [i for i, _ in batch]
            full = [batch[i % len(batch)][1] for i in range(BATCH)]
            scaled = Scaled(*(np.stack(column) for column in zip(*full, strict=True)))
            found = sample(fit, jax.random.fold_in(jax.random.key(0), number), scaled)
            scales = np.array([fit.scale(cases[i]) for i in index])[:, :, None]
            centers, spreads = (np.asarray(x, float)[: len(index)] for x in found)
            centers = np.clip(np.nan_to_num(centers), -1e3, 1e3)
            mean[index] = scales[:, 0] + scales[:, 1] * centers
            std[index] = np.abs(scales[:, 1]) * np.nan_to_num(spreads, nan=1.0)
        floor = 1e-6 * np.array([[case.scale] for case in cases])
        return gaussians(cases, mean, np.maximum(std, floor))

    return predict
