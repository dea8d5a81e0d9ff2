"""LC-PFN's Table 3 measured anew: MCMC and a checkpoint on the same curves.

Fresh curves of LC-PFN's prior at cutoffs of 10, 20, 40 and 80 %: mean log-density of
the unseen values (`lcpfn.eval.exact.prior_score`, whose control variate it takes), and
the seconds of one curve: medians of calls that take turns, so that a busy machine slows
all alike, compilation left out. MCMC is that of `lcpfn.eval.exact.posterior`: the
ensemble with the settings of Domhan et al., row M1 of the paper, and NUTS.

A curve whose chains do not agree stays in the score and is named in the results; the
difference to the checkpoint is also given without such curves.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from lcpfn.eval import scores
from lcpfn.eval.data import PERCENTS
from lcpfn.eval.exact import prior_score
from lcpfn.eval.exact.mcmc import Latents, Settings, make_bank
from lcpfn.eval.exact.posterior import (
    DOMHAN,
    NUTS,
    Posterior,
    diagnose,
    sample,
    unconverged,
)
from lcpfn.eval.exact.prior_score import ORACLE
from lcpfn.eval.report_tables import AT_CUTOFFS
from lcpfn.eval.speed import measure
from lcpfn.eval.tables import fill, table
from lcpfn.json_files import write_json
from lcpfn.model import Model
from lcpfn.priors import LCPFN_PRIOR

CUTOFFS = PERCENTS  # of curves of 100 steps
CANDIDATES = 2**16  # draws of the prior, of which a fifth are accepted
BATCH = 25  # curves sampled at a time
CALLS = 7  # of which the median is taken
BATCH_CALLS = 3
SAMPLERS = (DOMHAN, NUTS)
TITLES = {"ensemble": "ensemble MCMC", "nuts": "NUTS"}


def mcmc_score(
    model: Model,
    n: int = 200,
    checkpoint_curves: int = 4000,
    out: Path | None = None,
    samplers: tuple[Settings, ...] = SAMPLERS,
) -> dict[str, Any]:
    """Both samplers and a checkpoint trained on LC-PFN's prior.

    Args:
        model: the checkpoint.
        n: curves for MCMC, the first of `checkpoint_curves`.
        checkpoint_curves: curves for the checkpoint.
        out: written after every stage; of the same settings what it has is kept.
        samplers: settings of the references.

    Returns:
        JSON values: what `_of_checkpoint` says, "stages" -> sampler and cutoff -> what
        `stage` says, "seconds" of one curve.
    """
    results = _resumed(
        {
            "checkpoint": model.name,
            "checksum": model.card.get("checksum"),
            "curves": n,
            "checkpoint_curves": checkpoint_curves,
            "candidates": CANDIDATES,
            "samplers": {s.sampler: s._asdict() for s in samplers},
        },
        out,
    )
    drawn = prior_score.fresh(LCPFN_PRIOR, checkpoint_curves, seed=0)
    y, oracle = (x[:n] for x in drawn)
    if "score" not in results:
        results |= _of_checkpoint(model, checkpoint_curves, y, oracle)
    stages = results.setdefault("stages", {})
    names = {f"{s.sampler} {c}": (s, c) for s in samplers for c in CUTOFFS}
    if "seconds" in results and set(names) <= set(stages):
        return results
    bank = make_bank(LCPFN_PRIOR, jax.random.key(31415), CANDIDATES)
    known = {s.sampler: _sampler(s, bank) for s in samplers}
    for name, (settings, cutoff) in names.items():
        if name not in stages:
            stages[name] = stage(name, known[settings.sampler], (y, oracle), cutoff)
            _save(results, out)
    results["machine"] = measure.machine(jax.devices()[0])
    results["seconds"] = seconds(model, known, y)
    _save(results, out)
    return results


def _resumed(settings: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """What the file has of the same settings, or the settings alone.

    What samplers did is kept if it was for another checkpoint.
    """
    if out is None or not out.exists():
        return settings
    found = json.loads(out.read_text())
    other = {key for key in settings if found.get(key) != settings[key]}
    if not other:
        return found
    if other <= {"checkpoint", "checksum", "checkpoint_curves"}:
        return settings | {"stages": found.get("stages", {})}
    return settings


def _of_checkpoint(
    model: Model, count: int, y: np.ndarray, oracle: np.ndarray
) -> dict[str, Any]:
    """Score of the checkpoint on `count` curves, gap to the oracle on those of MCMC."""
    gaps = {
        str(cutoff): _gap(prior_score.log_prob(model, LCPFN_PRIOR, y, cutoff), oracle)
        for cutoff in CUTOFFS
    }
    score = prior_score.prior_score(model, count)["cutoffs"]
    return {"score": score, "gap_to_oracle": gaps}


def _save(results: dict[str, Any], out: Path | None) -> None:
    if out is not None:
        write_json(out, results, indent=None)


def _gap(log_q: np.ndarray, oracle: np.ndarray) -> list[float]:
    """Score of each curve above the oracle's, per unseen observation."""
    seen = oracle.shape[1] - log_q.shape[1]
    return np.round((log_q - oracle[:, seen:]).mean(1), 5).tolist()


# Posteriors of some curves `(size, length)` given a key and a cutoff.
Sampler = Callable[[jax.Array, np.ndarray, int], Posterior]


def _sampler(settings: Settings, bank: Latents) -> Sampler:
    """`sample`, a program for each number of curves that it is given."""

    def run(key: jax.Array, y: np.ndarray, cutoff: int) -> Posterior:
        keys, cut = jax.random.split(key, len(y)), jnp.int32(cutoff)
        return sample(LCPFN_PRIOR, settings, bank, keys, y.astype(np.float32), cut)

    return run


def stage(
    name: str, sampler: Sampler, curves: tuple[np.ndarray, np.ndarray], cutoff: int
) -> dict[str, Any]:
    """One sampler at one cutoff: figures of every curve.

    `curves` are values and the oracle's log-density, `(n, length)` each.
    """
    y, oracle = curves
    n = len(y)
    size, columns = min(BATCH, n), []
    key = jax.random.fold_in(jax.random.key(2718), cutoff)
    for i in tqdm(range(0, n, size), desc=name, disable=None):
        rows = np.arange(i, i + size) % n  # the last batch may begin anew
        found = sampler(jax.random.fold_in(key, i), y[rows], cutoff)
        log_q = np.asarray(found.log_prob, float)
        columns.append((log_q, *diagnose(np.asarray(found.watched))))
    log_q, rhat, effective = (
        np.concatenate(column)[:n] for column in zip(*columns, strict=True)
    )
    return {
        "gap_to_oracle": _gap(log_q[:, cutoff:], oracle),
        "rhat": np.round(rhat, 3).tolist(),
        "effective_samples": np.round(effective, 1).tolist(),
        "unconverged": unconverged(rhat),
    }


def seconds(
    model: Model, samplers: Mapping[str, Sampler], y: np.ndarray
) -> dict[str, dict[str, float]]:
    """Seconds of one curve, posterior and log-density of the later values.

    Returns:
        For "model" and every sampler: "alone", the mean over the cutoffs; "batch", a
        share of `prior_score.CHUNK` or `BATCH` curves at the second cutoff.
    """
    key, size, cutoff = jax.random.key(0), min(BATCH, len(y)), CUTOFFS[1]
    many = np.resize(y, (prior_score.CHUNK, y.shape[1]))

    def ours(y: np.ndarray, cutoff: int) -> Callable[[], Any]:
        return partial(prior_score.log_prob, model, LCPFN_PRIOR, y, cutoff)

    singles = {f"model {c}": ours(y[:1], c) for c in CUTOFFS} | {
        f"{name} {c}": partial(sampler, key, y[:1], c)
        for name, sampler in samplers.items()
        for c in CUTOFFS
    }
    batches = {"model": ours(many, cutoff)} | {
        name: partial(sampler, key, y[:size], cutoff)
        for name, sampler in samplers.items()
    }
    one = measure.interleaved(singles, CALLS)
    whole = measure.interleaved(batches, BATCH_CALLS)
    return {
        name: {
            "alone": float(np.mean([one[f"{name} {c}"] for c in CUTOFFS])),
            "batch": whole[name] / (len(many) if name == "model" else size),
        }
        for name in ("model", *samplers)
    }


def _shown(gain: np.ndarray, sign: str = "") -> str:
    """Mean and its standard error; "-" of fewer than two."""
    if len(gain) < 2:
        return "-"
    row = scores.mean_with_error("mean", gain)
    return fill(f"{{mean:{sign}.3f}} ± {{mean_se:.3f}}", row)


def _against_sampler(results: dict[str, Any], name: str) -> list[tuple[str, ...]]:
    """What the checkpoint gains over a sampler, and where the chains agree."""
    gains, agreed = [], []
    for cutoff in CUTOFFS:
        found = results["stages"][f"{name} {cutoff}"]
        ours = np.array(results["gap_to_oracle"][str(cutoff)])
        gain = ours - np.array(found["gap_to_oracle"])
        fine = np.delete(gain, found["unconverged"])
        gains.append(_shown(gain, "+"))
        agreed.append(f"{_shown(fine, '+')} ({len(fine)})")
    model, took = results["seconds"]["model"], results["seconds"][name]
    faster = (f"{took[key] / model[key]:,.0f} x as fast" for key in took)
    return [
        (f"`{results['checkpoint']}` minus {TITLES[name]}", *gains, *faster),
        ("the same, where its chains agree (curves)", *agreed, "", ""),
    ]


def to_markdown(results: dict[str, Any]) -> str:
    """Scores and seconds, and what the checkpoint gains on the same curves."""
    name, oracle = f"**`{results['checkpoint']}`**", ORACLE[LCPFN_PRIOR.name]
    gaps = results["gap_to_oracle"]
    took = {
        key: [f"{s:.2g}" for s in row.values()]
        for key, row in results["seconds"].items()
    }
    rows = []
    for sampler, settings in results["samplers"].items():
        found = (results["stages"][f"{sampler} {c}"]["gap_to_oracle"] for c in CUTOFFS)
        title = f"{TITLES[sampler]}, {settings['chains']} x {settings['samples']:,}"
        score = (_shown(oracle + np.array(gap)) for gap in found)
        rows.append((title, *score, *took[sampler]))
    score = (_shown(oracle + np.array(gaps[str(c)])) for c in CUTOFFS)
    title = f"{name}, the same {results['curves']} curves"
    rows.append((title, *score, *took["model"]))
    pair = "{log_prob:.3f} ± {standard_error:.3f}"
    score = (fill(pair, row) for row in results["score"])
    rows.append((f"{name}, {results['checkpoint_curves']:,} curves", *score, "", ""))
    for sampler in results["samplers"]:
        rows += _against_sampler(results, sampler)
    return table(("", *AT_CUTOFFS, "s a curve", "s, in batches"), rows)
