"""Adapts a checkpoint to somebody's own finished runs.

Half of every batch of curves are recorded runs, half fresh ones of the checkpoint's
prior. A checkpoint that knows other runs goes on with the searches that it was trained
on. So the network keeps what it knew. Every fifth run is held out and scored before and
after.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.checkpoint import find, restore
from lcpfn.config import ModelConfig
from lcpfn.curves import Run
from lcpfn.train.batches import Curves, make_tasks
from lcpfn.train.config import Augment, TrainConfig
from lcpfn.train.data import LEAST_RECORDS, describe, recorded_curves, teaches
from lcpfn.train.fit import fit
from lcpfn.train.step import log_probs
from lcpfn.train.validate import UNCHANGED

HELD_OUT = 5
SHARE = 0.5


@partial(jax.jit, static_argnums=0)
def _score(config: ModelConfig, params: Any, curves: Curves) -> jax.Array:
    tasks = make_tasks(jax.random.key(0), curves, 8, config.context, UNCHANGED)
    each = log_probs(config, params, tasks).mean(-1)
    return jnp.sum(each * tasks.weight) / jnp.sum(tasks.weight)


def score(config: ModelConfig, params: Any, curves: Curves) -> float:
    """Mean log-density of later observations over all cutoffs, per observation."""
    return float(_score(config, params, curves))


def _length_of(runs: Sequence[Run], lengths: Sequence[int]) -> tuple[int, ...]:
    """The shortest length that holds nine of ten runs: to compile all takes minutes."""
    most = np.quantile([len(run.values) for run in runs], 0.9)
    enough = [length for length in lengths if length >= most]
    return (min(enough, default=max(lengths)),) if lengths else ()


def finetune(
    runs: Sequence[Run],
    out: str | Path,
    *,
    checkpoint: str | Path | None = None,
    steps: int = 400,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains on, from a checkpoint, with recorded runs mixed into its prior.

    Args:
        runs: finished runs, five or more.
        out: directory of the run; `out/release` is the adapted checkpoint.
        checkpoint: name or path of where to start; default: the default checkpoint.
        steps: optimizer steps.
        progress: show a progress bar.

    Returns:
        "checkpoint": path of the adapted one; "runs": usable ones; "held_out_runs":
        those of them that were scored; "log_prob_before", "log_prob_after": of these,
        nats per observation.

    Raises:
        ValueError: with fewer than five usable runs.
    """
    usable = [run for run in runs if teaches(run)]
    if len(usable) < HELD_OUT:
        raise ValueError(
            f"finetuning needs at least {HELD_OUT} finished runs with "
            f"{LEAST_RECORDS} finite values or more, got {len(usable)} of {len(runs)}"
        )
    params, model, card = restore(find(checkpoint))
    held = recorded_curves(usable[::HELD_OUT])
    seen = [run for i, run in enumerate(usable) if i % HELD_OUT]
    before = card.get("training", {})
    if missing := {"prior", "augment", "seed"} - set(before):
        raise ValueError(
            f"the card does not say how its weights were trained: {min(missing)} is "
            "missing; give a checkpoint that `lcpfn pretrain` has made"
        )
    config = TrainConfig(
        prior=before["prior"],
        lengths=_length_of(usable, before.get("lengths", ())),
        augment=Augment(**before["augment"]),
        # Older cards name it otherwise.
        loss_limit=before.get("loss_limit", before.get("tame")),
        crps=before.get("crps", 0.0),
        recorded=SHARE,
        searches=before.get("searches", 0.0),
        runs=before.get("runs", TrainConfig.runs),
        cutoffs=before.get("cutoffs", TrainConfig.cutoffs),
        model=model,
        steps=steps,
        learning_rate=2e-3,
        adam_learning_rate=2e-4,
        warmup=min(50, steps // 4),
        average=max(steps // 10, 1),
        save_every=max(steps // 2, 1),
        seed=before["seed"] + 1,
        origin=f"{card['checksum'][:23]} on {describe('history', usable)}",
    )
    release = fit(config, out, recorded=[seen], start=params, progress=progress)
    adapted, *_ = restore(release)
    return {
        "checkpoint": str(release),
        "runs": len(usable),
        "held_out_runs": int(held.y.shape[0]),
        "log_prob_before": score(model, params, held),
        "log_prob_after": score(model, adapted, held),
    }
