"""The model a user holds: weights on a device, and the calls that run them.

Batches are padded to a few sizes, so that nothing is recompiled from call to call.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lcpfn import checkpoint, network
from lcpfn.batch import (
    LENGTHS,
    Batch,
    at_last,
    bucket,
    factors_of,
    make_batch,
    read_batch,
)
from lcpfn.config import ModelConfig
from lcpfn.context import Context
from lcpfn.curves import check_curves
from lcpfn.cutoffs import MOST_ROWS, Cutoffs, slices
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process, float64
from lcpfn.memory import Now, known_now
from lcpfn.metric import Bounds, Metric
from lcpfn.mixture import Mixture
from lcpfn.queries import predict_values
from lcpfn.stream import Stream
from lcpfn.tokens import Anchor

ROWS = (1, 8, 64, MOST_ROWS)
QUERIES = (1, 8, 32, 64, 128, 256, 512)
# From this many rows on padding costs more than compiling for a closer fit.
MANY_ROWS = 64
CLOSE_LENGTHS = (8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128)
CLOSE_QUERIES = (1, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Rows that a CPU computes at a time: their activations stay in its cache.
CHUNK = 16
# Parts of a large batch that are computed ahead of those that are waited for.
ON_THE_WAY = 16
# Curves from which on a terminal shows a bar.
SHOWN_FROM = 10_000


def _chunked(run: Callable[..., Any], *rows: Any) -> Any:
    """`run` on all rows, on a CPU `CHUNK` of them at a time."""
    count = jax.tree.leaves(rows)[0].shape[0]
    if count <= CHUNK:
        return run(*rows)

    def split(*rows: Any) -> Any:
        parts = jax.tree.map(lambda x: x.reshape(-1, CHUNK, *x.shape[1:]), rows)
        done = jax.lax.map(lambda part: run(*part), parts)
        return jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), done)

    return jax.lax.platform_dependent(*rows, cpu=split, default=run)


@float64
@functools.partial(jax.jit, static_argnums=0)
def _read(config: ModelConfig, params: Any, batch: Batch) -> Now:
    """What is known at the cutoffs."""
    # In small batches it does not pay to compile another last block.
    many = batch.start.shape[0] >= MANY_ROWS

    def run(batch: Batch) -> Now:
        _, anchors, features = read_batch(batch)
        anchor = at_last(anchors, batch.last)
        only = batch.last if many else None
        states, _ = network.encode(config, params, features, only=only)
        state = states[:, 0] if many else at_last(states, batch.last)
        horizon = batch.limits.horizon
        return known_now(config, params, state, anchor, horizon)

    return _chunked(run, batch)


@float64
@functools.partial(jax.jit, static_argnums=0)
def _predict(
    config: ModelConfig,
    params: Any,
    state: jax.Array,
    anchor: Anchor,
    horizon: jax.Array,
    targets: jax.Array,
) -> Mixture:
    """Distributions at later steps, model space; `targets` `(rows, queries)`."""
    run = functools.partial(predict_values, config, params)
    return _chunked(run, state, anchor, horizon, targets)


def _fetched(count: int, now: Now) -> Now:
    """The first rows, on this side of the device."""
    return jax.tree.map(lambda x: np.asarray(x)[:count], now)


class Model:
    """A pre-trained network that extrapolates learning curves.

    Made by `lcpfn.load`. Holds no state between calls; may be used from several
    threads.

    Attributes:
        config: size of the network.
        card: what the checkpoint says of itself.
        path: where it was read from.
        device: where it computes.
    """

    def __init__(
        self,
        params: network.Params,
        config: ModelConfig,
        card: dict,
        path: Path | None = None,
        device: jax.Device | None = None,
    ) -> None:
        self.config, self.card, self.path = config, card, path
        self.device = device or jax.local_devices(backend="cpu")[0]
        self.params = jax.device_put(params, self.device)

    @classmethod
    def load(
        cls, name: str | Path | None = None, device: jax.Device | None = None
    ) -> "Model":
        """Reads a checkpoint; see `lcpfn.load`."""
        check_process()
        path = checkpoint.find(name)
        params, config, card = checkpoint.restore(path)
        return cls(params, config, card, path, device)

    def __repr__(self) -> str:
        size = network.parameter_count(self.params)
        return f"Model({self.name}, {size:,} parameters, on {self.device})"

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return self.path.name if self.path else "unsaved"

    def metric(self, mode: str, bounds: Bounds | None) -> Metric:
        """Direction and bounds as this checkpoint treats them: hard, or as hints."""
        hard = self.card.get("metric", {}).get("hard_bounds", True)
        return Metric(mode, bounds, hard)

    def extrapolate(
        self,
        curves: Any,
        horizon: Any,
        *,
        mode: str,
        bounds: Bounds | None = None,
        steps: Any = None,
        at: Any = None,
    ) -> Forecast:
        """Forecasts the rest of one or several curves.

        Args:
            curves: values of one curve; or a list of curves of any lengths; or a 2-D
                array, rows padded with NaN at the end. Elsewhere NaN and infinity are
                observations of a diverged run: they are left out as a gap in the curve,
                and a curve that ends in one is forecast to stay diverged.
            horizon: last step to predict, in the unit of `steps`; or one per curve.
            mode: "max" or "min": which way is better.
            bounds: lowest and highest possible value, either may be None.
            steps: steps of the values, strictly increasing; a list per curve if there
                are several. Default 1..n.
            at: steps to predict, a list per curve if they differ. Default: every step
                after the last one up to the horizon, thinned to at most 512.

        Returns:
            The forecast, in the user's units and direction. Of a curve that is at its
            horizon `final` is certain, and no steps remain.

        Raises:
            ValueError: saying what was expected, what was got and what to do.
        """
        metric = self.metric(mode, bounds)
        contexts, single = check_curves(curves, horizon, metric, steps, at)
        check_process()
        if not contexts:
            raise ValueError("there are no curves to extrapolate")
        return Forecast.of(self.read(contexts, metric), 0 if single else None)

    def stream(
        self, horizon: float, *, mode: str, bounds: Bounds | None = None
    ) -> Stream:
        """A curve to be fed observation by observation; see `Stream.update`.

        Args:
            horizon: last step to predict.
            mode: "max" or "min": which way is better.
            bounds: lowest and highest possible value, either may be None.
        """
        check_process()
        return Stream(self, horizon, self.metric(mode, bounds))

    def read(self, contexts: Sequence[Context], metric: Metric) -> Cutoffs:
        """Reads several checked curves up to their cutoffs.

        Of very many, a bar on a terminal shows how far it is. Few parts are on their
        way at once, so that memory is that of the result: some 6 kB a curve.
        """
        parts: Iterable[slice] = slices(len(contexts))
        if len(contexts) > SHOWN_FROM:
            from tqdm import tqdm

            bar = {"unit_scale": MOST_ROWS, "leave": False, "disable": None}
            parts = tqdm(parts, "curves", **bar)
        waiting, done = deque[tuple[int, Now]](), list[Now]()
        for some in parts:
            part = contexts[some]
            rows = bucket(len(part), ROWS)
            lengths = LENGTHS if rows < MANY_ROWS else CLOSE_LENGTHS
            factors = factors_of(part, self.config.context)
            batch = make_batch(part, metric, factors, rows, lengths)
            waiting.append((len(part), _read(self.config, self.params, batch)))
            if len(waiting) > ON_THE_WAY:
                done.append(_fetched(*waiting.popleft()))
        done += [_fetched(*part) for part in waiting]
        now = jax.tree.map(lambda *x: np.concatenate(x), *done)
        return self.cutoffs(contexts, metric, *now)

    def cutoffs(
        self,
        contexts: Sequence[Context],
        metric: Metric,
        state: Any,
        anchor: Any,
        end: Any,
    ) -> Cutoffs:
        """Curves that have been read, here or by a stream; see `lcpfn.memory.Now`."""
        anchor, end = np.asarray(anchor), np.asarray(end)
        free = np.full(end.shape[:1] + end.shape[2:3], np.inf)
        weight, mean, std = np.moveaxis(end, 1, 0)
        mixture = metric.in_user_units(Mixture(weight, mean, std, -free, free))
        return Cutoffs(self, metric, contexts, state, Anchor(*anchor.T), mixture)

    def predict(
        self, state: np.ndarray, anchor: Anchor, horizon: np.ndarray, at: np.ndarray
    ) -> Mixture:
        """Distributions at later steps from at most `MOST_ROWS` cutoffs, model space.

        Args:
            state: of the network `(B, D)`.
            anchor: of the cutoffs, fields `(B,)`.
            horizon: last step of each `(B,)`.
            at: steps `(B, S)`.

        Returns:
            Mixtures `(B, S)`, without bounds.
        """
        rows = bucket(len(state), ROWS)
        sizes = QUERIES if rows < MANY_ROWS else CLOSE_QUERIES
        which = np.minimum(np.arange(rows), len(state) - 1)
        count = at.shape[1]
        wide = np.minimum(np.arange(bucket(count, sizes)), count - 1)
        found = _predict(
            self.config,
            self.params,
            state[which],
            Anchor(*(np.asarray(field)[which] for field in anchor)),
            horizon[which],
            at[which][:, wide],
        )
        return jax.tree.map(lambda x: np.asarray(x)[: len(state), :count], found)
