"""Does the model understand this curve? Its one-step-ahead forecasts, checked.

In a causal stream every record was forecast from the ones before it. With u the
probability that the forecast gave to values below the record that came,

    surprise = average over the newest records of -log(2 min(u, 1 - u))

is 1 on average for a calibrated forecast (then it is exponential with mean 1), and
large where records came that the model all but excluded. The newest record weighs
`WEIGHT`, earlier ones less and less.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.context import read_tokens
from lcpfn.curves import Records
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture
from lcpfn.tokens import Anchor, query_features

WEIGHT = 0.25
# Below this tail probability a surprise counts as no larger.
SMALLEST = 1e-6


@functools.partial(jax.jit, static_argnums=0)
def ask_everywhere(
    config: network.ModelConfig, params: Any, features: jax.Array, query: jax.Array
) -> network.Mixture:
    """Answers to questions from every token; query `(batch, tokens, Q, features)`."""
    states, _ = network.encode(config, params, features)
    return network.answer(config, params, states, query)


def in_model_space(
    answers: Sequence[np.ndarray], anchor: Anchor, metric: Metric
) -> Mixture:
    """Answers from every token `(batch, tokens, Q, K)`, in model space."""
    log_weight, mean, log_std = answers
    level, scale = (x[..., None, None] for x in (anchor.level, anchor.scale))
    weight = np.exp(log_weight)
    shape = mean.shape[:-1]
    low, high = (metric.low, metric.high) if metric.hard else (-np.inf, np.inf)
    return Mixture(
        weight / weight.sum(-1, keepdims=True),
        level + scale * mean,
        scale * np.exp(log_std),
        np.full(shape, low),
        np.full(shape, high),
    )


def surprise_of(forecast: Mixture, values: np.ndarray) -> np.ndarray:
    """Surprise of one-step forecasts by the values that came; both `(batch, tokens)`.

    The last one of a row was asked about its own value and means nothing.
    """
    below = forecast.cdf(np.concatenate([values[:, 1:], values[:, -1:]], axis=1))
    tail = np.clip(np.minimum(below, 1 - below), SMALLEST, 0.5)
    return -np.log(2 * tail)


def surprise(
    config: network.ModelConfig, params: Any, records: list[Records], metric: Metric
) -> np.ndarray:
    """Surprise of every curve `(batch,)`; NaN with fewer than two finite records."""
    result = np.full(len(records), np.nan)
    rows = [i for i, r in enumerate(records) if len(r.values) > 1]
    if not rows:
        return result
    tokens = read_tokens([records[i] for i in rows], metric, config.context)
    size = max(8, 1 << (tokens.features.shape[1] - 1).bit_length())
    count = tokens.features.shape[1]

    def padded(x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0), (0, size - count)] + [(0, 0)] * (x.ndim - 2), "edge")

    anchor = Anchor(*(padded(x) for x in tokens.anchors))
    # The last token of a curve asks about itself, which is not looked at.
    step = np.concatenate([anchor.step[:, 1:], anchor.step[:, -1:]], axis=1)
    horizon = np.broadcast_to(tokens.metric.horizon[:, None], anchor.step.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        query = query_features(anchor, horizon, step[..., None], np)
    device = jax.tree.leaves(params)[0].device
    with jax.default_device(device):
        mixture = ask_everywhere(
            config,
            params,
            padded(tokens.features),
            jnp.asarray(np.nan_to_num(query), jnp.float32),
        )
    answers = [np.asarray(x, np.float64)[:, :count] for x in mixture]
    asked = in_model_space(answers, tokens.anchors, metric)
    forecast = Mixture(*(x[:, :, 0] for x in asked))
    each = surprise_of(forecast, tokens.values)
    # Forecast k is checked by token k + 1.
    age = tokens.length[:, None] - 2 - np.arange(count)
    weights = np.where(age >= 0, (1 - WEIGHT) ** np.maximum(age, 0), 0)
    result[rows] = (weights * each).sum(1) / weights.sum(1)
    return result
