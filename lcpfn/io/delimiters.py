"""What separates the cells of a line of text, and the cells."""

import csv
import re
from collections.abc import Sequence

from lcpfn.io.cells import MISSING, is_number

WHITESPACE = " "
VISIBLE = (",", ";", "\t", "|")
# The first line with which spreadsheets say what separates the cells.
DECLARED = re.compile(r'\s*"?sep=([,;|\t])"?\s*', re.IGNORECASE)


def split(line: str, delimiter: str) -> list[str]:
    """Cells of a line, without the white space around them.

    Raises:
        csv.Error: if quotes are misplaced.
    """
    if delimiter == WHITESPACE and '"' not in line:
        return line.split()
    if not delimiter:
        cells = [line.strip().strip('"')]
    elif '"' not in line:
        cells = line.split(delimiter)
    else:
        table = csv.reader(
            [line], delimiter=delimiter, skipinitialspace=True, strict=True
        )
        cells = next(table)
    return [cell.strip() for cell in cells]


def split_or_whole(line: str, delimiter: str) -> list[str]:
    """The same, or the whole line where quotes are misplaced."""
    try:
        return split(line, delimiter)
    except csv.Error:
        return [line]


def delimiter_of(first: str, second: str | None) -> str | None:
    """What separates the cells of two lines; "" if there is one column.

    Args:
        first: the header, or a line of numbers.
        second: a later line, or None if there is none yet.

    Returns:
        None if it is not evident yet.
    """
    counts = {d: len(split_or_whole(first, d)) for d in VISIBLE}
    ranked = [*sorted(counts, key=lambda d: -counts[d]), WHITESPACE]
    if second is None:
        for d in ranked:
            cells = split_or_whole(first, d)
            if len(cells) > 1 and all(map(is_number, cells)):
                return d
        return None
    for d in ranked:
        count = len(split_or_whole(first, d))
        if count > 1 and len(split_or_whole(second, d)) == count:
            return d
    is_single = is_number(second) or second.lower() in MISSING
    return "" if is_single and not most_cells(first) else None


def most_cells(line: str) -> str:
    """The delimiter that occurs most, "" if none does."""
    best = max(VISIBLE, key=lambda d: len(split_or_whole(line, d)))
    return best if len(split_or_whole(line, best)) > 1 else ""


def lines_above(lines: Sequence[str]) -> int:
    """How many lines without cells stand above a table; 0 if no table is seen yet."""
    first = next((i for i, line in enumerate(lines) if most_cells(line)), 0)
    if not 0 < first < len(lines) - 1:
        return 0
    d = most_cells(lines[first])
    counts = {len(split_or_whole(line, d)) for line in lines[first : first + 2]}
    return first if len(counts) == 1 else 0
