"""How close a checkpoint comes to exact inference on its own prior.

For fresh curves and cutoffs of 10, 20, 40 and 80 % of the horizon: the mean log-density
of all later values, per value, in the prior's units (LC-PFN's Table 3).

The oracle knows the true curve and the noise, so its expected score is known in closed
form for Gaussian noise: E[-log sigma] - log(2 pi e) / 2. It is the control variate:

    score = mean(log q - log oracle) + E[log oracle]

which takes out most of what differs between curves. Standard errors are over curves.
"""

from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lcpfn.eval.data import PERCENTS
from lcpfn.eval.report_tables import AT_CUTOFFS, milestones
from lcpfn.eval.scores import clustered_error
from lcpfn.eval.tables import fill, table
from lcpfn.model import Model
from lcpfn.priors import Prior, draw, find_prior

# Expected log-density of the oracle under LC-PFN's prior: E[log sigma] = -4.
ORACLE = {"lcpfn": 4 - 0.5 * np.log(2 * np.pi * np.e)}
# Adriaensen et al. 2023, Table 3: mean log-likelihood of a value at the four cutoffs.
PAPER = {
    "MCMC, 2,000 samples (M1)": (1.628, 1.939, 2.265, 2.469),
    "MCMC, 4,000 samples, thinned (M2)": (1.641, 1.958, 2.277, 2.477),
    "MCMC, 4,000 samples (M3)": (1.642, 1.956, 2.285, 2.486),
    "LC-PFN 3 x 128 (P1)": (1.58, 1.99, 2.28, 2.43),
    "LC-PFN 3 x 256 (P2)": (1.65, 2.04, 2.35, 2.49),
    "LC-PFN 12 x 512, 26 M parameters (P3)": (1.758, 2.133, 2.403, 2.519),
}
CHUNK = 256


def fresh(prior: Prior, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Curves that no training or validation draws, and the oracle's log-density.

    Returns:
        Two arrays `(n, length)`, float64.
    """
    key = jax.random.fold_in(jax.random.key(271828), seed)
    draws = jax.jit(lambda k: draw(prior, k, n))(key)
    y, oracle = (np.asarray(x, np.float64) for x in (draws.y, draws.log_prob))
    return y, oracle


def log_prob(model: Model, prior: Prior, y: np.ndarray, cutoff: int) -> np.ndarray:
    """Log-density of all values after the first `cutoff` `(n, length - cutoff)`."""
    found = []
    for i in range(0, len(y), CHUNK):
        forecast = model.extrapolate(
            y[i : i + CHUNK, :cutoff],
            horizon=prior.length,
            mode=prior.mode,
            bounds=prior.bounds,
            at=np.asarray(prior.steps, float)[cutoff:],
        )
        found.append(forecast.log_prob(y[i : i + CHUNK, cutoff:]))
    return np.concatenate(found)


def prior_score(model: Model, n: int = 4096, seed: int = 0) -> dict[str, Any]:
    """Scores a checkpoint on `n` fresh curves of the prior it was trained on.

    Returns:
        JSON values: per cutoff the score above the oracle's and its standard error;
        what was measured.
    """
    prior = find_prior(model.card["training"]["prior"])
    y, oracle = fresh(prior, n, seed)
    expected = float(ORACLE[prior.name]) if prior.name in ORACLE else None
    rows = []
    for percent in tqdm(PERCENTS, desc="cutoffs", disable=None):
        cutoff = prior.length * percent // 100
        gap = (log_prob(model, prior, y, cutoff) - oracle[:, cutoff:]).mean(1)
        row = {
            "cutoff_percent": percent,
            "gap_to_oracle": float(gap.mean()),
            "standard_error": clustered_error(gap),
        }
        if expected is not None:
            row["log_prob"] = row["gap_to_oracle"] + expected
        rows.append(row)
    return {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum"),
        "parameters": int(sum(x.size for x in jax.tree.leaves(model.params))),
        "prior": prior.name,
        "curves": n,
        "seed": seed,
        "oracle": expected,
        "cutoffs": rows,
        "pretraining": model.card.get("history", []),
    }


def to_markdown(results: dict[str, Any]) -> str:
    """The table, beside the paper's where the prior is the paper's."""
    name, oracle, cutoffs = (results[k] for k in ("checkpoint", "oracle", "cutoffs"))
    if oracle is None:
        below = "{gap_to_oracle:.3f} ± {standard_error:.3f}"
        row = (f"{name}, below the oracle", *(fill(below, r) for r in cutoffs))
        return table(("", *AT_CUTOFFS), [row])
    size = f"{results['parameters'] / 1e6:.2f} M parameters"
    score = "**{log_prob:.3f}** ± {standard_error:.3f}"
    rows = [(row, *(f"{x:.3f}" for x in paper)) for row, paper in PAPER.items()]
    rows.append((f"**lcpfn `{name}`, {size}**", *(fill(score, r) for r in cutoffs)))
    rows.append(("oracle (knows curve and noise)", *[f"{oracle:.3f}"] * len(cutoffs)))
    return table(("", *AT_CUTOFFS), rows)


def pretraining_to_markdown(results: dict[str, Any]) -> str:
    """Score on held-out curves against curves seen and minutes of pre-training.

    These are the validation curves of the run, fewer than those of the main table.
    """
    oracle, rows = results["oracle"], []
    for entry in milestones(results["pretraining"]):
        score = (f"{oracle - entry[f'gap_{percent}']:.3f}" for percent in PERCENTS)
        rows.append((f"{entry['curves']:,}", f"{entry['seconds'] / 60:.0f}", *score))
    return table(("curves", "minutes", *AT_CUTOFFS), rows)
