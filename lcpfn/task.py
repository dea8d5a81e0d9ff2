"""The runs of a task as the network has read them; only those with news are read."""

import functools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn import network
from lcpfn.among import itself
from lcpfn.cutoffs import Cutoffs
from lcpfn.forecast import Forecast
from lcpfn.hyperparameters import Config, encode_configs
from lcpfn.metric import Metric
from lcpfn.other_features import anchor_of_others
from lcpfn.others import Others, Readings, gap_of, others_of, span_of
from lcpfn.plan import refuse_plan
from lcpfn.seen_curve import Context
from lcpfn.tokens import Anchor

if TYPE_CHECKING:
    from lcpfn.model import Model


class ReadOnce:
    """What was read of runs by name, row by row; only those with news are read."""

    def __init__(self) -> None:
        # The rows, and of which context each is; replaced as one, for threads.
        self._held: tuple[Any, dict[Hashable, tuple[int, Context]]] = (None, {})

    def rows(
        self,
        wanted: Iterable[tuple[Hashable, Context]],
        current: Mapping[Hashable, Context],
        read: Callable[[Sequence[Context]], Any],
    ) -> Any:
        """Rows of runs.

        Args:
            wanted: names of the runs, and how much of each is known.
            current: all runs; what is read of one is kept while it is the same here.
            read: gives arrays with a row for each of some contexts.
        """
        before, known = self._held
        kept = {n: place for n, place in known.items() if current.get(n) is place[1]}
        places: list[int] = []
        news: list[Context] = []
        for name, context in wanted:
            row, same = kept.get(name, (0, None))
            if same is not context:
                row = len(known) + len(news)
                news.append(context)
                if current.get(name) is context:
                    kept[name] = row, context
            places.append(row)
        parts = [] if before is None else [before]
        parts += [read(news)] if news else []
        take = lambda rows: jax.tree.map(
            lambda *x: np.concatenate(x)[np.array(rows, int)], *parts
        )
        self._held = (
            take([row for row, _ in kept.values()]),
            {name: (i, context) for i, (name, (_, context)) in enumerate(kept.items())},
        )
        return take(places)


class Task:
    """The runs of one task.

    Args:
        model: a loaded checkpoint.
        metric: direction and bounds.
    """

    def __init__(self, model: "Model", metric: Metric) -> None:
        self.model, self.metric = model, metric
        self._alone = ReadOnce()
        # Runs of a task are read anew if it begins earlier, or ends later.
        self._among: tuple[np.ndarray, ReadOnce] | None = None

    def ask(
        self,
        contexts: Mapping[Hashable, Context],
        configs: Mapping[Hashable, Config | None],
        asked: Sequence[tuple[Hashable, Context]],
        ahead: int | None = None,
    ) -> Forecast:
        """What `cutoffs` reads, as a forecast of `ahead` later steps or of all."""
        found = self.cutoffs(contexts, configs, asked)
        return Forecast(found if ahead is None else found.thinned(ahead))

    def cutoffs(
        self,
        contexts: Mapping[Hashable, Context],
        configs: Mapping[Hashable, Config | None],
        asked: Sequence[tuple[Hashable, Context]],
    ) -> Cutoffs:
        """Reads runs amid the others, if the checkpoint was trained for that.

        Args:
            contexts: all runs by name. One that has been read is not read again.
            configs: of each.
            asked: whose run, and how much of it is known: what `contexts` has of it, or
                an earlier part, or nothing. It sees all other runs.

        Raises:
            ValueError: nothing is known of a run, and nothing of others.
        """
        parts = [context for _, context in asked]
        observed = any(len(context.values) for context in contexts.values())
        if not (observed and self.model.config.others):
            return self._by_themselves(contexts, asked)
        for part in parts:
            refuse_plan(part.plan)
        span = span_of([*contexts.values(), *parts])
        known, place = len(contexts), {name: i for i, name in enumerate(contexts)}
        runs, of_runs = list(contexts.values()), [configs.get(n) for n in contexts]
        about = [configs.get(name) for name, _ in asked]
        # What of a run is asked about may be an earlier part: then that is one more.
        rows = []
        for (name, part), config in zip(asked, about, strict=True):
            if contexts.get(name) is part:
                rows.append(place[name])
            else:
                rows.append(len(runs))
                runs.append(part)
                of_runs.append(config)
        where, readings = np.array(rows), self._readings(contexts, runs[known:], span)
        index = np.arange(len(runs))
        seen = np.array([len(run.values) > 0 for run in runs])
        own = np.array([place.get(name, -1) for name, _ in asked])
        if (own < 0).any():
            # A curve without a known name may yet be one of the runs.
            twin = itself(parts, about, runs[:known], of_runs[:known])
            own = np.where(own < 0, twin, own)
        same = [i >= 0 and of_runs[i] == c for i, c in zip(own, about, strict=True)]
        counted = seen & (index < known)
        allowed = counted & (index != own[:, None])
        encoded, as_runs = encode_configs(of_runs), np.where(same, own, where)
        others = others_of(readings, seen, encoded, where, as_runs, allowed, counted)
        return self._amid(runs, readings, where, others)

    def _by_themselves(
        self,
        contexts: Mapping[Hashable, Context],
        asked: Sequence[tuple[Hashable, Context]],
    ) -> Cutoffs:
        """Runs that nothing else is known beside."""
        parts = [context for _, context in asked]
        if not all(len(part.steps) or part.diverged for part in parts):
            raise ValueError(
                "a run without observations is forecast from the other runs: report "
                "some, and load a checkpoint whose card has others in its model"
            )
        read = functools.partial(self.model.read_now, metric=self.metric)
        now = self._alone.rows(asked, contexts, read)
        return self.model.cutoffs(parts, self.metric, *now)

    def _amid(
        self,
        contexts: Sequence[Context],
        readings: Readings,
        asked: np.ndarray,
        others: Others,
    ) -> Cutoffs:
        """Runs at their cutoffs, with what the others say of each.

        Args:
            contexts: N runs, with those asked about among them.
            readings: what the network knows of them.
            asked: numbers of those asked about `(B,)`.
            others: what the others are to each.
        """
        model, span = self.model, readings.span
        state = np.array(readings.known.state[asked])
        anchor = np.stack([np.asarray(field)[asked] for field in readings.anchor])
        about = [contexts[i] for i in asked]
        unseen = np.flatnonzero(others.seen == 0)
        gap = gap_of(contexts, span) if len(unseen) else math.nan
        for row in unseen:
            grid = jax.tree.map(lambda x, row=row: x[row], others.known.grid)
            start = span[0] - gap
            anchor[:, row] = anchor_of_others(grid, others.there[row], start, gap, np)
            state[row] = network.unseen(model.config, model.params)
            about[row] = _from(about[row], start, gap)
        horizon = np.array([run.horizon for run in about], float)
        places = Anchor(*anchor)
        end = model.predict(
            state, places, horizon, horizon[:, None], others, model.config.best
        )
        mixture = self.metric.in_user_units(end)
        return Cutoffs(model, self.metric, about, state, places, mixture, others)

    def _readings(
        self,
        contexts: Mapping[Hashable, Context],
        more: Sequence[Context],
        span: np.ndarray,
    ) -> Readings:
        """What is known of all runs, and behind them of parts that are not kept."""
        before = self._among
        same = before is not None and np.array_equal(before[0], span)
        kept = before[1] if before is not None and same else ReadOnce()
        read = lambda news: self.model.read_runs(news, self.metric, span)
        known, anchor = kept.rows(contexts.items(), contexts, read)
        self._among = span, kept
        if more:
            both = lambda *x: np.concatenate(x)
            known, anchor = jax.tree.map(both, (known, anchor), read(more))
        return Readings(known, anchor, span)


def _from(context: Context, start: float, gap: float) -> Context:
    """A run without observations, whose first one is expected a gap after `start`."""
    if context.diverged:
        return context
    targets = context.targets
    if targets is not None and targets[0] <= start:
        raise ValueError(
            f"the other runs begin at step {start + gap:g}, and so does a curve "
            f"without observations; at must be steps after {start:g}, got "
            f"{targets[0]:g}"
        )
    return context._replace(last_step=start, unit=gap)
