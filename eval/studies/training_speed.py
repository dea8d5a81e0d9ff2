"""Curves a second of pre-training, beside gradients of LC-PFN's network."""

from functools import partial
from typing import Any

import jax
import numpy as np

from lcpfn.eval.speed import reference_network
from lcpfn.eval.speed.measure import Row, interleaved
from lcpfn.priors import LCPFN_PRIOR, PRIORS, draw
from lcpfn.train.data import make_feeds
from lcpfn.train.presets import PRESETS
from lcpfn.train.step import init_state, train_step


def training(
    preset: str, steps: int, batch: int, layers: int, repeats: int
) -> list[Row]:
    """Steps with fresh curves and the optimizer, against the rival's gradients alone.

    Args:
        preset: run whose step is timed.
        steps: of it per repetition.
        batch: curves of the rival's step; the paper's is 100.
        layers: of the rival.
        repeats: repetitions.
    """
    config = PRESETS[preset]
    feeds = make_feeds(config, PRIORS[config.prior])
    step = jax.jit(partial(train_step, config, feeds), donate_argnums=0)
    state, key = init_state(config), jax.random.key(1)
    # The average starts as the same buffers, and a buffer is donated once.
    state = state._replace(average=jax.tree.map(lambda x: x.copy(), state.params))

    def ours() -> Any:
        nonlocal state
        for _ in range(steps):
            state, metrics = step(state, key)
        return metrics["loss"]

    rival = reference_network.ReferenceConfig(layers=layers)
    params = reference_network.init(rival, jax.random.key(0))
    y = draw(LCPFN_PRIOR, jax.random.key(0), batch).y
    grid = np.broadcast_to(np.arange(1, 101, dtype=np.float32), y.shape)
    theirs = partial(reference_network.gradients, rival, params, grid, y, cutoff=50)
    times = interleaved({"ours": ours, "rival": theirs}, repeats)
    name = f"{layers} x 512 network, gradient of {batch} curves at one cutoff"
    return [
        Row(
            "training",
            f"{preset}, {config.batch} curves a step, all cutoffs of each",
            *(steps * config.batch / times["ours"], "curves/s"),
            *(name, batch / times["rival"]),
        )
    ]
