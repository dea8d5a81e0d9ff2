"""Where training searches come from: a prior of searches, and what is seen of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp

from lcpfn.metric import Metric
from lcpfn.priors import Prior
from lcpfn.priors.broad import broad_model
from lcpfn.priors.configurations import CATEGORY
from lcpfn.priors.search_contexts import draw_contexts
from lcpfn.priors.searches import BROAD_SEARCHES, SearchPrior, draw_search
from lcpfn.statistics import Limits
from lcpfn.train.batches import hide_bounds
from lcpfn.train.config import TrainConfig
from lcpfn.train.data import Feed, Shard
from lcpfn.train.search_tasks import Searches

# Searches of longer runs would take most of the time of training.
LONGEST = 128


def searches_of(prior: Prior) -> SearchPrior:
    """The prior of searches whose runs are curves of a prior."""
    if getattr(prior.model, "func", None) is broad_model:  # with whatever effects
        return replace(BROAD_SEARCHES, prior=prior)
    return SearchPrior(prior)


def search_source(
    prior: SearchPrior, runs: int, hidden: float = 0.0, shard: Shard = lambda x: x
) -> Callable[[jax.Array, int], Searches]:
    """Fresh searches of so many runs, and what is seen of each.

    Args:
        prior: what to draw from.
        runs: of a search.
        hidden: how often bounds are not told, see `Augment`.
        shard: places a batch on the devices.
    """
    sign = Metric(prior.prior.mode, prior.prior.bounds).sign

    def one(key: jax.Array) -> Searches:
        keys = jax.random.split(key, 5)
        # Half of the tasks that are mixed in are like it, and hard to tell from it.
        alike = jax.random.bernoulli(keys[4])
        # Both at once: a prior with many sites takes long to compile.
        both = jax.vmap(lambda key, there: draw_search(prior, key, runs, there))(
            keys[jnp.where(alike, 0, jnp.arange(2))], jnp.arange(2) == 1
        )
        search = jax.tree.map(lambda x: x[0], both)
        other = jax.tree.map(lambda x: x[1], both)
        seen = draw_contexts(keys[2], search, other, worse=1 if sign > 0 else -1)
        search = seen.search
        low, high = (search.low, search.high)[:: 1 if sign > 0 else -1]
        limits = Limits(jnp.zeros(()), sign * low, sign * high)
        limits = hide_bounds(jax.random.uniform(keys[3]), limits, hidden)
        # A run that diverges has no end to ask for; its beginning is context.
        asked = search.accepted & ~seen.foreign & (search.finite == search.length)
        return Searches(
            y=sign * search.y,
            steps=search.steps,
            length=search.length,
            low=limits.low,
            high=limits.high,
            config=search.config,
            categorical=search.kind == CATEGORY,
            seen=jnp.where(search.accepted, seen.seen, 0),
            weight=asked.astype(search.y.dtype),
        )

    def sample(key: jax.Array, n: int) -> Searches:
        drawn = jax.vmap(one)(shard(jax.random.split(key, n)))
        return jax.tree.map(shard, drawn)

    return sample


def search_feeds(
    config: TrainConfig, prior: Prior, curves: Sequence[Feed], shard: Shard
) -> tuple[Feed, ...]:
    """Feeds of searches, which make up `config.searches` of the steps.

    Args:
        config: the run.
        prior: of the curves.
        curves: the feeds of single curves.
        shard: places a batch on the devices.
    """
    if not config.searches:
        return ()
    lengths = sorted({min(n, LONGEST) for n in config.lengths or (prior.length,)})
    share = config.searches / max(1 - config.searches, 1e-6)
    odds = share * sum(feed.odds for feed in curves) / len(lengths)
    rows = max(config.batch // config.runs, 1)
    feeds = []
    for length in lengths:
        shortest = min(prior.shortest, length)
        searches = searches_of(replace(prior, length=length, shortest=shortest))
        options = searches, config.runs, config.augment.hidden
        feeds.append(Feed(search_source(*options, shard), rows, odds, config.runs))
    return tuple(feeds)
