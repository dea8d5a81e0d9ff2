"""Many streams that advance together: one pass takes one more token of every row."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lcpfn import network
from lcpfn.context import select
from lcpfn.stream import append_token
from lcpfn.tokens import Anchor, Stats, empty_stats, observe

if TYPE_CHECKING:
    from lcpfn.model import Model

# Runs of a group: their activations stay in the cache of a CPU.
GROUP = 64


class SharedCache:
    """Keys and values of `GROUP` rows; grows from 16 tokens to a full context.

    Attributes:
        state: what the network says of each row so far `(GROUP, width)`.
        anchor: level and scale of each row, see `lcpfn.tokens`.
        position: tokens of each row `(GROUP,)`.
    """

    def __init__(self, model: "Model") -> None:
        self.model = model
        self.stats: Stats = empty_stats(GROUP, np, np.float64)
        self.anchor = Anchor(*np.zeros((4, GROUP)))
        self.position = np.zeros(GROUP, np.int32)
        self.state = np.zeros((GROUP, model.config.width), np.float32)
        self.size = 16
        with jax.default_device(model.device):
            self.cache = network.empty_cache(model.config, GROUP, self.size)

    def forget(self, row: int) -> None:
        """Starts a row anew; what its cache holds is behind its position."""
        for part in self.stats:
            part[row] = 0
        self.position[row] = 0

    def append(
        self,
        rows: np.ndarray,
        metric: Any,
        blocks: np.ndarray,
        start: np.ndarray,
        full: np.ndarray,
    ) -> None:
        """One token of some rows.

        Args:
            rows: which ones `(n,)`.
            metric: horizon and bounds of the group `(GROUP,)`.
            blocks: step, mean and number of the records of each token `(3, n)`.
            start: step of the first record of each curve `(n,)`.
            full: whether the token is complete; else it will be replaced `(n,)`.
        """
        live, complete = np.zeros((2, GROUP), bool)
        live[rows], complete[rows] = True, full
        wide, first = np.zeros((3, GROUP)), np.zeros(GROUP)
        wide[:, rows], first[rows] = blocks, start
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            stats, anchor, tokens = observe(
                self.stats, metric, wide[0], wide[1], wide[2], first, np
            )
        tokens = np.where(live[:, None], tokens, 0).astype(np.float32)
        while self.position[rows].max() >= self.size:
            self._grow()
        with jax.default_device(self.model.device):
            # Rows that stand still write behind their end, where nobody looks.
            states, self.cache = append_token(
                self.model.config,
                self.model.params,
                self.cache,
                tokens,
                np.minimum(self.position, self.size - 1),
            )
        self.state = np.where(live[:, None], np.asarray(states), self.state)
        self.anchor = select(live, anchor, self.anchor)
        self.stats = select(complete, stats, self.stats)
        self.position = self.position + complete

    def _grow(self) -> None:
        more = min(2 * self.size, self.model.config.context) - self.size
        self.cache = jax.tree.map(
            lambda x: jax.numpy.pad(x, [(0, 0), (0, more), (0, 0), (0, 0)]), self.cache
        )
        self.size += more
