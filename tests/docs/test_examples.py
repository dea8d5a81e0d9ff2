"""Every example runs as its user would run it, and ends early."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import COMPILATION

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[2] / "examples"
# Script, what it needs, what it prints.
EXAMPLES = [
    ("search_loop.py", (), "199 epochs instead of 1500"),
    ("own_prior.py", (), "NUTS "),
    ("finetune_history.py --steps 10", ("sklearn",), "20 runs, 4 of them held out"),
    ("sklearn_partial_fit.py", ("sklearn",), "stopped at epoch"),
    ("flax_loop.py", ("sklearn",), "stopped at epoch"),
    ("keras_digits.py", ("keras", "sklearn"), "stopped at epoch"),
    ("boosting.py", ("lightgbm", "xgboost", "sklearn"), "LightGBM stopped at round"),
    ("nas_digits.py --cells 6", ("sklearn",), "without forecasts: "),
    ("optuna_tpe.py --trials 8", ("optuna", "sklearn"), "with the pruner"),
    ("lightning_digits.py", ("lightning", "sklearn"), "stopped at epoch"),
    ("transformers_tiny.py", ("transformers", "torch"), "stopped at epoch"),
    ("ray_tune.py", ("ray",), "top 0.95: 20 of 20 epochs"),
    ("syne_tune_rule.py", ("syne_tune",), "of 15 epochs"),
    ("ax_strategy.py", ("ax",), "of 20 epochs"),
]


@pytest.mark.parametrize(("command", "needs", "says"), EXAMPLES)
def test_example(command, needs, says, tmp_path):
    for name in needs:
        if find_spec(name) is None:
            pytest.skip(f"needs {name}")
    script, *options = command.split()
    env = os.environ | {"SYNETUNE_FOLDER": str(tmp_path / "syne-tune")}
    if "--steps" in options:  # so few that compiling well would take longest
        env["XLA_FLAGS"] = COMPILATION["XLA_FLAGS"]
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *options],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert says in done.stdout + done.stderr


@pytest.mark.parametrize(("command", "needs", "says"), EXAMPLES)
def test_example_states_what_it_prints(command, needs, says):
    stated = ast.get_docstring(ast.parse((FOLDER / command.split()[0]).read_text()))
    assert says in stated


def test_every_script_is_tried():
    tried = {command.split()[0] for command, _, _ in EXAMPLES}
    assert tried == {path.name for path in FOLDER.glob("*.py")}
