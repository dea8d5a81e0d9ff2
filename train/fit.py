"""One pre-training run from start, or from where it stopped, to released weights.

    out/config.json     what runs here; a directory holds one run
    out/state/          orbax checkpoints of the whole state, the newest `keep` of them
    out/log.jsonl       a line every `log_every` steps
    out/release/        the averaged weights and their card, written at the end

Resuming is the default and exact: curves depend on (seed, step) alone, so a run that
was killed ends with the same bits as one that was not.

Several devices: the batch is sharded over all of them, the state is replicated. Several
hosts: start the same command on each after `jax.distributed.initialize()`.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from orbax.checkpoint import v1 as ocp

from lcpfn import checkpoint
from lcpfn.card import scored
from lcpfn.curves import Run
from lcpfn.directory_lock import DirectoryBusy, directory_lock
from lcpfn.json_files import write_text
from lcpfn.priors import Prior, find_prior
from lcpfn.train.config import TrainConfig
from lcpfn.train.data import make_feeds
from lcpfn.train.release import save_apart
from lcpfn.train.run_log import Journal, NonFiniteLoss
from lcpfn.train.search_source import search_feeds
from lcpfn.train.step import PLANNED, TrainState, init_state, train_step
from lcpfn.train.validate import validation

__all__ = ["NonFiniteLoss", "fit"]

# What a card keeps of that of the weights that a run began with.
BEFORE = ("checksum", "prior", "training", "figures", "history", "before")

log = logging.getLogger(__name__)


def batch_sharding(batch: int) -> tuple[NamedSharding, NamedSharding]:
    """How the batch and how everything else is laid over all devices."""
    count = jax.device_count()
    if batch % count:
        raise ValueError(
            "batch must be a multiple of the number of devices, got "
            f"{batch} for {count}"
        )
    mesh = jax.make_mesh((count,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    return (
        NamedSharding(mesh, PartitionSpec("batch")),
        NamedSharding(mesh, PartitionSpec()),
    )


def _as_json(config: TrainConfig) -> dict:
    """The configuration as it comes back from a file."""
    return json.loads(json.dumps(asdict(config)))


def claim_directory(out: Path, config: TrainConfig) -> None:
    """Marks `out` as the place of this run, or refuses if another one lives there."""
    path, wanted = out / "config.json", _as_json(config)
    if path.exists():
        # A run of an older version lacks newer fields: it had their defaults.
        try:
            found = _as_json(TrainConfig()) | json.loads(path.read_text())
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}); restore it, or delete {out}"
            ) from None
        differ = sorted(k for k in wanted if found[k] != wanted[k])
        if differ:
            raise ValueError(
                f"{out} holds a run with another configuration (differs in "
                f"{', '.join(differ)}); choose another directory or delete it"
            )
        return
    if jax.process_index() == 0:
        write_text(path, json.dumps(wanted, indent=2))


def open_saver(out: Path, config: TrainConfig) -> ocp.training.Checkpointer:
    """Saves the state every `save_every` steps and keeps the newest ones."""
    every = ocp.training.save_decision_policies.FixedIntervalPolicy(config.save_every)
    newest = ocp.training.preservation_policies.LatestN(config.keep)
    return ocp.training.Checkpointer(
        out / "state",
        save_decision_policy=every,
        preservation_policy=newest,
        cleanup_tmp_directories=True,
    )


def init_or_resume(
    config: TrainConfig,
    saver: ocp.training.Checkpointer,
    start: Any,
    sharding: jax.sharding.Sharding,
) -> TrainState:
    """The newest saved state; without any, `start` or random weights at step 0."""
    state = jax.jit(partial(init_state, config), out_shardings=sharding)()
    if start is not None:
        # Copies: the state is donated to the step, leaf by leaf.
        params, average = (
            jax.device_put(_grown(state.params, start), sharding) for _ in range(2)
        )
        state = state._replace(params=params, average=average)
    if saver.latest is not None:
        state = TrainState(*saver.load(saver.latest.step, tuple(state)))
    return state


def _grown(fresh: Any, start: Any) -> Any:
    """Copies of `start`, and of `fresh` what only a larger network has."""
    if not isinstance(fresh, dict):
        return np.array(start)
    return {
        name: _grown(part, start[name])
        if name in start
        else jax.tree.map(np.array, part)
        for name, part in fresh.items()
    }


def fit(
    config: TrainConfig,
    out: str | Path,
    *,
    recorded: Sequence[Sequence[Run]] = (),
    start: Any = None,
    card: Mapping[str, Any] | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    ended: bool = False,
) -> Path:
    """Pre-trains a network, or goes on where an earlier call in `out` stopped.

    Args:
        config: the run.
        out: its directory.
        recorded: runs of several sources that make up `config.recorded` of the curves;
            the rest is drawn from `config.prior`.
        start: weights to begin with; default: random ones.
        card: theirs, which a run that trains a part of them adds to; another one keeps
            what it says of their training as "before".
        progress: show a progress bar on standard error.
        tensorboard: also log to `out/tensorboard`.
        ended: train no further, release the newest checkpoint.

    Returns:
        Directory of the released checkpoint, `out/release`.

    Raises:
        NonFiniteLoss: naming the step.
        ValueError: if `out` holds another run, or `planned` has no weights to begin.
        DirectoryBusy: if a run is going on there.
    """
    start = _beginning(config, start, card)
    out = Path(out).absolute()
    prior, shardings = find_prior(config.prior), batch_sharding(config.batch)
    out.mkdir(parents=True, exist_ok=True)
    with _alone_in(out):
        claim_directory(out, config)
        show = {"progress": progress, "tensorboard": tensorboard}
        parts = (prior, out, shardings, recorded, start, show, ended)
        params, entries = _run(config, *parts)
        about = card_of(config, prior, entries, ended)
        if config.planned and card:
            about = {**card, PLANNED: about | {"of": scored(card)}}
        elif card:
            about["before"] = {name: card[name] for name in BEFORE if name in card}
        return release(out / "release", params, config, about)


def _beginning(config: TrainConfig, start: Any, card: Mapping[str, Any] | None) -> Any:
    """The weights to begin with; what knows plans is trained from the beginning."""
    if not config.planned:
        return start
    if start is None or card is None:
        raise ValueError(
            "planned trains a part of a network: give the weights to begin with, such "
            "as --start default"
        )
    return {name: part for name, part in start.items() if name != PLANNED}


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Keeps another run out of a directory; the processes of one run are no others."""
    if jax.process_index():
        yield
        return
    try:
        with directory_lock(out, wait=False):
            yield
    except DirectoryBusy as error:
        raise DirectoryBusy(
            f"{error}: a run is going on there; wait for it or give another directory"
        ) from None


def _run(
    config: TrainConfig,
    prior: Prior,
    out: Path,
    shardings: tuple[NamedSharding, NamedSharding],
    recorded: Sequence[Sequence[Run]],
    start: Any,
    show: dict[str, bool],
    ended: bool,
) -> tuple[Any, list[dict]]:
    """Trains in a directory that is the run's own.

    Returns:
        The averaged weights, and the lines of the log.
    """
    sharded, replicated = shardings
    shard = lambda x: jax.lax.with_sharding_constraint(x, sharded)
    feeds = make_feeds(config, prior, recorded, shard)
    feeds += search_feeds(config, prior, feeds, shard)
    saver = open_saver(out, config)
    state = init_or_resume(config, saver, start, replicated)
    first = int(state.step)
    if ended and not first:
        raise ValueError(f"there is no checkpoint in {out} to release yet")
    final = first if ended else config.steps
    step = jax.jit(
        partial(train_step, config, feeds),
        donate_argnums=0,
        out_shardings=(replicated, replicated),
    )
    score = validation(config, prior, replicated)
    key = jax.random.key(config.seed + 1)
    with Journal(out, first, config.steps, config.skips, **show) as journal:
        for number in range(first + 1, final + 1):
            state, metrics = step(state, key)
            journal.add(number, metrics)
            last = number == config.steps
            saved = last or number % config.save_every == 0
            if not saved and number % config.log_every:
                continue
            journal.settle()
            # The line first: resuming cuts the log back to the checkpoint it finds.
            journal.write(score(state.average) if saved else {})
            if saved:
                saver.save(number, tuple(state), force=last)
    saver.close()
    return state.average, journal.entries


def release(path: Path, params: Any, config: TrainConfig, card: dict) -> Path:
    """Writes the weights that others load; from one process if there are several."""
    if jax.process_count() == 1:
        checkpoint.save(path, params, config.model, card)
    else:
        if jax.process_index() == 0:
            save_apart(path, params, config.model, card)
        multihost_utils.sync_global_devices("released")
    log.info("released %s", path)
    return path


def card_of(
    config: TrainConfig, prior: Prior, entries: list[dict], ended: bool
) -> dict:
    """What the card says of where the weights come from; `entries` are the log's."""
    here = {"devices": jax.device_count(), "platform": jax.default_backend()}
    return {
        "metric": {
            "mode": prior.mode,
            "bounds": list(prior.bounds),
            "hard_bounds": prior.hard_bounds,
        },
        "prior": {
            "name": prior.name,
            "length": prior.length,
            "source": prior.source,
        },
        "training": asdict(config),
        # A run that is ended here may have been trained elsewhere.
        "figures": dict(entries[-1]) | ({} if ended else here),
        "history": [entry for entry in entries if "gap_10" in entry],
    }
