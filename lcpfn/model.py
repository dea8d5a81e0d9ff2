"""The model a user holds: weights on a device, and the calls that run them.

Batches are padded to a few sizes, so that nothing is recompiled from call to call.
"""

import functools
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lcpfn import checkpoint, network, programs
from lcpfn.among import check_configs, check_knows, check_others, runs_of, warn_of_far
from lcpfn.checks import check_curves
from lcpfn.config import ModelConfig
from lcpfn.curves import Run
from lcpfn.cutoffs import Cutoffs, slices
from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import Config
from lcpfn.jax_setup import check_process
from lcpfn.memory import Now
from lcpfn.metric import Bounds, Metric
from lcpfn.mixture import Mixture
from lcpfn.others import Others, ReadRuns
from lcpfn.plan import check_can_plan, check_plan, refuse_plan
from lcpfn.seen_curve import Context
from lcpfn.stream import Stream
from lcpfn.task import Task
from lcpfn.tokens import Anchor


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

    def extrapolate(  # noqa: PLR0913 - whatever may be known of a run
        self,
        curves: Any,
        horizon: Any,
        *,
        mode: str,
        bounds: Bounds | None = None,
        steps: Any = None,
        at: Any = None,
        others: Iterable[Run] | None = None,
        config: Any = None,
        plan: Any = None,
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
            others: other runs of the same task, finished or not, in any order. With
                them a curve may be `[]`: nothing of it is known yet.
            config: hyperparameters of the curve by name, or a list of such; compared
                with those of the other runs.
            plan: learning rates of the whole run, evenly from step 0 to the horizon,
                such as one per epoch, or a list of such; not together with `others`.

        Returns:
            The forecast, in the user's units and direction. Of a curve that is at its
            horizon `final` is certain, and no steps remain.

        Raises:
            ValueError: saying what was expected, what was got and what to do.
        """
        metric, given = self.metric(mode, bounds), runs_of(others)
        contexts, single = check_curves(
            curves, horizon, metric, steps, at, plan, unseen=bool(given)
        )
        check_process()
        configs = check_configs(config, len(contexts), single)
        found = self._read_beside(contexts, configs, given, metric)
        return Forecast(found, 0 if single else None)

    def _read_beside(
        self,
        contexts: Sequence[Context],
        configs: Sequence[Config | None],
        others: Sequence[Run],
        metric: Metric,
    ) -> Cutoffs:
        """Reads checked curves, and the other runs of their task if there are any."""
        if not contexts:
            raise ValueError("there are no curves to extrapolate")
        for context in contexts if others else ():
            refuse_plan(context.plan)
        end = max(context.horizon for context in contexts)
        around, of_others = check_others(others, end, metric)
        warn_of_far(around, end)
        if around:
            check_knows(self)
            known: dict[Hashable, Context] = dict(enumerate(around))
            told: dict[Hashable, Config | None]
            told = dict(enumerate([*of_others, *configs]))
            asked = list(enumerate(contexts, len(around)))
            return Task(self, metric).cutoffs(known, told, asked)
        if not all(len(context.steps) or context.diverged for context in contexts):
            raise ValueError(
                "a curve without observations is forecast from the other runs, and "
                "none of them has a finite value; give others that have"
            )
        return self.read(contexts, metric)

    def stream(
        self,
        horizon: float,
        *,
        mode: str,
        bounds: Bounds | None = None,
        plan: Any = None,
    ) -> Stream:
        """A curve to be fed observation by observation; see `Stream.update`.

        Args:
            horizon: last step to predict.
            mode: "max" or "min": which way is better.
            bounds: lowest and highest possible value, either may be None.
            plan: learning rates, see `extrapolate`.
        """
        check_process()
        rates = check_plan(plan)
        if rates is not None:
            check_can_plan(self.config)
        return Stream(self, horizon, self.metric(mode, bounds), rates)

    def read(self, contexts: Sequence[Context], metric: Metric) -> Cutoffs:
        """Reads several checked curves up to their cutoffs.

        Of very many, a bar on a terminal shows how far it is. Few parts are on their
        way at once, so that memory is that of the result: some 6 kB a curve.
        """
        return self.cutoffs(contexts, metric, *self.read_now(contexts, metric))

    def read_now(self, contexts: Sequence[Context], metric: Metric) -> Now:
        """What the network says at the cutoffs of curves, each by itself.

        Raises:
            ValueError: for a plan, if the network knows none.
        """
        if any(context.plan is not None for context in contexts):
            check_can_plan(self.config)
        program = functools.partial(programs.read, self.config, self.params)
        found: Now = programs.in_parts(program, contexts, metric, self.config.context)
        return found

    def read_runs(
        self, contexts: Sequence[Context], metric: Metric, span: np.ndarray
    ) -> tuple[ReadRuns, Anchor]:
        """Runs of a task, and the anchors at their newest observations.

        Args:
            contexts: the runs; of one without observations what is read says nothing.
            metric: direction and bounds.
            span: first step and horizon of the task `(2,)`.
        """
        program = functools.partial(
            programs.read_runs, self.config, self.params, span=span
        )
        found: tuple[ReadRuns, Anchor]
        found = programs.in_parts(program, contexts, metric, self.config.context)
        return found

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
        self,
        state: np.ndarray,
        anchor: Anchor,
        horizon: np.ndarray,
        at: np.ndarray,
        beside: Others | np.ndarray | None = None,
        best: bool = False,
    ) -> Mixture:
        """Distributions at later steps from any number of cutoffs, model space.

        Args:
            state: of the network `(B, D)`.
            anchor: of the cutoffs, fields `(B,)`.
            horizon: last step of each `(B,)`.
            at: steps `(B, S)`.
            beside: the other runs of the task; or what is planned up to those steps,
                see `lcpfn.plan.features_of`.
            best: put the best value up to the horizon before them, `(B, 1 + S)`.

        Returns:
            Mixtures `(B, S)`, without bounds.
        """
        parts = [
            programs.predict_some(
                *(self.config, best, self.params, state[some]),
                *(Anchor(*(x[some] for x in anchor)), horizon[some], at[some]),
                jax.tree.map(lambda x, some=some: x[some], beside),
            )
            for some in slices(len(state))
        ]
        return Mixture(*(np.concatenate(x) for x in zip(*parts, strict=True)))
