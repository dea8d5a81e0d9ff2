import jax
import numpy as np
import pytest

from lcpfn.config import ModelConfig
from lcpfn.eval.speed import reference_network, reference_prior
from lcpfn.eval.speed.bench import bench, to_markdown
from lcpfn.eval.speed.fresh import fresh_process
from lcpfn.eval.speed.measure import Row, more_is_better
from lcpfn.model import Model
from lcpfn.network import init

SMALL = reference_network.ReferenceConfig(
    layers=2, width=32, hidden=64, heads=2, bins=20
)


@pytest.fixture(scope="module")
def network():
    return reference_network.init(SMALL, jax.random.key(0))


def question(cutoff=10, tokens=30):
    steps = np.arange(1.0, tokens + 1, dtype=np.float32)[None]
    values = np.linspace(0.3, 0.7, tokens, dtype=np.float32)[None]
    return steps, values, np.arange(tokens)[None] < cutoff


def test_the_reference_network_has_the_size_of_the_paper():
    shapes = jax.eval_shape(
        lambda: reference_network.init(
            reference_network.ReferenceConfig(), jax.random.key(0)
        )
    )
    assert 25e6 < sum(leaf.size for leaf in jax.tree.leaves(shapes)) < 28e6


def test_queries_do_not_see_each_other(network):
    steps, values, observed = question()
    before = reference_network.apply(SMALL, network, steps, values, observed)
    moved = steps.copy()
    moved[0, 20:] += 5
    after = reference_network.apply(SMALL, network, moved, values, observed)
    np.testing.assert_allclose(after[:, :20], before[:, :20], atol=1e-5)
    assert np.abs(after[:, 20:] - before[:, 20:]).max() > 1e-3


def test_queries_do_not_see_the_values_to_be_predicted(network):
    steps, values, observed = question()
    before = reference_network.apply(SMALL, network, steps, values, observed)
    changed = np.where(observed, values, np.float32(0.9))
    after = reference_network.apply(SMALL, network, steps, changed, observed)
    np.testing.assert_array_equal(after, before)


def test_order_of_the_context_does_not_matter(network):
    steps, values, observed = question()
    order = np.append(np.arange(10)[::-1], np.arange(10, 30))
    before = reference_network.apply(SMALL, network, steps, values, observed, first=10)
    after = reference_network.apply(
        SMALL, network, steps[:, order], values[:, order], observed, first=10
    )
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_padding_of_the_context_changes_nothing(network):
    steps, values, observed = question()
    short = reference_network.apply(SMALL, network, steps, values, observed)
    padded = (np.pad(x, ((0, 0), (0, 7))) for x in (steps, values, observed))
    long = reference_network.apply(SMALL, network, *padded)
    np.testing.assert_allclose(long[:, :30], short, atol=1e-5)


def test_one_step_down_the_gradient_lowers_the_loss(network):
    y = reference_prior.draw(np.random.default_rng(0), 8, 30).astype(np.float32)
    steps = np.broadcast_to(np.arange(1, 31, dtype=np.float32), y.shape)
    loss, slope = reference_network.gradients(SMALL, network, steps, y, cutoff=10)
    better = jax.tree.map(lambda p, g: p - 0.01 * g, network, slope)
    assert reference_network.gradients(SMALL, better, steps, y, cutoff=10)[0] < loss


def test_the_reference_prior_obeys_its_rules():
    rng, t = np.random.default_rng(0), np.arange(1.0, 101)
    tried = [reference_prior.candidate(rng, t) for _ in range(2000)]
    curves = np.array([curve for curve in tried if curve is not None])
    assert 0.17 < len(curves) / len(tried) < 0.26
    assert (curves[:, -1] > curves[:, 0]).all()
    assert ((curves >= 0) & (curves <= 1)).all()
    y = reference_prior.draw(rng, 400)
    assert y.shape == (400, 100)
    # Curves are smooth but for their first steps.
    sigma = np.diff(y[:, 20:], 2).std(1) / 6**0.5
    assert abs(np.log(sigma).mean() + 4) < 0.2
    assert abs(np.log(sigma).std() - 1) < 0.2


def test_the_same_generator_draws_the_same_curves():
    one, two = (reference_prior.draw(np.random.default_rng(3), 5) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_row_knows_which_way_is_better():
    assert Row("a", "b", 2.0, "ms", "c", 8.0, goal=4).met
    assert not Row("a", "b", 2.0, "ms", "c", 8.0, goal=4, limit=1).met
    row = Row("a", "b", 8.0, "curves/s", "c", 2.0)
    assert row.ratio == 4
    assert row.met is None
    assert row._replace(limit=7).met
    assert not row._replace(limit=9).met


def test_a_failing_process_says_why():
    with pytest.raises(RuntimeError, match="no_such_thing"):
        fresh_process("no_such_thing")


def test_a_process_answers_with_a_line():
    took, answer = fresh_process("import_lcpfn")
    assert answer is None
    assert 0 < took < 60


@pytest.mark.slow
def test_every_figure_is_measured():
    config = ModelConfig(
        width=32, layers=2, heads=2, hidden=64, head_hidden=32, components=8
    )
    model = Model(init(config, jax.random.key(0)), config, {})
    results = bench(model, quick=True)
    groups = {row["figure"] for row in results["rows"]}
    assert groups == {
        *("streaming", "batched", "search", "prior", "training", "memory", "start"),
        *("growth", "Optuna"),
    }
    for row in results["rows"]:
        numbers = np.array([row["value"], row["reference"], row["ratio"]])
        assert np.isfinite(numbers).all(), row
        assert (numbers > 0).all(), row
        assert row["met"] == Row(**{k: row[k] for k in Row._fields}).met
    text = to_markdown(results)
    assert text.count("\n| ") == len(results["rows"]) + 1
    assert text.count("x | met |") + text.count("**not met**") >= 1
    rows = results["rows"]
    wanted = sum(row["goal"] is not None for row in rows) + sum(
        row["limit"] is not None and more_is_better(row["unit"]) for row in rows
    )
    assert text.count(">= ") == wanted
