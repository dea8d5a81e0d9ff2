"""What a scheduler costs Ray Tune: many trials that compute nothing.

    python -m lcpfn.eval.speed.in_ray --trials 1000 --out eval/results/ray.json

Every scheduler gets the same trials on the same local cluster, one after the other: a
curve that rises to a level of its own, on actors that go from trial to trial. What is
left to measure is Ray, and the scheduler that it waits for. Needs Ray Tune.

    results per s, trials per s   by the clock
    ms a result                   in the calls of the scheduler, or of the stopper
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from lcpfn.eval.speed.measure import machine
from lcpfn.eval.speed.ray_shown import to_markdown
from lcpfn.eval.tables import report
from lcpfn.integrations.ray import LCScheduler, LCStopper

HORIZON = 20
METRIC = "accuracy"
# Results whose calls are averaged, the first and the last ones.
PART = 1000
SCHEDULER = (
    *("on_trial_add", "on_trial_result", "on_trial_complete"),
    *("choose_trial_to_run", "set_search_properties"),
)


class Rising(tune.Trainable):
    """An accuracy that rises to a level of its own."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begins a trial."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins another trial on the same actor."""
        self.config, self.done = new_config, 0
        return True

    def step(self) -> dict[str, Any]:
        """One more result."""
        self.done += 1
        value = _value(self.config, self.done)
        return {METRIC: value, "done": self.done >= HORIZON}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Where the trial is."""
        return {"config": self.config, "done": self.done}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Goes on from there."""
        assert checkpoint is not None
        self.config, self.done = checkpoint["config"], checkpoint["done"]


class Clock:
    """Seconds of the calls that it watches, and of each that takes a result."""

    def __init__(self) -> None:
        self.total, self.results = 0.0, list[float]()

    def watched(self, base: type, names: Sequence[str], result: str) -> type:
        """A class like `base` whose methods of these names are timed.

        Args:
            base: a scheduler or a stopper.
            names: methods.
            result: which of them takes a result.
        """

        def timed(name: str) -> Callable[..., Any]:
            method = getattr(base, name)

            def call(self_: Any, *args: Any, **options: Any) -> Any:
                before = time.perf_counter()
                answer = method(self_, *args, **options)
                spent = time.perf_counter() - before
                self.total += spent
                if name == result:
                    self.results.append(spent)
                return answer

            return call

        return type(base.__name__, (base,), {name: timed(name) for name in names})


def _options(name: str, clock: Clock) -> tuple[FIFOScheduler, LCStopper | None]:
    """A scheduler, and a stopper or None, watched by the clock."""
    scheduler = lambda base: clock.watched(base, SCHEDULER, "on_trial_result")
    ours = {"horizon": HORIZON, "bounds": (0, 1)}
    if name == "LCStopper":
        stopper = clock.watched(LCStopper, ["__call__"], "__call__")
        return FIFOScheduler(), stopper(METRIC, "max", **ours)
    if name == "LCScheduler":
        return scheduler(LCScheduler)(**ours), None
    if name == "ASHAScheduler":
        return scheduler(ASHAScheduler)(max_t=HORIZON), None
    return scheduler(FIFOScheduler)(), None


NAMES = ("FIFOScheduler", "ASHAScheduler", "LCStopper", "LCScheduler")


def _value(config: Mapping[str, float], step: int) -> float:
    """What a trial reports at a step."""
    return config["top"] * (1 - 0.8 * step ** -config["speed"])


def search(name: str, trials: int) -> dict[str, float]:
    """One experiment.

    Returns:
        "seconds", "results", "scheduler_seconds"; "ms_first", "ms_last" a result, of
        `PART` of them; "best" value, and "possible": that of the best trial in full.
    """
    clock = Clock()
    scheduler, stopper = _options(name, clock)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(Rising, {"cpu": 1}),
            param_space={"top": tune.uniform(0.5, 1), "speed": tune.uniform(0.3, 1.5)},
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="max",
                search_alg=BasicVariantGenerator(random_state=0),
                scheduler=scheduler,
                num_samples=trials,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                stop=stopper, storage_path=folder, name=name, verbose=0
            ),
        )
        before = time.perf_counter()
        grid = tuner.fit()
        seconds = time.perf_counter() - before
    if grid.errors:
        raise RuntimeError(f"{len(grid.errors)} trials failed: {grid.errors[0]}")
    results = [grid[i] for i in range(len(grid))]
    last = [result.metrics or {} for result in results]
    steps = [metrics["training_iteration"] for metrics in last]
    each = 1e3 * np.array(clock.results)
    ends = [_value(result.config or {}, HORIZON) for result in results]
    return {
        "seconds": seconds,
        "results": int(sum(steps)),
        "scheduler_seconds": clock.total,
        "ms_first": float(each[:PART].mean()),
        "ms_last": float(each[-PART:].mean()),
        "best": float(max(metrics[METRIC] for metrics in last)),
        "possible": max(ends),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2, help="at a time")
    parser.add_argument("--schedulers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--out", type=Path, help="results file (JSON)")
    args = parser.parse_args(argv)
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    ray.init(
        "local",
        num_cpus=args.workers,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    results = {
        "trials": args.trials,
        "workers": args.workers,
        "steps": HORIZON,
        "about": machine(jax.devices("cpu")[0]),
        "schedulers": {name: search(name, args.trials) for name in args.schedulers},
    }
    ray.shutdown()
    report(results, to_markdown(results), args.out)


if __name__ == "__main__":
    main()
