"""Which column of a table is the step, the run and the metric; one rule for all files.

By name where names are usual, and by content where several are: the step axis is the
first of `STEP_NAMES` that increases in every run.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lcpfn.io.cells import is_number, is_text, number_in

STEP_NAMES = (
    *("_step", "global_step", "step", "total_timesteps", "num_timesteps"),
    *("timesteps_total", "timesteps", "training_iteration", "iteration", "iter"),
    *("epoch", "episode", "round", "generation", "num_updates", "update"),
    *("steps", "iterations", "epochs", "episodes"),
)
# Only where there is none of these: they are as often times or features.
WEAK_STEP_NAMES = ("t", "x", "time")
RUN_NAMES = (
    *("run", "run_id", "run_name", "_run", "trial", "trial_id", "trial_number"),
    NAME := "name",
)
# Numbers that name runs as texts do, where the steps begin again with them.
NUMBERED_RUNS = ("seed", "fold", "repeat", "replicate", "repetition")
# Names of which one is a run each, even where rows of several take turns.
APART_NAMES = (
    *(*NUMBERED_RUNS, "experiment", "experiment_id", "exp", "model", "arch"),
    *("algorithm", "algo", "optimizer", "config"),
)
# Names a run if it repeats, and a row if it does not.
ID = "id"
TASK_NAMES = ("task", "task_id", "dataset", "workload")
LABEL_NAMES = ("metric", "metric_name")
# Names of metrics only beside a column of their values.
VALUE, WEAK_LABEL_NAMES = "value", ("tag", "key", "variable", "measure", "scalar")
SPLIT_NAMES = ("split", "phase", "subset", "stage", "mode")
# As often something else: only where train and the like stands in them.
WEAK_SPLIT_NAMES = ("type", "set", "data", "partition", "kind", "loop", "ds", "part")
SPLIT_WORDS = {
    *("train", "training", "val", "valid", "validation", "validate", "dev"),
    *("eval", "evaluation", "test", "testing", "holdout"),
}
# 1 or true where a row is of this split.
FLAG_NAMES = ("is_train", "is_training", "is_val", "is_valid", "is_validation")
METRIC_WORD = re.compile(
    r".*\b(loss|acc|accuracy|err|error|score|auc|f1|m?ap|mse|mae|rmse|nll|ppl"
    r"|perplexity|bleu|rouge|iou|dice|wer|cer|reward|return|precision|recall|lr)\d*",
    re.IGNORECASE,
)
VALUE_NAMES = (VALUE, "values", "y", "metric", "score", "loss", "accuracy")
# Numbers that are logged beside a metric and are none.
BESIDE = {
    *("lr", "learning_rate", "wall time", "wall_time", "timestamp", "runtime"),
    *("elapsed", "seconds", "seed"),
}
MONITOR = {"r", "l", "t"}
# Share of observations before which a step axis may go back.
RARE = 0.1
BETWEEN, SPREAD = " - ", ("__MIN", "__MAX")


@dataclass(frozen=True)
class Layout:
    """Columns by the part they play; None where a table has none.

    Attributes:
        run, id, task, label, split: names of columns.
        named: whether the name of a run may be that of a metric, beside its value.
        steps: possible step axes, best first.
        numbered: columns named by a step, and it, in a table with one row per run.
        values: columns that may be the metric.
    """

    run: str | None
    id: str | None
    task: str | None
    label: str | None
    split: str | None
    named: bool
    steps: tuple[str, ...]
    numbered: Mapping[str, float]
    values: tuple[str, ...]


@lru_cache(maxsize=32)
def layout_of(columns: tuple[str, ...], metric: str | None, step: str | None) -> Layout:
    """Which part each column plays, by its name.

    Args:
        columns: of one row.
        metric: column that the user chose, which plays no other part.
        step: column that the user chose as the step axis.
    """
    names = {c.lower(): c for c in reversed(columns) if c and c != metric}

    def first(known: Iterable[str]) -> str | None:
        return next((names[n] for n in known if n in names and names[n] != step), None)

    has_value = any(c.lower() == VALUE for c in columns)
    run, task, label = first(RUN_NAMES), first(TASK_NAMES), first(LABEL_NAMES)
    if label is None and has_value:
        weak = WEAK_LABEL_NAMES + (NAME,) * (names.get(NAME) != run)
        label = first(weak)
    named = label is None and has_value and run is not None and run.lower() == NAME
    split = first(SPLIT_NAMES + FLAG_NAMES + WEAK_SPLIT_NAMES)
    # Monitor files of Stable-Baselines3: reward, length and time of an episode.
    is_monitor = set(columns) >= MONITOR
    steps = (step,) if step else () if is_monitor else _step_columns(names)
    numbered = {} if step else steps_in_header(columns)
    apart = [names[n] for n in NUMBERED_RUNS if n in names]
    taken = {run, names.get(ID), task, label, split, *apart, *steps, *numbered}
    values = tuple(
        c
        for c in columns
        if c and c not in taken and c[0] != "_" and c.lower() not in BESIDE
    )
    if is_monitor:
        values = ("r",)
    return Layout(
        run, names.get(ID), task, label, split, named, steps, numbered, values
    )


def label_in(row: Mapping[str, Any], layout: Layout) -> str:
    """The metric or split that a row says it is of; empty if it does not."""
    column = layout.label or (layout.run if layout.named else layout.split) or ""
    cell = row.get(column)
    if layout.label is None and column.lower() in FLAG_NAMES:
        return "" if cell is None else f"{column}={cell}".lower()
    if not isinstance(cell, str) or is_number(cell):
        return ""
    if layout.named:
        return cell if METRIC_WORD.fullmatch(cell.replace("_", " ")) else ""
    is_weak = layout.label is None and column.lower() in WEAK_SPLIT_NAMES
    return "" if is_weak and cell.strip().lower() not in SPLIT_WORDS else cell


def part_columns(row: Mapping[str, Any], layout: Layout) -> tuple[str, ...]:
    """Columns that may name the run of a row: of text, or of a usual name."""
    taken = {layout.run, layout.id, layout.task, layout.label, *layout.steps}
    return tuple(
        c
        for c, cell in row.items()
        if c not in taken
        and (c.lower() in APART_NAMES or (isinstance(cell, str) and is_text(cell)))
    )


def text_in(row: Mapping[str, Any], column: str | None) -> str:
    """What stands in a column, as text; empty if there is none."""
    cell = row.get(column) if column else None
    return "" if cell is None else str(cell)


def steps_in_header(columns: Sequence[str]) -> dict[str, float]:
    """Columns named by whole increasing numbers, the steps of a table of whole runs."""
    found = [c for c in columns if is_number(c)]
    steps = [number_in(c) or 0.0 for c in found]
    whole = all(step.is_integer() for step in steps)
    fine = len(found) > 1 and whole and sorted(set(steps)) == steps
    return dict(zip(found, steps, strict=True)) if fine else {}


def has_step(columns: Iterable[str]) -> bool:
    """Whether any column has a usual name of steps that is no other word."""
    return any(c.lower().rpartition("/")[2] in STEP_NAMES for c in columns)


def _step_columns(names: dict[str, str]) -> tuple[str, ...]:
    """Columns with a usual name of steps, alone or behind a slash."""
    last = {lower.rpartition("/")[2]: column for lower, column in names.items()} | names
    return tuple(last[n] for n in STEP_NAMES + WEAK_STEP_NAMES if n in last)


@lru_cache(maxsize=256)
def is_chart(columns: tuple[str, ...]) -> bool:
    """Whether these are the columns of a chart exported from Weights & Biases."""
    return any(c.endswith(SPREAD[0]) and BETWEEN in c for c in columns[1:])


def chart_rows(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A row of a chart, whose first column is the axis, as one row per run."""
    axis, *columns = row
    for column in columns:
        run, between, metric = column.rpartition(BETWEEN)
        # `_step` and the like are axes that are exported beside the metric.
        if between and not metric.endswith(SPREAD) and not metric.startswith("_"):
            yield {"_step": row[axis], "run": run, metric: row[column]}


def choose_value(candidates: Iterable[str]) -> str | None:
    """The column of the values, if it is evident which one.

    It is the only candidate, or the only one with a usual name, unless that is also
    part of another's name, as `loss` is of `val_loss`.
    """
    names = list(candidates)
    if len(names) == 1:
        return names[0]
    usual = [name for name in names if name.lower() in VALUE_NAMES]
    if len(usual) != 1:
        return None
    part = usual[0].lower()
    return None if any(part in n.lower() for n in names if n != usual[0]) else usual[0]


def choose_axis(
    steps: Mapping[str, np.ndarray], runs: Sequence[np.ndarray]
) -> str | None:
    """The step axis: the first column that increases in every run.

    If none does, since a run went back to a checkpoint or was logged out of order: the
    first that rarely goes back or hardly repeats. It must not stay the same for several
    observations, nor be a position within another, as the iteration of an epoch is.

    Args:
        steps: by name, best first, without gaps `(n,)`.
        runs: positions of the observations of each run.

    Returns:
        Its name; None if no column will do, and observations are to be counted.
    """
    gaps = {
        name: np.concatenate([np.diff(column[rows]) for rows in runs])
        for name, column in steps.items()
    }
    repeats = {
        name: sum(len(rows) - len(np.unique(column[rows])) for rows in runs)
        for name, column in steps.items()
    }
    for weak in (False, True):
        tier = [name for name in steps if _is_weak(name) == weak]
        for name in tier:
            if (gaps[name] > 0).all():
                return name
        for name in tier:
            back = gaps[name] <= 0
            within = any(
                (gaps[other][back] > 0).all() and (gaps[other] >= 0).all()
                for other in tier
                if other != name
            )
            rare = back.mean() <= RARE or repeats[name] <= len(steps[name]) / 2
            stays = int((gaps[name] == 0).sum())
            coarse = stays > max(1, RARE * len(back))
            if rare and not within and not coarse:
                return name
    return None


def _is_weak(name: str) -> bool:
    return name.lower().rpartition("/")[2] in WEAK_STEP_NAMES
