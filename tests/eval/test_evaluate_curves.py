"""Scores over tasks and suites: clusters, pairs, ranks, corrections, the table."""

import json

import numpy as np
import pytest
from scipy import stats

import lcpfn
from lcpfn.__main__ import main
from lcpfn.curves import CurveSet, Run
from lcpfn.eval import method_ranks, paired, recalibrate, run_ordering, scores
from lcpfn.eval.baselines import last_value, least_squares
from lcpfn.eval.curves import measure, of_model, summarise
from lcpfn.eval.data import final_value_cases, query
from lcpfn.eval.evaluate_curves import cases_of, evaluate_curves
from lcpfn.mixture import Mixture
from lcpfn.model import Model


def powers(name, tasks=3, runs=6, records=20, seed=0, bounds=(0.0, 1.0)):
    """Noisy power laws, each task with an end of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, records + 1)
    found = []
    for task in range(tasks):
        end = rng.uniform(0.1, 0.3)
        for i in range(runs):
            y = end + 0.1 * rng.random() + 0.5 * t ** -rng.uniform(0.4, 1.0)
            y = y + 0.003 * rng.normal(size=records)
            found.append(Run(f"{task}/{i}", t, y, "min", bounds, f"task {task}", "m"))
    flat = Run("flat", t, np.full(records, 0.5), "min", bounds, "task 0", "m")
    worse = Run("worse", t, 0.1 + 0.01 * t, "min", bounds, "task 1", "m")
    return CurveSet(name, (*found, flat, worse))


def gaussians(mean, std):
    mean = np.asarray(mean, float)[:, None]
    free = np.full(len(mean), np.inf)
    return Mixture(np.ones_like(mean), mean, np.full_like(mean, std), -free, free)


@pytest.fixture(scope="module")
def named(params, model):
    card = {"metric": {"hard_bounds": True}, "checksum": "sha256:0123456789"}
    return Model(params, model.config, card)


@pytest.fixture(scope="module")
def results(named):
    return evaluate_curves([named], [powers("one"), powers("two", seed=1)])


# --- standard errors


def test_clustered_error_is_that_of_a_bootstrap_over_clusters():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, size=80)
    cluster = np.repeat(np.arange(80), sizes)
    x = rng.normal(size=80)[cluster] + 0.3 * rng.normal(size=len(cluster))
    sums, rows = np.bincount(cluster, x), np.arange(80)
    means = []
    for _ in range(4000):
        drawn = rng.choice(rows, 80)
        means.append(sums[drawn].sum() / sizes[drawn].sum())
    found = scores.clustered_error(x, cluster)
    assert found == pytest.approx(np.std(means), rel=0.1)
    assert found > 1.5 * scores.clustered_error(x)


def test_without_clusters_it_is_the_usual_one():
    x = np.random.default_rng(1).normal(size=50)
    assert scores.clustered_error(x) == pytest.approx(stats.sem(x))
    assert np.isnan(scores.clustered_error(x, np.zeros(50)))


def test_copies_of_a_case_do_not_make_a_ratio_more_certain():
    rng = np.random.default_rng(2)
    a, b = rng.exponential(size=(2, 40))
    once = scores.ratio_with_error(a, b)
    thrice = scores.ratio_with_error(
        np.repeat(a, 3), np.repeat(b, 3), np.repeat(np.arange(40), 3)
    )
    assert thrice == pytest.approx(once)


# --- scores


def test_histogram_and_calibration_error_by_hand():
    pit = np.array([0.05, 0.15, 0.26, 0.95])
    np.testing.assert_allclose(
        scores.pit_histogram(pit, 4), [0.5, 0.25, 0.0, 0.25], atol=1e-12
    )
    # Shares below 1/4, 1/2, 3/4 are 1/2, 3/4, 3/4.
    assert scores.calibration_error(pit, 4) == pytest.approx((0.25 + 0.25 + 0) / 3)
    uniform = (np.arange(1000) + 0.5) / 1000
    assert max(scores.calibration_errors(uniform).values()) < 0.001


def test_crps_of_bent_levels_is_that_of_the_distribution_they_make():
    y = np.array([0.3, 2.0])
    plain = gaussians([0.0, 1.0], 1.0)
    # The maximum of two draws has the squared distribution function.
    rng = np.random.default_rng(3)
    draws = np.array([0.0, 1.0]) + rng.normal(size=(2, 100_000, 2)).max(0)
    apart = np.abs(draws[:50_000] - draws[50_000:]).mean(0)
    expected = np.abs(draws - y).mean(0) - 0.5 * apart
    found = scores.crps(plain, y, bend=lambda u: u**2)
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_all_predicted_alike_is_no_order():
    found = scores.rank_scores(np.ones(6), np.arange(6.0))
    assert found["kendall"] == found["spearman"] == 0


# --- pairs


def test_a_paired_difference_is_certain_where_all_tasks_agree():
    cases = final_value_cases(powers("p", tasks=6))
    n = len(cases)
    rng = np.random.default_rng(4)
    last = np.ones(n)
    ours = {"error": rng.random(n), "crps": rng.random(n), "last_error": last}
    other = {
        "error": ours["error"] + 0.1 + 0.01 * rng.random(n),
        "crps": ours["crps"] + rng.normal(size=n),
    }
    found = paired.compare(cases, ours, other)
    row = found["p"]["40"]
    assert row["tasks"] == 6
    assert row["error"] == pytest.approx(0.105, abs=0.005)
    assert row["error_t"] == pytest.approx(2.5706, abs=1e-3)
    told = paired.tally(found)
    assert told["error"]["better"] == told["error"]["cells"] == 4
    swapped = paired.tally(paired.compare(cases, ours | other, ours))
    assert swapped["error"]["worse_at"] == [f"p at {c} %" for c in (10, 20, 40, 80)]
    assert told["crps"]["better"] + told["crps"]["worse"] <= 1


# --- ranking runs of a task


def test_runs_are_ranked_task_by_task_and_in_the_direction_of_the_metric():
    up = CurveSet(
        "up",
        tuple(
            Run(str(i), np.arange(1.0, 13), np.linspace(0, end, 12), "max", task=task)
            for task, ends in (("a", [0.2, 0.4, 0.6, 0.8, 0.9]), ("b", [0.3, 0.5]))
            for i, end in enumerate(ends)
        ),
    )
    cases = [case for case in final_value_cases(up) if case.percent == 20]
    truth = np.array([case.truth for case in cases])
    right = run_ordering.rank_tasks(cases, {"median": truth})
    wrong = run_ordering.rank_tasks(cases, {"median": -truth})
    assert right["suites"]["up"]["20"]["tasks"] == 1  # "b" has too few runs
    assert right["overall"]["all"] == pytest.approx(
        {"kendall": 1, "spearman": 1, "regret": 0, "ndcg": 1}
    )
    assert wrong["overall"]["all"]["kendall"] == pytest.approx(-1)
    # Of the three worst the best is 0.6, of a range from 0.2 to 0.9.
    assert wrong["overall"]["all"]["regret"] == pytest.approx(0.3 / 0.7)


# --- LC-PFN's protocol


def test_ranks_by_hand():
    cases = final_value_cases(powers("p", tasks=2, runs=2), method_ranks.PERCENTS)
    n = len(cases)
    best, same = np.zeros((2, n)), np.ones((2, n))
    found = method_ranks.rank_methods(cases, {"best": best, "one": same, "other": same})
    for cutoff in map(str, method_ranks.PERCENTS):
        assert found["best"]["suites"]["p"][cutoff]["log_prob_rank"] == 1
        assert found["one"]["overall"][cutoff]["error_rank"] == 2.5
    assert found["other"]["overall"]["all"] == found["one"]["overall"]["all"]


def test_later_records_are_queried_to_the_end_and_never_too_many():
    cases = final_value_cases(powers("p", records=60), (10, 90))
    for case in cases:
        steps, values = query(case, method_ranks.TARGETS)
        assert len(steps) == (method_ranks.TARGETS if case.percent == 10 else 6)
        assert steps[0] > case.steps[-1]
        assert steps[-1] == case.horizon
        assert values[-1] == case.truth


def test_scores_that_are_ranked():
    cases = final_value_cases(powers("p"), (50,))[:3]
    later = [query(case, method_ranks.TARGETS)[1] for case in cases]
    measured = method_ranks.measure(cases, gaussians(np.concatenate(later) + 0.1, 0.1))
    np.testing.assert_allclose(measured[0], -stats.norm.logpdf(1, scale=1) - np.log(10))
    np.testing.assert_allclose(measured[1], 0.01)


def test_a_rule_forecasts_every_later_record(named):
    curves = powers("p", records=30)
    cases = final_value_cases(curves, method_ranks.PERCENTS)
    some, targets = cases[:12], method_ranks.TARGETS
    for method in (
        last_value.across_tasks(cases, last_value.last_value, targets),
        least_squares.fitted("pow3"),
        of_model(named),
    ):
        forecast = method(some, targets)
        count = sum(len(query(case, targets)[0]) for case in some)
        assert forecast.mean.shape[0] == count
        assert np.isfinite(forecast.quantile(np.array(0.5))).all()


def test_forecasts_of_suites_in_turns_stay_with_their_cases():
    one, two = (final_value_cases(powers(n, seed=ord(n))) for n in ("a", "b"))
    method = last_value.across_tasks(one + two, last_value.last_value)
    mixed = [case for pair in zip(one, two, strict=True) for case in pair]
    apart = method(one + two).mean
    np.testing.assert_array_equal(
        method(mixed).mean.reshape(len(one), 2, -1),
        np.stack([apart[: len(one)], apart[len(one) :]], axis=1),
    )


# --- corrections of the spread


def test_a_spread_that_is_too_wide_everywhere_is_found_out_of_source():
    cases = [
        case
        for name in ("a", "b", "c")
        for case in final_value_cases(powers(name, tasks=4, runs=20, seed=ord(name)))
    ]
    rng = np.random.default_rng(5)
    truth = np.array([case.truth for case in cases])
    scale = np.array([case.scale for case in cases])
    off = 0.1 * scale * rng.normal(size=len(truth))
    forecast = gaussians(truth + off, 1.0)
    wide = forecast._replace(std=0.17 * scale[:, None])
    study = recalibrate.study(cases, wide, np.ones(len(cases)))
    before = study["scores"]["as it is"]["all"]
    for name in ("spread", "levels"):
        after = study["scores"][f"{name}, left-out source"]["all"]
        assert after["calibration_error"] < 0.5 * before["calibration_error"]
        assert after["covered_90"] == pytest.approx(0.9, abs=0.04)
        assert after["log_prob"] > before["log_prob"] + 0.05
        assert after["gain"] > 2 * after["gain_se"]
    for low, high in study["factors"]["source"].values():
        assert 0.45 < low <= high < 0.75


def test_nothing_is_left_out_that_is_also_held_in():
    cases = [c for n in ("a", "b") for c in final_value_cases(powers(n))]
    for by in ("source", "task"):
        for held_in, held_out in recalibrate.splits(cases, by):
            name = (lambda c: c.suite) if by == "source" else (lambda c: c.cluster)
            left = {name(cases[i]) for i in held_out}
            assert len(left) == 1
            assert not left & {name(cases[i]) for i in held_in}
            assert len({cases[i].percent for i in (*held_in, *held_out)}) == 1


# --- the whole


def test_every_method_has_every_score(results, named):
    assert results["checksum"] == named.card["checksum"]
    fits = {"pow3", "pow4", "mmf4", "ilog2"}
    assert fits < set(results["methods"])
    for method in results["methods"].values():
        row = method["overall"]["all"]
        assert 0 < row["crps_ratio"] < 100
        assert sum(row["pit_histogram"]) == pytest.approx(1, abs=2e-3)
        assert set(method["suites"]) == {"one", "two"}
    ranks = [m["overall"]["all"] for m in results["method_ranks"]["methods"].values()]
    mean = np.mean([row["error_rank"] for row in ranks])
    assert mean == pytest.approx((len(ranks) + 1) / 2)
    assert results["cases"]["flat"] == results["cases"]["diverged"] == 8
    assert len(results["tasks"]) == 6
    rows = [row["40"] for task, row in results["tasks"].items() if "one" in task]
    assert sum(row["cases"] for row in rows) == 18
    power, last = (results["methods"][name] for name in ("pow3", "last value"))
    assert power["overall"]["80"]["error_ratio"] < 2
    assert last["paired_difference"]["one"]["40"]["tasks"] == 3


def test_overall_is_what_the_columns_say(named):
    cases = cases_of([powers("one")], 400)["normal"]
    columns = measure(cases, of_model(named)(cases))
    row = summarise(cases, columns)["suites"]["one"]["20"]
    at = np.array([case.percent == 20 for case in cases])
    raw = columns["log_prob"][at] - np.log([c.scale for c in cases if c.percent == 20])
    assert row["median_log_prob_metric_units"] == pytest.approx(np.median(raw))


def test_checkpoints_of_one_name_are_refused(named):
    with pytest.raises(ValueError, match="one name"):
        evaluate_curves([named, named], [powers("one")])


def test_a_suite_without_questions_is_refused(named):
    short = CurveSet("short", tuple(r for r in powers("x", records=5).runs))
    with pytest.raises(ValueError, match="short has no run"):
        evaluate_curves([named], [short])


def test_the_command_writes_what_it_is_asked_for(named, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lcpfn, "load", lambda name=None: named)
    runs = [
        {"name": run.name, "values": run.values.tolist()}
        for run in powers("x", tasks=1).runs
    ]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    out, text = tmp_path / "deep" / "r.json", tmp_path / "r.md"
    asked = ["evaluate", "curves", str(tmp_path / "runs.json"), "--mode", "min"]
    asked += ["--no-fits", "--out", str(out), "--markdown", str(text)]
    assert main(asked) == 0
    found = json.loads(out.read_text(), parse_constant=pytest.fail)
    # One task says nothing of how sure one can be.
    assert found["methods"]["unsaved"]["suites"]["runs"]["40"]["crps_ratio_se"] is None
    assert "## Calibration and sharpness" in text.read_text()
    assert capsys.readouterr().out.strip() == text.read_text().strip()


@pytest.mark.parametrize("words", [[], ["default"]])
def test_a_protocol_must_be_chosen(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *words])
    assert caught.value.code == 2
    assert "{curves,stopping,prior,speed}" in capsys.readouterr().err


def test_a_page_about_a_prior_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "prior", "--html", "page.html"])
    assert caught.value.code == 2
    assert "--html" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["curves", "stopping", "prior", "speed"])
def test_every_protocol_has_a_page_of_help(protocol, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", protocol, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "columns of the" in shown
    assert f"example:\n  lcpfn evaluate {protocol} " in shown
    assert 20 < len(shown.splitlines()) <= 50
