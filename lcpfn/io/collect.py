"""From rows to curves: every table, whatever file it came from, in one place.

Rows are taken one by one, so a log may grow. Which column is the metric must be said or
evident; which is the step axis is decided by the observations that there are
(`columns.choose_axis`). Three layouts are known:

    run, step, value          one row per observation; run, step, task, metric optional
    run, 1, 2, 5, ...         one row per run, columns named by their step
    name, steps, values       one row per run with lists of values

and charts exported from Weights & Biases, whose columns are `RUN - METRIC`. Rows
without the metric are passed over, as rows of training metrics between those of
validation are.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lcpfn.io.cells import is_number, number_in, step_in
from lcpfn.io.columns import (
    Layout,
    chart_rows,
    choose_axis,
    choose_value,
    is_chart,
    label_in,
    layout_of,
    text_in,
)
from lcpfn.io.request import one_of
from lcpfn.io.rows import Row, Skipped
from lcpfn.io.scalar_log import Curve, in_order

# Names that are kept, in all and by kind of row; columns of a row; runs of a file.
MOST_NAMES, MOST_KINDS = 10_000, 1 << 20
MOST_COLUMNS, MOST_RUNS = 50_000, 1 << 20


class Key(NamedTuple):
    """What an observation belongs to."""

    run: str
    task: str
    metric: str


class Collector:
    """Takes rows, gives curves.

    Args:
        metric: column, or value of the column `metric`; None for the only one. Where
            rows are of several splits, SPLIT/COLUMN.
        step: column of the step axis; None to choose it.
        percent: what 1 % is in the units of the metric.

    Attributes:
        skipped: rows that make no observation.
        without_step: how many observations were left out since they have no step.
    """

    def __init__(
        self, metric: str | None, step: str | None = None, percent: float = 1.0
    ) -> None:
        self.metric, self.step, self.percent = metric, step, percent
        self.skipped, self.without_step, self._kept = Skipped(), 0, 0
        self._columns: dict[str, None] = {}
        self._candidates: dict[str, None] = {}
        self._pending: dict[tuple[str, ...], list[str]] = {}
        self._chosen, self._example = metric, ""
        self._clear()

    def _clear(self) -> None:
        """Forgets all observations."""
        self._first = ""
        self._values, self._positions = array("d"), array("d")
        self._steps: dict[str, array[float]] = {}
        self._rows: dict[Key, array[int]] = {}
        self._ids: dict[int, str] = {}
        self._passed: dict[Key, int] = {}

    def add(self, row: Row, where: str, decimal_comma: bool = False) -> None:
        """Takes one row.

        Args:
            row: cells by column.
            where: the line, for messages.
            decimal_comma: as for `number_in`.
        """
        columns = tuple(row)
        if len(columns) > MOST_COLUMNS:
            self.skipped.add(where, f"it has more than {MOST_COLUMNS} columns")
            return
        if is_chart(columns):
            for part in chart_rows(row):
                self.add(part, where, decimal_comma)
            return
        layout = layout_of(columns, self.metric, self.step)
        self._note(layout, row, where)
        label = label_in(row, layout)
        run, task = text_in(row, layout.run), text_in(row, layout.task)
        if layout.numbered:
            key = Key(run or where.replace("line", "row"), task, label)
            for name, step in layout.numbered.items():
                self._take(key, row[name], where, decimal_comma, step)
            return
        column = self._value_column(layout, row, label)
        if column is None or column not in row:
            return
        if layout.label is None and label:
            label = f"{label}/{column}"
        key = Key(run, task, label or column)
        if isinstance(row[column], list):
            self._take_list(key, row, column, layout, where)
        elif self._take(key, row[column], where, decimal_comma):
            self._take_steps(layout, row, decimal_comma)

    def _note(self, layout: Layout, row: Row, where: str) -> None:
        """Remembers names, and which columns may be the metric."""
        columns = tuple(row)
        pending = self._pending.get(columns)
        if pending is None:
            self._kept += len(columns) + 1
            if self._kept > MOST_KINDS:
                self._pending, self._kept = {}, 0
            pending = self._pending[columns] = list(layout.values)
            if len(self._columns) < MOST_NAMES:
                self._columns.update(dict.fromkeys(columns))
        if self.metric is not None or not pending:
            return
        numeric = [c for c in pending if _is_value(row[c])]
        if not numeric:
            self._example = self._example or _no_number(row, pending, where)
            if not self._candidates and not self._example:
                self._chosen = choose_value(layout.values)  # empty cells count as steps
            return
        known = set(numeric)
        pending[:] = [c for c in pending if c not in known]
        self._candidates.update(dict.fromkeys(numeric))
        chosen = choose_value(self._candidates)
        # What is chosen late has its first value in this row, so nothing is missed.
        if chosen != self._chosen:
            self._chosen = chosen
            self._clear()

    def _value_column(self, layout: Layout, row: Row, label: str) -> str | None:
        """The column of the values in one row; None if it is a row of another kind."""
        if self.metric is None or self.metric in row:
            return self._chosen
        if layout.label and label == self.metric:
            return choose_value(c for c in layout.values if _is_value(row[c]))
        split, _, column = self.metric.partition("/")
        return column if label and split == label else None

    def _take(
        self,
        key: Key,
        cell: Any,
        where: str,
        decimal_comma: bool = False,
        step: float | None = None,
    ) -> bool:
        """Takes one cell; whether it is an observation."""
        self._passed[key] = position = self._passed.get(key, 0) + 1
        if len(self._passed) > MOST_RUNS:
            raise ValueError(f"holds more than {MOST_RUNS} runs")
        try:
            value = number_in(cell, self.percent, decimal_comma)
        except ValueError as error:
            self.skipped.add(where, error)
            return False
        if value is None:
            return False
        self._first = self._first or where
        self._rows.setdefault(key, array("q")).append(len(self._values))
        self._values.append(value)
        self._positions.append(position if step is None else step)
        return True

    def _take_steps(self, layout: Layout, row: Row, decimal_comma: bool) -> None:
        """Keeps every possible step of the newest observation, and its id."""
        newest = len(self._values) - 1
        if layout.id:
            self._ids[newest] = text_in(row, layout.id)
        for name in layout.steps:
            if name in row:
                steps = self._steps.setdefault(name, array("d"))
                steps.extend([math.nan] * (newest - len(steps)))
                steps.append(step_in(row[name], decimal_comma))

    def _take_list(
        self, key: Key, row: Row, column: str, layout: Layout, where: str
    ) -> None:
        if key in self._rows:
            self.skipped.add(where, f"another run named {key.run!r:.80}")
            return
        values = row[column]
        at = next((row[s] for s in layout.steps if isinstance(row.get(s), list)), None)
        if at is not None and len(at) != len(values):
            self.skipped.add(where, f"{len(at)} steps, {len(values)} values")
            return
        for i, value in enumerate(values):
            self._take(key, value, where, step=None if at is None else step_in(at[i]))

    def curves(self) -> list[Curve]:
        """Curves of all runs, in the order of their first observations.

        Raises:
            ValueError: if there is no observation, or it is not evident of what.
        """
        if not self._values:
            raise ValueError(self._complaint())
        metrics = dict.fromkeys(key.metric for key in self._rows)
        metric = one_of(metrics, self.metric if len(metrics) > 1 else None)
        groups = {
            (key.run, key.task): np.array(rows)
            for key, rows in self._rows.items()
            if key.metric == metric
        }
        name, steps = self._axis([*groups.values()])
        if by_id := self._by_id(groups, steps):
            groups = by_id
            name, steps = self._axis([*groups.values()])
        values, curves = np.array(self._values), []
        self.without_step = 0
        for (run, task), rows in groups.items():
            known = rows[~np.isnan(steps[rows])]
            self.without_step += len(rows) - len(known)
            if len(known):
                both = in_order(steps[known], values[known])
                curves.append(Curve(run, task, self.metric or metric, *both))
        if not curves:
            raise ValueError(f"{self._first} has no {name}")
        return curves

    def _axis(self, groups: Sequence[np.ndarray]) -> tuple[str | None, np.ndarray]:
        """Name of the step axis, and the step of every observation `(n,)`."""
        count = len(self._values)
        columns = {name: np.full(count, math.nan) for name in self._steps}
        for name, steps in self._steps.items():
            columns[name][: len(steps)] = steps
        if self.step is not None:
            one_of(self._columns, self.step, "column")
            return self.step, columns.get(self.step, np.full(count, math.nan))
        positions = np.array(self._positions)
        if not columns:
            return None, positions
        ranked = layout_of(tuple(columns), self.metric, None).steps
        usual = {n: columns[n] for n in ranked if np.isnan(columns[n]).mean() <= 0.5}
        if not usual:
            return ranked[0], np.full(count, math.nan)
        whole = ~np.isnan(sum(usual.values()))
        runs = [rows[whole[rows]] for rows in groups]
        chosen = choose_axis(usual, [rows for rows in runs if len(rows)])
        return chosen, positions if chosen is None else usual[chosen]

    def _by_id(
        self, groups: Mapping[tuple[str, str], np.ndarray], steps: np.ndarray
    ) -> dict[tuple[str, str], np.ndarray]:
        """Observations by the column `id`, if its values repeat, or the steps do."""
        rows = np.concatenate([*groups.values()])
        ids = np.array([self._ids.get(i, "") for i in rows] if self._ids else [])
        names = dict.fromkeys(ids.tolist())
        distinct = min(len(names), len(np.unique(steps[rows])))
        if len(names) < 2 or len(groups) > 1 or distinct == len(rows):
            return {}
        return {(name, ""): rows[ids == name] for name in names}

    def _complaint(self) -> str:
        """Why there is no curve."""
        names = layout_of(tuple(self._columns), None, self.step).values
        why = f"holds no observations of {self.metric}" if self.metric else ""
        try:
            if self.metric is not None:
                one_of(names, self.metric)
            elif len(self._candidates) > 1:
                one_of(self._candidates, None, "column of values")
        except ValueError as error:
            why = str(error)
        if self._example and not why:
            return f"holds no numbers: {self._example}"
        return why or ("holds no observations" if names else "holds no rows")


def _is_value(cell: Any) -> bool:
    """A number, or a list of values."""
    return isinstance(cell, list) or is_number(cell)


def _no_number(row: Row, columns: Sequence[str], where: str) -> str:
    """The first cell that ought to be a number, and what is wrong with it."""
    for column in columns:
        try:
            number_in(row[column])
        except ValueError as error:
            return f"{where}: {error}"
    return ""
