"""A prior of whole searches from any prior of curves.

The runs of a search resemble each other (`lcpfn.priors.coupling`), partly by what
they were configured with (`lcpfn.priors.configurations`). Most begin at one level, and
in some a few diverge (`lcpfn.priors.search_effects`). Some searches are one
configuration with many seeds, some have runs of two families.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from lcpfn.priors import broad, search_effects
from lcpfn.priors.base import Prior, candidate_at, check_shares, draw_steps
from lcpfn.priors.configurations import draw_configurations, waves
from lcpfn.priors.coupling import (
    Coupled,
    TaskNormals,
    once_per_run,
    run_normals,
    task_normals,
)
from lcpfn.priors.search_effects import SearchEffects

TRIES = 16  # of a run, before the whole task is drawn again
ROUNDS = 160
FAMILY, SHARE, DIVERGES = OF_RUNS = ("run: family", "run: share", "run: diverges")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class SearchPrior:
    """A distribution of searches.

    Attributes:
        prior: of one run.
        fixed: names of its sites that are the same in all runs of a task.
        usual: names of sites that are so but for exceptions.
        dims: hyperparameters at most.
        effects: how often a search shows which effect.
    """

    prior: Prior
    fixed: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    dims: int = 12
    effects: SearchEffects = field(default_factory=SearchEffects)

    def __post_init__(self) -> None:
        if self.dims < 1:
            raise ValueError(f"dims must be at least 1, got {self.dims}")
        odds = self.effects._asdict() | self.effects.habits._asdict()
        # Traced effects have no value to check.
        check_shares({k: x for k, x in odds.items() if isinstance(x, int | float)})


BROAD_SEARCHES = SearchPrior(broad.BROAD_PRIOR, broad.FIXED, broad.USUAL)


class Search(NamedTuple):
    """The runs of one search, in the prior's own units; n of them.

    Attributes:
        y: values `(n, length)`, all finite; behind `finite` the last one is repeated.
        steps: `(n, length)`; behind the end of a run its last step is repeated, which
            is its horizon.
        length: observations of each run `(n,)`.
        finite: those before a run that diverged became NaN `(n,)`; at most `length`.
        low, high: bounds that all runs share, scalar, infinite where there are none.
        config: hyperparameters `(n, dims)`, NaN where missing or not there.
        kind: of a hyperparameter, see `lcpfn.priors.configurations`, `(dims,)`.
        family: which population a run belongs to, 0 or 1 `(n,)`.
        diverged: whether the run did `(n,)`.
        accepted: whether it is a draw of the prior `(n,)`; False where the rounds ran
            out or the model was not finite.
    """

    y: Array
    steps: Array
    length: Array
    finite: Array
    low: Array
    high: Array
    config: Array
    kind: Array
    family: Array
    diverged: Array
    accepted: Array


class _Task(NamedTuple):
    """What is drawn of a search before its runs.

    Attributes:
        normals: what runs share.
        border: normal above which a run is of the second family, scalar.
        basis: waves of the configurations `(n, 2 * WAVES)`.
        keys_steps: of the step axes `(n,)`, one key for all but for exceptions.
        config, kind: as in `Search`.
    """

    normals: TaskNormals
    border: Array
    basis: Array
    keys_steps: Array
    config: Array
    kind: Array


class _Drawn(NamedTuple):
    """One run before anything happens to the search; fields as in `Search`.

    Attributes:
        curve: noiseless values `(length,)`.
        fine: whether the model accepts it.
        share, diverges: normals of the run.
    """

    y: Array
    curve: Array
    steps: Array
    length: Array
    low: Array
    high: Array
    fine: Array
    family: Array
    share: Array
    diverges: Array


def draw_search(
    prior: SearchPrior, key: Array, runs: int, elsewhere: ArrayLike = False
) -> Search:
    """Draws one search; `jax.vmap` over keys draws many.

    Where the model rejects draws, each run is tried again, `TRIES` times; then all of
    the task is, until every run is accepted or `ROUNDS` rounds are over.

    Args:
        prior: what to draw from.
        key: PRNG key; the same key gives the same search.
        runs: how many.
        elsewhere: draw instead the same configurations on another task of that kind:
            what is `fixed` or `usual` is as in the search of this key, nothing else is.
            Only where a task is rejected as a whole the two have nothing in common.

    Raises:
        ValueError: if a site's distribution has no known inverse, or `fixed` or `usual`
            name what is no site.
    """
    sites = once_per_run(prior.prior.model, prior.prior.steps)
    _check_names(prior, sites.shapes)
    shapes = {**sites.shapes, **dict.fromkeys(OF_RUNS, ())}
    key_task, key_runs, key_level, key_diverge = jax.random.split(key, 4)
    keys = jax.random.split(key_runs, runs)

    def attempt(number: Array, tries: Array) -> tuple[_Task, _Drawn]:
        """A task by its number, and each of its runs by how often it was tried."""
        own_key = jax.random.fold_in(key_task, number)
        task = _draw_task(prior, shapes, own_key, runs, elsewhere)
        one = partial(_draw_run, prior.prior, shapes, task.normals, task.border)
        own = jax.vmap(jax.random.fold_in)(keys, tries)
        return task, jax.vmap(one)(own, task.basis, task.keys_steps)

    chosen = jnp.array(0), jnp.zeros(runs, int)
    if sites.rejects:
        chosen = _first_accepted(lambda *which: attempt(*which)[1].fine, runs)
    task, drawn = attempt(*chosen)
    return _with_effects(prior, (key_level, key_diverge), task, drawn)


def _check_names(prior: SearchPrior, shapes: Shapes) -> None:
    unknown = {*prior.fixed, *prior.usual} - {*shapes}
    if unknown:
        raise ValueError(
            f"{prior.prior.name} has no sites {sorted(unknown)} that runs could share; "
            f"it has {sorted(shapes)}"
        )


def _with_effects(
    prior: SearchPrior, keys: tuple[Array, Array], task: _Task, drawn: _Drawn
) -> Search:
    low, high = jnp.min(drawn.low), jnp.max(drawn.high)
    hard = prior.prior.hard_bounds
    bounds = low if hard else -jnp.inf, high if hard else jnp.inf
    finite = jnp.all(jnp.isfinite(drawn.y), axis=1)
    y = jnp.where(finite[:, None], drawn.y, 0.0)
    y = search_effects.from_one_level(
        keys[0], prior.effects, y, drawn.curve, drawn.share, bounds
    )
    worse = 1 if prior.prior.mode == "min" else -1
    y, shown, diverged = search_effects.some_diverge(
        keys[1], prior.effects, y, drawn.length, drawn.diverges, bounds, worse
    )
    return Search(
        y=y,
        steps=drawn.steps,
        length=drawn.length,
        finite=shown,
        low=low,
        high=high,
        config=task.config,
        kind=task.kind,
        family=drawn.family,
        diverged=diverged,
        accepted=finite & drawn.fine,
    )


def _draw_task(
    prior: SearchPrior, shapes: Shapes, key: Array, runs: int, elsewhere: ArrayLike
) -> _Task:
    keys = jax.random.split(key, 12)
    effects, has = prior.effects, jax.random.bernoulli
    replicas = has(keys[0], effects.replicas)
    exception = has(keys[1], effects.exceptions) * 1.0
    configurations = draw_configurations(
        keys[2], runs, prior.dims, replicas, effects.habits
    )
    limits: dict[str, tuple[ArrayLike, ArrayLike]] = {
        **dict.fromkeys(prior.fixed, (0.0, 0.0)),
        **dict.fromkeys(prior.usual, (0.0, exception)),
        # Nothing of that is the task's, unless runs are replicas.
        **dict.fromkeys(OF_RUNS, (1.0 - replicas, 1.0)),
    }
    typical, spread = effects.unlike
    differs = typical + spread * jax.random.normal(keys[3])
    differs = jnp.where(replicas, jnp.minimum(differs, -5.0), differs)
    normals = task_normals(
        keys[4],
        shapes,
        limits,
        differs,
        explained=3.0 + 1.5 * jax.random.normal(keys[5]),
        alike=jax.random.uniform(keys[6], maxval=jnp.where(elsewhere, 0.0, 0.9)),
    )
    families = has(keys[7], effects.families)
    border = jnp.where(families, 0.8 * jax.random.normal(keys[8]), jnp.inf)
    # There the second family is that of the other task.
    border = jnp.where(elsewhere, -jnp.inf, border)
    own = jnp.arange(runs) * has(keys[9], effects.own_steps)
    return _Task(
        normals,
        border,
        waves(keys[10], configurations),
        jax.vmap(partial(jax.random.fold_in, keys[11]))(own),
        configurations.shown,
        configurations.kind,
    )


def _draw_run(
    prior: Prior,
    shapes: Shapes,
    task: TaskNormals,
    border: Array,
    key: Array,
    basis: Array,
    key_steps: Array,
) -> _Drawn:
    key_normals, key_rest = jax.random.split(key)
    z = run_normals(key_normals, task, basis, jnp.array(0), shapes)
    family = (z[FAMILY][0] > border).astype(int)
    z = run_normals(key_normals, task, basis, family, shapes)
    coupled = replace(prior, model=Coupled(prior.model, z))
    steps = draw_steps(prior, key_steps)
    y, curve, _, _, *rest = candidate_at(coupled, key_rest, *steps)
    return _Drawn._make([y, curve, *rest, family, z[SHARE][0], z[DIVERGES][0]])


def _first_accepted(
    accept: Callable[[Array, Array], Array], runs: int
) -> tuple[Array, Array]:
    """The number of the first task of which all runs are accepted, and their tries.

    Args:
        accept: which runs are accepted `(n,)`, of a task's number and tries `(n,)`.
        runs: n.
    """

    def unfilled(state: tuple[Array, Array, Array]) -> Array:
        rounds, filled, _ = state
        return ~jnp.all(filled) & (rounds < ROUNDS)

    def fill(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        rounds, filled, tries = state
        filled &= rounds % TRIES > 0
        tries = jnp.where(filled, tries, rounds % TRIES)
        return rounds + 1, filled | accept(rounds // TRIES, tries), tries

    start = jnp.array(0), jnp.zeros(runs, bool), jnp.zeros(runs, int)
    rounds, _, tries = jax.lax.while_loop(unfilled, fill, start)
    return (rounds - 1) // TRIES, tries
