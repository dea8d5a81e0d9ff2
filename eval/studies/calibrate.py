"""How sharp may forecasts be? The calibration of weights, fitted on recorded curves.

    python -m lcpfn.eval.studies.calibrate --checkpoint RUN/release --suite CURVES... \
      --held SOURCE... --release RUN/calibrated

A prior is broader than what is recorded, and most so where little is known of a run.
Three numbers correct that (`tilt`, `temperature` and `temperature_among` of
`ModelConfig`), the same for all curves: of those at which the 90 % intervals of final
values hold 90 %, the ones with the least CRPS, means over sources. Alone they have to
hold at every cutoff: late ones would make up for runs that start slowly. "Sharpness
subject to calibration": Gneiting et al. 2007; a temperature: Guo et al. 2017.

Each source is scored with numbers that were fitted on the others. Sources of `--held`
(whose licence does not allow more) decide nothing in what is released.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

import lcpfn
from lcpfn import checkpoint
from lcpfn.config import FADED, FAR
from lcpfn.curves import CurveSet
from lcpfn.eval import evaluate_context
from lcpfn.eval.curves import MOST, measure, of_model
from lcpfn.eval.data import Case, scored_cases
from lcpfn.eval.searches import FEWEST, Setting, given, searches
from lcpfn.eval.studies.options import RESULTS, parse, study_parser
from lcpfn.eval.tables import report, table
from lcpfn.mixture import Mixture
from lcpfn.model import Model

TILTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
TEMPERATURES = (2.0, 1.8, 1.6, 1.4, 1.3, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
# Odd 60ths: the second is 5 %, the last but one 95 %.
LEVELS = (np.arange(30) + 0.5) / 30
HOLDS = 0.9
ALONE, AMONG = "alone", "20 others"
# What nothing is corrected by, and what every source is scored by.
NOTHING = (0.0, 1.0)
FIGURES = ("error_ratio", "crps_ratio", "covered_90")

Numbers = tuple[float, float]  # tilt, temperature


class Asked(NamedTuple):
    """Forecasts of final values of one source and cutoff, as the network makes them.

    Attributes:
        source: of the curves.
        percent: of the observations that is shown.
        mixture: fields `(n, K)`, the user's units.
        few: 1 after one observation, 0 after many; 1 amid other runs `(n,)`.
        last: newest values `(n,)`.
        truth: final values `(n,)`.
        unit: of errors `(n,)`.
        guess: errors of the last value, in units `(n,)`.
    """

    source: str
    percent: int
    mixture: Mixture
    few: np.ndarray
    last: np.ndarray
    truth: np.ndarray
    unit: np.ndarray
    guess: np.ndarray


def corrected(asked: Asked, numbers: Numbers) -> Mixture:
    """What the network makes of the mixtures, with a tilt and a temperature."""
    tilt, temperature = numbers
    few, share = asked.few[:, None], lambda x: x / x.sum(-1, keepdims=True)
    weight = share(asked.mixture.weight**temperature**-few)
    far = np.abs(asked.mixture.mean - asked.last[:, None])
    usual = (weight * far).sum(-1, keepdims=True)
    farther = np.minimum(far, FAR * usual) / np.maximum(usual, np.finfo(float).tiny)
    return asked.mixture._replace(weight=share(weight * np.exp(-tilt * few * farther)))


def uncorrected(model: Model) -> Model:
    """The same weights without any calibration."""
    config = replace(model.config, tilt=0.0, temperature=1.0, temperature_among=1.0)
    return Model(model.params, config, model.card, model.path)


def ask_alone(model: Model, suites: Sequence[CurveSet], most: int) -> list[Asked]:
    """The cases of `lcpfn.eval.curves`, at most so many runs of each source."""
    found = []
    for suite in suites:
        cases = scored_cases(suite, most)
        mixture, percent = of_model(model)(cases), np.array([c.percent for c in cases])
        guess = measure(cases, mixture)["last_error"]
        for cutoff in sorted(set(percent)):
            rows = np.flatnonzero(percent == cutoff)
            some = [cases[i] for i in rows]
            found.append(_asked(some, mixture.at(rows), guess[rows]))
    return found


def _asked(cases: Sequence[Case], mixture: Mixture, guess: np.ndarray) -> Asked:
    known = [case.values[np.isfinite(case.values)] for case in cases]
    few = np.maximum(1 - np.log([len(values) for values in known]) / np.log(FADED), 0)
    last = np.array([values[-1] for values in known])
    truth = np.array([case.truth for case in cases])
    unit = np.array([case.scale for case in cases])
    about = cases[0].suite, cases[0].percent
    return Asked(*about, mixture, few, last, truth, unit, guess)


def ask_among(model: Model, suites: Sequence[CurveSet], most: int) -> list[Asked]:
    """Runs amid 20 others, as `lcpfn evaluate context` asks; `most` tasks a source."""
    found: dict[tuple[str, int], list[Asked]] = {}
    predict, setting = evaluate_context.of_model(model), Setting()
    for suite in suites:
        tasks = [s for s in searches([suite]) if len(s.others) >= FEWEST][:most]
        for i, task in enumerate(tasks):
            others = given(task, setting, np.random.default_rng([0, i]))
            ends = [run.values[np.isfinite(run.values)][-1] for run in task.others]
            for percent in evaluate_context.PERCENTS:
                about = [evaluate_context.known(run, percent) for run in task.asked]
                truth = np.array([run.values[-1] for run in task.asked])
                horizons = [run.steps[-1] for run in task.asked]
                last = np.full(len(truth), np.median(ends))
                if percent:
                    finite = [run.values[np.isfinite(run.values)] for run in about]
                    last = np.array([y[-1:].sum() for y in finite])
                unit = np.full(len(truth), task.scale)
                guess = np.minimum(np.abs(last - truth) / unit, MOST)
                row = Asked(
                    *(suite.name, percent, predict(about, horizons, others)),
                    *(np.ones(len(truth)), last, truth, unit, guess),
                )
                found.setdefault((suite.name, percent), []).append(row)
    return [_joined(rows) for rows in found.values()]


def _joined(rows: Sequence[Asked]) -> Asked:
    arrays = (row[2:] for row in rows)
    return Asked(*rows[0][:2], *jax.tree.map(lambda *x: np.concatenate(x), *arrays))


def figures(asked: Asked, numbers: Numbers) -> tuple[float, float, float]:
    """`FIGURES` of one source and cutoff with a tilt and a temperature."""
    mixture = corrected(asked, numbers)
    quantiles = mixture.at(slice(None), None).quantile(LEVELS)
    below = asked.truth[:, None] - quantiles
    # The mean of quantile scores is the CRPS (Gneiting & Ranjan 2011), to a few percent
    # of itself, at a tenth of the price of `scores.crps`.
    pinball = 2 * np.maximum(LEVELS * below, (LEVELS - 1) * below).mean(-1)
    error, crps = np.abs(np.median(below, -1)) / asked.unit, pinball / asked.unit
    inside = (below[:, 1] >= 0) & (below[:, -2] <= 0)
    error, crps = (
        np.minimum(x, MOST).mean() / asked.guess.mean() for x in (error, crps)
    )
    return float(error), float(crps), float(inside.mean())


Table = Mapping[Numbers, np.ndarray]


def measured(asked: Sequence[Asked], grid: Iterable[Numbers]) -> Table:
    """Numbers -> `FIGURES` of every source and cutoff `(cells, 3)`."""
    return {
        numbers: np.array([figures(cell, numbers) for cell in asked])
        for numbers in tqdm(list(grid), desc="numbers", disable=None)
    }


def choose(found: Table, cutoffs: Iterable[np.ndarray]) -> Numbers:
    """The sharpest of the numbers whose intervals hold as often as they say.

    `cutoffs` says for each of them which cells decide `(cutoffs, cells)`.
    """
    rows = np.array([row for row in cutoffs if row.any()])
    honest = {
        numbers: overall(x[rows.any(0)])["crps_ratio"]
        for numbers, x in found.items()
        if all(x[row, 2].mean() >= HOLDS for row in rows)
    }
    return min(honest, key=honest.__getitem__, default=NOTHING)


def overall(cells: np.ndarray) -> dict[str, float]:
    """Geometric means of ratios and the mean coverage of cells `(n, 3)`."""
    ratios = np.exp(np.log(cells[:, :2]).mean(0))
    return dict(zip(FIGURES, map(float, [*ratios, cells[:, 2].mean()]), strict=True))


def study(
    asked: Sequence[Asked], grid: Sequence[Numbers], held: Sequence[str], apart: bool
) -> dict[str, Any]:
    """What the calibration brings on sources that did not decide it.

    Args:
        asked: by source and cutoff.
        grid: tilts and temperatures to choose from.
        held: sources that decide nothing in the numbers that are released.
        apart: whether intervals have to hold at every cutoff, or over all of them.

    Returns:
        JSON values: "tilt" and "temperature", what is released; "sources" -> source ->
        "before", "after" (fitted on the others) and "numbers"; "overall" -> "before",
        "after".
    """
    found = measured(asked, grid)
    source, percent = np.array([cell[:2] for cell in asked]).T
    cutoffs = np.unique(percent)[:, None] if apart else percent[None]
    free = (percent == cutoffs) & ~np.isin(source, held)
    tilt, temperature = choose(found, free)
    before, after = found[NOTHING], np.empty((len(asked), 3))
    sources = {}
    for name in sorted(set(source)):
        own = source == name
        numbers = choose(found, free & ~own)
        after[own] = found[numbers][own]
        sources[str(name)] = {
            "before": overall(before[own]),
            "after": overall(after[own]),
            "numbers": list(numbers),
        }
    return {
        "tilt": tilt,
        "temperature": temperature,
        "sources": sources,
        "overall": {"before": overall(before), "after": overall(after)},
    }


def calibrated_card(
    card: Mapping[str, Any], calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """The card with new numbers, whose results are not those of the ones before."""
    known = dict(card) | {"calibration": dict(calibration)}
    if "planned" in known:
        known["planned"] = {k: v for k, v in known["planned"].items() if k != "of"}
    return known


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per source: errors, CRPS and coverage before and after."""
    cell = "{error_ratio:.2f} / {crps_ratio:.2f}, {covered_90:.0%}"
    known = [name for name in (ALONE, AMONG) if name in results]
    parts = [results[name] for name in known]
    rows = [
        (name, *(_cell(part["sources"].get(name, {}), cell) for part in parts))
        for name in results[ALONE]["sources"]
    ]
    rows.append(("all", *(_cell(part["overall"], cell) for part in parts)))
    head = (
        "error / CRPS, 90 % interval holds",
        *(f"{name}: before → after" for name in known),
    )
    return table(head, rows)


def _cell(row: Mapping[str, Any], cell: str) -> str:
    if not row:
        return ""
    return " → ".join(cell.format(**row[name]) for name in ("before", "after"))


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = study_parser(__doc__, 60, RESULTS / "calibration.json")
    parser.add_argument("--checkpoint", help="bundled name or path")
    parser.add_argument("--held", nargs="+", default=[], metavar="SOURCE")
    parser.add_argument("--tasks", type=int, default=6, help="with others, of a source")
    parser.add_argument("--release", type=Path, help="where to write the weights")
    args, suites = parse(parser, argv)
    if unknown := set(args.held) - (names := {suite.name for suite in suites}):
        parser.error(f"--held names no source of --suite: {', '.join(sorted(unknown))}")
    model = uncorrected(lcpfn.load(args.checkpoint))
    grid = list(product(TILTS, TEMPERATURES))
    alone = study(ask_alone(model, suites, args.curves), grid, args.held, True)
    results = {"checkpoint": model.name, "checksum": model.card["checksum"]}
    results[ALONE] = alone
    numbers = {"tilt": alone["tilt"], "temperature": alone["temperature"]}
    if model.config.others:
        grid = [(0.0, temperature) for temperature in TEMPERATURES]
        among = study(ask_among(model, suites, args.tasks), grid, args.held, False)
        results[AMONG] = among
        numbers["temperature_among"] = among["temperature"]
    if args.release:
        config = replace(model.config, **numbers)
        fitted = sorted(names - set(args.held))
        card = calibrated_card(model.card, numbers | {"fitted_on": fitted})
        checkpoint.save(args.release, model.params, config, card)
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
