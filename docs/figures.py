"""Draws the figures of the documentation.

    python -m docs.figures                          # what needs no recorded curves
    python -m docs.figures --suite lcbench.npz ...  # and what does

Needs the extras `plot` and `checks`; takes about a minute. Runs drawn here are small
networks trained on scikit-learn's digits.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import lcpfn
from docs.tables import RESULTS
from lcpfn import plot
from lcpfn.batch import make_batch, read_batch
from lcpfn.checks import check_curves
from lcpfn.eval import evaluate_context
from lcpfn.eval.curves import extrapolate, of_model
from lcpfn.eval.data import scored_cases
from lcpfn.eval.nas.asked import GIVEN
from lcpfn.eval.report_plots import grid
from lcpfn.eval.searches import Setting, given, searches
from lcpfn.eval.studies import pruners_shown
from lcpfn.eval.studies.gallery import effect_rows, montage
from lcpfn.eval.studies.planned_rate import planned_cases
from lcpfn.eval.studies.worst import draw
from lcpfn.io import read_curves
from lcpfn.jax_setup import float64

FOLDER = Path(__file__).parent / "figures"
EPOCHS = 60
RATES = (0.0001, 0.0003, 0.0006, 0.001, 0.0015, 0.002, 0.004, 0.01, 0.1)
EXAMPLE = Path(lcpfn.__file__).parent / "examples" / "digits_mlp.csv"
EFFECTS = (
    *("none of them", "schedule", "warm_up", "untrained", "onset", "overfit", "bump"),
    *("explosion", "flat", "small", "wander", "skewed", "wild", "dying", "ceiling"),
    *("rest", "best_so_far", "rounded"),
)
METRIC: dict[str, Any] = {"mode": "max", "bounds": (0, 1)}


def digits(rate: float) -> list[float]:
    """Validation accuracy of a network on digits, one value per epoch."""
    x, y = load_digits(return_X_y=True)
    x, x_valid, y, y_valid = train_test_split(
        x / 16, y, test_size=0.5, random_state=0, stratify=y
    )
    network = MLPClassifier(
        (12,), solver="sgd", learning_rate_init=rate, batch_size=16, random_state=0
    )
    values = []
    for _ in range(EPOCHS):
        network.partial_fit(x, y, classes=range(10))
        values.append(float(network.score(x_valid, y_valid)))
    return values


def cutoffs(model: lcpfn.Model, curve: Sequence[float], counts: Sequence[int]) -> Any:
    """The forecast of one run after more and more of it, and how the run went on."""
    size = (3.25 * len(counts), 3.2)
    figure, (axes,) = grid(1, len(counts), size, sharey=True)
    steps = np.arange(1, EPOCHS + 1)
    for ax, count in zip(axes, counts, strict=True):
        forecast = model.extrapolate(curve[:count], EPOCHS, **METRIC)
        plot.fan(forecast, ax=ax, title=f"after {count} epochs")
        ax.plot(
            steps, curve, color=plot.THRESHOLD, ls=":", label="how it went on", zorder=4
        )
        ax.set(ylabel="", xlabel="epoch")
        ax.get_legend().remove()
    axes[0].set_ylabel("accuracy")
    axes[-1].legend(frameon=False, fontsize=8)
    return figure


def decisions(model: lcpfn.Model, curve: Sequence[float], beat: float) -> Any:
    """A run that is stopped: its fan at that time, and the decisions until then."""
    stopper = lcpfn.EarlyStopping(EPOCHS, beat=beat, patience=2, model=model, **METRIC)
    made: list[lcpfn.Decision] = []
    for value in curve:
        made.append(stopper.update(value))
        if made[-1].stop:
            break
    figure, ((left, right),) = grid(1, 2, (12, 4))
    plot.fan(made[-1].forecast, ax=left, beat=beat, title="when it was stopped")
    steps = np.arange(1, EPOCHS + 1)
    left.plot(steps, curve, color=plot.THRESHOLD, ls=":", label="without stopping")
    left.legend(frameon=False, fontsize="small")
    plot.timeline(made, rule=stopper.rule, ax=right)
    return figure


def tokens(model: lcpfn.Model, curve: Sequence[float]) -> Any:
    """One curve in two units, and what the network sees of both."""
    one = np.array(curve[:30])
    figure, axes = grid(2, 2, (10, 5), width_ratios=(1, 1.4))
    ways = (("accuracy", one, "max"), ("another metric", 700 - 40 * one, "min"))
    read = float64(jax.jit(read_batch))
    for (left, right), (name, y, mode) in zip(axes, ways, strict=True):
        metric = model.metric(mode, None)
        contexts, _ = check_curves(y, EPOCHS, metric)
        _, _, features = read(make_batch(contexts, metric, [1], 1, [len(y)]))
        left.plot(np.arange(1, 31), y, color="black", marker="o", ms=2.5)
        left.set(ylabel=name, xlabel="step")
        image = right.imshow(
            features[0].T, aspect="auto", cmap="cividis", vmin=-4, vmax=4
        )
        right.set(xlabel="token", ylabel="feature", title="what the network sees")
        figure.colorbar(image, ax=right)
    return figure


def queries() -> Any:
    """Which (cutoff, step) pairs of one curve are queries in training."""
    figure, (axes,) = grid(1, 2, (8, 3.6), sharey=True)
    size = 16
    cutoff, step = np.mgrid[1 : size + 1, 1 : size + 1]
    for ax, rows, title in (
        (axes[0], cutoff == 6, "one cutoff per batch"),
        (axes[1], cutoff > 0, "every cutoff in one pass"),
    ):
        seen, later = rows & (step <= cutoff), rows & (step > cutoff)
        for where, colour, marker, label in (
            (seen, "black", "o", "context: observation that the forecast uses"),
            (later, plot.COLOUR, "s", "query: later step to predict"),
        ):
            ax.scatter(step[where], cutoff[where], s=14, c=colour, marker=marker)
            ax.scatter([], [], s=14, c=colour, marker=marker, label=label)
        ax.set(title=title, xlabel="step", xlim=(0, size + 1), ylim=(size + 1, 0))
        ax.set(xticks=range(4, size + 1, 4), yticks=range(4, size + 1, 4))
    axes[0].set_ylabel("cutoff")
    axes[0].legend(loc="lower left", fontsize="small", framealpha=1)
    return figure


def many(model: lcpfn.Model, curves: Sequence[Sequence[float]]) -> Any:
    """Runs of several learning rates after a quarter of their epochs."""
    forecast = model.extrapolate([c[:15] for c in curves], EPOCHS, **METRIC)
    names = [f"learning rate {rate:g}" for rate in RATES]
    ax = plot.runs(forecast, names=names, shown=3, title="")
    ax.set(xlabel="epoch", ylabel="accuracy")
    return ax.figure


def effects() -> Any:
    """Curves of the broad prior that show one effect each."""
    rows = {name: row for name, row in effect_rows(8).items() if name in EFFECTS}
    return montage(rows, "Curves of the broad prior, effect by effect")


def calibration(model: lcpfn.Model, suites: Sequence[Any]) -> Any:
    """Final values of recorded runs among the quantiles that were forecast."""
    found = {}
    for suite in suites:
        cases = scored_cases(suite, 200)
        truth = np.array([case.truth for case in cases])
        found[suite.name] = of_model(model)(cases).cdf(truth)
    return plot.reliability(found).figure


def among_others(model: lcpfn.Model, suites: Sequence[Any], percent: int = 10) -> Any:
    """Two runs of a search of each source, by themselves and amid 20 others."""
    known = [next(searches([suite]), None) for suite in suites]
    tasks = [task for task in known if task is not None]
    figure, panels = grid(len(tasks), 4, (15, 2.6 * len(tasks)))
    for line, task in zip(panels, tasks, strict=True):
        others = given(task, Setting(), np.random.default_rng(0))
        for i, ax in enumerate(line):
            run, shown = task.asked[i // 2], others if i % 2 else []
            part = evaluate_context.known(run, percent)
            forecast = model.extrapolate(
                *(part.values, run.steps[-1]),
                mode=run.mode,
                bounds=run.bounds,
                steps=part.steps,
                others=shown,
                config=part.config,
            )
            for other in others:
                ax.plot(other.steps, other.values, c="0.8", lw=0.7)
            plot.fan(forecast, ax=ax, title="")
            ax.plot(run.steps, run.values, "k:", lw=1)
            ends = [o.values[np.isfinite(o.values)][-1] for o in others]
            low, high = np.quantile([*ends, *run.values[len(part.values) :]], (0, 1))
            ax.set_ylim(low - 0.5 * (high - low), high + 0.5 * (high - low))
            ax.set(xlabel="", ylabel="", xlim=(0, 1.05 * run.steps[-1]))
            ax.get_legend().remove()
            knows = "20 others" if shown else "alone"
            ax.set_title(f"{task.task[:32]}: {knows}", fontsize=8)
    return figure


def planned(model: lcpfn.Model, paths: Sequence[str], suites: Sequence[Any]) -> Any:
    """The longest run of each source whose schedule is known, without plan and with."""
    both = zip(paths, suites, strict=True)
    found = [planned_cases(path, suite, 100) for path, suite in both]
    shown = [known for known in found if known[0]]
    figure, panels = grid(len(shown), 2, (7.5, 2.6 * len(shown)))
    for line, (cases, plans) in zip(panels, shown, strict=True):
        seen = [len(case.values) * (case.percent == 40) for case in cases]
        at = int(np.argmax(seen))
        case, later = cases[at], cases[at].later_steps
        for ax, plan in zip(line, (None, plans[at]), strict=True):
            forecast = extrapolate(model, case, plan=plan)
            plot.fan(forecast, ax=ax, title="")
            ax.plot(later, case.later_values, "k:", lw=1)
            ends = np.quantile([*case.values[2:], *case.later_values], (0, 1))
            ax.set(
                xlabel="", ylabel="", ylim=ends + np.ptp(ends) * np.array([-0.3, 0.3])
            )
            ax.get_legend().remove()
            told = "no plan" if plan is None else "told its plan"
            ax.set_title(f"{case.task[:40]}: {told}", fontsize=8)
    return figure


def cells() -> Any:
    """How early cells trained on digits are ranked right, from the results file."""
    results = json.loads((RESULTS / "nas.json").read_text())
    figure, ((ax,),) = grid(1, 1, (6, 3.6))
    for name, at in results["ranks"]["digits valid_accuracy"]["cutoffs"].items():
        percents = [int(percent) for percent in at]
        taus = [row["tau"] for row in at.values()]
        ours = name in GIVEN
        ax.plot(percents, taus, marker="o", ms=3, ls="-" if ours else ":", label=name)
    ax.set(xlabel="epochs seen, %", ylabel="Kendall's tau")
    ax.legend(frameon=False, fontsize=8)
    return figure


def pruners() -> Any:
    """Regret of pruners over epochs and seconds, from the results file."""
    return pruners_shown.draw(json.loads((RESULTS / "pruners.json").read_text()))


def main() -> None:
    """Writes the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--suite", nargs="*", default=[], help="recorded curves")
    parser.add_argument("--only", nargs="*", help="names of figures")
    args = parser.parse_args()
    plot.pyplot().switch_backend("agg")
    model = lcpfn.load()
    curves = [digits(rate) for rate in RATES]
    (example,) = read_curves(EXAMPLE, **METRIC).runs
    fan = plot.fan(model.extrapolate(example.values, EPOCHS, **METRIC))
    drawn: dict[str, Callable[[], Any]] = {
        "fan": lambda: fan.figure,
        "cutoffs": lambda: cutoffs(model, curves[5], (3, 6, 12, 24)),
        "late": lambda: cutoffs(model, curves[1], (4, 8, 16)),
        "runs": lambda: many(model, curves),
        "timeline": lambda: decisions(model, curves[4], round(max(curves[7]), 3)),
        "tokens": lambda: tokens(model, curves[5]),
        "queries": queries,
        "effects": effects,
        "cells": cells,
        "pruners": pruners,
    }
    if args.suite:
        suites = [read_curves(path) for path in args.suite]
        drawn["planned"] = lambda: planned(model, args.suite, suites)
        drawn["others"] = lambda: among_others(model, suites)
        drawn["reliability"] = lambda: calibration(model, suites)
        drawn["worst"] = lambda: draw(model, suites, percent=20, most=120)[0]
    for name in args.only or drawn:
        dpi = 60 if name in ("others", "worst") else 100
        drawn[name]().savefig(FOLDER / f"{name}.png", dpi=dpi)


if __name__ == "__main__":
    main()
