"""Ray Tune: a scheduler that stops hopeless trials and pauses for more promising ones.

pip install 'lcpfn-jax[ray]'

Ends with, about (which trial runs when is for Ray to say)

    top 0.9: 20 of 20 epochs
    top 0.6: 7 of 20 epochs
    top 0.5: 4 of 20 epochs
    top 0.7: 5 of 20 epochs
    top 0.4: 4 of 20 epochs
    top 0.95: 20 of 20 epochs
"""

import json
import tempfile
from pathlib import Path

import ray
from ray import tune

from lcpfn.integrations.ray import LCScheduler

EPOCHS = 20


def train(config):
    """An accuracy that rises to a level of its own; goes on from its checkpoint."""
    begin, before = 0, tune.get_checkpoint()
    if before is not None:
        with before.as_directory() as folder:
            begin = json.loads((Path(folder) / "epoch.json").read_text())
    for epoch in range(begin + 1, EPOCHS + 1):
        accuracy = config["top"] * epoch / (epoch + 2)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "epoch.json").write_text(json.dumps(epoch))
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"accuracy": accuracy}, checkpoint=checkpoint)


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"top": tune.grid_search([0.9, 0.6, 0.5, 0.7, 0.4, 0.95])},
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            scheduler=LCScheduler(horizon=EPOCHS, bounds=(0, 1), turn=5),
        ),
        run_config=tune.RunConfig(verbose=0),
    )
    for result in tuner.fit():
        steps = result.metrics["training_iteration"]
        print(f"top {result.config['top']}: {steps} of {EPOCHS} epochs")
