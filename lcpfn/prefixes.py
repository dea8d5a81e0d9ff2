"""What a stream would have forecast at every record of finished runs, at once.

The context is encoded causally, so one pass over a curve holds the forecasts from all
of its cutoffs. Curves longer than a context need one pass for each number of records
per token that they went through; their cutoffs are then the ends of full tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from lcpfn.context import read_tokens
from lcpfn.curves import Records, Run
from lcpfn.metric import Bounds, Metric
from lcpfn.mixture import Mixture
from lcpfn.surprise import WEIGHT, ask_everywhere, in_model_space, surprise_of
from lcpfn.tokens import Anchor, pool_factor, query_features

if TYPE_CHECKING:
    from lcpfn.model import Model

# Steps asked for between a cutoff and the horizon, the horizon last.
AHEAD = 6
ROWS = 16


class Foresight(NamedTuple):
    """Forecasts of one run from `m` of its records, in model space (lower is better).

    Attributes:
        seen: records seen at each cutoff, increasing `(m,)`.
        best: the best value still to come `(m,)`; None if the checkpoint has none.
        ahead: values at `AHEAD` evenly spaced later steps `(m, AHEAD)`, the horizon
            last.
        surprise: `(m,)`, see `lcpfn.surprise`; NaN at the first cutoff.
    """

    seen: np.ndarray
    best: Mixture | None
    ahead: Mixture
    surprise: np.ndarray

    @property
    def final(self) -> Mixture:
        """The value at the horizon `(m,)`."""
        return Mixture(*(x[:, -1] for x in self.ahead))


def foresee(
    model: "Model", runs: Sequence[Run], horizon: float | None = None
) -> list[Foresight]:
    """Forecasts of runs from all of their cutoffs before the horizon.

    Args:
        model: a loaded checkpoint.
        runs: of one metric.
        horizon: last step of a full run; default: the last step of each.

    Returns:
        One per run. A record that is not finite is no cutoff.

    Raises:
        ValueError: runs of several metrics, records beyond the horizon or outside of
            hard bounds.
    """
    if len({(run.mode, run.bounds) for run in runs}) > 1:
        raise ValueError("runs of one mode and bounds expected, got several")
    if not runs:
        return []
    metric = model.metric(runs[0].mode, runs[0].bounds)
    ends = [float(run.steps[-1] if horizon is None else horizon) for run in runs]
    for run, end in zip(runs, ends, strict=True):
        metric.check(run.values, f"run {run.name}")
        if run.steps[-1] > end:
            raise ValueError(
                f"run {run.name} has a record at step {run.steps[-1]:g}, beyond the "
                f"horizon {end:g}"
            )
    finite = [np.flatnonzero(np.isfinite(run.values)) for run in runs]
    curves = [
        (run.steps[known], metric.sign * run.values[known], end)
        for run, known, end in zip(runs, finite, ends, strict=True)
    ]
    parts: list[list[Foresight]] = [[] for _ in runs]
    for records, owners in _passes(curves, model.config.context):
        for first in range(0, len(records), ROWS):
            some = slice(first, first + ROWS)
            found = _foresee(model, metric, records[some])
            for owner, part in zip(owners[some], found, strict=True):
                seen = 1 + finite[owner][part.seen - 1]
                parts[owner].append(part._replace(seen=seen))
    return [_joined(found, model) for found in parts]


def _passes(
    curves: Sequence[tuple[np.ndarray, np.ndarray, float]], context: int
) -> Iterator[tuple[list[Records], list[int]]]:
    """Prefixes and whose they are, for each number of records in a token.

    Args:
        curves: steps and values of the finite records, and the horizon, of each run.
        context: most tokens of a prefix.
    """
    longest = max(len(values) for _, values, _ in curves)
    factor = 1
    while True:
        records, owners = [], []
        for owner, (steps, values, end) in enumerate(curves):
            count = min(len(values), context * factor) // factor * factor
            if count and pool_factor(count, context) == factor:
                some = slice(0, count)
                records.append(
                    Records(
                        *(steps[some], values[some], steps[count - 1]),
                        *(False, end, np.empty(0)),
                    )
                )
                owners.append(owner)
        yield records, owners
        if longest <= context * factor:
            return
        factor *= 2


def _foresee(
    model: "Model", metric: Metric, records: Sequence[Records]
) -> list[Foresight]:
    """Of the cutoffs at which the tokens hold as many records as at the end."""
    context = model.config.context
    tokens = read_tokens(records, metric, context)
    count = tokens.features.shape[1]
    size = min(max(8, 1 << (count - 1).bit_length()), context)
    rows = len(records)

    def padded(x: np.ndarray) -> np.ndarray:
        more = [(0, ROWS - rows), (0, size - count)] + [(0, 0)] * (x.ndim - 2)
        return np.pad(x, more, "edge")

    anchor = Anchor(*(padded(x) for x in tokens.anchors))
    horizon = padded(np.repeat(tokens.metric.horizon[:, None], count, 1))
    nearest = np.concatenate([anchor.step[:, 1:], anchor.step[:, -1:]], axis=1)
    shares = np.arange(1, AHEAD + 1) / AHEAD
    ahead = anchor.step[..., None] + (horizon - anchor.step)[..., None] * shares
    ahead[..., -1] = horizon
    best = int(model.config.best)
    target = [nearest[..., None], ahead] + [horizon[..., None]] * best
    with np.errstate(divide="ignore", invalid="ignore"):
        query = query_features(anchor, horizon, np.concatenate(target, axis=-1), np)
    if best:
        flag = np.broadcast_to(np.arange(query.shape[2]) > AHEAD, query.shape[:-1])
        query = np.concatenate([query, flag[..., None]], axis=-1)
    with jax.default_device(model.device):
        mixture = ask_everywhere(
            model.config,
            model.params,
            padded(tokens.features),
            np.nan_to_num(query).astype(np.float32),
        )
    answers = [np.asarray(x, np.float64)[:rows, :count] for x in mixture]
    found = in_model_space(answers, tokens.anchors, metric)
    one_ahead = Mixture(*(x[:, :, 0] for x in found))
    surprise = _running(surprise_of(one_ahead, tokens.values))
    result = []
    for i, r in enumerate(records):
        factor = pool_factor(len(r.values), context)
        seen = factor * np.arange(1, tokens.length[i] + 1)
        # Shorter prefixes had fewer records in a token.
        keep = (seen > context * (factor // 2)) & (
            tokens.anchors.step[i][: len(seen)] < r.horizon
        )
        part = [x[i, : len(seen)][keep] for x in found]
        result.append(
            Foresight(
                seen[keep],
                Mixture(*(x[:, -1] for x in part)) if best else None,
                Mixture(*(x[:, 1 : 1 + AHEAD] for x in part)),
                surprise[i, : len(seen)][keep],
            )
        )
    return result


def _running(each: np.ndarray) -> np.ndarray:
    """Average of each row before every position; the newest weighs most."""
    total, weight = np.zeros(len(each)), 0.0
    result = np.full(each.shape, np.nan)
    for i in range(1, each.shape[1]):
        total = (1 - WEIGHT) * total + each[:, i - 1]
        weight = (1 - WEIGHT) * weight + 1
        result[:, i] = total / weight
    return result


def _joined(parts: Sequence[Foresight], model: "Model") -> Foresight:
    """The passes of one run, one after the other."""
    if not parts:
        k = model.config.components
        ahead = _empty(AHEAD, components=k)
        best = _empty(components=k) if model.config.best else None
        return Foresight(np.empty(0, int), best, ahead, np.empty(0))

    def join(mixtures: Sequence[Mixture]) -> Mixture:
        return Mixture(*(np.concatenate(x) for x in zip(*mixtures, strict=True)))

    bests = [part.best for part in parts if part.best is not None]
    return Foresight(
        np.concatenate([part.seen for part in parts]),
        join(bests) if bests else None,
        join([part.ahead for part in parts]),
        np.concatenate([part.surprise for part in parts]),
    )


def _empty(*shape: int, components: int) -> Mixture:
    wide, flat = np.empty((0, *shape, components)), np.empty((0, *shape))
    return Mixture(wide, wide, wide, flat, flat)


def final_predictor(
    model: "Model", horizon: float, mode: str = "min", bounds: Bounds | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """The expected final value at every record, as the package `surestop` asks for it.

        surestop.KillRule(alpha=0.05, predictor=final_predictor(model, horizon=50))

    Args:
        model: a loaded checkpoint.
        horizon: last step of a full run; records are steps 1, 2, ...
        mode: that of the metric before the package turned its sign for "max".
        bounds: of the metric as the user knows it.

    Returns:
        A causal function from curves `(n, T)`, lower is better, to forecasts `(n, T)`:
        column t uses columns up to t. At the horizon, at records that are not finite
        and where tokens hold several records and are not full, the record itself.
    """
    sign = Metric(mode, bounds).sign

    def predict(curves: np.ndarray) -> np.ndarray:
        result = np.array(curves, float)
        steps = np.arange(1.0, result.shape[1] + 1)
        runs = [
            Run(f"row {i}", steps, sign * y, mode, bounds) for i, y in enumerate(result)
        ]
        for row, found in zip(result, foresee(model, runs, horizon), strict=True):
            row[found.seen - 1] = found.final.moments()[0]
        return result

    return predict
