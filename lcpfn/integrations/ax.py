"""Ax: an early-stopping strategy that extrapolates learning curves."""

from collections.abc import Hashable
from typing import Any

from ax.core.experiment import Experiment
from ax.core.trial_status import TrialStatus
from ax.early_stopping.strategies import ModelBasedEarlyStoppingStrategy

from lcpfn.stopping.either_direction import EitherDirection
from lcpfn.stopping.known_run import KnownRun
from lcpfn.stopping.search_monitor import SearchMonitor

Curves = dict[int, dict[float, float]]


class LCEarlyStoppingStrategy(ModelBasedEarlyStoppingStrategy):
    """Stops trials that will hardly beat the best completed ones.

        client.set_early_stopping_strategy(LCEarlyStoppingStrategy(50, bounds=(0, 1)))

    Which way is better is the objective's to say. Progressions are the steps.

    Args:
        horizon: last progression of a full trial.
        min_curves: completed trials before anything is stopped.
        metric_signatures: as of Ax's own strategies, like the next three.
        min_progression: of the trial that is looked at.
        max_progression: likewise.
        interval: of progressions, between decisions.
        check_safe: nothing is stopped while the best completed trial would have been.
        **rule: `bounds`, `confidence`, `patience`, `top_k`, ... of
            `lcpfn.EarlyStopping` and of `SearchMonitor`; `model`.
    """

    def __init__(
        self,
        horizon: float,
        *,
        min_curves: int = 5,
        metric_signatures: list[str] | None = None,
        min_progression: float | None = None,
        max_progression: float | None = None,
        interval: float | None = None,
        check_safe: bool = False,
        **rule: Any,
    ) -> None:
        super().__init__(
            metric_signatures=metric_signatures,
            min_progression=min_progression,
            max_progression=max_progression,
            min_curves=min_curves,
            interval=interval,
            check_safe=check_safe,
        )
        options = {"horizon": horizon, "n_startup": max(min_curves, 1), **rule}
        self._runs = EitherDirection(**options)

    def _curves(self, experiment: Experiment) -> tuple[Curves, SearchMonitor, str, Any]:
        """Curves by trial, the rule, the metric, and the data as Ax keeps them."""
        signature, minimize = self._default_objective_and_direction(experiment)
        runs = self._runs.of("min" if minimize else "max")
        data = self._lookup_and_validate_data(experiment, [signature])
        if data is None:
            return {}, runs, signature, None
        frame = data.full_df
        frame = frame[frame["metric_signature"] == signature]
        curves: Curves = {}
        for index, step, mean in zip(
            frame["trial_index"], frame["step"], frame["mean"], strict=True
        ):
            if step == step:  # a trial without progressions has no curve
                curves.setdefault(int(index), {})[float(step)] = float(mean)
        return curves, runs, signature, frame

    def _should_stop_trials_early(
        self, trial_indices: set[int], experiment: Experiment, current_node: Any = None
    ) -> dict[int, str | None]:
        curves, runs, _, frame = self._curves(experiment)
        if frame is None or not self.is_eligible_any(trial_indices, experiment, frame):
            return {}
        known = _known(runs, experiment, curves)
        stopped: dict[int, str | None] = {}
        for index in sorted(trial_indices & set(curves)):
            eligible, _ = self.is_eligible(index, experiment, frame)
            if not eligible:
                continue
            stop, monitor = runs.judge(_name(index), curves[index], known)
            if stop:
                stopped[index] = monitor.reason
        return stopped

    def _is_harmful(self, trial_indices: set[int], experiment: Experiment) -> bool:
        curves, runs, _, _ = self._curves(experiment)
        known = _known(runs, experiment, curves)
        reached = {i: known[_name(i)].reached for i in curves if _name(i) in known}
        finished = [i for i, value in reached.items() if value == value]
        if len(finished) < 2:
            return False
        best = (max if runs.mode == "max" else min)(finished, key=reached.__getitem__)
        steps = sorted(curves[best])
        prefixes = (
            {s: curves[best][s] for s in steps[:n]} for n in range(1, len(steps))
        )
        return any(runs.judge(_name(best), p, known)[0] for p in prefixes)


def _name(index: int) -> str:
    return f"trial {index}"


def _known(
    runs: SearchMonitor, experiment: Experiment, curves: Curves
) -> dict[Hashable, KnownRun]:
    """All trials that have reported; failed ones count for nothing."""
    by_status, known = experiment.trial_indices_by_status, dict[Hashable, KnownRun]()
    for index, curve in curves.items():
        if index not in by_status[TrialStatus.FAILED]:
            arm = getattr(experiment.trials[index], "arm", None)
            run = runs.hold(_name(index), curve, arm and arm.parameters)
            if index in by_status[TrialStatus.COMPLETED]:
                runs.over(run)
            known[_name(index)] = run
    return known
