"""How far the confidence of a classifier is from how often it is right.

    ECE = sum over bins of (share in the bin) |mean accuracy - mean confidence|

Confidence is the largest probability, bins are of equal width. Temperature scaling
divides all logits by one number, which maximises the likelihood of held-out labels.
Sources: Guo et al. 2017 (arXiv 1706.04599); for its dependence on bins and on
architectures, Tao et al. 2024 (arXiv 2308.11838).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

ECE_BINS = (5, 15, 50)


def expected_error(logits: Any, labels: Any, bins: int = 15) -> jax.Array:
    """ECE of logits `(n, classes)` and labels `(n,)`, in [0, 1]; traced or not."""
    probability = jax.nn.softmax(logits)
    confidence = probability.max(-1)
    right = probability.argmax(-1) == labels
    place = jnp.clip((confidence * bins).astype(int), 0, bins - 1)
    gaps = jax.ops.segment_sum(right - confidence, place, bins)
    return jnp.abs(gaps).sum() / len(labels)


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The number that logits `(n, classes)` are to be divided by, in [0.05, 20]."""
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        chance = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(chance[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))
