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
        several = len(found.curves) > 1
        # A column of ids names rows, as long as no id comes again.
        fine = several or seen.ids is None or len(seen.ids.names) == len(seen)
        if len(seen) > self._until or found.counted or not fine:
            return False
        if not seen.is_plain(self._percent):
            return False
        new: dict[Place, list[int]] = {}
        for key, rows in seen.rows.items():
            taken = self._taken.get(key, 0)
            if len(rows) == taken or key.metric != self.metric:
                continue
            if not taken:
                if found.apart or not several:
                    return False
                begun = GrowingCurve(Curve(*key, np.empty(0), np.empty(0)))
                self._growing[key.run, key.task, ()] = begun
            for at in rows[taken:]:
                codes = tuple(text.code(at) for text in found.apart)
                new.setdefault((key.run, key.task, codes), []).append(at)
            self._taken[key] = len(rows)
        return all(self._put(found, seen, place, rows) for place, rows in new.items())

    def _put(
        self, found: Assembled, seen: Observed, place: Place, new: Sequence[int]
    ) -> bool:
        """Puts new observations at the end of their run; whether they belong there."""
        if place not in self._growing:
            if place not in found.curves:
                return False
            self._growing[place] = GrowingCurve(found.curves[place])
        steps = [seen.step(found.axis, at) for at in new]
        if not self._growing[place].extend(steps, [seen.values[at] for at in new]):
            return False
        found.curves[place] = self._growing[place].curve
        return True
