"""A checkout without symbolic links."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINKS = ("checkpoints", "eval", "priors", "train")
USE = """
import importlib.util, lcpfn, lcpfn.priors, lcpfn.train.config, lcpfn.eval
model = lcpfn.load("domhan")
print(model.extrapolate([0.5, 0.6], 5, mode="max").steps.tolist())
print([importlib.util.find_spec(f"lcpfn.{name}") for name in ("lcpfn", "tests")])
print(lcpfn.__file__)
"""


@pytest.mark.parametrize("stub", [None, "../{}"], ids=["nothing", "small files"])
def test_it_has_all_packages_and_no_others(tmp_path, stub):
    shutil.copytree(ROOT / "lcpfn", tmp_path / "lcpfn", ignore=lambda *_: LINKS)
    for name in LINKS:
        shutil.copytree(ROOT / name, tmp_path / name)
        if stub:
            (tmp_path / "lcpfn" / name).write_text(stub.format(name))
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    steps, absent, file = done.stdout.splitlines()
    assert steps == "[3.0, 4.0, 5.0]"
    assert absent == "[None, None]"
    assert file == str(tmp_path / "lcpfn" / "__init__.py")
