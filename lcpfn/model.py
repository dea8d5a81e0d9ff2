"""The model a user holds: weights on a device, and the calls that run them.

Batches are padded to a few sizes, so that nothing is recompiled from call to call.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn import checkpoint, network
from lcpfn.context import read_tokens
from lcpfn.curves import Records, check_curves
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process
from lcpfn.metric import Bounds, Metric
from lcpfn.mixture import Mixture
from lcpfn.stream import Stream
from lcpfn.surprise import surprise
from lcpfn.tokens import Anchor, query_features
from lcpfn.trajectories import simulate

ROWS = (1, 8, 64, 256)
LENGTHS = (8, 16, 32, 64, 128)
QUESTIONS = (1, 8, 32, 64, 128, 256, 512)
# From this many rows on padding costs more than compiling for a closer fit.
MANY_ROWS = 64
CLOSE_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128)
CLOSE_QUESTIONS = (1, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Rows that a CPU computes at a time: their activations stay in its cache.
CHUNK = 16


def bucket(size: int, sizes: Sequence[int]) -> int:
    """The smallest of `sizes` that holds `size`; beyond them, the next power of two."""
    for candidate in sizes:
        if size <= candidate:
            return candidate
    return 1 << (size - 1).bit_length()


def pad_to(x: np.ndarray, size: int, axis: int = 0) -> np.ndarray:
    """Repeats the last entry along an axis until it has `size` of them."""
    if x.shape[axis] == size:
        return x
    return x.take(np.minimum(np.arange(size), x.shape[axis] - 1), axis)


def _chunked(run: Callable[..., Any], *rows: jax.Array) -> Any:
    """`run` on all rows, on a CPU `CHUNK` of them at a time."""
    count = rows[0].shape[0]
    if count <= CHUNK:
        return run(*rows)

    def split(*rows: jax.Array) -> Any:
        parts = [x.reshape(-1, CHUNK, *x.shape[1:]) for x in rows]
        done = jax.lax.map(lambda part: run(*part), parts)
        return jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), done)

    return jax.lax.platform_dependent(*rows, cpu=split, default=run)


@functools.partial(jax.jit, static_argnums=0)
def _states(
    config: network.ModelConfig, params: Any, features: jax.Array, last: jax.Array
) -> jax.Array:
    def run(features: jax.Array, last: jax.Array) -> jax.Array:
        states, _ = network.encode(config, params, features)
        return states[jnp.arange(states.shape[0]), last]

    return _chunked(run, features, last)


@functools.partial(jax.jit, static_argnums=0)
def _answers(
    config: network.ModelConfig, params: Any, state: jax.Array, query: jax.Array
) -> network.Mixture:
    return _chunked(functools.partial(network.answer, config, params), state, query)


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
        config: network.ModelConfig,
        card: dict,
        path: Path | None = None,
        device: jax.Device | None = None,
    ) -> None:
        self.config, self.card, self.path = config, card, path
        self.device = device or jax.local_devices(backend="cpu")[0]
        self.params = jax.device_put(params, self.device)

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
                and a curve that ends in one is forecast to stay lost.
            horizon: last step to predict, in the unit of `steps`; or one per curve.
            mode: "max" or "min": which way is better.
            bounds: lowest and highest possible value, either may be None.
            steps: steps of the values, strictly increasing; a list per curve if there
                are several. Default 1..n.
            at: steps to predict, a list per curve if they differ. Default: every step
                after the last one up to the horizon, thinned to at most 512.

        Returns:
            The forecast, in the user's units and direction.

        Raises:
            ValueError: saying what was expected, what was got and what to do.
        """
        metric = self.metric(mode, bounds)
        records, single = check_curves(curves, horizon, metric, steps, at)
        check_process()
        if not records:
            raise ValueError("there are no curves to extrapolate")
        # All parts are on their way before the first is waited for.
        pending = [
            self._ask(records[i : i + ROWS[-1]], metric)
            for i in range(0, len(records), ROWS[-1])
        ]
        parts = [collect() for collect in pending]
        widest = max(part.mean.shape[1] for part in parts)
        mixture = Mixture(
            *(
                np.concatenate(
                    [pad_to(x, widest, 1) if x.ndim > 1 else x for x in fields]
                )
                for fields in zip(*parts, strict=True)
            )
        )
        return self.forecast(records, mixture, metric, single)

    def stream(
        self, horizon: float, *, mode: str, bounds: Bounds | None = None
    ) -> Stream:
        """A curve to be fed record by record; see `Stream.update`.

        Args:
            horizon: last step to predict.
            mode: "max" or "min": which way is better.
            bounds: lowest and highest possible value, either may be None.
        """
        check_process()
        return Stream(self, horizon, self.metric(mode, bounds))

    def forecast(
        self, records: list[Records], mixture: Mixture, metric: Metric, single: bool
    ) -> Forecast:
        """Wraps the mixtures of `answer` for the user."""
        lost = np.array([r.diverged for r in records])
        widest = max(len(r.targets) for r in records)
        steps = np.full((len(records), widest), np.nan)
        for row, r in zip(steps, records, strict=True):
            row[: len(r.targets)] = r.targets
        ends = np.array([r.horizon for r in records])
        inner = Mixture(*(x[:, self.config.best : -1] for x in mixture))
        outer = Mixture(*(x[:, -1] for x in mixture))
        peak = Mixture(*(x[:, 0] for x in mixture)) if self.config.best else None

        def paths(n: int, seed: int) -> np.ndarray:
            check_process()
            drawn = simulate(self.config, self.params, records, metric, n, seed)
            return drawn[:, 0] if single else drawn

        def surprised() -> np.ndarray:
            check_process()
            found = surprise(self.config, self.params, records, metric)
            return found[0] if single else found

        if single:
            lost, steps, ends = lost[0], steps[0], ends[0]
            inner, outer = (Mixture(*(x[0] for x in part)) for part in (inner, outer))
            peak = peak and Mixture(*(x[0] for x in peak))
        if not widest:  # a stream has reached its horizon
            return Forecast(steps, lost, metric, inner, _records=records)
        final = Forecast(np.asarray(ends), lost, metric, outer)
        best = peak and Forecast(np.asarray(ends), lost, metric, peak)
        more = (final, best, paths, surprised, records)
        return Forecast(steps, lost, metric, inner, *more)

    def _ask(self, records: list[Records], metric: Metric) -> Callable[[], Mixture]:
        """Starts on some curves; see `answer` for what comes of it."""
        # A curve without any finite value has nothing to encode; its forecast is
        # overruled by `diverged`, so any record serves in its place.
        known = [
            r if len(r.values) else r._replace(steps=np.ones(1), values=np.zeros(1))
            for r in records
        ]
        tokens = read_tokens(known, metric, self.config.context)
        rows = bucket(len(records), ROWS)
        lengths = LENGTHS if rows < MANY_ROWS else CLOSE_LENGTHS
        length = bucket(int(tokens.length.max()), lengths)
        features = pad_to(pad_to(tokens.features, length, 1), rows)
        with jax.default_device(self.device):
            state = _states(
                self.config, self.params, features, pad_to(tokens.length - 1, rows)
            )
        return self.answer(state, tokens.anchor, known, metric)

    def answer(
        self, state: jax.Array, anchor: Anchor, records: list[Records], metric: Metric
    ) -> Callable[[], Mixture]:
        """Asks the states of several cutoffs for the targets of their records.

        Args:
            state: `(rows, D)`, rows beyond the records are padding.
            anchor: of the cutoffs, fields `(batch,)`.
            records: horizon and targets.
            metric: direction and bounds.

        Returns:
            A function that waits for the mixture `(batch, widest + 1, K)`, in the
            user's units; the horizon is last. If the network can be asked for the best
            value up to the horizon, that comes first: `(batch, 1 + widest + 1, K)`.
        """
        count, rows = len(records), state.shape[0]
        widest = max(len(r.targets) for r in records)
        sizes = QUESTIONS if rows < MANY_ROWS else CLOSE_QUESTIONS
        horizon = np.array([r.horizon for r in records])
        ahead = int(self.config.best)
        asked = ahead + widest + 1
        targets = np.empty((count, bucket(asked, sizes)))
        targets[:] = horizon[:, None]
        for row, r in zip(targets, records, strict=True):
            row[ahead : ahead + len(r.targets)] = r.targets
        query = query_features(anchor, horizon, targets, np).astype(np.float32)
        if ahead:
            flag = np.broadcast_to(np.arange(targets.shape[1]) == 0, targets.shape)
            query = np.concatenate([query, flag[..., None]], axis=-1, dtype=np.float32)
        with jax.default_device(self.device):
            mixture = _answers(self.config, self.params, state, pad_to(query, rows))

        def collect() -> Mixture:
            # The horizon is asked for in the padding, directly behind the targets of
            # the curve that has most; shorter ones repeat it.
            log_weight, mean, log_std = (
                np.asarray(x)[:count, :asked].astype(np.float64) for x in mixture
            )
            return in_user_units(log_weight, mean, log_std, anchor, metric)

        return collect


def in_user_units(
    log_weight: np.ndarray,
    mean: np.ndarray,
    log_std: np.ndarray,
    anchor: Anchor,
    metric: Metric,
) -> Mixture:
    """Moves mixtures `(batch, targets, K)` from anchor units to the user's."""
    level, scale = anchor.level[:, None, None], anchor.scale[:, None, None]
    weight = np.exp(log_weight)
    low, high = -np.inf, np.inf
    if metric.hard:
        low, high = sorted((metric.sign * metric.low, metric.sign * metric.high))
    shape = mean.shape[:-1]
    return Mixture(
        weight / weight.sum(-1, keepdims=True),
        metric.sign * (level + scale * mean),
        scale * np.exp(log_std),
        np.full(shape, low),
        np.full(shape, high),
    )


def load(name: str | Path | None = None, device: jax.Device | None = None) -> Model:
    """Reads a checkpoint; see `lcpfn.load`."""
    check_process()
    path = checkpoint.find(name)
    params, config, card = checkpoint.restore(path)
    return Model(params, config, card, path, device)
