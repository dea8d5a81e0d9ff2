"""LC-PFN's network with random weights: what speed is measured against.

    token_i = Linear(t_i) + Linear(y_i)    observed points
            = Linear(t_i)                  queries

and a post-norm transformer without positional encoding, in which every position attends
to the observed points, a query also to itself. A two-layer decoder puts out 1,000 bins.

Source: Adriaensen et al., NeurIPS 2023 (arXiv 2310.20447), Sec. 3; sizes of Table 3.
B batch, T tokens, D width, H heads.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Params = Any


@dataclass(frozen=True)
class ReferenceConfig:
    """Size of the network; the defaults are the paper's largest, 26 M parameters."""

    layers: int = 12
    width: int = 512
    hidden: int = 1024
    heads: int = 4
    bins: int = 1000
    length: int = 100


def init(config: ReferenceConfig, key: jax.Array) -> Params:
    """Random weights: a nested dict of float32 arrays."""
    keys = iter(jax.random.split(key, 4 + 4 * config.layers))

    def linear(inputs: int, outputs: int) -> Params:
        kernel = jax.random.normal(next(keys), (inputs, outputs)) * inputs**-0.5
        return {"kernel": kernel, "bias": jnp.zeros(outputs)}

    def norm() -> Params:
        return {"scale": jnp.ones(config.width), "bias": jnp.zeros(config.width)}

    def layer() -> Params:
        return {
            "qkv": linear(config.width, 3 * config.width),
            "out": linear(config.width, config.width),
            "norm1": norm(),
            "up": linear(config.width, config.hidden),
            "down": linear(config.hidden, config.width),
            "norm2": norm(),
        }

    return {
        "step": linear(1, config.width),
        "value": linear(1, config.width),
        "layers": [layer() for _ in range(config.layers)],
        "decode1": linear(config.width, config.hidden),
        "decode2": linear(config.hidden, config.bins),
    }


def _linear(params: Params, x: jax.Array) -> jax.Array:
    return x @ params["kernel"] + params["bias"]


def _norm(params: Params, x: jax.Array) -> jax.Array:
    x = x - x.mean(-1, keepdims=True)
    x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)
    return x * params["scale"] + params["bias"]


def _attend(heads: int, params: Params, x: jax.Array, seen: jax.Array) -> jax.Array:
    batch, tokens, width = x.shape
    qkv = _linear(params["qkv"], x).reshape(batch, tokens, 3, heads, width // heads)
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    logits = jnp.einsum("bnhd,bmhd->bhnm", q, k) * (width // heads) ** -0.5
    weights = jax.nn.softmax(jnp.where(seen[:, None], logits, -1e30))
    mixed = jnp.einsum("bhnm,bmhd->bnhd", weights, v)
    return _linear(params["out"], mixed.reshape(batch, tokens, width))


@partial(jax.jit, static_argnums=0, static_argnames="first")
def apply(
    config: ReferenceConfig,
    params: Params,
    steps: jax.Array,
    values: jax.Array,
    observed: jax.Array,
    first: int = 0,
) -> jax.Array:
    """Predicted bins at the positions from `first` on.

    Args:
        config: size of the network.
        params: from `init`.
        steps: of the positions `(B, T)`.
        values: in [0, 1], whatever where not observed `(B, T)`.
        observed: True for the context, False for queries and padding `(B, T)`.
        first: position of the first query.

    Returns:
        Log-mass per bin, unnormalised `(B, T - first, bins)`.
    """
    place = (steps / config.length - 0.5) * 12**0.5
    known = jnp.where(observed, (values - 0.5) * 12**0.5, 0)
    x = _linear(params["step"], place[..., None])
    x += observed[..., None] * _linear(params["value"], known[..., None])
    seen = observed[:, None, :] | jnp.eye(steps.shape[1], dtype=bool)
    for layer in params["layers"]:
        x = _norm(layer["norm1"], x + _attend(config.heads, layer, x, seen))
        hidden = jax.nn.gelu(_linear(layer["up"], x), approximate=False)
        x = _norm(layer["norm2"], x + _linear(layer["down"], hidden))
    hidden = _linear(params["decode1"], x[:, first:])
    return _linear(params["decode2"], jax.nn.gelu(hidden, approximate=False))


@partial(jax.jit, static_argnums=0, static_argnames="cutoff")
def gradients(
    config: ReferenceConfig,
    params: Params,
    steps: jax.Array,
    values: jax.Array,
    cutoff: int,
) -> tuple[jax.Array, Params]:
    """Loss and gradient of a batch of whole curves, all cut at the same `cutoff`."""
    observed = jnp.broadcast_to(jnp.arange(steps.shape[1]) < cutoff, steps.shape)
    bins = jnp.clip(values[:, cutoff:] * config.bins, 0, config.bins - 1).astype(int)

    def nll(params: Params) -> jax.Array:
        logits = apply(config, params, steps, values, observed, first=cutoff)
        log_mass = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(log_mass, bins[..., None], -1).mean()

    return jax.value_and_grad(nll)(params)


class Rival:
    """The network with random weights, applied to whole curves on a device.

    Args:
        horizon: steps of a curve.
        device: where it runs.
        layers: of the network.
    """

    def __init__(self, horizon: int, device: jax.Device, layers: int = 12) -> None:
        self.config = ReferenceConfig(layers=layers)
        self.name = f"{layers} x {self.config.width} network"
        self.steps = np.arange(1, horizon + 1, dtype=np.float32)
        self.params = jax.device_put(init(self.config, jax.random.key(0)), device)

    def forward(
        self, y: np.ndarray, cutoff: int, *, first: int = 0, final: bool = False
    ) -> jax.Array:
        """Bins of the steps after `first`, or of the last step alone; `y` `(B, T)`."""
        keep = np.append(np.arange(cutoff), -1) if final else np.arange(y.shape[1])
        steps = np.broadcast_to(self.steps[keep], (len(y), len(keep)))
        observed = np.broadcast_to(np.arange(len(keep)) < cutoff, steps.shape)
        y = y[:, keep].astype(np.float32)
        return apply(self.config, self.params, steps, y, observed, first=first)
