"""Many runs in progress, for search loops that decide which of them to continue.

    pool = lcpfn.run_pool.RunPool(horizon=50, mode="max", bounds=(0, 1))
    pool.update({"a": 0.61, "b": 0.55})      # thousands of runs in one call
    pool.most_promising(pool.expected_improvement())

Freeze-thaw Bayesian optimisation (Swersky et al. 2014) without the hyperparameters:
the forecasts of all runs say which one to thaw. The curves of a group of
rows share one cache of keys and values, so one pass of the network takes one more
observation of every one.
"""

import functools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from lcpfn.checks import check_horizon, check_observation
from lcpfn.context import Context
from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process, shared_model
from lcpfn.metric import Bounds, Metric
from lcpfn.stream import Rows

if TYPE_CHECKING:
    from lcpfn.model import Model


# Runs of a group: their activations stay in the cache of a CPU.
GROUP = 64
FEW_TOKENS = 16  # for which the memory of a group has room at first


class Place(NamedTuple):
    """Where the observations of one run are, and its newest one.

    Attributes:
        group, row: number of the group, and the row in it.
        step, value: of the newest observation; the user's units.
    """

    group: int
    row: int
    step: float
    value: float


class RunPool:
    """Concurrent runs of one search, all with the same horizon and metric.

    Args:
        horizon: last step of a full run.
        mode: "max" or "min".
        bounds: of the metric, or None.
        model: a loaded model, a checkpoint name, or None for the default. Loaded at
            the first update.

    About 0.4 MB per run of 64 observations, 0.8 MB from 128 on.
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
        self._metric = Metric(mode, bounds)
        self._model = model
        self._runs: dict[Any, Place] = {}
        self._groups: list[Rows] = []
        self._free: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: Any) -> bool:
        return run in self._runs

    @property
    def runs(self) -> list[Any]:
        """Names of the runs, in the order of their first observation."""
        return list(self._runs)

    @functools.cached_property
    def model(self) -> "Model":
        """The model; loads it."""
        return shared_model(self._model)

    @functools.cached_property
    def metric(self) -> Metric:
        """Direction and bounds as the model treats them; loads it."""
        return self.model.metric(self._metric.mode, self._metric.bounds)

    def update(
        self, values: Mapping[Any, float], steps: Mapping[Any, float] | None = None
    ) -> None:
        """Takes one more observation of some runs; a new name is a new run.

        Args:
            values: newest value by run; NaN or infinity: the run diverged.
            steps: their steps; default: one after the last.

        Raises:
            ValueError: a value outside of the bounds, a step not after the last one or
                beyond the horizon. No run is changed then.
        """
        check_process()
        metric, checked = self.metric, {}
        for name, value in values.items():
            if steps is not None and name not in steps:
                raise ValueError(f"run {name!r} has a value but no step")
            last = self._runs[name].step if name in self._runs else None
            step = None if steps is None else steps[name]
            try:
                checked[name] = check_observation(
                    value, step, last, self.horizon, metric
                )
            except ValueError as error:
                raise ValueError(f"run {name!r}: {error}") from None
        new: dict[int, dict[int, list[tuple[float, float]]]] = {}
        for name, (number, step) in checked.items():
            group, row = self._place(name)
            self._runs[name] = Place(group, row, step, number)
            if math.isfinite(number):
                new.setdefault(group, {})[row] = [(step, metric.sign * number)]
        for group, rows in new.items():
            self._groups[group].add(rows)

    def _place(self, name: Any) -> tuple[int, int]:
        """Where a run is, or a new place for it."""
        if name in self._runs:
            return self._runs[name][:2]
        if not self._free:
            number = len(self._groups)
            self._groups.append(
                Rows(self.model, self.metric, self.horizon, GROUP, FEW_TOKENS)
            )
            self._free = [(number, row) for row in reversed(range(GROUP))]
        return self._free.pop()

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
            ahead: steps from the newest observation of each, at most to the horizon;
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
        places = [self._runs[name] for name in names]
        known = [jax.tree.map(np.asarray, group.now) for group in self._groups]
        groups, rows = np.array([place[:2] for place in places]).T
        now = jax.tree.map(lambda *parts: np.stack(parts)[groups, rows], *known)
        contexts = [self._context(place, ahead) for place in places]
        return Forecast.of(self.model.cutoffs(contexts, self.metric, *now))

    def _context(self, place: Place, ahead: float | None) -> Context:
        row = self._groups[place.group].rows[place.row]
        target = self.horizon
        if ahead is not None:
            target = min(place.step + ahead, self.horizon)
        return Context(
            row.steps,
            row.values,
            place.step,
            self.metric.sign * place.value,
            self.horizon,
            np.array([target]),
        )

    def _bests(self) -> list[float]:
        """Best finite value of each run that has one, model space."""
        rows = [self._groups[p.group].rows[p.row] for p in self._runs.values()]
        return [float(row.values.min()) for row in rows if row.count]

    def best(self) -> float:
        """The best value that any run has reached; NaN if there is none."""
        return self.metric.sign * min(self._bests(), default=math.nan)

    def prob_better(
        self, threshold: float | None = None, *, ever: bool = True
    ) -> dict[Any, float]:
        """Probability that each run beats a value.

        Args:
            threshold: default: the best value that any run has reached.
            ever: at any step that remains, if the checkpoint was trained for that;
                else at the horizon.
        """
        found = self.forecast()
        there = found.best if ever and found.has_best else found.final
        return self._by_run(there.prob_better(self._incumbent(threshold)))

    def expected_improvement(self, threshold: float | None = None) -> dict[Any, float]:
        """Expected improvement of each run on a value, at the horizon.

        Args:
            threshold: default: the best value that any run has reached.
        """
        return self._by_run(
            self.forecast().final.expected_improvement(self._incumbent(threshold))
        )

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
            room = float(np.std(self._bests())) or abs(best) or 1.0
        threshold = self.metric.sign * (best - share * room)
        return self._by_run(self.forecast(ahead=ahead).prob_better(threshold)[:, 0])

    def _incumbent(self, threshold: float | None) -> float:
        return self.best() if threshold is None else float(threshold)

    def _by_run(self, scores: np.ndarray) -> dict[Any, float]:
        done = {n for n, r in self._runs.items() if r.step >= self.horizon}
        return {
            name: 0.0 if name in done else float(score)
            for name, score in zip(self._runs, scores, strict=True)
        }

    @staticmethod
    def most_promising(scores: Mapping[Any, float], count: int = 1) -> list[Any]:
        """The `count` runs with the highest scores, best first."""
        return sorted(scores, key=lambda run: -scores[run])[:count]
