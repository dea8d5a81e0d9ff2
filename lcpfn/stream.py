"""Curves that arrive observation by observation.

An update encodes one token (see `lcpfn.memory`). Observations beyond the context are
pooled (see `lcpfn.tokens`): the newest token is then rewritten until its block is full,
and whenever the pooling factor doubles the curve is read again, half as many tokens
long. That happens at 129, 257, 513, ... observations, so the work per update does not
grow with the length of the curve.
"""

import math
import sys
from bisect import insort
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn.batch import limits_of, make_batch, pool, pool_factor
from lcpfn.checks import check_horizon, check_observation
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process, float64
from lcpfn.memory import Token, append, empty_memory, fill
from lcpfn.metric import Metric
from lcpfn.plan import Plan, plan_features, plan_of
from lcpfn.seen_curve import Context

if TYPE_CHECKING:
    from lcpfn.model import Model

# Complete tokens up to which appending them is faster than reading the curve anew.
SEVERAL = 2


class Row:
    """The finite observations of one curve, model space, with room to grow."""

    def __init__(self) -> None:
        self._data, self.count, self.factor = np.empty((2, 64)), 0, 1

    def add(self, step: float, value: float) -> None:
        """One more observation."""
        if self.count == self._data.shape[1]:
            self._data = np.concatenate([self._data, self._data], axis=1)
        self._data[:, self.count] = step, value
        self.count += 1

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._data.nbytes

    @property
    def steps(self) -> np.ndarray:
        """A view; what it shows is never written again."""
        return self._data[0, : self.count]

    @property
    def values(self) -> np.ndarray:
        """Likewise."""
        return self._data[1, : self.count]


class Growing:
    """A curve as the network remembers it; its tokens are appended one by one.

    The network reads when it is asked for `now`.

    Args:
        model: a loaded checkpoint.
        metric: direction and bounds.
        horizon: last step.
        plan: of the learning rate; None: unknown.

    Attributes:
        row: its observations.
    """

    def __init__(
        self,
        model: "Model",
        metric: Metric,
        horizon: float,
        plan: Plan | None = None,
    ) -> None:
        self.model, self.metric, self.horizon = model, metric, horizon
        self.plan = plan
        self.row = Row()
        # `Past` and `now`, and the limits as the device has them.
        self._memory: Any = None
        self._limits: Any = None
        # Complete tokens: `Past.position`, on this side of the device.
        self._done = self._read = 0

    @property
    def nbytes(self) -> int:
        """Bytes held beyond the model, on the device and beside it."""
        return self.row.nbytes + sum(x.nbytes for x in jax.tree.leaves(self._memory))

    def add(self, observations: Sequence[tuple[float, float]]) -> None:
        """Takes finite observations, steps and values in model space."""
        for step, value in observations:
            self.row.add(step, value)

    @property
    def now(self) -> Any:
        """What is known at the newest observation; those that are new are read."""
        model = self.model
        if self._memory is None:
            limits = limits_of(self.metric, [self.horizon])
            self._limits = float64(jax.device_put)(limits, model.device)
            self._memory = empty_memory(model.config, model.device)
        for token in self._tokens() if self._read < self.row.count else ():
            tokens = np.array([token], float)
            self._memory = append(
                *(model.config, model.params, self._memory[0], tokens, self._limits),
                self._planned(token.step),
            )
            self._done += bool(token.full)
        self._read = self.row.count
        return self._memory[1]

    def _planned(self, step: float) -> Any:
        """What is planned from a step up to the horizon `(1, PLAN_FEATURES)`."""
        if self.plan is None:
            return None
        at, end = np.array([step]), np.array([[self.horizon]])
        return plan_features(self.plan, at, end)[:, 0].astype(np.float32)

    def _tokens(self) -> list[Token]:
        """The tokens that are still to be appended, one by one."""
        row, context = self.row, self.model.config.context
        factor = pool_factor(row.count, context)
        complete = row.count // factor
        if factor != row.factor or complete - self._done > SEVERAL:
            row.factor = factor
            some = slice(0, complete * factor)
            known = Context(
                *(row.steps[some], row.values[some], 0, 0, self.horizon),
                plan=self.plan,
            )
            batch = make_batch([known], self.metric, [factor], 1)
            config, params = self.model.config, self.model.params
            self._memory = fill(config, params, self._memory[0], batch)
            self._done = complete
        first = self._done * factor
        blocks = pool(row.steps[first:], row.values[first:], factor)
        return [
            Token(*block, row.steps[0], full=block[2] == factor)
            for block in zip(*blocks, strict=True)
        ]


class Stream:
    """One curve in progress; made by `Model.stream`.

    Attributes:
        steps, values: all observations so far, the user's units.
        best: the best finite value so far; NaN if there is none.
        horizon: last step to predict.
        metric: direction and bounds.
        plan: learning rates, see `Model.extrapolate`; None: unknown.
    """

    def __init__(
        self,
        model: "Model",
        horizon: float,
        metric: Metric,
        plan: np.ndarray | None,
    ) -> None:
        self.model, self.metric, self.plan = model, metric, plan
        self.horizon = check_horizon(horizon)
        self.steps: list[float] = []
        self.values: list[float] = []
        self.best = math.nan
        self._whole = True  # all steps are whole numbers
        self._gaps: list[float] = []  # between steps, sorted; not kept for whole ones
        self._growing = Growing(
            model, metric, self.horizon, plan_of(plan, self.horizon)
        )

    @property
    def nbytes(self) -> int:
        """Bytes held beyond the model."""
        lists = (self.steps, self.values, self._gaps)
        return self._growing.nbytes + sum(map(sys.getsizeof, lists))

    def extend(self, values: Iterable[float], steps: Iterable[float | None]) -> None:
        """Takes several observations without a forecast; a step None is the next one.

        Raises:
            ValueError: as of `update`. The stream is then as it was before.
        """
        self._take(list(zip(values, steps, strict=True)))

    def update(self, value: float, step: float | None = None) -> Forecast:
        """Takes one observation and forecasts the rest.

        Args:
            value: the metric, in the user's units; NaN or infinity: the run diverged.
            step: its step; default: the last one plus 1.

        Returns:
            Forecast of every later step up to the horizon; at the horizon itself one
            without steps, whose `final` is certain.

        Raises:
            ValueError: a step not after the last one or beyond the horizon, a value
                outside hard bounds. The stream is then as it was before.
        """
        self._take([(value, step)])
        return self.forecast()

    def _take(self, new: Sequence[tuple[float, float | None]]) -> None:
        check_process()
        last = self.steps[-1] if self.steps else None
        checked = []
        for value, step in new:
            number, last = check_observation(
                value, step, last, self.horizon, self.metric
            )
            checked.append((last, number))
        self.steps += [step for step, _ in checked]
        self.values += [value for _, value in checked]
        self._whole &= all(step.is_integer() for step, _ in checked)
        sign = self.metric.sign
        finite = [(s, sign * v) for s, v in checked if math.isfinite(v)]
        self._growing.add(finite)
        best = min((v for _, v in finite), default=math.nan)
        self.best = sign * float(np.fmin(sign * self.best, best))

    def context(self) -> Context:
        """What is known now, in model space."""
        if not self.steps:
            raise ValueError("this stream has no observations yet; update it first")
        row = self._growing.row
        last, newest = self.steps[-1], self.metric.sign * self.values[-1]
        return Context(
            *(row.steps, row.values, last, newest, self.horizon),
            unit=self._unit(),
            plan=self._growing.plan,
        )

    def _unit(self) -> float:
        """`seen_curve.step_unit` of all steps, whose gaps are sorted only once."""
        if self._whole:
            return 1.0
        gaps, newer = self._gaps, self.steps[len(self._gaps) :]
        new = [later - step for step, later in pairwise(newer)]
        if len(new) == 1:
            insort(gaps, new[0])
        elif new:
            gaps.extend(new)
            gaps.sort()
        middle = gaps[(len(gaps) - 1) // 2 : len(gaps) // 2 + 1]
        return sum(middle) / len(middle) if middle else self.steps[0]

    def forecast(self) -> Forecast:
        """Forecast from the observations so far.

        Raises:
            ValueError: if there are none yet.
        """
        check_process()
        known = [self.context()]
        now = self._growing.now
        return Forecast(self.model.cutoffs(known, self.metric, *now), 0)
