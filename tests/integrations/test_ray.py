"""Ray Tune, for real: a local cluster with two workers."""

import os
import signal

import pytest

from tests.makers import start_python

pytest.importorskip("ray.tune", reason="needs ray[tune]")
pytestmark = pytest.mark.slow

HORIZON = 15
TOPS = [0.9, 0.6, 0.5, 0.7, 0.4, 0.95]


@pytest.fixture(scope="module")
def ray():
    import ray

    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def trainable(horizon, seconds=0):
    """A function that Ray sends to its workers by value, so it imports what it uses."""

    def train(config):
        """An accuracy that rises to a level of its own; goes on from its checkpoint."""
        import json
        import os
        import tempfile
        import time
        from pathlib import Path

        from ray import tune

        begin = 0
        before = tune.get_checkpoint()
        if before is not None:
            with before.as_directory() as folder:
                begin = json.loads((Path(folder) / "step.json").read_text())
        for step in range(begin + 1, horizon + 1):
            if config["dies"] == config["top"] and step == 4 and begin == 0:
                os._exit(1)
            value = config["top"] * (1 - 0.5 / (1 + step))
            time.sleep(seconds)
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "step.json").write_text(json.dumps(step))
                tune.report(
                    {"accuracy": value},
                    checkpoint=tune.Checkpoint.from_directory(folder),
                )

    return train


def search(
    tmp_path,
    stop=None,
    scheduler=None,
    metric="accuracy",
    dies=None,
    seconds=0,
    tops=TOPS,
    workers=2,
    **run,
):
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(trainable(HORIZON, seconds), {"cpu": 1}),
        param_space={"top": tune.grid_search(tops), "dies": dies},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            metric=metric,
            mode=None if metric is None else "max",
            max_concurrent_trials=workers,
        ),
        run_config=tune.RunConfig(
            stop=stop, storage_path=str(tmp_path), verbose=0, name="s", **run
        ),
    )
    return tuner.fit()


def lengths(results):
    return {
        result.config["top"]: result.metrics["training_iteration"] for result in results
    }


def test_stopper(ray, tmp_path):
    from lcpfn.integrations.ray import LCStopper

    stopper = LCStopper("accuracy", "max", HORIZON, bounds=(0, 1))
    found = lengths(search(tmp_path, stop=stopper, metric=None))
    assert found[0.9] == found[0.95] == HORIZON
    assert min(found[top] for top in (0.5, 0.7, 0.4)) < HORIZON


def test_forecasts_know_the_other_trials(ray, tmp_path, asked):
    from lcpfn.integrations.ray import LCScheduler

    search(tmp_path, scheduler=LCScheduler(horizon=HORIZON, bounds=(0, 1)))
    most = max(asked, key=len)
    assert {config["top"] for config in most.values()} == set(TOPS)


def test_scheduler_stops(ray, tmp_path):
    from lcpfn.integrations.ray import LCScheduler

    scheduler = LCScheduler(horizon=HORIZON, bounds=(0, 1))
    found = lengths(search(tmp_path, scheduler=scheduler))
    assert found[0.9] == found[0.95] == HORIZON
    assert min(found[top] for top in (0.5, 0.7, 0.4)) < HORIZON
    assert "LCScheduler" in scheduler.debug_string()


def test_scheduler_pauses_and_goes_on_from_checkpoints(ray, tmp_path):
    from lcpfn.integrations.ray import LCScheduler

    paused = []

    class Watched(LCScheduler):
        def on_trial_result(self, tune_controller, trial, result):
            answer = super().on_trial_result(tune_controller, trial, result)
            if answer == self.PAUSE:
                paused.append(trial.trial_id)
            return answer

    scheduler = Watched(horizon=HORIZON, bounds=(0, 1), turn=1)
    results = search(tmp_path, scheduler=scheduler)
    assert not results.errors
    found = lengths(results)
    assert paused
    assert found[0.95] == HORIZON
    # A trial that was paused went on where it was: no step was reported twice.
    for result in results:
        steps = list(result.metrics_dataframe["training_iteration"])
        assert steps == sorted(set(steps))


def test_two_workers_train_at_once(ray, tmp_path):
    from lcpfn.integrations.ray import LCScheduler

    running = []

    class Watched(LCScheduler):
        def on_trial_result(self, tune_controller, trial, result):
            statuses = [t.status for t in tune_controller.get_trials()]
            running.append(statuses.count("RUNNING"))
            return super().on_trial_result(tune_controller, trial, result)

    scheduler = Watched(horizon=HORIZON, bounds=(0, 1), turn=5)
    results = search(tmp_path, scheduler=scheduler, seconds=0.3)
    assert not results.errors
    assert max(running) == 2
    found = lengths(results)
    assert found[0.95] == HORIZON
    assert min(found[top] for top in (0.5, 0.7, 0.4)) < HORIZON


def test_dry_run_stops_nothing(ray, tmp_path):
    from lcpfn.integrations.ray import LCScheduler

    scheduler = LCScheduler(horizon=HORIZON, bounds=(0, 1), dry_run=True)
    found = lengths(search(tmp_path, scheduler=scheduler))
    assert set(found.values()) == {HORIZON}


def test_a_killed_worker_is_tried_again_and_the_curve_goes_on(ray, tmp_path):
    from ray import tune

    from lcpfn.integrations.ray import LCScheduler

    scheduler = LCScheduler(horizon=HORIZON, bounds=(0, 1))
    again = tune.FailureConfig(max_failures=1)
    results = search(tmp_path, scheduler=scheduler, dies=0.95, failure_config=again)
    assert not results.errors
    found = lengths(results)
    assert found[0.95] == HORIZON
    assert min(found[top] for top in (0.5, 0.7, 0.4)) < HORIZON


def test_a_restored_experiment_knows_the_trials_from_before(ray, tmp_path):
    from ray import tune

    from lcpfn.integrations.ray import LCScheduler

    weak, *others = sorted(TOPS)
    # None is stopped at first: the first one dies, and then all others have to finish.
    scheduler = LCScheduler(horizon=HORIZON, bounds=(0, 1), n_startup=len(others))
    tops = [weak, *others]
    before = search(tmp_path, scheduler=scheduler, dies=weak, tops=tops, workers=1)
    assert len(before.errors) == 1
    work = tune.with_resources(trainable(HORIZON), {"cpu": 1})
    again = tune.Tuner.restore(
        str(tmp_path / "s"), trainable=work, resume_errored=True
    ).fit()
    assert not again.errors
    found = lengths(again)
    assert 3 < found.pop(weak) < HORIZON
    assert set(found.values()) == {HORIZON}


# A driver that is killed while trials wait: what restores the experiment is not.
DRIVER = """
import os, signal, sys
from pathlib import Path
import ray
from lcpfn.integrations.ray import LCScheduler
from tests.integrations.test_ray import HORIZON, search

class Killed(LCScheduler):
    def on_trial_result(self, tune_controller, trial, result):
        trials = tune_controller.get_trials()
        begun = [t for t in trials if t.has_reported_at_least_once]
        # Paused, or on the way back from there.
        names = [t.trial_id for t in begun if t.status in ("PAUSED", "PENDING")]
        if names and os.environ.get("DIES"):
            Path(sys.argv[1], "waiting").write_text(" ".join(names))
            # Not while Ray copies its state, which would leave half of it.
            tune_controller.checkpoint(force=True, wait=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().on_trial_result(tune_controller, trial, result)

ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
scheduler = Killed(horizon=HORIZON, bounds=(0, 1), turn=1, n_startup=2)
search(Path(sys.argv[1]), scheduler=scheduler)
"""


def test_a_killed_driver_is_started_again_and_paused_trials_go_on(ray, tmp_path):
    from ray import tune

    environment = {"DIES": "1", "TUNE_GLOBAL_CHECKPOINT_S": "0"}
    driver = start_python("-c", DRIVER, tmp_path, env=environment)
    assert driver.wait(timeout=600) == -signal.SIGKILL
    waiting = (tmp_path / "waiting").read_text().split()
    assert waiting
    work = tune.with_resources(trainable(HORIZON), {"cpu": 1})
    results = tune.Tuner.restore(str(tmp_path / "s"), trainable=work).fit()
    assert not results.errors
    found = lengths(results)
    assert found[0.9] == found[0.95] == HORIZON
    assert min(found[top] for top in (0.5, 0.7, 0.4)) < HORIZON
    for result in results:
        steps = list(result.metrics_dataframe["training_iteration"])
        assert sorted(set(steps)) == list(range(1, max(steps) + 1))
        if result.metrics["trial_id"] in waiting:  # it did not begin again
            assert steps.count(1) == 1


def test_wrong_options_are_refused_at_once():
    from lcpfn.integrations.ray import LCScheduler, LCStopper

    with pytest.raises(ValueError, match="mode"):
        LCStopper("accuracy", "best", HORIZON)
    with pytest.raises(ValueError, match="turn"):
        LCScheduler(horizon=HORIZON, turn=0)
    scheduler = LCScheduler("accuracy", "max", horizon=HORIZON)
    assert not scheduler.set_search_properties("loss", None)
