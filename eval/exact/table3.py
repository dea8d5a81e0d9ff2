"""LC-PFN's Table 3 measured anew: MCMC and a checkpoint on the same curves.

Fresh curves of LC-PFN's prior at cutoffs of 10, 20, 40 and 80 %: mean log-density of
the unseen records (`lcpfn.eval.exact.prior_score`, whose control variate it takes), and
the seconds of one curve: medians of calls that take turns, so that a busy machine slows
all alike, compilation left out. MCMC is that of `lcpfn.eval.exact.posterior`: the
ensemble with the settings of Domhan et al., row M1 of the paper, and NUTS.

A curve whose chains do not agree stays in the score and is named in the results; the
difference to the checkpoint is also given without such curves.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from lcpfn.eval.exact.mcmc import Latents, Settings, make_bank
from lcpfn.eval.exact.posterior import (
    DOMHAN,
    NUTS,
    Posterior,
    diagnose,
    sample,
    unconverged,
)
from lcpfn.eval.exact.prior_score import (
    CHUNK,
    CUTOFFS,
    ORACLE,
    fresh,
    log_prob,
    prior_score,
)
from lcpfn.eval.speed import measure
from lcpfn.model import Model
from lcpfn.priors import LCPFN_PRIOR as PRIOR

CANDIDATES = 2**16  # draws of the prior, of which a fifth are accepted
BATCH = 25
CALLS = 7  # of which the median is taken
BATCH_CALLS = 3
SAMPLERS = (DOMHAN, NUTS)
TITLES = {"ensemble": "ensemble MCMC", "nuts": "NUTS"}


class Curves(NamedTuple):
    """Values and the oracle's log-density of the curves of MCMC, `(n, length)` each."""

    y: np.ndarray
    oracle: np.ndarray

    def gap(self, log_q: np.ndarray) -> list[float]:
        """Below the oracle, per unseen record, for each curve."""
        seen = self.y.shape[1] - log_q.shape[1]
        return np.round((log_q - self.oracle[:, seen:]).mean(1), 5).tolist()


def table3(
    model: Model,
    n: int = 200,
    many: int = 4000,
    out: Path | None = None,
    samplers: tuple[Settings, ...] = SAMPLERS,
) -> dict[str, Any]:
    """Both samplers and a checkpoint trained on LC-PFN's prior.

    Args:
        model: the checkpoint.
        n: curves for MCMC, the first of `many`.
        many: curves for the checkpoint.
        out: written after every stage; what it has of the same settings is kept.
        samplers: settings of the references.

    Returns:
        JSON values: "score" of the checkpoint on all curves, "gap" of each of the first
        n, "stages" (sampler and cutoff) and "seconds" of one curve.
    """
    results: dict[str, Any] = {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum"),
        "curves": n,
        "many": many,
        "candidates": CANDIDATES,
        "samplers": {s.sampler: s._asdict() for s in samplers},
    }
    if out is not None and out.exists():
        found = json.loads(out.read_text())
        if {key: found.get(key) for key in results} == results:
            results = found
    curves = Curves(*(x[:n] for x in fresh(PRIOR, many, seed=0)))
    if "stages" not in results:
        results |= _of_model(model, curves, many) | {"stages": {}}
    stages = results["stages"]
    names = {f"{s.sampler} {c}": (s, c) for s in samplers for c in CUTOFFS}
    if "seconds" in results and set(names) <= set(stages):
        return results
    bank = make_bank(PRIOR, jax.random.key(31415), CANDIDATES)
    batch = {s.sampler: _compiled(s, bank, min(BATCH, n)) for s in samplers}
    for name, (settings, cutoff) in names.items():
        if name not in stages:
            stages[name] = stage(name, batch[settings.sampler], curves, cutoff)
            _write(results, out)
    alone = {s.sampler: _compiled(s, bank, 1) for s in samplers}
    results["machine"] = measure.machine(jax.devices()[0])
    results["seconds"] = seconds(model, alone, batch, curves.y)
    _write(results, out)
    return results


def _write(results: dict[str, Any], out: Path | None) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results) + "\n")


def _of_model(model: Model, curves: Curves, many: int) -> dict[str, Any]:
    """Scores of the checkpoint, on all curves and on those of MCMC."""
    return {
        "score": prior_score(model, many)["cutoffs"],
        "gap": {
            str(cutoff): curves.gap(log_prob(model, PRIOR, curves.y, cutoff))
            for cutoff in CUTOFFS
        },
    }


# Posteriors of some curves `(size, length)` given a key and a cutoff.
Sampler = Callable[[jax.Array, np.ndarray, int], Posterior]
Samplers = Mapping[str, Sampler]


def _compiled(settings: Settings, bank: Latents, size: int) -> Sampler:
    """`sample` for so many curves at a time, compiled before it is timed."""
    y = np.zeros((size, PRIOR.length), np.float32)
    keys = jax.random.split(jax.random.key(0), size)
    program = sample.lower(PRIOR, settings, bank, keys, y, jnp.int32(1)).compile()

    def run(key: jax.Array, y: np.ndarray, cutoff: int) -> Posterior:
        keys = jax.random.split(key, size)
        cut = jnp.int32(cutoff)
        return jax.block_until_ready(program(bank, keys, y.astype(np.float32), cut))

    return run


def stage(name: str, batch: Sampler, curves: Curves, cutoff: int) -> dict[str, Any]:
    """One sampler at one cutoff: figures of every curve."""
    n = len(curves.y)
    size, columns = min(BATCH, n), []
    key = jax.random.fold_in(jax.random.key(2718), cutoff)
    for i in tqdm(range(0, n, size), desc=name, disable=None):
        rows = np.arange(i, i + size) % n  # the last batch may begin anew
        found = batch(jax.random.fold_in(key, i), curves.y[rows], cutoff)
        log_q, moves = np.asarray(found.log_prob, float), np.asarray(found.moves)
        columns.append((log_q, *diagnose(np.asarray(found.watched)), moves))
    log_q, rhat, effective, moves = (
        np.concatenate(column)[:n] for column in zip(*columns, strict=True)
    )
    return {
        "gap": curves.gap(log_q[:, cutoff:]),
        "rhat": np.round(rhat, 3).tolist(),
        "effective_samples": np.round(effective, 1).tolist(),
        "moves": np.round(moves, 3).tolist(),
        "unconverged": unconverged(rhat),
    }


def seconds(
    model: Model, alone: Samplers, batch: Samplers, y: np.ndarray
) -> dict[str, dict[str, float]]:
    """Seconds of one curve, posterior and log-density of the later records.

    Returns:
        For "model" and every sampler: "alone", the mean over the cutoffs; "batch", a
        share of `CHUNK` or `BATCH` curves at the second cutoff.
    """
    key, size, cutoff = jax.random.key(0), min(BATCH, len(y)), CUTOFFS[1]
    many = np.resize(y, (CHUNK, y.shape[1]))
    singles: dict[str, Callable[[], Any]] = {}
    for c in CUTOFFS:
        singles[f"model {c}"] = partial(log_prob, model, PRIOR, y[:1], c)
        for name, sampler in alone.items():
            singles[f"{name} {c}"] = partial(sampler, key, y[:1], c)
    whole: dict[str, Callable[[], Any]] = {
        name: partial(sampler, key, y[:size], cutoff) for name, sampler in batch.items()
    } | {"model": partial(log_prob, model, PRIOR, many, cutoff)}
    one = measure.interleaved(singles, CALLS)
    all_of_them = measure.interleaved(whole, BATCH_CALLS)
    return {
        name: {
            "alone": float(np.mean([one[f"{name} {c}"] for c in CUTOFFS])),
            "batch": all_of_them[name] / (CHUNK if name == "model" else size),
        }
        for name in ("model", *alone)
    }


def mean_and_error(x: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error; NaN where there are too few."""
    if len(x) < 2:
        return float("nan"), float("nan")
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))


def _line(name: str, cells: Iterable[str], seconds: Iterable[str] = ("", "")) -> str:
    return f"| {' | '.join([name, *cells, *seconds])} |"


def _shown(pair: tuple[float, float], sign: str = "") -> str:
    return f"{pair[0]:{sign}.3f} ± {pair[1]:.3f}"


def _of_sampler(results: dict[str, Any], name: str) -> tuple[str, list[str]]:
    """The line of scores of a sampler, and the lines of what the checkpoint gains."""
    settings = results["samplers"][name]
    ours, took = results["seconds"]["model"], results["seconds"][name]
    stages = [results["stages"][f"{name} {cutoff}"] for cutoff in CUTOFFS]
    scores, gains, agree = [], [], []
    for cutoff, found in zip(CUTOFFS, stages, strict=True):
        gap = np.array(found["gap"])
        gain = np.array(results["gap"][str(cutoff)]) - gap
        fine = np.delete(gain, found["unconverged"])
        scores.append(_shown(mean_and_error(ORACLE[PRIOR.name] + gap)))
        gains.append(_shown(mean_and_error(gain), "+"))
        gain_fine = _shown(mean_and_error(fine), "+") if len(fine) > 1 else "-"
        agree.append(f"{gain_fine} ({len(fine)})")
    title = f"{TITLES[name]}, {settings['chains']} x {settings['samples']:,}"
    return _line(title, scores, [f"{s:.2g}" for s in took.values()]), [
        _line(
            f"`{results['checkpoint']}` minus {TITLES[name]}",
            gains,
            [f"{took[key] / ours[key]:,.0f} x as fast" for key in took],
        ),
        _line("the same, where its chains agree (curves)", agree),
    ]


def to_markdown(results: dict[str, Any]) -> str:
    """Scores and seconds, and what the checkpoint gains on the same curves."""
    model = f"**`{results['checkpoint']}`**"
    found = [_of_sampler(results, name) for name in results["samplers"]]
    gaps = [np.array(results["gap"][str(cutoff)]) for cutoff in CUTOFFS]
    rows = [(row["log_prob"], row["standard_error"]) for row in results["score"]]
    return "\n".join(
        [
            _line("", [f"{c} %" for c in CUTOFFS], ["s a curve", "s, in batches"]),
            "|---|" + "---|" * (len(CUTOFFS) + 2),
            *(scores for scores, _ in found),
            _line(
                f"{model}, the same {results['curves']} curves",
                [_shown(mean_and_error(ORACLE[PRIOR.name] + gap)) for gap in gaps],
                [f"{s:.2g}" for s in results["seconds"]["model"].values()],
            ),
            _line(f"{model}, {results['many']:,} curves", map(_shown, rows)),
            *(line for _, gains in found for line in gains),
        ]
    )
