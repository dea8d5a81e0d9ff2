"""Few-shot search: a supernet is split, and its parts are the runs of a `Study`.

In a supernet all cells share their weights; every step trains a random cell. Parts of
it are supernets of fewer operations, which go on from its weights and disturb each
other less. It is split on the edge, and into the two groups of operations, whose
gradients agree least, half by half again (Hu et al. 2022, "Generalizing few-shot NAS
with gradient matching", arXiv 2203.15207). The cell that the best part finds best is
what the search has found; what it is worth says the table of trained cells.

S parts, E edges, O operations.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lcpfn.curves import Run
from lcpfn.eval.nas import network, training
from lcpfn.eval.nas.asked import over_draws
from lcpfn.eval.nas.cells import Recorded
from lcpfn.eval.nas.search import as_task_runs, freeze_thaw
from lcpfn.eval.nas.space import EDGES, FIELDS, OPERATIONS
from lcpfn.eval.stopping.simulate import simulate, without_forecasts
from lcpfn.eval.tables import columns_table
from lcpfn.model import Model

LEVELS = 3  # of halving: eight parts
WHOLE_EPOCHS, PART_EPOCHS = 10, 20
LOOKED_AT = 5  # cells whose mean accuracy is a supernet's metric
SAMPLES = 4  # cells over which a gradient is averaged
TOGETHER = 50


_look = jax.jit(jax.vmap(training.accuracy, (None, 0, None)))


class Part(NamedTuple):
    """A supernet of some of the operations.

    Attributes:
        allowed: which operations each edge may have `(E, O)`.
        config: to which half of each split it belongs, by edge.
    """

    allowed: np.ndarray
    config: dict[str, str]


def sample(key: jax.Array, allowed: jax.Array) -> jax.Array:
    """A random cell of those allowed, one-hot `(E, O)`."""
    chosen = jax.random.categorical(key, jnp.where(allowed, 0.0, -jnp.inf))
    return jax.nn.one_hot(chosen, len(OPERATIONS))


@functools.partial(jax.jit, static_argnames="epochs")
def train(
    key: jax.Array, params: Any, allowed: jax.Array, parts: training.Parts, epochs: int
) -> tuple[Any, jax.Array]:
    """Trains supernets side by side.

    Args:
        key: of order and cells.
        params: weights to begin with `(S, ...)`.
        allowed: of each `(S, E, O)`.
        parts: the digits.
        epochs: how many.

    Returns:
        Weights, and the mean validation accuracy of some cells `(S, epochs)`.
    """

    def one(key: jax.Array, params: Any, allowed: jax.Array) -> tuple[Any, jax.Array]:
        draw = lambda key, n: jax.vmap(sample, (0, None))(
            jax.random.split(key, n), allowed
        )
        first, rest = jax.random.split(key)
        looked_at = draw(first, LOOKED_AT)

        def epoch(state: training.State, key: jax.Array) -> tuple[Any, jax.Array]:
            order, choice = jax.random.split(key)
            cells = draw(choice, training.STEPS)
            state = training.train_epoch(state, cells, parts.train, order, epochs)
            return state, _look(state.params, looked_at, parts.valid).mean()

        state = training.begin(params, epochs)
        state, curve = jax.lax.scan(epoch, state, jax.random.split(rest, epochs))
        return state.params, curve

    return jax.vmap(one)(jax.random.split(key, len(allowed)), params, allowed)


@jax.jit
def gradients(
    key: jax.Array, params: Any, allowed: jax.Array, some: training.Images
) -> jax.Array:
    """Of the loss with every operation on every edge, over random rests `(E, O, D)`."""

    def one(operations: jax.Array) -> jax.Array:
        def loss(params: Any) -> jax.Array:
            logits = network.apply(params, operations, some.images).logits
            return network.loss_of(logits, some.labels)

        leaves = jax.tree.leaves(jax.grad(loss)(params))
        return jnp.concatenate([leaf.ravel() for leaf in leaves])

    keys = jax.random.split(key, SAMPLES)
    rests = jax.vmap(sample, (0, None))(keys, allowed)
    fixed = lambda e, o: rests.at[:, e].set(jnp.eye(len(OPERATIONS))[o])
    mean = lambda e, o: jax.lax.map(one, fixed(e, o)).mean(0)
    every = jnp.indices((len(EDGES), len(OPERATIONS))).reshape(2, -1)
    found = jax.lax.map(lambda pair: mean(*pair), tuple(every))
    return found.reshape(len(EDGES), len(OPERATIONS), -1)


def halves(slopes: np.ndarray, allowed: np.ndarray) -> tuple[int, np.ndarray, float]:
    """The edge to split, the operations of one half `(O,)`, and how alike halves are.

    Args:
        slopes: from `gradients` `(E, O, D)`.
        allowed: operations of the supernet `(E, O)`.
    """
    unit = slopes / (np.linalg.norm(slopes, axis=-1, keepdims=True) + 1e-12)
    best = (-1, np.zeros(allowed.shape[1], bool), np.inf)
    for edge, alike in enumerate(unit @ unit.transpose(0, 2, 1)):
        names = np.flatnonzero(allowed[edge])
        for some in itertools.combinations(names, len(names) // 2):
            half = np.isin(np.arange(allowed.shape[1]), some)
            rest = allowed[edge] & ~half
            if half.any() and (cut := float(alike[half][:, rest].mean())) < best[2]:
                best = edge, half, cut
    return best


def split(
    key: jax.Array, params: Any, part: Part, some: training.Images, levels: int
) -> list[Part]:
    """Parts of a supernet, halved so often."""
    if not levels:
        return [part]
    here, *rest = jax.random.split(key, 3)
    slopes = np.asarray(gradients(here, params, part.allowed, some))
    edge, half, _ = halves(slopes, part.allowed)
    found = []
    for name, operations, below in zip("ab", (half, ~half), rest, strict=True):
        allowed = part.allowed.copy()
        allowed[edge] &= operations
        before = part.config.get(FIELDS[edge], "")
        config = part.config | {FIELDS[edge]: before + name}
        found += split(below, params, Part(allowed, config), some, levels - 1)
    return found


def picks(params: Any, parts: Sequence[Part], cells: Recorded) -> list[int]:
    """The cell that each of some supernets finds best; -1 where none of it is there.

    Args:
        params: weights of the parts `(S, ...)`.
        parts: S of them.
        cells: to choose from.
    """
    operations, valid = network.one_hot(cells.cells), training.load().valid
    found = []
    for k, part in enumerate(parts):
        inside = (operations * part.allowed).sum((1, 2)) == len(EDGES)
        rows, right = np.flatnonzero(inside), list[float]()
        own = jax.tree.map(lambda x, k=k: x[k], params)
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            filled = operations[np.resize(some, TOGETHER)]
            right += _look(own, filled, valid)[: len(some)].tolist()
        found.append(int(rows[np.argmax(right)]) if len(rows) else -1)
    return found


def by_study(
    model: Model, curves: np.ndarray, configs: Sequence[Mapping[str, str]]
) -> tuple[int, int]:
    """Trains parts as a study says, on their recorded curves.

    Args:
        model: of the forecasts.
        curves: accuracy after every epoch `(S, epochs)`.
        configs: of the parts.

    Returns:
        Epochs spent, and the best of the parts that were trained to the end.
    """
    runs = [
        Run(y, config=config, mode="max", bounds=(0, 1))
        for y, config in zip(curves, configs, strict=True)
    ]
    (task_runs,) = without_forecasts("supernet", {"parts": runs})
    policy = freeze_thaw(model, len(runs))
    trace = simulate(task_runs, policy, np.arange(len(runs)))
    ended = [i for i, count in trace.trained.items() if count == curves.shape[1]]
    return trace.spent, max(ended, key=lambda i: curves[i, -1])


def few_shot(model: Model, cells: Recorded, seeds: int = 3) -> dict[str, Any]:
    """All parts trained, against parts trained as a study says, and one supernet.

    Returns:
        "epochs" of all parts, "epochs_study"; regrets of the cell found, from the best
        (0) to the median cell (1), "regret", "regret_study", "regret_whole" (one
        supernet, trained as long as a part), with standard errors over seeds.
    """
    rows = [_one_seed(model, cells, seed) for seed in range(seeds)]
    return {"seeds": seeds, "parts": 2**LEVELS} | over_draws(rows)


def _one_seed(model: Model, cells: Recorded, seed: int) -> dict[str, float]:
    parts, key = training.load(), jax.random.key(seed)
    begin, warm, cut, go = jax.random.split(key, 4)
    everything = Part(np.ones((len(EDGES), len(OPERATIONS)), bool), {})
    stacked = lambda params, n: jax.tree.map(lambda x: jnp.stack([x] * n), params)
    whole = stacked(network.init(begin), 1)
    whole, _ = train(warm, whole, everything.allowed[None], parts, WHOLE_EPOCHS)
    first = jax.tree.map(lambda x: x[0], whole)
    some = training.Images(*(x[: training.BATCH] for x in parts.train))
    found = split(cut, first, everything, some, LEVELS)
    allowed = np.stack([part.allowed for part in found])
    params, curves = train(go, stacked(first, len(found)), allowed, parts, PART_EPOCHS)
    one, _ = train(go, whole, everything.allowed[None], parts, PART_EPOCHS)
    task_runs, chosen = as_task_runs(cells), picks(params, found, cells)
    curves = np.asarray(curves, float)
    curves[[i for i, pick in enumerate(chosen) if pick < 0]] = 0.0
    spent, best = by_study(model, curves, [part.config for part in found])
    regret = lambda i: float(task_runs.regret(task_runs.runs[i].losses[-1]))
    return {
        "epochs": float(curves.size),
        "epochs_study": float(spent),
        "regret": regret(chosen[int(curves[:, -1].argmax())]),
        "regret_study": regret(chosen[best]),
        "regret_whole": regret(picks(one, [everything], cells)[0]),
    }


def to_markdown(found: Mapping[str, Any]) -> str:
    """Epochs and regret of the ways to train supernets."""
    whole = float(PART_EPOCHS)
    rows = [
        (("one supernet",), {"epochs": whole, "regret": found["regret_whole"]}),
        (("all parts",), {"epochs": found["epochs"], "regret": found["regret"]}),
        (
            ("parts as the study says",),
            {"epochs": found["epochs_study"], "regret": found["regret_study"]},
        ),
    ]
    columns = {"epochs after the split": "{epochs:.0f}", "regret": "{regret:.2f}"}
    return columns_table(("",), rows, columns)
