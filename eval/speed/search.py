"""How fast the runs of a search are forecast together."""

from functools import partial

import numpy as np

from lcpfn.eval.speed.measure import Row, Settings, interleaved, seconds
from lcpfn.eval.speed.reference_prior import example_curves
from lcpfn.model import Model
from lcpfn.study import Study

HORIZON = 100
OTHERS = 32
ALONE = 16  # runs that are asked about one at a time


def searching(model: Model, settings: Settings) -> list[Row]:
    """A question with other runs and without; a large study in batches and singly."""
    curves = example_curves(max(settings.runs, OTHERS + 1))
    return [
        _one_question(model, curves, settings),
        *_whole_study(model, curves[: settings.runs], settings),
    ]


def _study(model: Model, curves: np.ndarray, observations: int) -> Study:
    """A study of these curves with three hyperparameters."""
    study, rng = Study(HORIZON, "max", (0, 1), model=model), np.random.default_rng(0)
    for run, values in enumerate(curves[:, :observations].tolist()):
        config = {"lr": rng.random(), "decay": rng.random(), "kind": "abc"[run % 3]}
        study.extend(run, values, config=config)
    return study


def _one_question(model: Model, curves: np.ndarray, settings: Settings) -> Row:
    """One more observation and a forecast, with other runs and without."""
    observations = settings.run_observations
    studies = {
        count: _study(model, curves[:count], observations // 2)
        for count in (1, OTHERS + 1)
    }

    def ask(study: Study) -> np.ndarray:
        newest = len(study.runs[0].values)
        study.report(0, float(curves[0, newest]))
        return study.forecast(0).final.median()

    calls = {str(count): partial(ask, study) for count, study in studies.items()}
    times = interleaved(calls, min(4 * settings.repeats, HORIZON - observations))
    own, alone = 1e3 * times[str(OTHERS + 1)], 1e3 * times["1"]
    name = f"an observation and a forecast, {OTHERS} other runs"
    return Row("search", name, own, "ms", "the run alone", alone, goal=0.5)


def _whole_study(model: Model, curves: np.ndarray, settings: Settings) -> list[Row]:
    """Decisions on all runs of a study with news, and how fast it takes them.

    It begins with half of the observations of each run.
    """
    observations, runs = settings.run_observations, len(curves)
    begun = observations // 2
    study = _study(model, curves, begun)
    study.decide_all()

    def report() -> None:
        for run, values in enumerate(curves):
            study.report(run, float(values[len(study.runs[run].values)]))

    few = range(min(ALONE, runs))
    ask_few = lambda: [study.decide(run) for run in few]
    decided, single = [], []
    for _ in range(settings.repeats):
        report()
        study.forecast(0)  # reads the news, and compiles nothing later
        single.append(seconds(ask_few) / len(few))
        report()
        decided.append(seconds(study.decide_all))
    taken = [
        _taken(_study(model, curves, begun), curves[:, begun:observations])
        for _ in range(2)
    ]
    all_runs, one = float(np.median(decided)), float(np.median(single))
    rate = runs * (observations - begun) / min(taken)
    return [
        Row(
            "search",
            f"decisions on {runs} runs that have reported",
            *(all_runs, "s", "one run at a time", one * runs),
            limit=1.0,
        ),
        Row(
            "search",
            f"observations of {runs} runs, {observations - begun} at a time",
            *(rate, "observations/s", "one at a time", runs / all_runs),
            limit=20_000,
        ),
    ]


def _taken(study: Study, values: np.ndarray) -> float:
    """Seconds until a study has taken values `(runs, n)` and answers again."""
    study.forecast(0)

    def take() -> None:
        for run, some in enumerate(values.tolist()):
            study.extend(run, some)
        study.forecast(0)

    return seconds(take)
