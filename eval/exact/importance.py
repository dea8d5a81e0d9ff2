"""Exact inference on LC-PFN's prior for short prefixes, by importance sampling.

A bank of M accepted noiseless curves f_m is a sample of the prior. With the noise on a
grid of K values sigma_k, weighted pi_k by its own prior, the posterior predictive is

    w_mk ~ pi_k prod_{t <= cutoff} N(y_t; f_m(t), sigma_k)
    p(y_j | y_1..y_cutoff) = sum_mk w_mk N(y_j; f_m(j), sigma_k) / sum_mk w_mk

The acceptance rule enters by keeping accepted curves only; noise is added after it. The
effective sample size 1 / sum_m w_m^2 says where the bank is fine enough: the logarithm
of an average over few curves is biased low, so a curve counts as resolved from
`RESOLVED` effective curves on.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from lcpfn.eval import scores
from lcpfn.eval.exact.prior_score import log_prob
from lcpfn.eval.tables import fill, table
from lcpfn.mixture import LOG_2PI
from lcpfn.model import Model
from lcpfn.priors import LCPFN_PRIOR, draw

BANK = 1_000_000  # curves
RESOLVED = 200
CUTOFFS = (5, 10, 20)
KEPT = 8192  # curves resampled from the bank, over which the predictive is summed
# log sigma ~ N(-4, 1), on a grid over four standard deviations.
LOG_SIGMA = np.linspace(-8.0, 0.0, 65)
LOG_PI = -0.5 * (LOG_SIGMA + 4.0) ** 2


def noiseless_bank(key: jax.Array, size: int, chunk: int = 8192) -> jax.Array:
    """`size` accepted noiseless curves `(size, 100)`."""
    sample = jax.jit(lambda k: draw(LCPFN_PRIOR, k, chunk, oversample=5).curve)
    keys = jax.random.split(key, -(-size // chunk))
    return jnp.concatenate([sample(k) for k in tqdm(keys, desc="bank", disable=None)])[
        :size
    ]


@partial(jax.jit, static_argnums=2)
def exact_log_prob(
    bank: jax.Array, y: jax.Array, cutoff: int
) -> tuple[jax.Array, jax.Array]:
    """Exact log-density of every later observation of one curve.

    Args:
        bank: `(M, length)` noiseless curves.
        y: one noisy curve `(length,)`.
        cutoff: number of observations.

    Returns:
        Log-density of what follows `(length - cutoff,)`, and the effective number of
        curves behind it.
    """
    errors = jnp.sum((bank[:, :cutoff] - y[:cutoff]) ** 2, axis=1)
    log_sigma, log_pi = jnp.asarray(LOG_SIGMA), jnp.asarray(LOG_PI)
    grid = log_pi - cutoff * log_sigma - 0.5 * errors[:, None] * jnp.exp(-2 * log_sigma)
    log_weight = jax.nn.logsumexp(grid, axis=1)
    share = jnp.exp(log_weight - jax.nn.logsumexp(log_weight))
    # Systematic resampling: equal weights, unbiased, however many curves matter.
    ladder = (jnp.arange(KEPT) + 0.5) / KEPT
    index = jnp.searchsorted(jnp.cumsum(share) / jnp.sum(share), ladder)
    index = jnp.minimum(index, len(bank) - 1)
    joint = jax.nn.log_softmax(grid[index], axis=1) - jnp.log(KEPT)
    later = bank[index, cutoff:]  # (KEPT, targets)

    def target(mean: jax.Array, value: jax.Array) -> jax.Array:
        z = (value - mean)[:, None] * jnp.exp(-log_sigma)
        return jax.nn.logsumexp(joint - 0.5 * (z**2 + LOG_2PI) - log_sigma)

    found = jax.lax.map(lambda pair: target(*pair), (later.T, y[cutoff:]))
    return found, 1 / jnp.sum(share**2)


def compare_all(model: Model, n: int = 512, seed: int = 0) -> dict[str, Any]:
    """Exact inference against a checkpoint on the same fresh curves.

    Args:
        model: a checkpoint trained on LC-PFN's prior.
        n: curves compared.
        seed: of bank and curves.

    Returns:
        JSON values: per cutoff, mean exact minus checkpoint log-density per value with
        its standard error, over all curves and over the resolved ones.
    """
    key_bank, key_curves = jax.random.split(jax.random.key(31415 + seed))
    bank = noiseless_bank(key_bank, BANK)
    y = jax.jit(lambda k: draw(LCPFN_PRIOR, k, n).y)(key_curves)
    return {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum"),
        "bank": BANK,
        "resolved_from": RESOLVED,
        "cutoffs": [compare(model, bank, y, cutoff) for cutoff in CUTOFFS],
    }


def compare(model: Model, bank: jax.Array, y: jax.Array, cutoff: int) -> dict[str, Any]:
    """One cutoff of `compare_all`."""
    bar = tqdm(y, desc=f"exact at {cutoff}", disable=None)
    found = [exact_log_prob(bank, curve, cutoff) for curve in bar]
    exact = np.array([float(log_q.mean()) for log_q, _ in found])
    effective = np.array([float(count) for _, count in found])
    ours = log_prob(model, LCPFN_PRIOR, np.asarray(y, np.float64), cutoff).mean(1)
    left = exact - ours
    return {
        "cutoff": cutoff,
        "all": _summary(left),
        "resolved": _summary(left[effective >= RESOLVED]),
        "effective_curves_median": float(np.median(effective)),
    }


def _summary(left: np.ndarray) -> dict[str, Any]:
    """Number of curves, mean of the difference and its standard error."""
    if len(left) < 2:
        return {"curves": len(left)}
    return {"curves": len(left), **scores.mean_with_error("exact_minus_model", left)}


def to_markdown(results: dict[str, Any]) -> str:
    """What exact inference would still gain, over the curves that the bank resolves."""
    gain = "{exact_minus_model:+.3f} ± {exact_minus_model_se:.3f}"
    rows = []
    for row in results["cutoffs"]:
        fine, every = row["resolved"], row["all"]["curves"]
        counts = f"{fine['curves']} of {every}"
        known = fill(gain, fine) if "exact_minus_model" in fine else "-"
        rows.append((str(row["cutoff"]), counts, known))
    name = results["checkpoint"]
    last = f"exact inference minus `{name}`, nats per value"
    return table(("observations seen", "curves resolved", last), rows)
