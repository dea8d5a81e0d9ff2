"""Which columns of text tell the runs of a table apart, where none is called so.

They do if the steps begin again where the text changes, and only there. Where rows of
several texts take turns along the same steps they may as well be of training and of
validation: that is said and not guessed, but for names that are evident.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lcpfn.io.cells import is_number, listed
from lcpfn.io.columns import APART_NAMES, SPLIT_WORDS
from lcpfn.io.observed import Texts

NAMED = 4
# Which run an observation is of: by the names of its run and task, and by the positions
# of what stands in columns that tell runs apart.
Place = tuple[str, str, tuple[int, ...]]


class Group(NamedTuple):
    """What a run and its task are called, and which observations are of it."""

    run: str
    task: str
    rows: np.ndarray


Groups = Mapping[Place, Group]


def told_apart(
    groups: Groups,
    axes: Mapping[str, np.ndarray],
    texts: Mapping[str, Texts],
    metric: str,
) -> tuple[Groups, list[str]]:
    """Observations by run, with the runs that columns of text tell apart.

    Args:
        groups: the runs that have names.
        axes: possible steps `(n,)`, best first, NaN where there is none.
        texts: columns that may name runs.
        metric: the column of the values, for the message.

    Returns:
        The observations, and the columns that tell apart.

    Raises:
        ValueError: if a column may tell apart runs or something else.
    """
    rows = [group.rows for group in groups.values()]
    if not texts or any(_increases(axis, rows) for axis in axes.values()):
        return groups, []
    for axis in axes.values():
        codes = {name: column.codes(len(axis)) for name, column in texts.items()}
        whole = [r[~np.isnan(axis[r])] for r in rows]
        parts = []
        for name, column in codes.items():
            begins = _begins_runs(column, axis, whole)
            if not begins and not _takes_turns(column, axis, whole):
                continue
            words = {text.strip().lower() for text in texts[name].names}
            is_split = words <= SPLIT_WORDS
            if is_split or not (begins or name.lower() in APART_NAMES):
                raise ValueError(_doubt(name, [*texts[name].names], metric))
            parts.append(name)
        parts = parts or _take_turns_together(codes, axis, whole)
        if parts:
            apart = _split(groups, {n: (texts[n], codes[n]) for n in parts})
            rest = {n: column for n, column in texts.items() if n not in parts}
            apart, more = told_apart(apart, axes, rest, metric)
            return apart, [*parts, *more]
    return groups, []


def _increases(axis: np.ndarray, groups: Sequence[np.ndarray]) -> bool:
    return all((np.diff(axis[rows]) > 0).all() for rows in groups)


def _begins_runs(
    codes: np.ndarray, axis: np.ndarray, groups: Sequence[np.ndarray]
) -> bool:
    """Whether the steps begin again, from the first ones, wherever the text changes."""
    found = False
    for rows in groups:
        steps, texts = axis[rows], codes[rows]
        new, distinct = np.diff(texts) != 0, np.unique(steps)
        if (texts < 0).any():
            return False
        if len(distinct) < 2 or not new.any():
            continue
        is_note = len(np.unique(texts)) == len(texts)
        goes_on = (np.diff(steps)[new] > 0) | (steps[1:][new] > distinct[1])
        if is_note or goes_on.any():
            return False
        found = True
    return found


def _takes_turns(
    codes: np.ndarray, axis: np.ndarray, groups: Sequence[np.ndarray]
) -> bool:
    """Whether steps repeat, but not in rows with the same text, which comes again."""
    found = False
    for rows in groups:
        steps, texts = axis[rows], codes[rows]
        order = np.argsort(texts, kind="stable")
        gaps = np.diff(steps[order])[np.diff(texts[order]) == 0]
        if (texts < 0).any() or not ((gaps > 0).all() or (gaps < 0).all()):
            return False
        count = len(np.unique(texts))
        again = np.count_nonzero(np.diff(texts)) >= count
        several = 2 <= count <= len(rows) / 2
        found |= bool(again and several and len(np.unique(steps)) < len(steps))
    return found


def _take_turns_together(
    codes: Mapping[str, np.ndarray], axis: np.ndarray, groups: Sequence[np.ndarray]
) -> list[str]:
    """Columns of usual names that tell runs apart only together, as a grid does."""
    names = [name for name in codes if name.lower() in APART_NAMES]
    if len(names) < 2 or any((codes[name] < 0).any() for name in names):
        return []
    both = np.stack([codes[name] for name in names], axis=1)
    _, combined = np.unique(both, axis=0, return_inverse=True)
    return names if _takes_turns(combined.reshape(-1), axis, groups) else []


def _split(groups: Groups, parts: Mapping[str, tuple[Texts, np.ndarray]]) -> Groups:
    """Every run as several, by columns of text and the positions in them `(n,)`."""
    found: dict[Place, Group] = {}
    named = [(part, [*texts.names, ""]) for part, (texts, _) in parts.items()]
    for (owner, owner_task, told), (run, task, rows) in groups.items():
        columns = [codes[rows].tolist() for _, codes in parts.values()]
        alike: dict[tuple[int, ...], list[int]] = {}
        for at, told_here in enumerate(zip(*columns, strict=True)):
            alike.setdefault(told_here, []).append(at)
        for told_here, positions in alike.items():
            names = [run] if run else []
            for (part, texts), code in zip(named, told_here, strict=True):
                text = texts[code]
                names.append(f"{part} {text}" if is_number(text) else text)
            place = owner, owner_task, (*told, *told_here)
            found[place] = Group(", ".join(names), task, rows[positions])
    return found


def _doubt(column: str, texts: list[str], metric: str) -> str:
    choices = " or ".join(f"{text}/{metric}" for text in texts[:2])
    return (
        f"rows of the same step differ by {column!r} ({listed(texts, NAMED)}); give "
        f"metric= (--metric) {choices} to read those of one, or name the column run if "
        "they are runs"
    )
