"""Syne Tune: a stopping rule around random search, on its local backend.

pip install 'lcpfn-jax[syne-tune]'

Ends with, about

    trial 0: 15 of 15 epochs
    trial 1: 7 of 15 epochs
    trial 2: 6 of 15 epochs
    ...
"""

import argparse

from syne_tune import Reporter, StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import uniform
from syne_tune.optimizer.baselines import RandomSearch

from lcpfn.integrations.syne_tune import LCStoppingRule

EPOCHS = 15


def train(top):
    """An accuracy that rises to a level of its own."""
    report = Reporter()
    for epoch in range(1, EPOCHS + 1):
        report(epoch=epoch, accuracy=top * epoch / (epoch + 2))


def search():
    """Six trials, each this script in a process of its own."""
    inner = RandomSearch(
        {"top": uniform(0.3, 0.95)},
        metrics=["accuracy"],
        do_minimize=False,
        random_seed=0,
    )
    rule = LCStoppingRule(inner, "accuracy", EPOCHS, do_minimize=False, bounds=(0, 1))
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=__file__),
        scheduler=rule,
        stop_criterion=StoppingCriterion(max_num_trials_finished=6),
        n_workers=1,
        sleep_time=0.1,
        save_tuner=False,
    )
    tuner.run()
    for name, monitor in rule.runs.runs.items():
        print(f"trial {name}: {len(monitor.observations.curve)} of {EPOCHS} epochs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--top", type=float)
    args, _ = parser.parse_known_args()
    if args.top is None:
        search()
    else:
        train(args.top)
