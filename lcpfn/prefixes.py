"""Forecasts from every prefix of a curve, in one pass.

The context is encoded causally, so one pass over a curve holds the forecasts that a
stream would have made at each of its observations. Curves longer than a context need
one pass for each number of observations per token that they went through; their cutoffs
are then the ends of full tokens.

Every observation was forecast from the ones before it. With u the probability that the
forecast gave to values below the observed one,

    surprise = average over the newest observations of -log(2 min(u, 1 - u))

is 1 on average for a calibrated forecast (then it is exponential with mean 1), and
large where values were observed that the model all but excluded. The newest observation
weighs `WEIGHT`, earlier ones less and less.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import network
from lcpfn.batch import Batch, factors_of, make_batch, pool_factor, read_batch
from lcpfn.config import ModelConfig
from lcpfn.curves import Run
from lcpfn.jax_setup import float64
from lcpfn.metric import Bounds, Metric
from lcpfn.mixture import Mixture
from lcpfn.queries import predict_values
from lcpfn.seen_curve import Context

if TYPE_CHECKING:
    from lcpfn.model import Model

# Steps predicted between a cutoff and the horizon, the horizon last.
AHEAD = 6
ROWS = 16
WEIGHT = 0.25
# Below this tail probability a surprise counts as no larger.
SMALLEST = 1e-6


class PrefixForecasts(NamedTuple):
    """Forecasts of one run from `m` of its cutoffs, in model space (lower is better).

    Attributes:
        seen: observations seen at each cutoff, increasing `(m,)`.
        best: the best value still to come `(m,)`; None if the checkpoint has none.
        ahead: values at `AHEAD` evenly spaced later steps `(m, AHEAD)`, the horizon
            last.
        surprise: `(m,)`; NaN at the first cutoff.
    """

    seen: np.ndarray
    best: Mixture | None
    ahead: Mixture
    surprise: np.ndarray

    @property
    def final(self) -> Mixture:
        """The value at the horizon `(m,)`."""
        return self.ahead.at(slice(None), -1)


@float64
@functools.partial(jax.jit, static_argnums=(0, 1))
def _predict(
    config: ModelConfig, ahead: int, params: Any, batch: Batch
) -> tuple[jax.Array, Mixture]:
    """From every token: its step, and distributions in model space `(B, N, Q)`.

    Q is the best value if the network knows it (only with `ahead`), the value of
    the next token, and those at `ahead` evenly spaced later steps.
    """
    _, anchor, features = read_batch(batch)
    states, _ = network.encode(config, params, features)
    horizon = jnp.broadcast_to(batch.limits.horizon[:, None], anchor.step.shape)
    # The last token has no next one; what it predicts there is not looked at.
    following = jnp.concatenate([anchor.step[:, 1:], anchor.step[:, -1:]], axis=1)
    shares = jnp.arange(1, ahead + 1) / max(ahead, 1)
    later = anchor.step[..., None] + (horizon - anchor.step)[..., None] * shares
    if ahead:
        later = later.at[..., -1].set(horizon)
    targets = jnp.concatenate([following[..., None], later], axis=-1)
    best = bool(ahead) and config.best
    found = predict_values(config, params, states, anchor, horizon, targets, None, best)
    return anchor.step, found


def _surprises(next_value: Mixture, batch: Batch) -> np.ndarray:
    """Surprise by the value of each next token `(B, N)`; that of the last is idle."""
    values = np.concatenate([batch.blocks.value[:, 1:], batch.blocks.value[:, -1:]], 1)
    below = next_value.cdf(values)
    return -np.log(2 * np.clip(np.minimum(below, 1 - below), SMALLEST, 0.5))


def _running(each: np.ndarray) -> np.ndarray:
    """Average of each row before every position; the newest weighs most."""
    total, weight = np.zeros(len(each)), 0.0
    result = np.full(each.shape, np.nan)
    for i in range(1, each.shape[1]):
        total = (1 - WEIGHT) * total + each[:, i - 1]
        weight = (1 - WEIGHT) * weight + 1
        result[:, i] = total / weight
    return result


def surprise(model: "Model", contexts: Sequence[Context], metric: Metric) -> np.ndarray:
    """Surprise of curves at their cutoffs `(B,)`; NaN with fewer than two tokens."""
    result = np.full(len(contexts), np.nan)
    for first in range(0, len(contexts), ROWS):
        some = contexts[first : first + ROWS]
        rows = 1 if len(contexts) == 1 else ROWS
        factors = factors_of(some, model.config.context)
        batch = make_batch(some, metric, factors, rows)
        _, found = _predict(model.config, 0, model.params, batch)
        following = metric.bounded(Mixture(*(np.asarray(x)[:, :, 0] for x in found)))
        running = _running(_surprises(following, batch))
        at = batch.last[: len(some)]
        result[first : first + len(some)] = running[np.arange(len(some)), at]
    return result


def forecast_prefixes(
    model: "Model", runs: Sequence[Run], horizon: float | None = None
) -> list[PrefixForecasts]:
    """Forecasts of runs from all of their cutoffs before the horizon.

    Args:
        model: a loaded checkpoint.
        runs: of one metric.
        horizon: last step of a full run; default: the last step of each.

    Returns:
        One per run. An observation that is not finite is no cutoff.

    Raises:
        ValueError: runs of several metrics, observations beyond the horizon or outside
            hard bounds.
    """
    if len({(run.mode, run.bounds) for run in runs}) > 1:
        raise ValueError("runs of one mode and bounds expected, got several")
    if not runs:
        return []
    metric = model.metric(runs[0].mode, runs[0].bounds)
    ends = [float(run.steps[-1] if horizon is None else horizon) for run in runs]
    for run, end in zip(runs, ends, strict=True):
        metric.check(run.values, f"run {run.name}")
        if run.steps[-1] > end:
            raise ValueError(
                f"run {run.name} has an observation at step {run.steps[-1]:g}, beyond "
                f"the horizon {end:g}"
            )
    finite = [np.flatnonzero(np.isfinite(run.values)) for run in runs]
    whole = [
        Context(run.steps[known], metric.sign * run.values[known], 0, 0, end)
        for run, known, end in zip(runs, finite, ends, strict=True)
    ]
    parts: list[list[PrefixForecasts]] = [[_nothing(model.config)] for _ in runs]
    for factor, prefixes, owners in _passes(whole, model.config.context):
        for first in range(0, len(prefixes), ROWS):
            some = slice(first, first + ROWS)
            found = _one_pass(model, metric, prefixes[some], factor)
            for owner, part in zip(owners[some], found, strict=True):
                seen = 1 + finite[owner][part.seen - 1]
                parts[owner].append(part._replace(seen=seen))
    return [jax.tree.map(lambda *x: np.concatenate(x), *found) for found in parts]


def _passes(
    curves: Sequence[Context], context: int
) -> Iterator[tuple[int, list[Context], list[int]]]:
    """Prefixes and whose they are, for each number of observations in a token.

    Args:
        curves: the finite observations of each run.
        context: most tokens of a prefix.
    """
    largest = pool_factor(max(len(curve.values) for curve in curves), context)
    for doublings in range(largest.bit_length()):
        factor = 1 << doublings
        prefixes, owners = [], []
        for owner, curve in enumerate(curves):
            count = min(len(curve.values), context * factor) // factor * factor
            if count and pool_factor(count, context) == factor:
                steps, values = curve.steps[:count], curve.values[:count]
                prefixes.append(curve._replace(steps=steps, values=values))
                owners.append(owner)
        yield factor, prefixes, owners


def _one_pass(
    model: "Model", metric: Metric, prefixes: Sequence[Context], factor: int
) -> list[PrefixForecasts]:
    """Of the cutoffs at which tokens hold as many observations as at the end."""
    context, best = model.config.context, int(model.config.best)
    batch = make_batch(prefixes, metric, [factor] * len(prefixes), ROWS)
    step, found = _predict(model.config, AHEAD, model.params, batch)
    step = np.asarray(step)
    mixture = metric.bounded(Mixture(*map(np.asarray, found)))
    following = mixture.at(slice(None), slice(None), best)
    surprises = _running(_surprises(following, batch))
    result = []
    for i, prefix in enumerate(prefixes):
        count = batch.last[i] + 1
        seen = factor * np.arange(1, count + 1)
        # Shorter prefixes had fewer observations in a token.
        keep = (seen > context * (factor // 2)) & (step[i, :count] < prefix.horizon)
        part = mixture.at(i, slice(count)).at(keep)
        result.append(
            PrefixForecasts(
                seen[keep],
                part.at(slice(None), 0) if best else None,
                part.at(slice(None), slice(best + 1, None)),
                surprises[i, :count][keep],
            )
        )
    return result


def _nothing(config: ModelConfig) -> PrefixForecasts:
    """Forecasts from no cutoff at all."""

    def empty(*shape: int) -> Mixture:
        wide, flat = np.empty((0, *shape, config.components)), np.empty((0, *shape))
        return Mixture(wide, wide, wide, flat, flat)

    best = empty() if config.best else None
    return PrefixForecasts(np.empty(0, int), best, empty(AHEAD), np.empty(0))


def final_predictor(
    model: "Model", horizon: float, mode: str = "min", bounds: Bounds | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """The expected final value at every observation, as the package `surestop` wants.

        surestop.KillRule(alpha=0.05, predictor=final_predictor(model, horizon=50))

    Args:
        model: a loaded checkpoint.
        horizon: last step of a full run; observations are at steps 1, 2, ...
        mode: that of the metric before the package turned its sign for "max".
        bounds: of the metric as the user knows it.

    Returns:
        A causal function from curves `(n, T)`, lower is better, to forecasts `(n, T)`:
        column t uses columns up to t. At the horizon, where a value is not finite, and
        where tokens hold several observations and are not full, the value itself.
    """
    sign = Metric(mode, bounds).sign

    def predict(curves: np.ndarray) -> np.ndarray:
        result = np.array(curves, float)
        steps = np.arange(1.0, result.shape[1] + 1)
        runs = [
            Run(sign * y, steps, name=f"row {i}", mode=mode, bounds=bounds)
            for i, y in enumerate(result)
        ]
        for row, found in zip(
            result, forecast_prefixes(model, runs, horizon), strict=True
        ):
            row[found.seen - 1] = found.final.moments()[0]
        return result

    return predict
