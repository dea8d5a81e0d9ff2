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
from lcpfn.eval.curves import figures, measure, of_model, summarise
from lcpfn.eval.data import PERCENTS, Case, by_cutoff, scored_cases
from lcpfn.eval.paired import difference
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import fill, report, table
from lcpfn.model import Model

# Sources all of whose runs anneal the learning rate to zero along half a cosine.
COSINE = ("lcbench", "nats_sample")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
PARTS = 1000

Columns = Mapping[str, np.ndarray]


def plan_of(source: str, run: Run, rates: np.ndarray | None) -> np.ndarray | None:
    """`PARTS` learning rates of a run over its horizon; None if they are not known.

    Args:
        source: name of the file.
        run: of it.
        rates: recorded at each of its steps.
    """
    end, config = float(run.steps[-1]), dict(run.config or {})
    at = (np.arange(PARTS) + 0.5) / PARTS * end
    if rates is not None:
        return rates[np.searchsorted(run.steps, at).clip(0, len(rates) - 1)]
    if source in COSINE or config.get("schedule") == "cosine":
        return cosine(at, end)
    warm_up = float(config.get("warmup-epochs", 0))
    if config.get("lr-mode") == "cosine":
        plan = cosine(at - warm_up, end - warm_up)
    elif times := config.get("lr-decay-epoch"):
        drops = np.array([float(time) for time in str(times).split(",")])
        plan = float(config.get("lr-decay", 0.1)) ** np.sum(at[:, None] > drops, axis=1)
    else:
        return None
    return np.where(at < warm_up, at / max(warm_up, 1e-9), plan)


def cosine(at: np.ndarray, end: float) -> np.ndarray:
    """Half a cosine from one at 0 to zero at the end."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(at / end, 0, 1))


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

    def told(share: float) -> dict[str, np.ndarray]:
        config = replace(model.config, plan_from=share)
        believing = Model(model.params, config, model.card)
        return measure(cases, of_model(believing, plans=plans)(cases))

    plain = measure(cases, of_model(model)(cases))
    by_share = {share: told(share) for share in SHARES}
    ratios = {
        share: {
            source: [row["crps_ratio"] for row in at.values()]
            for source, at in summarise(cases, columns)["suites"].items()
        }
        for share, columns in by_share.items()
    }
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
        "sources": compare(cases, plain, found),
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
