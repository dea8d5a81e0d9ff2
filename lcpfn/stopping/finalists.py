"""After a search: which runs may be the best, and how often to run them again.

What a run reached is what its configuration is worth plus the luck of its seed. A run
that was stopped might have reached what its forecast says. Both together give the
probability that a run is the best of all, by simulation; those that are likely are run
again with other seeds before one of them is crowned.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lcpfn.hyperparameters import Config

DRAWS = 2048
# Below that a run is not worth a seed.
UNLIKELY = 0.01
MOST_SEEDS = 10


@dataclass(frozen=True)
class Finalist:
    """A run that may be the best of its search.

    Attributes:
        run: its name.
        chance: probability that it is the best, if luck is left out.
        value: what it reached, or the median of its forecast.
        seeds: runs of it with other seeds that tell it from the best of the others, at
            most 10; 0 if it is hardly the best.
        reason: one sentence.
    """

    run: Hashable
    chance: float
    value: float
    seeds: int
    reason: str


def seed_spread(
    values: Sequence[float], configs: Sequence[Config | None]
) -> float | None:
    """Standard deviation between runs that differ in their seeds alone.

    Args:
        values: what runs reached.
        configs: of each; those with equal ones are replicas. None, or one in which
            everything is None, says nothing.

    Returns:
        The pooled standard deviation of replicas; None where there are none.
    """
    groups: dict[str, list[float]] = {}
    for value, config in zip(values, configs, strict=True):
        known = {name: x for name, x in (config or {}).items() if x is not None}
        if known:
            groups.setdefault(repr(sorted(known.items())), []).append(value)
    parts = [np.array(part) for part in groups.values() if len(part) > 1]
    if not parts:
        return None
    squares = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    return float(np.sqrt(squares / sum(len(part) - 1 for part in parts)))


def late_spread(curves: Sequence[np.ndarray]) -> float:
    """Median standard deviation of steps of the last quarter of curves, over sqrt 2.

    How far one observation strays by itself: less than another seed does.
    """
    spreads = [
        float(np.diff(tail).std() / np.sqrt(2))
        for curve in curves
        if len(tail := curve[-max(len(curve) // 4, 3) :]) > 2
    ]
    return float(np.median(spreads)) if spreads else 0.0


def finalists(
    outlooks: Mapping[Hashable, np.ndarray],
    spread: float,
    mode: str,
    k: int,
    finished: frozenset[Hashable] = frozenset(),
) -> list[Finalist]:
    """The `k` runs that are the best with the highest probabilities.

    Args:
        outlooks: levels of what each run reaches, evenly spread over its law `(n,)`;
            one level where that is known.
        spread: standard deviation of the luck of a seed, in the metric's units.
        mode: "max" or "min".
        k: how many.
        finished: runs of which what they reached is known.

    Returns:
        From the likeliest on.
    """
    names, sign = list(outlooks), -1.0 if mode == "max" else 1.0
    if not names:
        return []
    rng = np.random.default_rng(0)
    levels = [sign * np.asarray(outlooks[name], float) for name in names]
    drawn = np.stack([rng.choice(level, DRAWS) for level in levels])
    drawn += spread * rng.standard_normal(drawn.shape)
    chance = np.bincount(drawn.argmin(0), minlength=len(names)) / DRAWS
    middle = np.array([np.median(level) for level in levels])
    order = np.lexsort((middle, -chance))
    found = []
    for i in order[:k]:
        nearest = np.delete(middle, i).min(initial=np.inf)
        seeds = _seeds(spread, abs(middle[i] - nearest)) if chance[i] > UNLIKELY else 0
        about = "reached" if names[i] in finished else "is forecast to reach"
        found.append(
            Finalist(
                *(names[i], float(chance[i]), float(sign * middle[i]), seeds),
                f"It {about} {sign * middle[i]:.4g} and is the best with probability "
                f"{chance[i]:.1%}; {_advice(seeds)}.",
            )
        )
    return found


def _seeds(spread: float, gap: float) -> int:
    """Further runs of each until two standard errors of the difference are the gap."""
    if spread <= 0 or np.isinf(gap):
        return 0
    needed = 8 * (spread / max(gap, 1e-300)) ** 2
    return int(np.clip(np.ceil(min(needed, 1e6)) - 1, 1, MOST_SEEDS))


def _advice(seeds: int) -> str:
    if not seeds:
        return "it need not be run again"
    more = f"{seeds} other seeds" + (" or more" if seeds == MOST_SEEDS else "")
    return "run it again with " + ("another seed" if seeds == 1 else more)
