"""Training of what a network makes of planned learning rates, and of nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lcpfn import checkpoint, network
from lcpfn.config import ModelConfig
from lcpfn.plan import PLAN_FEATURES, features_of, plan_of
from lcpfn.priors import PRIORS
from lcpfn.priors.load import site_names
from lcpfn.seen_curve import Context
from lcpfn.train.batches import Curves, make_tasks
from lcpfn.train.config import TrainConfig
from lcpfn.train.data import make_feeds
from lcpfn.train.fit import fit
from lcpfn.train.validate import UNCHANGED
from tests.makers import FALLING

SIZE = {"width": 8, "layers": 1, "heads": 1, "hidden": 8, "head_hidden": 8}
MODEL = ModelConfig(**SIZE, components=2, context=16)


CONFIG = TrainConfig(
    prior=FALLING,
    planned=True,
    lengths=(16,),
    model=dataclasses.replace(MODEL, plan=4),
    steps=4,
    batch=8,
    validation=16,
    log_every=2,
    save_every=2,
    learning_rate=0.1,
)
CARD = {
    "checksum": "sha256:0",
    "metric": {"hard_bounds": True},
    "training": {"prior": "broad"},
    "note": "old",
}
STEPS = jnp.arange(1.0, 13)
RATE = jnp.linspace(1.0, 0.1, 12)
CURVES = Curves(
    *(jnp.exp(-STEPS / 5)[None], STEPS[None], jnp.array([12])),
    *(jnp.array([-jnp.inf]), jnp.array([jnp.inf]), jnp.ones(1), RATE[None]),
)
made = jax.jit(make_tasks, static_argnums=(2, 3, 4), static_argnames="best")


@pytest.fixture(scope="module")
def start():
    return jax.tree.map(np.asarray, network.init(MODEL, jax.random.key(1)))


def test_all_but_what_knows_plans_stays_to_the_last_bit(start, tmp_path):
    release = fit(CONFIG, tmp_path, start=start, card=CARD, progress=False)
    params, model, card = checkpoint.restore(release)
    assert set(params) - set(start) == {"planned"}
    jax.tree.map(
        np.testing.assert_array_equal, {name: params[name] for name in start}, start
    )
    assert np.abs(params["planned"]["down"]["kernel"]).max() > 0  # zero at first
    assert model.plan == 4
    # The card is that of the weights it began with, and says how the part was trained.
    kept = set(CARD) - {"checksum"}
    assert {name: card[name] for name in kept} == {name: CARD[name] for name in kept}
    assert card["planned"]["of"] == CARD["checksum"]
    assert card["planned"]["training"]["prior"] == CONFIG.prior
    assert card["planned"]["figures"]["step"] == 4


def test_what_was_known_of_plans_is_learned_anew(start, tmp_path):
    first = fit(CONFIG, tmp_path / "first", start=start, card=CARD, progress=False)
    params, _, card = checkpoint.restore(first)
    again = fit(CONFIG, tmp_path / "again", start=params, card=card, progress=False)
    found, _, about = checkpoint.restore(again)
    jax.tree.map(np.testing.assert_array_equal, found, params)
    assert about["planned"]["of"] == CARD["checksum"]


def test_a_part_of_no_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match="give the weights to begin with"):
        fit(CONFIG, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_prior_that_knows_no_rates_is_refused():
    with pytest.raises(ValueError, match=r"prior lcpfn does not say .*deterministic"):
        make_feeds(dataclasses.replace(CONFIG, lengths=()), PRIORS["lcpfn"])
    assert "rate" in site_names(PRIORS["scheduled"])


def test_tasks_are_told_what_the_runtime_tells():
    tasks = made(jax.random.key(0), CURVES, 3, 16, UNCHANGED, best=True)
    assert tasks.plan.shape == (1, 12, 4, PLAN_FEATURES)
    for cutoff in (0, 5, 10):
        seen = np.asarray(STEPS[: cutoff + 1], float)
        plan = plan_of(np.asarray(RATE, float), 12.0)
        context = Context(seen, seen, 0, 0, 12.0, plan=plan)
        aims = np.asarray(STEPS, float)[np.asarray(tasks.target[0, cutoff])]
        np.testing.assert_allclose(
            tasks.plan[0, cutoff], features_of([context], aims[None])[0], atol=1e-4
        )


def test_a_horizon_that_lies_earlier_ends_the_plan():
    shorter = dataclasses.replace(UNCHANGED, shortened=1.0)
    tasks = made(jax.random.key(3), CURVES, 3, 16, shorter, best=True)
    end = int(tasks.target[0, 0, 0])
    assert end < 11
    told = np.exp(2 * np.asarray(tasks.plan[0, 0, 0]))
    assert told[2] == pytest.approx(float(RATE[end]), rel=1e-4)
    assert told[1] == pytest.approx(told[2])
