"""Processes: JAX does not survive a fork, and lcpfn starts it modestly."""

import json
import subprocess

import pytest

from tests.makers import start_python

FORECAST = """
import json, sys, lcpfn
model = lcpfn.load(sys.argv[1])
forecast = model.extrapolate([0.5, 0.6, 0.65], 8, mode="max", bounds=(0, 1))
print(json.dumps(forecast.mean().tolist()))
"""
FORK = """
import json, os, sys, warnings, lcpfn
warnings.simplefilter("ignore")  # JAX's own, about forks
model = lcpfn.load(sys.argv[1])
stream = model.stream(8, mode="max")
forecast = stream.update(0.5)
stopper = lcpfn.EarlyStopping(8, "max", model=model)
stopper.update(0.5)
uses = {
    "extrapolate": lambda: model.extrapolate([0.5], 8, mode="max"),
    "new stream": lambda: model.stream(8, mode="max"),
    "update": lambda: stream.update(0.6),
    "extend": lambda: stream.extend([0.6], [2]),
    "forecast": lambda: stream.forecast(),
    "paths": lambda: forecast.paths(2),
    "steps": lambda: forecast.mean(),
    "stopper": lambda: stopper.update(0.6),
    "load": lambda: lcpfn.load(sys.argv[1]),
}
read, write = os.pipe()
if os.fork() == 0:
    report = {"mean": forecast.final.mean()}  # needs no JAX
    for name, use in uses.items():
        try:
            use()
        except Exception as error:
            report[name] = f"{type(error).__name__}: {error}"
    os.write(write, json.dumps(report).encode())
    os._exit(0)
os.close(write)
with os.fdopen(read) as pipe:
    report = json.load(pipe)
os.wait()
report["parent"] = stream.update(0.6).mean().tolist()
assert report["mean"] == forecast.final.mean()
print(json.dumps(report))
"""
PLATFORMS = """
import sys
{before}
import lcpfn
lcpfn.load(sys.argv[1])
import jax
print(jax.config.jax_platforms)
"""


def start(code, path, **variables):
    """Runs code in a new interpreter whose JAX is told nothing about platforms."""
    pipes = {name: subprocess.PIPE for name in ("stdout", "stderr")}
    unset = ("JAX_PLATFORMS",)
    return start_python(
        "-c", code, path, env=variables, unset=unset, text=True, **pipes
    )


def output(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out.strip().splitlines()[-1]


def test_a_fork_is_refused_by_name(saved):
    report = json.loads(output(start(FORK, saved)))
    report.pop("mean")
    assert len(report.pop("parent")) == 6  # which goes on undisturbed
    assert set(report) == {
        "extrapolate",
        "new stream",
        "update",
        "extend",
        "forecast",
        "paths",
        "steps",
        "stopper",
        "load",
    }
    for message in report.values():
        assert message.startswith("RuntimeError: lcpfn was used in process")
        assert "spawn" in message
        assert "lcpfn.load()" in message


def test_processes_agree_with_each_other(saved, model):
    both = [start(FORECAST, saved) for _ in range(2)]
    one, two = (json.loads(output(process)) for process in both)
    assert one == two
    here = model.extrapolate([0.5, 0.6, 0.65], 8, mode="max", bounds=(0, 1)).mean()
    assert one == pytest.approx(here.tolist(), rel=1e-5)


def test_a_process_in_double_precision_gets_the_same_forecast(default):
    code = FORECAST + "assert forecast.paths(2).shape == (2, 5)\n"
    there = json.loads(output(start(code, "default", JAX_ENABLE_X64="1")))
    here = default.extrapolate([0.5, 0.6, 0.65], 8, mode="max", bounds=(0, 1)).mean()
    assert there == pytest.approx(here.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("before", "platforms"),
    [
        ("", "cpu"),
        ("import jax", "None"),
        ("import os; os.environ['JAX_PLATFORMS'] = ''", ""),
    ],
)
def test_jax_is_confined_unless_it_is_in_use(saved, before, platforms):
    process = start(PLATFORMS.format(before=before), saved)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert out.splitlines()[-1].strip() == platforms
