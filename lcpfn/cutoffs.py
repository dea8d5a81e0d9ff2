"""Curves that the network has read: what forecasts are drawn from."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lcpfn.jax_setup import check_process
from lcpfn.metric import Metric
from lcpfn.mixture import Mixture
from lcpfn.others import Others
from lcpfn.plan import features_of
from lcpfn.prefixes import surprise
from lcpfn.seen_curve import Context
from lcpfn.tokens import Anchor
from lcpfn.trajectories import simulate, with_marginals

if TYPE_CHECKING:
    from lcpfn.model import Model

# Curves that the network is given at a time.
MOST_ROWS = 256
# Paths simulated at least, so that the ranks of few paths still mean something.
LEAST_PATHS = 64


def slices(count: int) -> list[slice]:
    """Parts of `count` rows, of at most `MOST_ROWS` each."""
    return [slice(i, i + MOST_ROWS) for i in range(0, count, MOST_ROWS)]


@dataclass(frozen=True, eq=False)
class Cutoffs:
    """Several curves at their cutoffs.

    Attributes:
        model: that read them.
        metric: direction and bounds.
        contexts: the curves.
        state: of the network at the cutoffs `(B, D)`.
        anchor: level and scale there, fields `(B,)`.
        end: what is predicted of the horizon, last, and first of the best value up to
            it if the checkpoint knows that `(B, 1 or 2)`; the user's units.
        others: what else is known of their task; None: nothing.
    """

    model: "Model"
    metric: Metric
    contexts: Sequence[Context]
    state: Any
    anchor: Anchor
    end: Mixture
    others: Others | None = None

    @functools.cached_property
    def horizons(self) -> np.ndarray:
        """Last step to predict of each curve `(B,)`."""
        return np.array([context.horizon for context in self.contexts], float)

    @functools.cached_property
    def diverged(self) -> np.ndarray:
        """Whether each curve ended in NaN or infinity `(B,)`."""
        return np.array([context.diverged for context in self.contexts])

    @functools.cached_property
    def finished(self) -> np.ndarray:
        """Whether no step of a curve remains `(B,)`."""
        return np.array([context.finished for context in self.contexts])

    @functools.cached_property
    def known(self) -> np.ndarray:
        """Values that are certain, NaN where none is `(B,)`; the user's units."""
        last = np.array([context.last_value for context in self.contexts])
        known = np.where(self.finished, last, np.nan)
        return self.metric.sign * np.where(self.diverged, self.metric.high, known)

    @property
    def final(self) -> Mixture:
        """The value at the horizon `(B,)`."""
        return self.end.at(slice(None), -1)

    @property
    def best(self) -> Mixture | None:
        """The best value still to come `(B,)`; None if the checkpoint has none."""
        if not self.model.config.best:
            return None
        return self.end.at(slice(None), 0)

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """Steps to predict `(B, S)`, shorter rows ending in NaN."""
        wanted = [context.wanted() for context in self.contexts]
        steps = np.full((len(wanted), max(map(len, wanted))), np.nan)
        for row, targets in zip(steps, wanted, strict=True):
            row[: len(targets)] = targets
        return steps

    @functools.cached_property
    def fan(self) -> Mixture:
        """The values at all steps `(B, S)`, the user's units."""
        if not self.steps.shape[1]:
            return self.end.at(slice(None), slice(0))
        check_process()
        horizon = self.horizons
        targets = np.where(np.isnan(self.steps), horizon[:, None], self.steps)
        found = self.model.predict(
            *(np.asarray(self.state), self.anchor, horizon, targets),
            self.others or features_of(self.contexts, targets),
        )
        return self.metric.in_user_units(found)

    def thinned(self, count: int) -> "Cutoffs":
        """The same curves, asked about `count` evenly spaced later steps.

        The horizon is the last of them.
        """
        shares = np.arange(1, count + 1) / count
        contexts = [
            context._replace(
                targets=context.last_step
                + (context.horizon - context.last_step) * shares
            )
            for context in self.contexts
        ]
        return replace(self, contexts=contexts)

    @functools.cached_property
    def surprise(self) -> np.ndarray:
        """How badly the newest observations were forecast `(B,)`."""
        check_process()
        return surprise(self.model, self.contexts, self.metric)

    def paths(self, n: int, seed: int) -> np.ndarray:
        """Joint trajectories with the fan's distribution at every step `(n, B, S)`."""
        check_process()
        # A power of two, so that one compiled program serves many `n`.
        count = 1 << (max(n, LEAST_PATHS) - 1).bit_length()
        simulated = simulate(self.model, self.contexts, self.metric, count, seed)
        return with_marginals(simulated, self.fan, n, seed)
