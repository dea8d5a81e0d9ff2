"""Curves of a table that grows: what is new in it, and not all of it, is looked at."""

from collections.abc import Sequence

import numpy as np

from lcpfn.io.apart import Place
from lcpfn.io.assemble import Assembled, assemble
from lcpfn.io.observed import Key, Observed
from lcpfn.io.scalar_log import Curve, GrowingCurve

# Shorter tables are looked at as a whole whenever they grow; longer ones when they have
# grown by one part in so many.
SHORT, GROWTH = 512, 8


class TableGrowth:
    """The curves of a table, asked for again and again.

    What is one run and which column holds the steps may depend on all of a table. It is
    looked at as a whole when an observation is not simply the next one of its run: a
    run of another kind begins, a step goes back or is missing, cells are written
    otherwise. It also is whenever the table has grown by an eighth, so that in total
    each observation is looked at some nine times, however long the table gets.

    Args:
        metric: column of the values.
        step: column of the step axis; None to choose it.
        percent: what 1 % is in the units of the metric.
    """

    def __init__(self, metric: str, step: str | None, percent: float) -> None:
        self.metric, self._step, self._percent = metric, step, percent
        self._found: Assembled | None = None
        self._growing: dict[Place, GrowingCurve] = {}
        self._taken: dict[Key, int] = {}
        self._until = 0

    def look(self, seen: Observed) -> Assembled:
        """Curves of all runs.

        Raises:
            ValueError: as `assemble`.
        """
        if self._found is None or not self._go_on(self._found, seen):
            self._found = None  # until this succeeds
            self._found = assemble(seen, self.metric, self._step, self._percent)
            self._growing = {}
            self._taken = {key: len(rows) for key, rows in seen.rows.items()}
            longer = max(len(seen) - SHORT, 0)
            self._until = len(seen) + longer // GROWTH
        return self._found

    def _go_on(self, found: Assembled, seen: Observed) -> bool:
        """Puts what is new behind what there is; whether that is all there is to do."""
        ids = seen.ids
        several = len(found.curves) > 1
        # A column of ids names rows, as long as no id comes again.
        fine = several or ids is None or len(ids.names) == len(seen)
        if len(seen) > self._until or found.counted or not seen.is_plain(self._percent):
            return False
        for key, rows in seen.rows.items() if fine else ():
            taken = self._taken.get(key)
            if len(rows) == taken or key.metric != self.metric:
                continue
            if taken is None and (found.apart or not several):
                return False
            if not self._put(found, seen, key, rows[taken or 0 :], taken is None):
                return False
            self._taken[key] = len(rows)
        return fine

    def _put(
        self,
        found: Assembled,
        seen: Observed,
        key: Key,
        new: Sequence[int],
        first: bool,
    ) -> bool:
        """Puts new observations of one key into their runs; whether all belong there.

        Args:
            found: the curves, some of which are replaced.
            seen: all observations.
            key: of these.
            new: which they are.
            first: whether there are no others of this key.
        """
        by_place: dict[Place, tuple[list[float], list[float]]] = {}
        for at in new:
            place = key.run, key.task, tuple(text.code(at) for text in found.apart)
            steps, values = by_place.setdefault(place, ([], []))
            steps.append(seen.step(found.axis, at))
            values.append(seen.values[at])
        for place, (steps, values) in by_place.items():
            growing = self._growing.get(place)
            if growing is None and (first or place in found.curves):
                none = Curve(*key, np.empty(0), np.empty(0))
                growing = GrowingCurve(found.curves.get(place, none))
                self._growing[place] = growing
            if growing is None or not growing.extend(steps, values):
                return False
            found.curves[place] = growing.curve
        return True
