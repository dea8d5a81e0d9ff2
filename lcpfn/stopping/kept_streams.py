"""Streams of runs whose curves are handed in whole at every question.

A host that keeps the observations itself asks about a curve again and again, each time
a little longer. What the network has read of it is kept, so that a question costs its
new observations and not the curve. A curve that does not go on from there is read anew,
so nothing depends on what was asked before: after a restart the answers are the same.
"""

import threading
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn.forecast import Forecast
from lcpfn.jax_setup import check_process
from lcpfn.memory import Now
from lcpfn.metric import Metric
from lcpfn.seen_curve import Context
from lcpfn.stream import Growing

if TYPE_CHECKING:
    from lcpfn.model import Model

# Runs of which streams are kept, those asked about last; half a megabyte each.
MOST = 32
# Of each, what was known at its newest cutoffs: `Rule.patience` looks back at them.
BACK = 8


class _Kept:
    """One run: its stream, and what was known at its newest cutoffs."""

    def __init__(self, model: "Model", metric: Metric, horizon: float) -> None:
        self.growing = Growing(model, metric, horizon)
        self.known: dict[int, Now] = {}

    def goes_on(self, part: Context) -> bool:
        """Whether a curve is this one, or begins with it, or is how it began."""
        row, horizon = self.growing.row, self.growing.horizon
        count = min(row.count, len(part.values))
        return (
            part.horizon == horizon
            and np.array_equal(row.steps[:count], part.steps[:count])
            and np.array_equal(row.values[:count], part.values[:count])
        )

    def now(self, part: Context) -> Now | None:
        """What is known at the end of a curve; None if that was too long ago."""
        count, read = len(part.values), self.growing.row.count
        if count not in self.known:
            if count <= read:
                return None
            steps, values = part.steps[read:].tolist(), part.values[read:].tolist()
            self.growing.add(list(zip(steps, values, strict=True)))
            self.known[count] = jax.tree.map(np.asarray, self.growing.now)
            for old in list(self.known)[:-BACK]:
                del self.known[old]
        return self.known[count]


class KeptStreams:
    """Streams by name, of runs that are forecast by themselves.

    Args:
        model: a loaded checkpoint.
        metric: direction and bounds.
    """

    def __init__(self, model: "Model", metric: Metric) -> None:
        self.model, self.metric = model, metric
        self._kept: dict[Hashable, _Kept] = {}
        self._one_at_a_time = threading.Lock()

    def ask(self, asked: Sequence[tuple[Hashable, Context]]) -> Forecast:
        """Forecasts of runs, each from a part of what is known of it.

        Raises:
            ValueError: a part without observations.
        """
        check_process()
        for name, part in asked:
            if not len(part.steps) and not part.diverged:
                raise ValueError(
                    f"{name!r:.80} has no observations; report some, or forecast it "
                    "from the other runs"
                )
        with self._one_at_a_time:
            found = [self._now(name, part) for name, part in asked]
        now = jax.tree.map(lambda *x: np.concatenate(x), *found)
        parts = [part for _, part in asked]
        return Forecast(self.model.cutoffs(parts, self.metric, *now))

    def _now(self, name: Hashable, part: Context) -> Now:
        """What the network says at the end of one curve."""
        if not len(part.values):
            return self.model.read_now([part], self.metric)
        kept = self._kept.pop(name, None)
        if kept is None or not kept.goes_on(part):
            kept = _Kept(self.model, self.metric, part.horizon)
        now: Any = kept.now(part)
        # The one asked about last stands last, and is forgotten last.
        self._kept[name] = kept
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return self.model.read_now([part], self.metric) if now is None else now

    def drop(self, name: Hashable) -> None:
        """Forgets a run."""
        with self._one_at_a_time:
            self._kept.pop(name, None)
