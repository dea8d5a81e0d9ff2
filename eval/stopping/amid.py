"""Policies whose forecasts know the other runs of the search, for `simulate`.

The same rules as those of runs alone, each with what a search has seen so far: how far
every run was trained, and with which configuration.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from lcpfn.cutoffs import Cutoffs
from lcpfn.eval.stopping import halving, policies
from lcpfn.eval.stopping.freeze_thaw import PERCENT, Ahead, freeze_thaw, with_last
from lcpfn.eval.stopping.simulate import Policy, TaskRuns
from lcpfn.hyperparameters import Config
from lcpfn.mixture import Mixture
from lcpfn.model import Model
from lcpfn.prefixes import AHEAD, PrefixForecasts
from lcpfn.seen_curve import Context, context_of
from lcpfn.stopping.offline import RecordedRun
from lcpfn.stopping.rule import Rule
from lcpfn.task import Task

# On a run; all of them would take ten times as long as they do of runs alone.
MOST_DECISIONS = 16


@dataclass(frozen=True)
class Amid:
    """Forecasts of the runs of one task, amid what a search has seen of the others.

    Attributes:
        task_runs: all runs, which begin and end at their own steps.
        task: what the network has read of them.
        configs: whether it is told their configurations.
        contexts: of runs with so many observations, made once: what is the same object
            is not read again.
    """

    task_runs: TaskRuns
    task: Task
    configs: bool = True
    contexts: dict[tuple[int, int], Context] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, task_runs: TaskRuns, configs: bool = True) -> "Amid":
        """Those of a checkpoint that knows other runs."""
        run = task_runs.runs[0].run
        task = Task(model, model.metric(run.mode, run.bounds))
        return cls(task_runs, task, configs)

    def _context(self, i: int, count: int) -> Context:
        if (i, count) not in self.contexts:
            run, *_, horizon = self.task_runs.runs[i]
            shown = run.steps[:count].tolist(), run.values[:count].tolist()
            seen = dict(zip(*shown, strict=True))
            self.contexts[i, count] = context_of(seen, self.task.metric, horizon)
        return self.contexts[i, count]

    def best(
        self, trained: Mapping[int, int], asked: Sequence[tuple[int, int]]
    ) -> Mixture:
        """The best values still to come `(n,)`, model space; args as of `cutoffs`."""
        found = self.cutoffs(trained, asked).best
        assert found is not None, "a checkpoint that knows other runs knows the best"
        return self._model_space(found)

    def ahead(
        self, trained: Mapping[int, int], asked: Sequence[tuple[int, int]]
    ) -> Ahead:
        """Values at some later steps, and the best; args as of `cutoffs`."""
        found = self.cutoffs(trained, asked).thinned(AHEAD)
        assert found.best is not None, "a checkpoint that knows other runs knows it"
        ends = np.array([self.task_runs.runs[i].horizon for i, _ in asked])[:, None]
        values = map(self._model_space, (found.fan, found.best))
        return with_last(PERCENT * found.steps / ends, *values)

    def cutoffs(
        self, trained: Mapping[int, int], asked: Sequence[tuple[int, int]]
    ) -> Cutoffs:
        """Runs as they were known, in the user's units.

        Args:
            trained: observations of the runs begun.
            asked: runs, and observations of each: as many as it has, or fewer.
        """
        contexts: dict[Hashable, Context]
        contexts = {i: self._context(i, n) for i, n in trained.items()}
        parts = [(i, self._context(i, n)) for i, n in asked]
        configs: dict[Hashable, Config | None] = {
            i: run.run.config if self.configs else None
            for i, run in enumerate(self.task_runs.runs)
        }
        return self.task.cutoffs(contexts, configs, parts)

    def _model_space(self, found: Mixture) -> Mixture:
        # The way back from the user's units is the way there.
        return found if self.task.metric.mode == "min" else found.mirrored()


def by_rule(
    model: Model, rule: Rule, protect: float, *, configs: bool = True
) -> Policy:
    """`policies.by_rule`, each run amid those before it.

    Forecasts of the model decide `MOST_DECISIONS` times a run; without `configs` it is
    not told configurations.
    """

    def looks(task_runs: TaskRuns) -> policies.Look:
        amid = Amid.of(model, task_runs, configs)

        def look(i: int, trained: Mapping[int, int]) -> RecordedRun:
            run = task_runs.runs[i]
            if not len(run.forecasts.seen):
                return run
            forecasts = thinned(run.forecasts)
            best = amid.best(trained, [(i, int(n)) for n in forecasts.seen])
            return run._replace(forecasts=forecasts._replace(best=best))

        return look

    return policies.by_rule(rule, protect, looks=looks)


def thinned(forecasts: PrefixForecasts) -> PrefixForecasts:
    """At most `MOST_DECISIONS` of the forecasts of a run, evenly spaced."""
    count = len(forecasts.seen)
    kept = np.unique(np.linspace(0, count - 1, min(count, MOST_DECISIONS)).round())
    return jax.tree.map(lambda x: x[kept.astype(int)], forecasts)


def asha(model: Model) -> Policy:
    """Successive halving that pauses, on the median of the best to come amid the rest.

    `model` is whose forecasts rank.
    """

    def ranks(task_runs: TaskRuns) -> halving.Rank:
        amid, trained = Amid.of(model, task_runs), dict[int, int]()

        def rank(i: int, count: int) -> float:
            run = task_runs.runs[i]
            own, trained[i] = float(run.own[count - 1]), count
            if count >= len(run.losses) or not np.isfinite(run.losses[count - 1]):
                return own
            best = amid.best(trained, [(i, count)]).quantile(np.array(0.5))
            return min(float(best[0]), own)

        return rank

    return halving.asha_paused(rank=ranks)


def study(model: Model, candidates: int = 1) -> Policy:
    """`Study.next`: any run that was begun, or one of the next candidates.

    Args:
        model: whose forecasts decide.
        candidates: of how many new runs the configurations are known beforehand.
    """
    return freeze_thaw(lambda runs: Amid.of(model, runs).ahead, candidates)
