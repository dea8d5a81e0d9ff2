"""Observations of a table in the order of its rows, and what may tell them apart."""

import math
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lcpfn.io.cells import MISSING, has_decimal_comma, may_be_thousands, shown, step_in

# Distinct texts of a column above which it is no name of a run, but a note.
MOST_TEXTS = 10_000
# Columns of text that are kept.
MOST_PARTS = 32


class Key(NamedTuple):
    """What an observation belongs to."""

    run: str
    task: str
    metric: str


class Texts:
    """What stands in a column by observation, as positions among distinct texts.

    Args:
        most: distinct texts that are kept; with more none are.
    """

    def __init__(self, most: int) -> None:
        self._most, self._codes = most, array("q")
        self.names: dict[str, int] = {}

    def put(self, at: int, text: str) -> None:
        """What stands in the column of one observation, later than those before."""
        code = self.names.get(text)
        if code is None:
            if len(self.names) > self._most:
                return
            code = self.names[text] = len(self.names)
        if len(self._codes) < at:
            self._codes.extend([-1] * (at - len(self._codes)))
        self._codes.append(code)

    def code(self, at: int) -> int:
        """Position of what stands beside one observation, -1 where nothing does."""
        return self._codes[at] if at < len(self._codes) else -1

    def codes(self, count: int) -> np.ndarray:
        """Positions `(count,)`, -1 where there is none, and all if there are many."""
        codes = np.full(count, -1)
        if len(self.names) <= self._most:
            codes[: len(self._codes)] = self._codes
        return codes


class Observed:
    """Observations, and what stood beside them.

    Attributes:
        first: the line of the first.
        values, positions: of every observation; positions count those of a key.
        rows: which observations a key has.
        ids: column that names a run if it repeats.
        texts: columns that may name runs.
        no_steps: by column the first cell that ought to be a step and is none.
    """

    def __init__(self) -> None:
        self.first = ""
        self.values, self.positions = array("d"), array("d")
        self.rows: dict[Key, array[int]] = {}
        self.ids: Texts | None = None
        self.texts: dict[str, Texts] = {}
        self.no_steps: dict[str, str] = {}
        self._steps: dict[str, array[float]] = {}
        # Numbers that depend on how others are written: 1.000 is a thousand among
        # decimal commas; "" stands for the values.
        self._thousands: dict[str, array[int]] = {}
        self._has_commas = False
        self._percents = array("q")

    def __len__(self) -> int:
        return len(self.values)

    def take(self, key: Key, value: float, position: float, where: str) -> None:
        """One observation."""
        self.first = self.first or where
        self.rows.setdefault(key, array("q")).append(len(self))
        self.values.append(value)
        self.positions.append(position)

    def take_writing(self, cell: Any, decimal_comma: bool) -> None:
        """How the newest value is written."""
        if not isinstance(cell, str):
            return
        if cell.rstrip().endswith("%"):
            self._percents.append(len(self) - 1)
        if decimal_comma:
            self._has_commas |= has_decimal_comma(cell)
            self._mark_thousands("", cell)

    def take_step(self, name: str, cell: Any, where: str, decimal_comma: bool) -> None:
        """A possible step of the newest observation."""
        newest = len(self) - 1
        steps = self._steps.setdefault(name, array("d"))
        steps.extend([math.nan] * (newest - len(steps)))
        steps.append(step_in(cell, decimal_comma))
        if decimal_comma:
            self._mark_thousands(name, cell)
        if math.isnan(steps[-1]) and name not in self.no_steps:
            if cell is not None and str(cell).strip().lower() not in MISSING:
                self.no_steps[name] = f"{where}: {shown(cell)}"

    def take_text(self, name: str, cell: Any) -> None:
        """What may name the run of the newest observation."""
        text = "" if cell is None else str(cell)
        if text.strip().lower() in MISSING:
            return
        if name not in self.texts and len(self.texts) < MOST_PARTS:
            self.texts[name] = Texts(MOST_TEXTS)
        if name in self.texts:
            self.texts[name].put(len(self) - 1, text)

    def step(self, name: str | None, at: int) -> float:
        """A possible step of one observation as it is written; None: its position."""
        if name is None:
            return self.positions[at]
        steps = self._steps.get(name, self.positions[:0])
        return steps[at] if at < len(steps) else math.nan

    def is_plain(self, percent: float) -> bool:
        """Whether no number depends on how others are written."""
        marked = len(self._percents)
        mixed = percent == 1 and 0 < marked < len(self)
        return not mixed and not (self._has_commas and self._thousands)

    def _mark_thousands(self, name: str, cell: Any) -> None:
        if may_be_thousands(cell):
            self._thousands.setdefault(name, array("q")).append(len(self) - 1)

    def _column(self, name: str, numbers: "array[float]") -> np.ndarray:
        column = np.full(len(self), math.nan)
        column[: len(numbers)] = numbers
        if self._has_commas and name in self._thousands:
            column[self._thousands[name]] *= 1000
        return column

    def steps(self) -> Mapping[str, np.ndarray]:
        """All possible step axes `(n,)`, NaN where there is no step."""
        return {name: self._column(name, steps) for name, steps in self._steps.items()}

    def numbers(self, percent: float) -> np.ndarray:
        """All values `(n,)`.

        Raises:
            ValueError: if some are per cent and others are fractions, perhaps of one.
        """
        values = self._column("", self.values)
        marked = np.zeros(len(values), bool)
        marked[self._percents] = True
        plain = values[~marked]
        if percent == 1 and marked.any() and len(plain) and (abs(plain) <= 1).all():
            raise ValueError(
                f"holds both {values[marked][0]:g}% and {plain[0]:g}, which may be a "
                "fraction or per cent; give bounds= (--bounds 0 1) if it is a fraction,"
                " or write % behind all"
            )
        return values
