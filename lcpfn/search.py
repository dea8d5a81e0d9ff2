"""Many runs in progress, for search loops that decide which of them to continue.

    pool = lcpfn.search.RunPool(horizon=50, mode="max", bounds=(0, 1))
    pool.update({"a": 0.61, "b": 0.55})      # thousands of runs in one call
    pool.most_promising(pool.expected_improvement())

Freeze-thaw Bayesian optimisation (Swersky et al. 2014) without the hyperparameters:
which run to thaw is asked of the forecasts of all of them. The curves of a group of
rows share one cache of keys and values, so one pass of the network takes one more
record of every one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn.context import model_metric
from lcpfn.curves import Records, check_horizon
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process
from lcpfn.metric import Bounds, Metric
from lcpfn.model import ROWS, bucket, pad_to
from lcpfn.shared_cache import GROUP, SharedCache
from lcpfn.tokens import Anchor, pool_factor

if TYPE_CHECKING:
    from lcpfn.model import Model


class _Run:
    """Records of one run, and how they are pooled."""

    def __init__(self, group: int, row: int) -> None:
        self.group, self.row = group, row
        self.steps: list[float] = []
        self.values: list[float] = []
        self.last_step, self.last_value, self.factor = 0.0, 0.0, 1

    def blocks(self, context: int) -> tuple[list[tuple[float, float, int]], bool]:
        """Tokens that the newest record changes, and whether all begin anew."""
        count = len(self.values)
        factor = pool_factor(count, context)
        again, self.factor = factor != self.factor, factor
        first = 0 if again else (count - 1) // factor * factor
        return [
            (
                self.steps[min(i + factor, count) - 1],
                float(np.mean(self.values[i : i + factor])),
                min(factor, count - i),
            )
            for i in range(first, count, factor)
        ], again


class RunPool:
    """Concurrent runs of one search, all with the same horizon and metric.

    Args:
        horizon: last step of a full run.
        mode: "max" or "min".
        bounds: of the metric, or None.
        model: a loaded model, a checkpoint name, or None for the default. Loaded at
            the first update.

    About 0.4 MB per run of 64 records, 0.8 MB from 128 on.
    """

    def __init__(
        self,
        horizon: float,
        mode: str,
        bounds: Bounds | None = None,
        *,
        model: "Model | str | Path | None" = None,
    ) -> None:
        self.horizon = check_horizon(horizon)
        self.metric = Metric(mode, bounds)
        self._model = model
        self._runs: dict[Any, _Run] = {}
        self._groups: list[SharedCache] = []
        self._free: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: Any) -> bool:
        return run in self._runs

    @property
    def runs(self) -> list[Any]:
        """Names of the runs, in the order of their first record."""
        return list(self._runs)

    @property
    def model(self) -> "Model":
        """The model; loads it."""
        if self._model is None or isinstance(self._model, str | Path):
            from lcpfn import load

            self._model = load(self._model)
            self.metric = self._model.metric(self.metric.mode, self.metric.bounds)
        return self._model

    def update(
        self, values: Mapping[Any, float], steps: Mapping[Any, float] | None = None
    ) -> None:
        """Takes one more record of some runs; a new name is a new run.

        Args:
            values: newest value by run; NaN or infinity: the run diverged.
            steps: their steps; default: one after the last.

        Raises:
            ValueError: a value outside of the bounds, a step not after the last one or
                beyond the horizon. No run is changed then.
        """
        check_process()
        model = self.model
        at = {run: self._step(run, steps) for run in values}
        for run, value in values.items():
            self._check(run, value, at[run])
        pending: dict[int, list[tuple[_Run, list]]] = {}
        for name, value in values.items():
            run = self._runs.get(name) or self._add(name)
            run.last_step, run.last_value = at[name], float(value)
            if not np.isfinite(run.last_value):
                continue
            run.steps.append(run.last_step)
            run.values.append(self.metric.sign * run.last_value)
            blocks, again = run.blocks(model.config.context)
            if again:
                self._groups[run.group].forget(run.row)
            pending.setdefault(run.group, []).append((run, blocks))
        for number, waiting in pending.items():
            self._encode(self._groups[number], waiting)

    def _step(self, run: Any, steps: Mapping[Any, float] | None) -> float:
        if steps is not None:
            if run not in steps:
                raise ValueError(f"run {run!r} has a value but no step")
            return float(steps[run])
        return self._runs[run].last_step + 1 if run in self._runs else 1.0

    def _check(self, run: Any, value: float, step: float) -> None:
        last = self._runs[run].last_step if run in self._runs else None
        if not np.isfinite(step) or step < 0 or (last is not None and step <= last):
            raise ValueError(
                f"steps of run {run!r} must be finite, >= 0 and increase: the last was "
                f"{last}, got {step:g}"
            )
        if step > self.horizon:
            raise ValueError(
                f"run {run!r}: step {step:g} lies beyond the horizon {self.horizon:g}"
            )
        try:
            number = np.array([float(value)])
        except (TypeError, ValueError):
            raise ValueError(
                f"run {run!r}: a value is a number, got {value!r:.80}"
            ) from None
        self.metric.check(number, f"the value of run {run!r}")

    def _add(self, name: Any) -> _Run:
        if not self._free:
            number = len(self._groups)
            self._groups.append(SharedCache(self.model))
            self._free = [(number, row) for row in reversed(range(GROUP))]
        run = self._runs[name] = _Run(*self._free.pop())
        return run

    def _encode(self, group: SharedCache, waiting: list[tuple[_Run, list]]) -> None:
        context = model_metric(self.metric, [self.horizon] * GROUP)
        while waiting:
            rows = np.array([run.row for run, _ in waiting])
            blocks = np.array([blocks[0] for _, blocks in waiting]).T
            start = np.array([run.steps[0] for run, _ in waiting])
            factor = np.array([run.factor for run, _ in waiting])
            group.append(rows, context, blocks, start, blocks[2] == factor)
            waiting = [(run, blocks[1:]) for run, blocks in waiting if len(blocks) > 1]

    def drop(self, run: Any) -> None:
        """Forgets a run, whose place another one may take.

        Raises:
            KeyError: if there is no such run.
        """
        gone = self._runs.pop(run)
        self._groups[gone.group].forget(gone.row)
        self._free.append((gone.group, gone.row))

    def forecast(
        self, runs: Iterable[Any] | None = None, ahead: float | None = None
    ) -> Forecast:
        """Forecast of runs at one later step.

        Args:
            runs: names; default: all, in the order of `runs`.
            ahead: steps from the newest record of each, at most to the horizon;
                default: the horizon.

        Returns:
            A batch with one step per run; `final` and `best` are up to the horizon. A
            run at its horizon is forecast to stay what it is.

        Raises:
            KeyError: if there is no such run.
            ValueError: if there are no runs.
        """
        check_process()
        names = self.runs if runs is None else list(runs)
        if not names:
            raise ValueError("there are no runs to forecast; update the pool first")
        model, found = self.model, [self._runs[name] for name in names]
        groups, rows = np.array([(run.group, run.row) for run in found]).T
        state = np.stack([group.state for group in self._groups])[groups, rows]
        anchor = Anchor(
            *(
                np.stack(field)[groups, rows]
                for field in zip(*(g.anchor for g in self._groups), strict=True)
            )
        )
        # What a run without a finite record is asked is overruled, but must be finite.
        blank = np.array([not run.values for run in found])
        anchor = anchor._replace(
            scale=np.where(blank, 1.0, anchor.scale),
            gap=np.where(blank, 1.0, anchor.gap),
        )
        records = [self._records(run, ahead) for run in found]
        padded = jax.numpy.asarray(pad_to(state, bucket(len(found), ROWS)))
        wait = model.answer(padded, anchor, records, self.metric)
        return model.forecast(records, wait(), self.metric, single=False)

    def _records(self, run: _Run, ahead: float | None) -> Records:
        target = self.horizon
        if ahead is not None:
            target = min(run.last_step + ahead, self.horizon)
        lost = not np.isfinite(run.last_value)
        known = (np.array(run.steps), np.array(run.values))
        return Records(*known, run.last_step, lost, self.horizon, np.array([target]))

    def best(self) -> float:
        """The best value that any run has reached; NaN if there is none."""
        values = [min(run.values) for run in self._runs.values() if run.values]
        return self.metric.sign * min(values) if values else float("nan")

    def prob_better(
        self, bar: float | None = None, *, ever: bool = True
    ) -> dict[Any, float]:
        """Probability that each run beats a value.

        Args:
            bar: default: the best value that any run has reached.
            ever: at any step that remains, if the checkpoint was trained for that;
                else at the horizon.
        """
        found = self.forecast()
        asked = found.best if ever and found.has_best else found.final
        return self._by_run(asked.prob_better(self._bar(bar)))

    def expected_improvement(self, bar: float | None = None) -> dict[Any, float]:
        """Expected improvement of each run on a value, at the horizon.

        Args:
            bar: default: the best value that any run has reached.
        """
        return self._by_run(self.forecast().final.expected_improvement(self._bar(bar)))

    def mfpi_random(self, seed: int) -> dict[Any, float]:
        """MFPI-random of ifBO (Rakotoarison et al. 2024, 2404.16795).

        The probability of beating a random threshold a random number of steps ahead:
        h ~ U(1, horizon), threshold = best + 10^U(-4, -1) times what could be gained,
        which is the way to the bound or, without one, the spread of the runs' best.
        """
        rng = np.random.default_rng(seed)
        ahead = rng.uniform(1, max(self.horizon, 2))
        share = 10 ** rng.uniform(-4, -1)
        best = self.metric.sign * self.best()
        room = best - self.metric.low
        if not np.isfinite(room):
            bests = [min(run.values) for run in self._runs.values() if run.values]
            room = float(np.std(bests)) or abs(best) or 1.0
        bar = self.metric.sign * (best - share * room)
        return self._by_run(self.forecast(ahead=ahead).prob_better(bar)[:, 0])

    def _bar(self, bar: float | None) -> float:
        return self.best() if bar is None else float(bar)

    def _by_run(self, scores: np.ndarray) -> dict[Any, float]:
        done = {n for n, r in self._runs.items() if r.last_step >= self.horizon}
        return {
            name: 0.0 if name in done else float(score)
            for name, score in zip(self._runs, scores, strict=True)
        }

    @staticmethod
    def most_promising(scores: Mapping[Any, float], count: int = 1) -> list[Any]:
        """The `count` runs with the highest scores, best first."""
        return sorted(scores, key=lambda run: -scores[run])[:count]
