"""From the observations of a table to curves: what is one run, and its step axis."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lcpfn.io.apart import Group, Groups, Place, told_apart
from lcpfn.io.cells import listed
from lcpfn.io.columns import choose_axis, layout_of
from lcpfn.io.observed import Observed, Texts
from lcpfn.io.scalar_log import Curve, in_order

NAMED = 3


class Assembled(NamedTuple):
    """Curves, and how they were made.

    Attributes:
        curves: by place, in the order of their first observations.
        notes: in sentences, what of the table is not in them.
        axis: column of the steps; None if observations are counted.
        apart: columns that tell runs apart beside their names.
        counted: whether runs are counted although they have steps.
    """

    curves: dict[Place, Curve]
    notes: list[str]
    axis: str | None
    apart: list[Texts]
    counted: bool


class Axis(NamedTuple):
    """The steps of all observations.

    Attributes:
        name: column of the steps; None if observations are counted.
        steps: `(n,)`, NaN where there is none.
        why: why observations are counted although there are steps.
    """

    name: str | None
    steps: np.ndarray
    why: str = ""


def assemble(
    seen: Observed, metric: str, step: str | None, percent: float
) -> Assembled:
    """Curves of all runs, in the order of their first observations.

    Args:
        seen: the observations, at least one of the metric.
        metric: which of them.
        step: column of the step axis; None to choose it.
        percent: what 1 % is in the units of the metric.

    Raises:
        ValueError: if none has a step, or it is not evident what a column means.
    """
    values, columns = seen.numbers(percent), seen.steps()
    groups: Groups = {
        (key.run, key.task, ()): Group(key.run, key.task, np.array(rows))
        for key, rows in seen.rows.items()
        if key.metric == metric
    }
    if step is None:
        ranked = layout_of(tuple(columns), metric, None).steps
        columns = {name: columns[name] for name in ranked}
    else:
        none = np.full(len(seen), np.nan)
        columns = {step: columns.get(step, none)}
    axis = _axis(seen, columns, groups, values, step)
    apart, by = _by_id(seen, groups, axis.steps)
    if not by:
        usual = {n: column for n, column in columns.items() if _is_usual(column)}
        apart, names = told_apart(groups, usual, seen.texts, metric)
        by = [seen.texts[name] for name in names]
    if by:
        axis = _axis(seen, columns, apart, values, step)
    found = _curves(seen, apart, axis, values, metric)
    return found._replace(apart=by)


def _is_usual(column: np.ndarray) -> bool:
    return bool(np.isnan(column).mean() <= 0.5)


def _axis(
    seen: Observed,
    columns: dict[str, np.ndarray],
    groups: Groups,
    values: np.ndarray,
    step: str | None,
) -> Axis:
    if step is not None:
        return Axis(step, columns[step])
    positions = np.array(seen.positions)
    if not columns:
        return Axis(None, positions)
    usual = {name: column for name, column in columns.items() if _is_usual(column)}
    if not usual:
        return Axis(next(iter(columns)), np.full(len(seen), np.nan))
    whole = ~np.isnan(sum(usual.values()))
    runs = [group.rows[whole[group.rows]] for group in groups.values()]
    runs = [rows for rows in runs if len(rows)]
    chosen = choose_axis(usual, runs)
    if chosen is None:
        logged = np.stack([*usual.values(), values])
        chosen = choose_axis(usual, [_without_repeats(logged, r) for r in runs])
    if chosen is None:
        return Axis(None, positions, _why_counted(usual, whole))
    return Axis(chosen, usual[chosen])


def _why_counted(columns: dict[str, np.ndarray], whole: np.ndarray) -> str:
    names = [n for n, column in columns.items() if len(np.unique(column[whole])) > 1]
    if not names:
        name, column = next(iter(columns.items()))
        return f"{name!r} is always {column[whole][0]:g}"
    return (
        f"the steps in {', '.join(map(repr, names))} repeat or go back; step= (--step) "
        "takes one all the same"
    )


def _without_repeats(logged: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The first of all observations that are the same in every column `(k, n)`."""
    order = np.lexsort(logged[:, rows])
    ordered = logged[:, rows[order]]
    is_new = (np.diff(ordered) != 0).any(0)
    return np.sort(rows[order[np.concatenate([[True], is_new])]])


def _by_id(
    seen: Observed, groups: Groups, steps: np.ndarray
) -> tuple[Groups, list[Texts]]:
    """Observations by the column `id`, if its values repeat, or the steps do."""
    if seen.ids is None or len(groups) > 1:
        return groups, []
    (((run, task, _), (_, _, rows)),) = groups.items()
    codes, names = seen.ids.codes(len(seen))[rows], [*seen.ids.names, ""]
    found = list(dict.fromkeys(codes.tolist()))
    distinct = min(len(found), len(np.unique(steps[rows])))
    if len(found) < 2 or distinct == len(rows):
        return groups, []
    apart: Groups = {
        (run, task, (code,)): Group(names[code], "", rows[codes == code])
        for code in found
    }
    return apart, [seen.ids]


def _curves(
    seen: Observed, groups: Groups, axis: Axis, values: np.ndarray, metric: str
) -> Assembled:
    curves: dict[Place, Curve] = {}
    without, at_once = 0, []
    dropped: list[tuple[str, int, float]] = []
    for place, (run, task, rows) in groups.items():
        known = rows[~np.isnan(axis.steps[rows])]
        without += len(rows) - len(known)
        if not len(known):
            continue
        steps = axis.steps[known]
        curve = Curve(run, task, metric, *in_order(steps, values[known]))
        curves[place] = curve
        back = steps[1:][np.diff(steps) <= 0]
        if len(steps) > 1 and (steps == steps[0]).all():
            at_once.append(steps[0])
        elif len(back) and len(curve.steps) < len(steps):
            logged = np.stack([axis.steps, values])
            lost = len(_without_repeats(logged, known)) - len(curve.steps)
            dropped += [(run, lost, back[0])] * (lost > 0)
    bad = seen.no_steps.get(axis.name or "")
    if not curves:
        if bad is None:
            raise ValueError(f"{seen.first} has no {axis.name}")
        raise ValueError(f"{bad} is no {axis.name}, which must be a number from 0 on")
    notes = _notes(axis, without, bad, at_once, dropped)
    return Assembled(curves, notes, axis.name, [], bool(at_once))


def _notes(
    axis: Axis,
    without: int,
    bad: str | None,
    at_once: Sequence[float],
    dropped: Sequence[tuple[str, int, float]],
) -> list[str]:
    notes = []
    if without:
        first = f": {bad} is no {axis.name}, a number from 0 on" if bad else ""
        notes.append(f"skipped {without} observations without a step{first}")
    if axis.why:
        notes.append(f"counted observations from 1, as {axis.why}")
    elif at_once:
        notes.append(
            f"counted observations from 1, as {axis.name!r} is always {at_once[0]:g}"
        )
    if dropped:
        places = [
            f"{run!r} to {at:g}" if run else f"to {at:g}" for run, _, at in dropped
        ]
        count = sum(lost for _, lost, _ in dropped)
        notes.append(
            f"skipped {count} observations that were logged before the steps went back "
            f"({listed(places, NAMED, '; ')})"
        )
    return notes
