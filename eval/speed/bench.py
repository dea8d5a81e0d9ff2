"""Speed and memory, every figure beside a rival measured in the same run.

The rivals are LC-PFN's 12 x 512 network on the same steps and its prior's NumPy
loop; for start-up and memory, a bare interpreter and a bare JAX. Figures are medians,
and the calls that are compared take turns.

    results = bench(lcpfn.load())
    to_markdown(results)
"""

import importlib.util
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lcpfn.eval.speed.fresh import cold_start, memory
from lcpfn.eval.speed.growth import batch_sizes, long_streams, watched_logs
from lcpfn.eval.speed.measure import (
    QUICK,
    Row,
    Settings,
    interleaved,
    machine,
    seconds,
    to_markdown,
)
from lcpfn.eval.speed.reference_network import Rival
from lcpfn.eval.speed.reference_prior import draw_only, example_curves
from lcpfn.eval.speed.search import searching
from lcpfn.eval.studies.training_speed import training
from lcpfn.model import Model
from lcpfn.priors import LCPFN_PRIOR, draw
from lcpfn.stopping.early_stopping import EarlyStopping

__all__ = ["bench", "to_markdown"]

HORIZON = 100
METRIC: dict[str, Any] = {"mode": "max", "bounds": (0, 1)}


def streaming(model: Model, rival: Rival, settings: Settings) -> list[Row]:
    """One more observation and the decision on it, against one forward pass."""
    curves = example_curves(settings.curves + 1)
    rows = []
    for horizon in (50, 5000):
        updates: list[float] = []
        forward: list[float] = []
        for number, curve in enumerate(curves):
            stopper = EarlyStopping(horizon, beat=0.9, model=model, **METRIC)
            for cutoff, value in enumerate(curve[: min(horizon, HORIZON) - 1], 1):
                took = seconds(partial(stopper.update, value))
                updates += [took] if number else []
                if cutoff % 10 == 1:
                    took = seconds(partial(rival.forward, curve[None], cutoff))
                    forward += [took] if number else []
        against = (f"forward pass of the {rival.name}", 1e3 * float(np.median(forward)))
        middle, late = (float(q) for q in 1e3 * np.quantile(updates, [0.5, 0.95]))
        name = f"update and decision, horizon {horizon}"
        rows += [
            Row("streaming", f"{name}, median", middle, "ms", *against, 75, 0.5),
            Row("streaming", f"{name}, 95 %", late, "ms", *against),
        ]
    return rows


def batched(model: Model, rival: Rival, settings: Settings) -> list[Row]:
    """Forecasts of many curves at once, against the rival on the same steps."""
    curves, rows = example_curves(settings.batch), []
    few = curves[: settings.rival_batch]
    against = f"{rival.name}, {len(few)} at a time"
    for cutoff in tqdm((10, 20, 50), desc="batched", file=sys.stderr, leave=False):
        ours = partial(model.extrapolate, curves[:, :cutoff], HORIZON, **METRIC)
        theirs = partial(rival.forward, few, cutoff, first=cutoff)
        times = interleaved(
            {
                "all": ours,
                "final": partial(ours, at=[HORIZON]),
                "rival all": theirs,
                "rival final": partial(theirs, final=True),
            },
            settings.repeats,
        )
        name = f"{len(curves)} curves at step {cutoff}"
        speed = {key: len(curves) / times[key] for key in ("all", "final")}
        slow = {key: len(few) / times[f"rival {key}"] for key in ("all", "final")}
        for key, what in (("all", "all remaining steps"), ("final", "final step only")):
            own, other = (speed[key], "curves/s"), (against, slow[key])
            goal = 200 if key == "all" else None
            rows.append(Row("batched", f"{name}, {what}", *own, *other, goal))
        if cutoff == 20:
            own, other = (speed["final"], "curves/s"), (f"{against}, all", slow["all"])
            name += ", final step only, against all steps"
            rows.append(Row("batched", name, *own, *other, 100, 3000))
    return rows


def deciding(model: Model, settings: Settings) -> list[Row]:
    """A decision of the Optuna pruner, against a forecast of the same curve.

    No row where Optuna is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        return []
    import optuna

    from lcpfn.integrations.optuna import LCPruner

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = LCPruner(HORIZON, bounds=(0, 1), model=model)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    *finished, curve = example_curves(31)
    for y in finished:
        steps = dict(enumerate(y.tolist(), 1))
        study.add_trial(
            optuna.trial.create_trial(value=y[-1], intermediate_values=steps)
        )
    trial = study.ask()
    beat, rows = float(max(y.max() for y in finished)), []
    for step, value in enumerate(curve[:50].tolist(), 1):
        trial.report(value, step)
        if step in (20, 50):
            ahead = partial(model.extrapolate, curve[:step], HORIZON, **METRIC)
            chance = lambda ahead=ahead: ahead().prob_better(beat)
            calls = {"decision": trial.should_prune, "forecast": chance}
            times = interleaved(calls, 10 * settings.repeats)
            name = f"a trial of {step} steps among {len(finished)} finished ones"
            against = ("one extrapolate and prob_better", 1e3 * times["forecast"])
            own = (1e3 * times["decision"], "ms")
            rows.append(Row("Optuna", name, *own, *against, goal=0.5))
    return rows


def sampling(settings: Settings) -> list[Row]:
    """Accepted curves of LC-PFN's prior per second, against the NumPy loop."""
    run = jax.jit(lambda key, n: draw(LCPFN_PRIOR, key, n).y, static_argnames="n")
    key, count = jax.random.key(0), settings.prior_curves
    with multiprocessing.get_context("spawn").Pool(2) as pool:

        def two_cores() -> None:
            pool.starmap(draw_only, [(seed, count // 2) for seed in (1, 2)], 1)

        calls: dict[str, Callable[[], Any]] = {
            str(n): partial(run, key, n=n) for n in settings.prior_sizes
        }
        calls |= {"one": partial(draw_only, 0, count), "two": two_cores}
        times = interleaved(calls, settings.repeats)
    ours, best = max((n / times[str(n)], n) for n in settings.prior_sizes)
    name = f"accepted curves, {best} at a time"
    return [
        Row(
            *("prior", name, ours, "curves/s"),
            *(f"NumPy loop, processes: {cores}", count / times[label]),
        )
        for cores, label in ((1, "one"), (2, "two"))
    ]


def bench(model: Model, quick: bool = False) -> dict[str, Any]:
    """Measures everything; minutes, on an otherwise idle machine.

    Args:
        model: to measure.
        quick: measure little, against a smaller rival, to see that it works.

    Returns:
        "machine", "settings", and "rows": `Row` as dicts with "ratio" and "met".
    """
    settings = QUICK if quick else Settings()
    rival = Rival(HORIZON, model.device, settings.rival_layers)
    figures = {
        "streaming": lambda: streaming(model, rival, settings),
        "batched": lambda: batched(model, rival, settings),
        "decisions": lambda: deciding(model, settings),
        "search": lambda: searching(model, settings),
        "prior": lambda: sampling(settings),
        "training": lambda: training(
            settings.preset,
            settings.train_steps,
            settings.train_batch,
            settings.rival_layers,
            settings.repeats,
        ),
        "memory": lambda: memory(model),
        "start": lambda: cold_start(model, settings.repeats),
        "long streams": lambda: long_streams(model, settings.observations),
        "watched logs": lambda: watched_logs(model, settings),
        "batch sizes": lambda: batch_sizes(model, settings),
    }
    rows: list[Row] = []
    with tqdm(figures.items(), file=sys.stderr) as bar:
        for name, measure in bar:
            bar.set_description(name)
            rows += measure()
    return {
        "machine": machine(model.device),
        "settings": {"model": repr(model)} | asdict(settings),
        "rows": [r._asdict() | {"ratio": r.ratio, "met": r.met} for r in rows],
    }
