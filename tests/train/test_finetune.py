"""What finetuning keeps of how its checkpoint was trained."""

import importlib
from dataclasses import asdict, replace

import numpy as np
import pytest

from lcpfn import checkpoint
from lcpfn.train.config import TrainConfig
from tests.conftest import CONFIG, rough_params
from tests.makers import make_run, power_laws

finetuning = importlib.import_module("lcpfn.train.finetune")


@pytest.mark.parametrize("searches", [0.0, 0.6])
def test_a_checkpoint_that_knows_other_runs_goes_on_with_searches(
    tmp_path, monkeypatch, searches
):
    model = replace(CONFIG, best=True, others=16)
    before = TrainConfig(
        model=model, searches=searches, runs=8, cutoffs=5, lengths=(8, 16, 32, 4096)
    )
    checkpoint.save(
        tmp_path / "given",
        rough_params(model, 0, 0),
        model,
        {"training": asdict(before)},
    )
    asked = {}

    def fit(config, out, **options):
        asked["config"] = config
        return tmp_path / "given"

    monkeypatch.setattr(finetuning, "fit", fit)
    monkeypatch.setattr(finetuning, "score", lambda *_: 0.0)
    runs = [make_run(values) for values in power_laws(6, 12)]
    finetuning.finetune(runs, tmp_path / "out", checkpoint=tmp_path / "given")
    found = asked["config"]
    assert (found.searches, found.runs, found.cutoffs) == (searches, 8, 5)
    assert found.model == model
    assert found.lengths == (16,)  # of runs of 12 observations
    assert np.isclose(found.recorded, finetuning.SHARE)
