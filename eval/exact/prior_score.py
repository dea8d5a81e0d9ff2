"""How close a checkpoint comes to exact inference on its own prior.

For fresh curves and cutoffs of 10, 20, 40 and 80 % of the horizon: the mean log-density
of all later records, per record, in the prior's units (LC-PFN's Table 3).

The oracle knows the true curve and the noise, so its expected score is known in closed
form for Gaussian noise: E[-log sigma] - log(2 pi e) / 2. It is the control variate:

    score = mean(log q - log oracle) + E[log oracle]

which takes out most of what differs between curves. Standard errors are over curves.
"""

from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lcpfn.model import Model
from lcpfn.priors import Prior, draw, find_prior

CUTOFFS = (10, 20, 40, 80)
# Expected log-density of the oracle under LC-PFN's prior: E[log sigma] = -4.
ORACLE = {"lcpfn": 4 - 0.5 * np.log(2 * np.pi * np.e)}
# Adriaensen et al. 2023, Table 3: per-record log-likelihood at the four cutoffs.
PAPER = {
    "MCMC, 2,000 samples (M1)": (1.628, 1.939, 2.265, 2.469),
    "MCMC, 4,000 samples, thinned (M2)": (1.641, 1.958, 2.277, 2.477),
    "MCMC, 4,000 samples (M3)": (1.642, 1.956, 2.285, 2.486),
    "LC-PFN 3 x 128 (P1)": (1.58, 1.99, 2.28, 2.43),
    "LC-PFN 3 x 256 (P2)": (1.65, 2.04, 2.35, 2.49),
    "LC-PFN 12 x 512, 26 M parameters (P3)": (1.758, 2.133, 2.403, 2.519),
}
CHUNK = 256
MILESTONES = (0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


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
    """Log-density of all records after the first `cutoff` `(n, length - cutoff)`."""
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

    Args:
        model: the checkpoint.
        n: number of curves.
        seed: of the curves; training and validation never draw from these keys.

    Returns:
        JSON values: per cutoff the score, its standard error and the raw mean; the same
        for the oracle; what was measured.
    """
    prior = find_prior(model.card["training"]["prior"])
    y, oracle = fresh(prior, n, seed)
    rows = []
    for percent in tqdm(CUTOFFS, desc="cutoffs", disable=None):
        cutoff = prior.length * percent // 100
        log_q = log_prob(model, prior, y, cutoff)
        gap = (log_q - oracle[:, cutoff:]).mean(1)
        row = {
            "cutoff_percent": percent,
            "gap_to_oracle": float(gap.mean()),
            "standard_error": float(gap.std(ddof=1) / np.sqrt(n)),
            "raw_log_prob": float(gap.mean() + oracle[:, cutoff:].mean()),
            "raw_oracle": float(oracle[:, cutoff:].mean()),
        }
        if prior.name in ORACLE:
            row["log_prob"] = row["gap_to_oracle"] + float(ORACLE[prior.name])
        rows.append(row)
    return {
        "checkpoint": model.name,
        "checksum": model.card.get("checksum"),
        "parameters": int(sum(x.size for x in jax.tree.leaves(model.params))),
        "prior": prior.name,
        "curves": n,
        "seed": seed,
        "oracle": float(ORACLE[prior.name]) if prior.name in ORACLE else None,
        "cutoffs": rows,
        "history": model.card.get("history", []),
    }


def to_markdown(results: dict[str, Any]) -> str:
    """The table, beside the paper's where the prior is the paper's."""
    rows = results["cutoffs"]
    head = "| | " + " | ".join(f"{row['cutoff_percent']} %" for row in rows) + " |"
    lines = [head, "|---|" + "---|" * len(rows)]

    def line(name: str, cells: list[str]) -> None:
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    if results["oracle"] is None:
        cells = [f"{r['gap_to_oracle']:.3f} ± {r['standard_error']:.3f}" for r in rows]
        line(f"{results['checkpoint']}, below the oracle", cells)
        return "\n".join(lines)
    for name, scores in PAPER.items():
        line(name, [f"{score:.3f}" for score in scores])
    size = f"{results['parameters'] / 1e6:.2f} M parameters"
    line(
        f"**lcpfn `{results['checkpoint']}`, {size}**",
        [f"**{r['log_prob']:.3f}** ± {r['standard_error']:.3f}" for r in rows],
    )
    line("oracle (knows curve and noise)", [f"{results['oracle']:.3f}"] * len(rows))
    return "\n".join(lines)


def history_to_markdown(results: dict[str, Any]) -> str:
    """Score on held-out curves against curves seen and seconds of pre-training.

    These are the validation curves of the run, fewer than those of the main table.
    """
    history = results["history"]
    names = [f"gap_{percent}" for percent in CUTOFFS]
    cells = " | ".join(f"{percent} %" for percent in CUTOFFS)
    lines = [f"| curves | minutes | {cells} |", "|---|---|" + "---|" * len(CUTOFFS)]
    last = history[-1]["step"]
    for share in MILESTONES:
        entry = min(history, key=lambda e: abs(e["step"] - share * last))
        scores = " | ".join(f"{results['oracle'] - entry[name]:.3f}" for name in names)
        minutes = entry["seconds"] / 60
        lines.append(f"| {entry['curves']:,} | {minutes:.0f} | {scores} |")
    return "\n".join(lines)
