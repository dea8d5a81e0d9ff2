"""What the caller asked for, and how a run is made of what a file holds.

Direction and range of a metric come from the format where it knows them, else from the
caller. They are never guessed from the values of an unknown metric.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.checks import as_numbers, check_steps
from lcpfn.curves import Run
from lcpfn.io.cells import listed, number_in
from lcpfn.metric import Bounds, Metric

NAMED = 12
# Stands for standard input.
STDIN = "-"


@dataclass(frozen=True)
class Request:
    """What to read, and what is known of it.

    Attributes:
        place: file or directory, or the URL of an Optuna storage.
        mode: "max" or "min", where the format does not know.
        bounds: range of the metric; goes before what the format knows.
        metric: which one to read; None for the only one, or all whose direction the
            format knows.
        step: column of the step axis, in tables; None to choose it.
        progress: whether to show a bar on standard error, if it is a terminal.
        skipped: takes what was left out, in sentences.
    """

    place: str | Path
    mode: str | None = None
    bounds: Bounds | None = None
    metric: str | None = None
    step: str | None = None
    progress: bool = True
    skipped: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The place as a path."""
        return Path(self.place)

    @property
    def stem(self) -> str:
        """Name of the file or directory without its endings."""
        name = "stdin" if str(self.path) == STDIN else self.path.resolve().name
        return name.split(".")[0] or name

    @property
    def percent(self) -> float:
        """What 1 % is: .01 if the bounds say that the metric is a fraction, else 1."""
        high = None if self.bounds is None else self.bounds[1]
        return 0.01 if high is not None and high <= 1 else 1.0

    def run(
        self,
        name: str,
        steps: Any,
        values: Any,
        known: Metric | None = None,
        *,
        task: str = "",
        metric: str = "",
        config: Mapping[str, Any] | None = None,
    ) -> Run:
        """A checked run; `known` is what the format says of the metric.

        Raises:
            ValueError: naming the run, if its observations are no curve, lie outside
                the bounds, or nobody said which way is better.
        """
        if known is None and self.mode is None:
            raise ValueError(
                f"the format does not say which way {metric or 'the metric'} is better;"
                ' give mode="max" or mode="min"'
            )
        if known and self.mode not in (None, known.mode):
            raise ValueError(
                f"{metric} has mode={known.mode!r} in this format, got {self.mode!r}"
            )
        mode = known.mode if known else str(self.mode)
        bounds = known.bounds if known and self.bounds is None else self.bounds
        values = numbers(values, f"values of {name}")
        # Checking copies, and millions of runs share their steps.
        if steps is not epochs(len(values)):
            steps = check_steps(steps, len(values), name)
        Metric(mode, bounds).check(values, f"values of {name}")
        return Run(
            values,
            steps,
            config=config,
            name=name,
            mode=mode,
            bounds=bounds,
            task=task,
            metric=metric,
        )


def numbers(x: Any, what: str) -> np.ndarray:
    """One float64 per entry, None as NaN; a ValueError if that is not possible."""
    array = as_numbers(x, what)
    if array.ndim != 1 or not len(array):
        raise ValueError(
            f"{what} must be one or more numbers, got an array of shape {array.shape}"
        )
    if np.isinf(array).any() and not isinstance(x, np.ndarray):
        for entry in x:
            try:
                number_in(entry)
            except ValueError as error:
                raise ValueError(f"{what}: {error}") from None
    return array


@lru_cache(maxsize=64)
def epochs(count: int) -> np.ndarray:
    """Steps 1..count, shared by all runs of that length, therefore read-only."""
    steps = np.arange(1.0, count + 1)
    steps.flags.writeable = False
    return steps


def one_of(available: Iterable[str], wanted: str | None, what: str = "metric") -> str:
    """The metric that is meant, where the format knows no directions.

    Raises:
        ValueError: listing what there is, if it is not there or there are several.
    """
    names = sorted(set(available))
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    if not names:
        raise ValueError(f"there is no {what} in it")
    if wanted is None:
        raise ValueError(which(names, what))
    raise ValueError(f"no {what} {wanted!r}; there are {listed(names, NAMED)}")


def which(names: Sequence[str], what: str = "metric") -> str:
    """Asks for one of several."""
    return f"which {what}? Give metric= (--metric) one of {listed(names, NAMED)}"


def known_or_asked(
    available: Iterable[str],
    request: Request,
    direction: Callable[[str], Metric | None],
) -> list[tuple[str, Metric | None]]:
    """The metrics to read and what is known of each, where the format knows some.

    Args:
        available: names of the metrics of one run.
        request: its metric, or every one with a known direction.
        direction: what the format says of a metric; None where it does not.
    """
    if request.metric is None:
        return [(name, known) for name in available if (known := direction(name))]
    if request.metric in available:
        return [(request.metric, direction(request.metric))]
    return []
