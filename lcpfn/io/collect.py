"""From rows to curves: every table, whatever file it came from, in one place.

Rows are taken one by one, so a log may grow. Which column is the metric must be said or
evident; which is the step axis is decided by the observations that there are
(`columns.choose_axis`, by way of `table_growth`). Three layouts are known:

    run, step, value          one row per observation; run, step, task, metric optional
    run, 1, 2, 5, ...         one row per run, columns named by their step
    name, steps, values       one row per run with lists of values

and charts exported from Weights & Biases, whose columns are `RUN - METRIC`. Rows
without the metric are passed over, as rows of training metrics between those of
validation are.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lcpfn.io.cells import is_number, number_in, step_in
from lcpfn.io.columns import (
    Layout,
    chart_rows,
    choose_value,
    is_chart,
    label_in,
    layout_of,
    part_columns,
    text_in,
)
from lcpfn.io.observed import Key, Observed, Texts
from lcpfn.io.request import one_of
from lcpfn.io.rows import Row, Skipped
from lcpfn.io.scalar_log import Curve
from lcpfn.io.table_growth import TableGrowth

# Names that are kept, in all and by kind of row; columns of a row; runs of a file.
MOST_NAMES, MOST_KINDS = 10_000, 1 << 20
MOST_COLUMNS, MOST_RUNS = 50_000, 1 << 20


class Kind(NamedTuple):
    """What is known of rows with the same columns.

    Attributes:
        pending: columns that may be the metric, in which no number was seen yet.
        parts: columns that may name runs.
    """

    pending: list[str]
    parts: tuple[str, ...]


class Collector:
    """Takes rows, gives curves.

    Args:
        metric: column, or value of the column `metric`; None for the only one. Where
            rows are of several splits, SPLIT/COLUMN.
        step: column of the step axis; None to choose it.
        percent: what 1 % is in the units of the metric.

    Attributes:
        skipped: rows that make no observation.
        decimal_comma: whether 0,5 may be a half in the rows that follow.
    """

    def __init__(
        self, metric: str | None, step: str | None = None, percent: float = 1.0
    ) -> None:
        self.metric, self.step, self.percent = metric, step, percent
        self.skipped, self.decimal_comma = Skipped(), False
        self._kept = 0
        self._columns: dict[str, None] = {}
        self._candidates: dict[str, None] = {}
        self._kinds: dict[tuple[str, ...], Kind] = {}
        self._unread: dict[str, Skipped] = {}
        self._chosen, self._example = metric, ""
        self._notes: list[str] = []
        self._clear()

    def _clear(self) -> None:
        """Forgets all observations."""
        self._seen = Observed()
        self._passed: dict[Key, int] = {}
        self._growth: TableGrowth | None = None

    def add(self, row: Row, where: str) -> None:
        """Takes one row, cells by column; `where` is its line, for messages."""
        columns = tuple(row)
        if len(columns) > MOST_COLUMNS:
            self.skipped.add(where, f"it has more than {MOST_COLUMNS} columns")
            return
        if is_chart(columns):
            for part in chart_rows(row):
                self.add(part, where)
            return
        self._add(row, layout_of(columns, self.metric, self.step), where)

    def _add(self, row: Row, layout: Layout, where: str) -> None:
        kind = self._note(layout, row, where)
        label = label_in(row, layout) or self._part_in(row)
        run = "" if layout.named and label else text_in(row, layout.run)
        task = text_in(row, layout.task)
        if layout.numbered:
            key = Key(run or where.replace("line", "row"), task, label)
            for name, step in layout.numbered.items():
                self._take(key, row[name], where, step)
            return
        column = self._value_column(layout, row, label)
        if column is None or column not in row:
            return
        if label and not (layout.label or layout.named):
            label = f"{label}/{column}"
        key = Key(run, task, label or column)
        if isinstance(row[column], list):
            self._take_list(key, row, column, layout, where)
        elif self._take(key, row[column], where):
            self._take_beside(layout, kind, row, where)

    def _part_in(self, row: Row) -> str:
        """TEXT, if the metric is TEXT/COLUMN and the row has both."""
        text, between, column = (self.metric or "").partition("/")
        if not between or self.metric in row or column not in row:
            return ""
        return (
            text if any(x == text for x in row.values() if isinstance(x, str)) else ""
        )

    def _note(self, layout: Layout, row: Row, where: str) -> Kind:
        """Remembers names, and which columns may be the metric."""
        columns = tuple(row)
        kind = self._kinds.get(columns)
        if kind is None:
            self._kept += len(columns) + 1
            if self._kept > MOST_KINDS:
                self._kinds, self._kept = {}, 0
            kind = Kind(list(layout.values), part_columns(row, layout))
            self._kinds[columns] = kind
            if len(self._columns) < MOST_NAMES:
                self._columns.update(dict.fromkeys(columns))
        if self.metric is None and kind.pending:
            self._choose(layout, kind.pending, row, where)
        return kind

    def _choose(self, layout: Layout, pending: list[str], row: Row, where: str) -> None:
        """Chooses the column of the values by those that hold numbers so far."""
        numeric = [c for c in pending if _is_value(row[c])]
        if not numeric:
            if self._chosen is None:
                self._note_unread(pending, row, where)
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
            if chosen in self._unread:
                self.skipped.include(self._unread.pop(chosen))

    def _note_unread(self, columns: Sequence[str], row: Row, where: str) -> None:
        """Remembers cells that ought to be numbers, if one of these is the metric."""
        for column in columns:
            try:
                number_in(row[column])
            except ValueError as error:
                self._example = self._example or f"{where}: {error}"
                self._unread.setdefault(column, Skipped()).add(where, error)

    def _value_column(self, layout: Layout, row: Row, label: str) -> str | None:
        """The column of the values in one row; None if it is a row of another kind."""
        if self.metric is None or self.metric in row:
            return self._chosen
        if (layout.label or layout.named) and label == self.metric:
            return choose_value(c for c in layout.values if _is_value(row[c]))
        split, _, column = self.metric.partition("/")
        return column if label and split == label else None

    def _take(self, key: Key, cell: Any, where: str, step: float | None = None) -> bool:
        """Takes one cell; whether it is an observation."""
        self._passed[key] = position = self._passed.get(key, 0) + 1
        if len(self._passed) > MOST_RUNS:
            raise ValueError(f"holds more than {MOST_RUNS} runs")
        try:
            value = number_in(cell, self.percent, self.decimal_comma)
        except ValueError as error:
            self.skipped.add(where, error)
            return False
        if value is None:
            return False
        self._seen.take(key, value, position if step is None else step, where)
        self._seen.take_writing(cell, self.decimal_comma)
        return True

    def _take_beside(self, layout: Layout, kind: Kind, row: Row, where: str) -> None:
        """Keeps possible steps of the newest observation, and what may name its run."""
        seen = self._seen
        if layout.id:
            seen.ids = seen.ids or Texts(MOST_RUNS)
            seen.ids.put(len(seen) - 1, text_in(row, layout.id))
        for name in layout.steps:
            if name in row:
                seen.take_step(name, row[name], where, self.decimal_comma)
        for name in kind.parts:
            seen.take_text(name, row[name])

    def _take_list(
        self, key: Key, row: Row, column: str, layout: Layout, where: str
    ) -> None:
        if key in self._seen.rows:
            self.skipped.add(where, f"another run named {key.run!r:.80}")
            return
        values = row[column]
        at = next((row[s] for s in layout.steps if isinstance(row.get(s), list)), None)
        if at is not None and len(at) != len(values):
            self.skipped.add(where, f"{len(at)} steps, {len(values)} values")
            return
        for i, value in enumerate(values):
            self._take(key, value, where, None if at is None else step_in(at[i]))

    def curves(self) -> list[Curve]:
        """Curves of all runs, in the order of their first observations.

        Raises:
            ValueError: if there is no observation, or it is not evident of what.
        """
        if not len(self._seen):
            raise ValueError(self._complaint())
        metrics = dict.fromkeys(key.metric for key in self._seen.rows)
        metric = one_of(metrics, self.metric if len(metrics) > 1 else None)
        if self.step is not None:
            one_of(self._columns, self.step, "column")
        if self._growth is None or self._growth.metric != metric:
            self._growth = TableGrowth(metric, self.step, self.percent)
        found = self._growth.look(self._seen)
        self._notes, name = found.notes, self.metric or metric
        return [curve._replace(metric=name) for curve in found.curves.values()]

    @property
    def column(self) -> str | None:
        """The column of the values, as far as it is known."""
        return self._chosen

    def left_out(self) -> list[str]:
        """What is not in the curves, in sentences."""
        return [*filter(None, [str(self.skipped)]), *self._notes]

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
