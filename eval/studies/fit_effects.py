"""How often should the prior show each effect? Asked of recorded curves.

    python -m lcpfn.eval.studies.fit_effects --suite a.npz b.npz

Trees tell drawn from recorded curves by the statistics of `prior_check` and by their
shape, cross-validated. With equal weights for the sources their odds are the ratio of
both densities (Sugiyama et al. 2012), so the share of the draws that show an effect,
weighted by the odds, is how often it should be there. Odds are clipped, since a few
draws would have all the weight; so the study says in which direction to go and must be
run again from there. Leaving out one source at a time says how sure that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import jax
import numpy as np
from numpyro import handlers

from lcpfn.curves import CurveSet, Run
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.studies.prior_check import (
    held_out_chances,
    shape,
    statistics,
    usable,
)
from lcpfn.eval.tables import report, table
from lcpfn.priors import BROAD_PRIOR, Effects, Prior

DRAWS = 12_000
POINTS = 24
CLIPPED = (0.03, 8.0)


def draw_with_switches(
    prior: Prior, count: int
) -> tuple[list[Run], dict[str, np.ndarray]]:
    """Drawn curves, and which effects each shows, by name `(count,)`."""

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
        key_axis, key_curve = jax.random.split(key)
        assert prior.axis is not None
        steps, observations = prior.axis(key_axis, prior.shortest, prior.length)
        sites = handlers.trace(handlers.seed(prior.model, key_curve)).get_trace(steps)
        shown = {
            field.name: sites[f"has_{field.name}"]["value"]
            for field in fields(Effects)
            if f"has_{field.name}" in sites
        }
        return sites["recorded"]["value"], observations, shown

    keys = jax.random.split(jax.random.key(5), count)
    y, observations, shown = jax.jit(jax.vmap(one))(keys)
    values, lengths = np.asarray(y, float), np.asarray(observations)
    runs = [
        Run(row[:n], np.arange(1.0, n + 1), name=f"draw {i}", mode="min")
        for i, (row, n) in enumerate(zip(values, lengths, strict=True))
    ]
    return runs, {name: np.asarray(x) == 1 for name, x in shown.items()}


def features(run: Run) -> np.ndarray:
    """Statistics of a usable run, and its shape."""
    return np.r_[list(statistics(run).values()), shape(run, POINTS)]


def odds(
    drawn: np.ndarray, recorded: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, float]:
    """Density ratio recorded : drawn at every draw, up to a factor.

    Args:
        drawn: features `(n, f)`.
        recorded: likewise `(m, f)`.
        weight: of the recorded ones `(m,)`.

    Returns:
        Clipped odds `(n,)`, and the area under the ROC curve.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    x = np.concatenate([drawn, recorded])
    kind = np.repeat([0, 1], [len(drawn), len(recorded)])
    share = np.r_[np.full(len(drawn), 1 / len(drawn)), weight / weight.sum()] * len(x)
    trees = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=12, learning_rate=0.08, l2_regularization=5.0
    )
    chance = held_out_chances(trees, x, kind, sample_weight=share)
    found = chance[: len(drawn)]
    area = float(roc_auc_score(kind, chance, sample_weight=share))
    return np.clip(found / (1 - found), *CLIPPED), area


def fit_effects(suites: Sequence[CurveSet], draws: int = DRAWS) -> dict[str, Any]:
    """The study.

    Returns:
        JSON values: "draws"; "two_sample" (area); "effects" -> name -> "now", "fitted",
        and "without_one", the least and the largest with one source left out.
    """
    runs, shown = draw_with_switches(BROAD_PRIOR, draws)
    kept = np.array([i for i, run in enumerate(runs) if usable([run])])
    drawn = np.array([features(runs[i]) for i in kept])
    sources = {s.name: np.array([*map(features, usable(s.runs))]) for s in suites}

    def fitted(names: Sequence[str]) -> tuple[Mapping[str, float], float]:
        recorded = np.concatenate([sources[name] for name in names])
        weight = np.concatenate(
            [np.full(len(sources[n]), 1 / len(sources[n])) for n in names]
        )
        weights, area = odds(drawn, recorded, weight)
        return {
            name: float(np.average(on[kept], weights=weights))
            for name, on in shown.items()
        }, area

    everything, area = fitted([*sources])
    left_out = [fitted([n for n in sources if n != name])[0] for name in sources]
    effects = {
        name: {
            "now": getattr(Effects(), name),
            "fitted": share,
            "without_one": [f(x[name] for x in left_out) for f in (min, max)],
        }
        for name, share in everything.items()
    }
    return {"draws": len(kept), "two_sample": area, "effects": effects}


def to_markdown(result: Mapping[str, Any]) -> str:
    """A line per effect."""
    rows = [
        (
            name.replace("_", " "),
            f"{row['now']:.3f}",
            f"{row['fitted']:.3f}",
            "{:.3f} to {:.3f}".format(*row["without_one"]),
        )
        for name, row in result["effects"].items()
    ]
    head = ("effect", "probability", "fitted", "with one source left out")
    return f"{table(head, rows)}\n\nTwo-sample score {result['two_sample']:.2f}."


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 500, RESULTS / "effects.json")
    parser.add_argument("--draws", type=int, default=DRAWS, help="curves of the prior")
    args, suites = parse(parser, argv)
    result = fit_effects([suite.sample(args.curves) for suite in suites], args.draws)
    report(result, to_markdown(result), args.out)


if __name__ == "__main__":
    main()
