"""What does it bring to tell the planned learning rate?

    python -m lcpfn.eval.studies.planned_rate default --suite CURVES...

Recorded runs whose schedule is known, by the final-value protocol, with their plan and
without, paired and clustered by task. A schedule is known from the learning rate of
every record (`lr` in the file), from the run's hyperparameters (the model zoos name
warm-up, drops and cosine), or is that of the whole source.

`ModelConfig.plan_from` is tried too: from which share of a run on its plan is believed.
Each source is shown with the share that the others choose; `--release` writes weights
with the one that all of them do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import lcpfn
from lcpfn import checkpoint
from lcpfn.curves import CurveSet, Run
from lcpfn.eval import scores
from lcpfn.eval.curves import figures, measure, of_model
from lcpfn.eval.data import PERCENTS, Case, by_cutoff, scored_cases
from lcpfn.eval.paired import difference
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import fill, report, table
from lcpfn.mixture import Mixture
from lcpfn.model import Model

# Sources all of whose runs anneal the learning rate to zero along half a cosine.
COSINE = ("lcbench", "nats_sample")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
PARTS = 1000

Columns = Mapping[str, np.ndarray]


def cosine(end: float, warm_up: float = 0.0) -> np.ndarray:
    """Half a cosine to zero, behind a linear warm-up; `PARTS` rates up to `end`."""
    at = (np.arange(PARTS) + 0.5) / PARTS * end
    along = np.clip((at - warm_up) / (end - warm_up), 0, 1)
    rates = 0.5 + 0.5 * np.cos(np.pi * along)
    return np.where(at < warm_up, at / max(warm_up, 1e-9), rates)


def drops(end: float, times: Sequence[float], factor: float, warm_up: float) -> Any:
    """Constant between drops by a factor, behind a linear warm-up."""
    at = (np.arange(PARTS) + 0.5) / PARTS * end
    rates = factor ** np.sum(at[:, None] > np.array(times), axis=1)
    return np.where(at < warm_up, at / max(warm_up, 1e-9), rates)


def plan_of(source: str, run: Run, rates: np.ndarray | None) -> np.ndarray | None:
    """The learning rates of a run over its horizon; None if they are not known.

    Args:
        source: name of the file.
        run: of it.
        rates: recorded at each of its steps.
    """
    end, config = float(run.steps[-1]), dict(run.config or {})
    if rates is not None:
        at = (np.arange(PARTS) + 0.5) / PARTS * end
        return rates[np.searchsorted(run.steps, at).clip(0, len(rates) - 1)]
    if source in COSINE or config.get("schedule") == "cosine":
        return cosine(end)
    warm_up = float(config.get("warmup-epochs", 0))
    if config.get("lr-mode") == "cosine":
        return cosine(end, warm_up)
    if times := config.get("lr-decay-epoch"):
        factor = float(config.get("lr-decay", 0.1))
        return drops(end, [float(t) for t in str(times).split(",")], factor, warm_up)
    return None


def planned_cases(
    path: str, curves: CurveSet, most: int
) -> tuple[list[Case], list[np.ndarray]]:
    """Cases of the scored runs whose plan is known, and their plans.

    Args:
        path: of the file that the curves are from.
        curves: all of them, in its order.
        most: runs at most.
    """
    with np.load(path) as arrays:
        rows = arrays["lr"] if "lr" in arrays.files else None
    plans = {}
    for i, run in enumerate(curves.runs):
        rates = None if rows is None else np.asarray(rows[i][: len(run.steps)], float)
        if rates is not None and not np.isfinite(rates).all():
            continue
        plan = plan_of(curves.name, run, rates)
        if plan is not None:
            plans[_identity(run.values)] = plan
    known = [run for run in curves.runs if _identity(run.values) in plans]
    cases = scored_cases(CurveSet(curves.name, tuple(known)), most) if known else []
    whole = [np.concatenate([case.values, case.later_values]) for case in cases]
    return cases, [plans[_identity(values)] for values in whole]


def _identity(values: np.ndarray) -> bytes:
    return np.asarray(values, float).tobytes()


def gone(case: Case) -> float:
    """Share of its run that a case has seen, as `lcpfn.tokens` has it."""
    steps = case.steps[np.isfinite(case.values)]
    since, ahead = steps[-1] - steps[0], case.horizon - steps[-1]
    if len(steps) > 1:
        here = since * (1 + 1 / (len(steps) - 1))
    else:  # one observation has no gap: a step that is no count is none either
        here = steps[-1] if 0 < steps[-1] <= ahead else ahead / 64
    return float(here / (here + ahead))


def believed(
    cases: Sequence[Case], plain: Mixture, told: Mixture, share: float
) -> Mixture:
    """Forecasts by `ModelConfig.plan_from`; `told` are those that believe at once."""
    trust = np.array([min(gone(case) / max(share, 1e-9), 1.0) ** 2 for case in cases])
    count = plain.mean.shape[1]  # the first of `told` are without a plan too
    weight = (
        plain.weight * (1 - trust[:, None]),
        told.weight[:, count:] * trust[:, None],
    )
    return Mixture(
        np.concatenate(weight, axis=1),
        np.concatenate([plain.mean, told.mean[:, count:]], axis=1),
        np.concatenate([plain.std, told.std[:, count:]], axis=1),
        plain.low,
        plain.high,
    )


def crps_of(cases: Sequence[Case], columns: Columns) -> dict[str, list[float]]:
    """CRPS over the last value's error, at every cutoff of every source."""

    def ratio(rows: np.ndarray) -> dict[str, Any]:
        last = columns["last_error"][rows].mean()
        return {"ratio": float(columns["crps"][rows].mean() / last)}

    found = by_cutoff(cases, ratio)
    return {s: [row["ratio"] for row in at.values()] for s, at in found.items()}


def chosen(
    by_share: Mapping[float, Mapping[str, list[float]]], without: str = ""
) -> float:
    """The share with the least CRPS over all sources, but for one."""

    def mean(sources: Mapping[str, list[float]]) -> float:
        rest = [scores.geometric_mean(x) for s, x in sources.items() if s != without]
        return float(scores.geometric_mean(rest))

    return min(by_share, key=lambda share: mean(by_share[share]))


def compare(cases: Sequence[Case], plain: Columns, told: Columns) -> dict[str, Any]:
    """Figures of both by source and cutoff, and the paired gain."""
    cluster = np.array([case.cluster for case in cases])
    keys = ("error_ratio", "crps_ratio", "covered_90")

    def of_cell(rows: np.ndarray) -> dict[str, Any]:
        part = {"cases": int(rows.sum())}
        for name, columns in (("without", plain), ("with", told)):
            cell = figures({k: x[rows] for k, x in columns.items()}, cluster[rows])
            part |= {f"{name}_{key}": cell[key] for key in keys}
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = difference(cases, told, plain, rows)
        return part | {f"gain_{k}": gain[k] for k in ("tasks", "crps", "crps_se")}

    return by_cutoff(cases, of_cell)


def study(
    model: Model, cases: Sequence[Case], plans: Sequence[np.ndarray]
) -> dict[str, Any]:
    """What plans bring, with shares chosen on the other sources; JSON values."""
    plain = of_model(model)(cases)
    believing = Model(model.params, replace(model.config, plan_from=0.0), model.card)
    told = of_model(believing, plans=plans)(cases)
    by_share = {
        share: measure(cases, believed(cases, plain, told, share)) for share in SHARES
    }
    ratios = {share: crps_of(cases, columns) for share, columns in by_share.items()}
    names = np.array([case.suite for case in cases])
    shares = {str(name): chosen(ratios, str(name)) for name in np.unique(names)}
    taken = [SHARES.index(shares[name]) for name in names]
    found = {
        key: np.choose(taken, [columns[key] for columns in by_share.values()])
        for key in by_share[SHARES[0]]
    }
    return {
        "plan_from": {"all": chosen(ratios)} | shares,
        "crps_by_share": {str(share): at for share, at in ratios.items()},
        "sources": compare(cases, measure(cases, plain), found),
    }


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per source: error, CRPS and intervals without a plan, and with it."""
    rows = []
    for source, cutoffs in results["sources"].items():
        for name in ("without", "with"):
            cell = (
                f"{{{name}_error_ratio:.2f}} / {{{name}_crps_ratio:.2f}}, "
                f"{{{name}_covered_90:.0%}}"
            )
            shown = [fill(cell, cutoffs[str(p)]) for p in PERCENTS]
            rows.append((source, name, *shown))
        gain = [
            fill("{gain_crps:+.3f} ± {gain_crps_se:.3f}", cutoffs[str(p)])
            for p in PERCENTS
        ]
        rows.append((source, "gain in CRPS", *gain))
    head = ("source", "plan", *(f"{p} %" for p in PERCENTS))
    return table(head, rows)


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 300, RESULTS / "planned_rate.json")
    parser.add_argument("checkpoint", help="name or path of weights that know plans")
    parser.add_argument("--release", type=Path, help="where to write weights")
    args, suites = parse(parser, argv)
    model = lcpfn.load(args.checkpoint)
    cases: list[Case] = []
    plans: list[np.ndarray] = []
    for path, suite in zip(args.suite, suites, strict=True):
        found = planned_cases(path, suite, args.curves)
        cases, plans = cases + found[0], plans + found[1]
    results = {"checksum": model.card["checksum"], "runs_per_source": args.curves}
    results |= study(model, cases, plans)
    report(results, to_markdown(results), args.out)
    if args.release is not None:
        share = results["plan_from"]["all"]
        config = replace(model.config, plan_from=share)
        fitted = model.card.get("calibration", {}) | {
            "plan_from": share,
            "plan_from_fitted_on": sorted(results["sources"]),
        }
        card = model.card | {"calibration": fitted}
        checkpoint.save(args.release, model.params, config, card)


if __name__ == "__main__":
    main()
