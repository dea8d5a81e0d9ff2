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
import os
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from orbax.checkpoint import v1 as ocp
from tqdm import tqdm

from lcpfn import checkpoint
from lcpfn.priors import PRIORS, Prior, load_prior
from lcpfn.train.config import TrainConfig
from lcpfn.train.release import save_apart
from lcpfn.train.sources import Source, prior_source
from lcpfn.train.step import TrainState, init_state, train_step
from lcpfn.train.validate import validation

log = logging.getLogger(__name__)


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the last checkpoint before it is kept."""


def find_prior(name: str) -> Prior:
    """A prior by its key in `PRIORS`, or by `module:attribute`."""
    return PRIORS[name] if name in PRIORS else load_prior(name)


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


def claim_directory(out: Path, config: TrainConfig) -> None:
    """Marks `out` as the place of this run, or refuses if another one lives there."""
    path, wanted = out / "config.json", json.loads(json.dumps(asdict(config)))
    if path.exists():
        # A run of an older version lacks newer fields: it had their defaults.
        found = asdict(TrainConfig()) | json.loads(path.read_text())
        differ = sorted(k for k in wanted if found[k] != wanted[k])
        if differ:
            raise ValueError(
                f"{out} holds a run with another configuration (differs in "
                f"{', '.join(differ)}); choose another directory or delete it"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    if jax.process_index() == 0:
        write_text(path, json.dumps(wanted, indent=2))


def write_text(path: Path, text: str) -> None:
    """Writes a file at once or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_log(path: Path, step: int) -> list[dict]:
    """Lines of a log up to `step`; a torn last line is dropped."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break
        if entry["step"] <= step:
            lines.append(entry)
    return lines


class Log:
    """A JSONL file, cut back to where the run resumes, and TensorBoard if asked for."""

    def __init__(self, out: Path, step: int, tensorboard: bool) -> None:
        self.path = out / "log.jsonl"
        self.lead = jax.process_index() == 0
        self.entries = read_log(self.path, step)
        if self.lead:
            text = "".join(json.dumps(entry) + "\n" for entry in self.entries)
            write_text(self.path, text)
        self.board = None
        if tensorboard and self.lead:
            try:
                from tensorboardX import SummaryWriter
            except ModuleNotFoundError:
                raise ModuleNotFoundError(
                    "TensorBoard logs need tensorboardX: pip install tensorboardX"
                ) from None
            self.board = SummaryWriter(str(out / "tensorboard"))

    def write(self, entry: dict[str, float]) -> None:
        """Appends one line."""
        self.entries.append(entry)
        if not self.lead:
            return
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if self.board is not None:
            for name, value in entry.items():
                self.board.add_scalar(name, value, int(entry["step"]))
            self.board.flush()


def fit(
    config: TrainConfig,
    out: str | Path,
    *,
    source: Source | None = None,
    start: Any = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> Path:
    """Pre-trains a network, or goes on where an earlier call in `out` stopped.

    Args:
        config: the run.
        out: its directory.
        source: curves to train on; default: those of `config.prior`.
        start: weights to begin with; default: random ones.
        progress: show a progress bar on standard error.
        tensorboard: also log to `out/tensorboard`.

    Returns:
        Directory of the released checkpoint, `out/release`.

    Raises:
        NonFiniteLoss: naming the step.
        ValueError: if `out` holds another run.
    """
    out = Path(out).absolute()
    prior = find_prior(config.prior)
    sharded, replicated = batch_sharding(config.batch)
    claim_directory(out, config)
    if source is None:
        source = prior_source(
            prior, lambda x: jax.lax.with_sharding_constraint(x, sharded)
        )
    saver = ocp.training.Checkpointer(
        out / "state",
        save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(
            config.save_every
        ),
        preservation_policy=ocp.training.preservation_policies.LatestN(config.keep),
        cleanup_tmp_directories=True,
    )

    # --- init or resume
    make = jax.jit(partial(init_state, config), out_shardings=replicated)
    state = make()
    if start is not None:
        # Copies: the state is donated to the step, leaf by leaf.
        params, average = (
            jax.device_put(jax.tree.map(np.array, start), replicated) for _ in range(2)
        )
        state = state._replace(params=params, average=average)
    if saver.latest is not None:
        state = TrainState(*saver.load(saver.latest.step, tuple(state)))
    first = int(state.step)
    journal = Log(out, first, tensorboard)
    before = journal.entries[-1]["seconds"] if journal.entries else 0.0

    # --- train
    step = jax.jit(
        partial(train_step, config, source),
        donate_argnums=0,
        out_shardings=(replicated, replicated),
    )
    score = validation(config, prior, replicated)
    key = jax.random.key(config.seed + 1)
    began, losses = time.perf_counter(), []
    bar = tqdm(
        total=config.steps,
        initial=first,
        unit="step",
        disable=not progress or jax.process_index() != 0,
    )

    def settle(number: int, metrics: dict[str, jax.Array]) -> None:
        loss, norm = float(metrics["loss"]), float(metrics["grad_norm"])
        if not np.isfinite(loss + norm):
            bad = f"gradient norm became {norm}"
            what = bad if np.isfinite(loss) else f"loss became {loss}"
            latest = saver.latest.step if saver.latest is not None else "none"
            raise NonFiniteLoss(
                f"the {what} at step {number}; last good checkpoint: step {latest} in "
                f"{out / 'state'}. Lower the learning rate or check the prior"
            )
        losses.append(loss)

    pending: tuple[int, dict[str, jax.Array]] | None = None
    with bar:
        for number in range(first + 1, config.steps + 1):
            state, metrics = step(state, key)
            # The loss of the step before is read while this one runs.
            if pending is not None:
                settle(*pending)
            pending = (number, metrics)
            last = number == config.steps
            if number % config.log_every and number % config.save_every and not last:
                bar.update()
                continue
            settle(*pending)
            pending = None
            seconds = before + time.perf_counter() - began
            entry = {
                "step": number,
                "curves": number * config.batch,
                "seconds": round(seconds, 2),
                "loss": float(np.mean(losses)),
                "grad_norm": float(metrics["grad_norm"]),
                "curves_per_second": (number - first)
                * config.batch
                / (time.perf_counter() - began),
            }
            losses.clear()
            if number % config.save_every == 0 or last:
                entry |= score(state.average)
            # The line first: resuming cuts the log back to the checkpoint it finds.
            journal.write(entry)
            if number % config.save_every == 0 or last:
                saver.save(number, tuple(state), force=last)
            bar.set_postfix_str(
                f"loss {entry['loss']:.4f}, {entry['curves_per_second']:.0f} curves/s"
            )
            bar.update()

    # --- release
    saver.close()
    release = out / "release"
    card = card_of(config, prior, journal.entries)
    if jax.process_count() == 1:
        checkpoint.save(release, state.average, config.model, card)
    else:
        if jax.process_index() == 0:
            save_apart(release, state.average, config.model, card)
        multihost_utils.sync_global_devices("released")
    log.info("released %s", release)
    return release


def card_of(config: TrainConfig, prior: Prior, entries: list[dict]) -> dict:
    """What the card says of where the weights come from; `entries` are the log's."""
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
        "figures": dict(entries[-1])
        | {"devices": jax.device_count(), "platform": jax.default_backend()},
        "history": [entry for entry in entries if "gap_10" in entry],
    }
