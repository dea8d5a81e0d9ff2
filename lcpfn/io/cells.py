"""What stands in one cell of a table: a number, nothing, or text that is safe to show.

An empty cell, NA, null and None are no observation. A written nan or inf is one, of a
run that had diverged.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

MISSING = {"", "-", "--", "na", "n/a", "#n/a", "<na>", "null", "none"}
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
# Where the decimal point is a comma, points group the digits.
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}((\.\d{3})+,\d+|(\.\d{3}){2,})")
ONE_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
INFINITE = {"inf", "infinity"}
LONGEST_SHOWN = 40


def number_in(
    cell: Any, percent: float = 1.0, decimal_comma: bool = False
) -> float | None:
    """The number in a cell of a text file, or a value of a JSON object.

    Args:
        cell: text or a JSON value.
        percent: what 1 % is in the units of the metric: 1, or .01 for a fraction.
        decimal_comma: whether 0,5 may be a half, as in files separated by semicolons.

    Returns:
        The number, or None for an empty cell and its like.

    Raises:
        ValueError: if it is neither, quoting the cell.
    """
    if cell is None:
        return None
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in MISSING:
            return None
        return _written(text, percent, decimal_comma)
    try:
        if isinstance(cell, bool):
            raise TypeError
        return float(cell)
    except OverflowError:
        raise ValueError(f"{shown(cell)} is too large for a number") from None
    except (TypeError, ValueError):
        raise ValueError(f"{shown(cell)} is not a number") from None


def json_number(text: str) -> float | str:
    """A number of a JSON file; as text, which `number_in` refuses, if it is too large.

    The decoder of JSON takes 1e400 for infinity, which stands for a run that diverged.
    """
    number = float(text)
    return text if math.isinf(number) else number


def _written(text: str, percent: float, decimal_comma: bool) -> float:
    if "_" not in text:  # Python reads 1_000, and nothing else does
        try:
            number = float(text)
        except ValueError:
            pass
        else:
            if math.isinf(number) and text.lstrip("+-").lower() not in INFINITE:
                raise ValueError(f"{shown(text)} is too large for a number")
            return number
    if text.endswith("%"):
        number = _written(text[:-1].rstrip(), 1.0, decimal_comma)
        # 52.1 * .01 is not .521 in floating point, 52.1 / 100 is.
        return number / round(1 / percent)
    if THOUSANDS.fullmatch(text):
        if decimal_comma and DECIMAL_COMMA.fullmatch(text):
            raise ValueError(
                f"{shown(text)} may be {text.replace(',', '.')} or "
                f"{text.replace(',', '')}; write it without a comma"
            )
        return float(text.replace(",", ""))
    if decimal_comma and DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    if decimal_comma and GROUPED.fullmatch(text):
        return float(text.replace(".", "").replace(",", "."))
    raise ValueError(f"{shown(text)} is not a number")


def has_decimal_comma(cell: str) -> bool:
    """Whether the comma in a number can only be its decimal point."""
    text = cell.strip().rstrip("% ")
    if THOUSANDS.fullmatch(text):
        return False
    return bool(DECIMAL_COMMA.fullmatch(text) or GROUPED.fullmatch(text))


def may_be_thousands(cell: Any) -> bool:
    """Whether a cell is written like 1.000, a thousand where commas are points."""
    return isinstance(cell, str) and bool(ONE_GROUP.fullmatch(cell.strip()))


def is_number(cell: Any) -> bool:
    """Whether a number is written in a cell, nan and inf included."""
    try:
        return number_in(cell, decimal_comma=True) is not None
    except ValueError:
        return False


def is_text(cell: str) -> bool:
    """Whether something else than a number stands in a cell."""
    return cell.strip().lower() not in MISSING and not is_number(cell)


def step_in(cell: Any, decimal_comma: bool = False) -> float:
    """The step in a cell; NaN where there is none."""
    try:
        number = number_in(cell, decimal_comma=decimal_comma)
    except ValueError:
        return math.nan
    if number is None or not 0 <= number < math.inf:
        return math.nan
    return number


def listed(texts: Sequence[str], most: int, between: str = ", ") -> str:
    """The first few of some texts, and whether there are more."""
    return between.join([*texts[:most], *["..."] * (len(texts) > most)])


def shown(x: Any) -> str:
    """A quoted and shortened value, for messages."""
    try:
        text = repr(x)
    except ValueError:  # a whole number of more digits than Python prints
        text = "a number of thousands of digits"
    if len(text) > LONGEST_SHOWN:
        text = text[: LONGEST_SHOWN - 4] + "..." + text[0] * (text[0] in "'\"")
    return printable(text)


def printable_lines(text: str) -> str:
    """The same as `printable`, for text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """Text without anything that controls a terminal or a page.

    Control characters, changes of the direction of writing and bytes that are no
    UTF-8 are written as escape sequences.
    """
    if text.isprintable():
        return text
    escaped = (
        c
        if c.isprintable()
        else c.encode("ascii", "backslashreplace").decode()
        if ord(c) > 127
        else f"\\x{ord(c):02x}"
        for c in text
    )
    return "".join(escaped)
