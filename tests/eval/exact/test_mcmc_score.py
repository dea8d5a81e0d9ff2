"""Scores by MCMC: paired differences, curves left out, and what a second start does."""

import json

import jax
import numpy as np
import pytest

import lcpfn
from lcpfn.eval.exact import mcmc_score, prior_score
from lcpfn.eval.exact.mcmc import Settings
from lcpfn.eval.exact.mcmc_score import CUTOFFS
from lcpfn.eval.exact.prior_score import ORACLE

TINY = Settings("ensemble", chains=30, warmup=4, samples=8, thin=2)


def made_up(unconverged):
    gap = {str(c): [-0.1, -0.2, -0.3, -0.4] for c in CUTOFFS}
    return {
        "checkpoint": "mine",
        "curves": 4,
        "checkpoint_curves": 9,
        "samplers": {"nuts": {"chains": 8, "samples": 200}},
        "score": [{"log_prob": 2.0, "standard_error": 0.1}] * 4,
        "gap_to_oracle": gap,
        "stages": {
            f"nuts {c}": {
                "gap_to_oracle": [-0.2, -0.2, -0.2, -0.9],
                "unconverged": unconverged,
            }
            for c in CUTOFFS
        },
        "seconds": {
            "model": {"alone": 0.01, "batch": 0.001},
            "nuts": {"alone": 0.5, "batch": 0.4},
        },
    }


def test_differences_are_paired_and_given_without_the_unconverged():
    lines = mcmc_score.to_markdown(made_up([3])).split("\n")
    _, _, nuts, ours, many, minus, agree = lines
    score = ORACLE["lcpfn"] - np.mean([0.2, 0.2, 0.2, 0.9])
    assert nuts.startswith(f"| NUTS, 8 x 200 | {score:.3f} ± ")
    assert nuts.endswith("| 0.5 | 0.4 |")
    assert f"| {ORACLE['lcpfn'] - 0.25:.3f} ± " in ours
    assert "2.000 ± 0.100" in many
    gain = np.array([0.1, 0.0, -0.1, 0.5])
    error = gain.std(ddof=1) / 2
    assert f"| {gain.mean():+.3f} ± {error:.3f} |" in minus
    assert minus.endswith("| 50 x as fast | 400 x as fast |")
    assert f"| {0:+.3f} ± {0.1 / np.sqrt(3):.3f} (3) |" in agree


def test_no_difference_is_made_of_a_single_curve():
    agree = mcmc_score.to_markdown(made_up([0, 1, 2])).split("\n")[-1]
    assert agree.count("| - (1) ") == len(CUTOFFS)


@pytest.mark.slow
def test_finished_stages_are_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mcmc_score, "CANDIDATES", 2048)
    monkeypatch.setattr(prior_score, "CHUNK", 8)
    monkeypatch.setattr(mcmc_score, "CALLS", 1)
    monkeypatch.setattr(mcmc_score, "BATCH_CALLS", 1)
    model, out = lcpfn.load("domhan"), tmp_path / "mcmc.json"
    results = mcmc_score.mcmc_score(model, 3, 8, out, (TINY,))
    assert json.loads(out.read_text()) == results
    assert set(results["stages"]) == {f"ensemble {c}" for c in CUTOFFS}
    for found in results["stages"].values():
        assert len(found["gap_to_oracle"]) == len(found["rhat"]) == 3
        assert found["unconverged"] == [
            i for i, rhat in enumerate(found["rhat"]) if rhat > 1.1
        ]
    assert mcmc_score.to_markdown(results)
    # One stage and the seconds are missing: only they are made.
    short = results | {"stages": dict(results["stages"])}
    del short["stages"]["ensemble 40"], short["seconds"]
    short["stages"]["ensemble 10"] = "kept"
    out.write_text(json.dumps(short))
    run, stage = [], mcmc_score.stage
    monkeypatch.setattr(
        mcmc_score, "stage", lambda name, *a: run.append(name) or stage(name, *a)
    )
    again = mcmc_score.mcmc_score(model, 3, 8, out, (TINY,))
    assert run == ["ensemble 40"]
    assert again["stages"]["ensemble 10"] == "kept"
    assert set(again["seconds"]) == {"model", "ensemble"}
    assert jax.tree.all(jax.tree.map(lambda x: x > 0, again["seconds"]))
    # What the samplers did is kept for another checkpoint, what the network did is not.
    old = again | {"checksum": "another", "score": [], "gap_to_oracle": {}}
    out.write_text(json.dumps(old))
    anew = mcmc_score.mcmc_score(model, 3, 8, out, (TINY,))
    assert run == ["ensemble 40"]
    for key in ("checksum", "score", "gap_to_oracle", "stages"):
        assert anew[key] == again[key]
