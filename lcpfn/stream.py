"""A curve that arrives record by record.

Keys and values of past tokens are kept on the device, so an update encodes one token.
Records beyond the context are pooled (see `lcpfn.tokens`): the newest token is then
rewritten until its block is full, and whenever the pooling factor doubles the curve is
read again, half as many tokens long. That happens at 129, 257, 513, ... records, so the
work per update does not grow with the length of the curve.
"""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn import network
from lcpfn.context import model_metric, pool
from lcpfn.curves import Records, check_horizon, default_targets
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process
from lcpfn.metric import Metric
from lcpfn.tokens import Anchor, empty_stats, observe, pool_factor

if TYPE_CHECKING:
    from lcpfn.model import Model


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def append_token(
    config: network.ModelConfig,
    params: Any,
    cache: network.Cache,
    token: jax.Array,
    position: jax.Array,
) -> tuple[jax.Array, network.Cache]:
    """State after one more token `(batch, features)` of every curve, and the cache."""
    states, cache = network.encode(config, params, token[:, None], cache, position)
    return states[:, 0], cache


class Stream:
    """One curve in progress; made by `Model.stream`.

    Attributes:
        steps, values: all records so far, the user's units.
        horizon: last step to predict.
        metric: direction and bounds.
    """

    def __init__(self, model: "Model", horizon: float, metric: Metric) -> None:
        self.model, self.metric = model, metric
        self.horizon = check_horizon(horizon)
        self.steps: list[float] = []
        self.values: list[float] = []
        # The finite records, model space: steps and values, with room to grow.
        self._finite, self._count = np.empty((2, 64)), 0
        self._whole = True  # all steps are whole numbers
        self._factor = 1
        self._metric = model_metric(metric, [self.horizon])
        self._restart()

    def _restart(self) -> None:
        self._stats = empty_stats(1, np, np.float64)
        self._anchor = Anchor(*np.zeros((4, 1)))
        self._tokens = 0  # complete ones; the newest may still be filling
        self._state: Any = None
        with jax.default_device(self.model.device):
            config = self.model.config
            self._cache = network.empty_cache(config, 1, config.context)

    def next_step(self) -> float:
        """The step that `update` assumes when none is given: the last one plus 1."""
        return self.steps[-1] + 1 if self.steps else 1.0

    def check(self, value: float, step: float | None) -> tuple[float, float]:
        """The record as numbers, or a ValueError; changes nothing."""
        try:
            number = float(value)
            at = self.next_step() if step is None else float(step)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                f"a record is a number at a step, got {value!r:.80} at {step!r:.80}"
            ) from None
        self.metric.check(np.array([number]), f"the value at step {at:g}")
        if not np.isfinite(at) or at < 0:
            raise ValueError(f"step must be a finite number >= 0, got {step!r}")
        if self.steps and at <= self.steps[-1]:
            raise ValueError(
                f"steps must increase: the last was {self.steps[-1]:g}, got {at:g}; "
                "start a new stream if the run restarted"
            )
        if at > self.horizon:
            raise ValueError(
                f"step {at:g} lies beyond the horizon {self.horizon:g}; start a stream "
                "with a later horizon"
            )
        return number, at

    def extend(self, values: Iterable[float], steps: Iterable[float]) -> None:
        """Takes several records without asking for a forecast."""
        check_process()
        for value, step in zip(values, steps, strict=True):
            self._add(*self.check(value, step))

    def update(self, value: float, step: float | None = None) -> Forecast:
        """Takes one record and forecasts the rest.

        Args:
            value: the metric, in the user's units; NaN or infinity: the run diverged.
            step: its step; default: the last one plus 1.

        Returns:
            Forecast of every later step up to the horizon; at the horizon itself one
            without steps.

        Raises:
            ValueError: a step not after the last one or beyond the horizon, a value
                outside hard bounds. The stream is then as it was before.
        """
        check_process()
        self._add(*self.check(value, step))
        return self.forecast()

    def _add(self, value: float, step: float) -> None:
        self.steps.append(step)
        self.values.append(value)
        self._whole &= step.is_integer()
        if not np.isfinite(value):
            return
        if self._count == self._finite.shape[1]:
            self._finite = np.concatenate([self._finite, self._finite], axis=1)
        self._finite[:, self._count] = step, self.metric.sign * value
        self._count += 1
        factor = pool_factor(self._count, self.model.config.context)
        first = (self._count - 1) // factor * factor
        if factor != self._factor:
            self._factor, first = factor, 0
            self._restart()
        self._encode(first)

    def _encode(self, first: int) -> None:
        """Encodes the blocks of finite records from number `first` on."""
        steps, values = self._finite[:, first : self._count]
        start = self._finite[0, :1]
        for step, mean, count in zip(*pool(steps, values, self._factor), strict=True):
            stats, self._anchor, token = observe(
                self._stats,
                self._metric,
                np.array([step]),
                np.array([mean]),
                np.array([count]),
                start,
                np,
            )
            with jax.default_device(self.model.device):
                self._state, self._cache = append_token(
                    self.model.config,
                    self.model.params,
                    self._cache,
                    token.astype(np.float32),
                    np.array([self._tokens], np.int32),
                )
            if count == self._factor:
                self._stats, self._tokens = stats, self._tokens + 1

    def records(self) -> Records:
        """What is known now, in model space."""
        last = self.steps[-1]
        targets = np.empty(0)
        if last < self.horizon:
            seen = self.steps[-1:] if self._whole else self.steps
            targets = default_targets(np.array(seen), self.horizon)
        # Views: what they show is never written again.
        steps, values = self._finite[:, : self._count]
        return Records(
            steps,
            values,
            last,
            not np.isfinite(self.values[-1]),
            self.horizon,
            targets,
        )

    def forecast(self) -> Forecast:
        """Forecast from the records so far.

        Raises:
            ValueError: if there are none yet.
        """
        check_process()
        if not self.steps:
            raise ValueError("this stream has no records yet; update it first")
        records = self.records()
        if self._state is None:  # nothing finite yet
            wait = self.model._ask([records], self.metric)
        else:
            wait = self.model.answer(self._state, self._anchor, [records], self.metric)
        return self.model.forecast([records], wait(), self.metric, single=True)
