"""From checked records to the network's input: pooled tokens, anchors, features.

NumPy in float64. A context is what one curve has shown so far; `extend` adds a record
and never depends on whether records came one by one or all at once.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from lcpfn.curves import Records
from lcpfn.metric import Metric as UserMetric
from lcpfn.tokens import (
    TOKEN_FEATURES,
    Anchor,
    Metric,
    Stats,
    empty_stats,
    observe,
    pool_factor,
)


class Tokens(NamedTuple):
    """Tokens of several curves, padded at the end; B curves, N tokens.

    Attributes:
        features: `(B, N, TOKEN_FEATURES)` float32.
        values: means of their records, model space `(B, N)`.
        anchors: of every token, fields `(B, N)`.
        length: tokens of each curve `(B,)`.
        stats: after the last token, fields `(B,)`.
        anchor: of the last token, fields `(B,)`.
        metric: horizons and bounds, fields `(B,)`.
    """

    features: np.ndarray
    values: np.ndarray
    anchors: Anchor
    length: np.ndarray
    stats: Stats
    anchor: Anchor
    metric: Metric


def pool(
    steps: np.ndarray, values: np.ndarray, factor: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, means and record counts of consecutive blocks of `factor` records."""
    if factor == 1:
        return steps, values, np.ones(len(values))
    starts = np.arange(0, len(values), factor)
    counts = np.diff(np.append(starts, len(values)))
    # Scaled before adding: a sum of huge values must not overflow.
    means = np.add.reduceat(values / np.repeat(counts, counts), starts)
    return steps[starts + counts - 1], means, counts.astype(float)


def model_metric(metric: UserMetric, horizons: Sequence[float]) -> Metric:
    """Horizons and bounds of a batch, in model space."""
    count = len(horizons)
    return Metric(
        np.array(horizons, float),
        np.full(count, metric.low),
        np.full(count, metric.high),
    )


Row = TypeVar("Row", Stats, Anchor)


def select(mask: np.ndarray, new: Row, old: Row) -> Row:
    """Row-wise choice between two tuples of `(B,)` arrays."""
    return type(new)(*(np.where(mask, n, o) for n, o in zip(new, old, strict=True)))


def read_tokens(records: Sequence[Records], metric: UserMetric, context: int) -> Tokens:
    """Tokens of several curves, each with one finite record or more."""
    pooled = [
        pool(r.steps, r.values, pool_factor(len(r.values), context)) for r in records
    ]
    count = np.array([len(values) for _, values, _ in pooled])
    padded = np.empty((3, len(records), int(count.max())))
    for i, columns in enumerate(pooled):
        for row, column in zip(padded[:, i], columns, strict=True):
            row[: len(column)], row[len(column) :] = column, column[-1]
    start = np.array([r.steps[0] for r in records])
    batch = len(records)
    state_metric = model_metric(metric, [r.horizon for r in records])
    stats = empty_stats(batch, np, np.float64)
    anchor = Anchor(*np.zeros((4, batch)))
    features = np.zeros((batch, int(count.max()), TOKEN_FEATURES), np.float32)
    anchors = np.zeros((4, batch, int(count.max())))
    for i in range(int(count.max())):
        step, value, pooled_count = padded[:, :, i]
        # Behind the end of a curve steps stand still: 0 / 0, never to be seen.
        with np.errstate(divide="ignore", invalid="ignore"):
            new_stats, new_anchor, token = observe(
                stats, state_metric, step, value, pooled_count, start, np
            )
        live = i < count
        features[:, i] = np.where(live[:, None], token, 0)
        stats, anchor = select(live, new_stats, stats), select(live, new_anchor, anchor)
        anchors[:, :, i] = anchor
    return Tokens(
        features, padded[1], Anchor(*anchors), count, stats, anchor, state_metric
    )
