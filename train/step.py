"""The objective and one optimizer step, pure.

A PFN minimises the expected negative log-density of what comes next,

    L(theta) = E_{curve ~ prior} mean_{i, j > i} [ -log q_theta(y_j | y_1..y_i) ],

over curves of the prior. Per (cutoff i, target j) the inner expectation is
KL(p(y_j | y_1..y_i) || q_theta) plus a constant, so its minimiser is the exact
posterior predictive of the prior (Mueller et al. 2022, arXiv 2112.10510, Sec. 3). In
units of the anchor, y = level + scale * z, the density is q(z) / scale: log scale is
added so that the loss reads in the units of the curves.

The CRPS may be added. It is proper too, so the minimiser stays what it is; but it asks
how far off a forecast is, where the density asks for every digit of what is nearly
known, and curves that are nearly known rule the density's mean.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lcpfn import network
from lcpfn.config import ModelConfig
from lcpfn.layers import OtherRuns
from lcpfn.mixture import LOG_2PI
from lcpfn.train.batches import Curves, Tasks, make_tasks
from lcpfn.train.config import TrainConfig
from lcpfn.train.crps import crps
from lcpfn.train.data import Feed
from lcpfn.train.search_tasks import Searches, SearchTasks, make_search_tasks

# Distance from a mean, in units of the anchor, behind which the loss grows no more.
FARTHEST = 1e10


# The part of the network that knows plans.
PLANNED = "planned"


class TrainState(NamedTuple):
    """Everything a run needs to go on; a pytree.

    Attributes:
        step: optimizer steps done, int32 scalar.
        params: current weights.
        optimizer: optax state.
        average: running average of the weights: the one that is shipped.
    """

    step: jax.Array
    params: Any
    optimizer: Any
    average: Any


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Muon for the matrices, AdamW for the rest; warm-up, cosine decay, clipping.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers".
    """

    def schedule(peak: float) -> optax.Schedule:
        warmup = min(config.warmup, config.steps // 2)
        return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, config.steps)

    rule = optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.contrib.muon(
            schedule(config.learning_rate),
            adam_learning_rate=schedule(config.adam_learning_rate),
            adam_b2=0.98,
            weight_decay=config.weight_decay,
            weight_decay_mask=_is_matrix,
        ),
    )
    if not config.planned:
        return rule
    parts = {PLANNED: rule, "stays": optax.set_to_zero()}
    return optax.multi_transform(
        parts, lambda params: {k: k if k == PLANNED else "stays" for k in params}
    )


def _learning(config: TrainConfig, new: Any, old: Any) -> Any:
    """Of parameter trees `new` where it learns, and `old` where nothing is to move."""
    return old | {PLANNED: new[PLANNED]} if config.planned else new


def init_state(config: TrainConfig) -> TrainState:
    """State before the first step."""
    params = network.init(config.model, jax.random.key(config.seed))
    return TrainState(jnp.int32(0), params, optimizer(config).init(params), params)


def log_density(mixture: network.MixtureParams, z: jax.Array) -> jax.Array:
    """Log-density of z, in anchor units, under a mixture; shape of z."""
    # Where a scale is next to nothing the square of a distance in it would overflow.
    far = jnp.clip(z[..., None] - mixture.mean, -FARTHEST, FARTHEST)
    score = far * jnp.exp(-mixture.log_std)
    parts = mixture.log_weight - mixture.log_std - 0.5 * (score**2 + LOG_2PI)
    return jax.nn.logsumexp(parts, axis=-1)


def forecasts(
    config: ModelConfig, params: Any, tasks: Tasks | SearchTasks
) -> network.MixtureParams:
    """What the network answers, in anchor units.

    Returns:
        Fields `(B, N, Q, K)` of curves, `(S, R, C, Q, K)` of searches.
    """
    beside: Any
    if isinstance(tasks, SearchTasks):
        state, beside = _states(config, params, tasks)
    else:
        state, beside = network.encode(config, params, tasks.features)[0], tasks.plan
    return network.predict(config, params, state, tasks.query, tasks.stay, beside)


def log_probs(
    config: ModelConfig, params: Any, tasks: Tasks | SearchTasks
) -> jax.Array:
    """Log-density of every target, in the units of the curves.

    Returns:
        `(B, N, Q)` of curves, `(S, R, C, Q)` of searches.
    """
    found = log_density(forecasts(config, params, tasks), tasks.truth)
    return found - tasks.log_scale[..., None]


def losses(config: TrainConfig, params: Any, tasks: Tasks | SearchTasks) -> jax.Array:
    """The objective at every target, of the shape of `log_probs`."""
    mixture = forecasts(config.model, params, tasks)
    log_scale = tasks.log_scale[..., None]
    loss = log_scale - log_density(mixture, tasks.truth)
    if config.loss_limit is not None:
        loss = clipped(loss, config.loss_limit + log_scale)
    if config.crps:
        loss += config.crps * crps(mixture, tasks.truth)
    return loss


def _states(
    config: ModelConfig, params: Any, tasks: SearchTasks
) -> tuple[jax.Array, OtherRuns]:
    """States at the cutoffs `(S, R, C, D)`, and what the other runs say to each."""
    searches, runs = tasks.features.shape[:2]
    flat = tasks.features.reshape(-1, *tasks.features.shape[2:])
    states = network.encode(config, params, flat)[0]
    states = states.reshape(searches, runs, *states.shape[1:])
    at = jnp.maximum(tasks.cutoff, 0)[..., None]
    state = jnp.take_along_axis(states, at, axis=2)
    state = jnp.where(
        tasks.cutoff[..., None] < 0, network.unseen(config, params), state
    )
    newest = jnp.take_along_axis(states, tasks.newest[..., None, None], axis=2)
    # To every run and cutoff the same others, each but itself: see the mask.
    others = newest[:, None, None, :, 0]
    return state, OtherRuns(tasks.pairs, others, tasks.mask[:, :, None])


def clipped(loss: jax.Array, limit: jax.Array) -> jax.Array:
    """The loss up to a limit, and above it only its logarithm."""
    return jnp.minimum(loss, limit) + jnp.log1p(jnp.maximum(loss - limit, 0))


def gradients(
    config: TrainConfig, params: Any, tasks: Tasks | SearchTasks
) -> tuple[jax.Array, Any]:
    """Loss and gradient of a batch, accumulated over chunks of `config.chunk` curves.

    A search is never split. The arithmetic is that of the whole batch. Chunks
    keep the working set in the cache of a CPU, which is what bounds the speed there.
    Row i goes to chunk i modulo their number, so that a batch sharded over devices
    stays sharded in every chunk.
    """
    rows = len(tasks.weight)
    at_once = config.batch if isinstance(tasks, Tasks) else rows * config.runs
    chunks = min(max(at_once // config.chunk, 1), rows)
    split = jax.tree.map(
        lambda x: jnp.swapaxes(x.reshape(-1, chunks, *x.shape[1:]), 0, 1), tasks
    )
    total = jnp.maximum(jnp.sum(tasks.weight), 1)

    def loss(params: Any, chunk: Tasks | SearchTasks) -> jax.Array:
        params = _learning(config, params, jax.lax.stop_gradient(params))
        each = losses(config, params, chunk).mean(-1)
        return jnp.sum(each * chunk.weight) / total

    def add(carry: Any, chunk: Tasks | SearchTasks) -> tuple[Any, None]:
        step = jax.value_and_grad(loss)(params, chunk)
        return jax.tree.map(jnp.add, carry, step), None

    zero = jax.tree.map(jnp.zeros_like, (total, params))
    return jax.lax.scan(add, zero, split)[0]


def _tasks(
    config: TrainConfig, drawn: Curves | Searches, key: jax.Array
) -> Tasks | SearchTasks:
    """What is asked about curves, or about the runs of searches."""
    if isinstance(drawn, Searches):
        return make_search_tasks(key, drawn, config.cutoffs, config.targets)
    context, best = config.model.context, config.model.best
    return make_tasks(key, drawn, config.targets, context, config.augment, best)


def train_step(
    config: TrainConfig, feeds: Sequence[Feed], state: TrainState, key: jax.Array
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step on freshly drawn curves.

    Args:
        config: the run.
        feeds: where curves come from; one of them is taken at random.
        state: before the step; its `step` is folded into the key.
        key: of the whole run.

    Returns:
        The state after it, and scalars "loss" (nats per target), "grad_norm" and
        "curves" (how many it saw).
    """
    key = jax.random.fold_in(key, state.step)
    key_curves, key_tasks = jax.random.split(key)

    def learn(feed: Feed) -> tuple[jax.Array, Any]:
        # The short floats of an accelerator's products would be noise on the curves.
        with jax.default_matmul_precision("highest"):
            drawn = feed.source(key_curves, feed.rows)
            tasks = _tasks(config, drawn, key_tasks)
        return gradients(config, state.params, tasks)

    odds = jnp.array([float(feed.odds) for feed in feeds])
    taken = jax.random.categorical(jax.random.fold_in(key, 1), jnp.log(odds))
    loss, grads = jax.lax.switch(taken, [partial(learn, feed) for feed in feeds])
    curves = jnp.array([feed.rows * feed.runs for feed in feeds])[taken]
    updates, opt = optimizer(config).update(grads, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    # A young average forgets its start: its horizon is a tenth of its age at most.
    span = jnp.minimum(config.average, 1 + state.step / 10)
    average = optax.incremental_update(params, state.average, 1 / span)
    average = _learning(config, average, state.average)
    norm = optax.global_norm(grads)
    metrics = {"loss": loss, "grad_norm": norm, "curves": curves}
    # A step that overflowed changes nothing.
    fine = jnp.isfinite(loss + norm)
    params, opt, average = jax.tree.map(
        lambda new, old: jnp.where(fine, new, old),
        (params, opt, average),
        (state.params, state.optimizer, state.average),
    )
    return TrainState(state.step + 1, params, opt, average), metrics
