"""Who may import whom, and what an import costs."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Import name of each top-level folder.
FOLDERS = {
    "lcpfn": "lcpfn",
    "priors": "lcpfn.priors",
    "train": "lcpfn.train",
    "eval": "lcpfn.eval",
    "checkpoints": "lcpfn.checkpoints",
}
DOORS = ("lcpfn.__main__", "lcpfn.cli")
JOINED = ("lcpfn.priors", "lcpfn.train", "lcpfn.eval")


def python_files(folder):
    """Files below a top-level folder, not those behind its symbolic links."""
    for base, folders, files in os.walk(ROOT / folder):
        folders[:] = [f for f in folders if f != "__pycache__"]
        yield from (Path(base) / f for f in files if f.endswith(".py"))


def module_of(path):
    top, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[top], *rest]).removesuffix(".__init__")


FILES = {module_of(path): path for folder in FOLDERS for path in python_files(folder)}


def imports(path, module):
    """Full names of all that a file imports, wherever in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*parents, source]).rstrip(".")
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def below(name, packages):
    return any(name == p or name.startswith(p + ".") for p in packages)


@pytest.fixture(params=FILES)
def module(request):
    return request.param


@pytest.fixture
def imported(module):
    return set(imports(FILES[module], module))


def test_the_walk_finds_the_code():
    assert {"lcpfn.network", "lcpfn.priors.base", "lcpfn.train.step"} <= set(FILES)
    assert "lcpfn.tokens" in set(imports(FILES["lcpfn.network"], "lcpfn.network"))


def test_top_level_folders_are_imported_through_the_package(imported):
    assert not [x for x in imported if below(x, ("priors", "train", "eval"))]


def test_nothing_is_unpickled(imported):
    risky = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
    assert not [x for x in imported if below(x, risky)]


def test_leaves_and_tops(module, imported):
    ours = [x for x in imported if below(x, ("lcpfn",))]
    if below(module, ("lcpfn.priors",)):
        wrong = [x for x in ours if not below(x, ("lcpfn.priors",)) and x != "lcpfn"]
    elif below(module, ("lcpfn.eval.studies",)):  # done once, with what they train
        wrong = []
    elif below(module, ("lcpfn.train",)):
        wrong = [x for x in ours if below(x, ("lcpfn.eval",))]
    elif below(module, ("lcpfn.eval",)):
        wrong = [x for x in ours if below(x, ("lcpfn.train",))]
    elif below(module, DOORS):  # the one door
        wrong = []
    else:
        wrong = [x for x in ours if below(x, JOINED)]
    assert not wrong


def test_the_runtime_needs_no_training_library(module, imported):
    if below(module, DOORS) or below(module, JOINED):
        return
    assert not [x for x in imported if below(x, ("numpyro", "optax"))]


def test_adapters_know_their_own_framework_alone(module, imported):
    """And not before they are used: nothing of theirs is imported by the runtime."""
    adapters = ("lcpfn.integrations",)
    if below(module, (*DOORS, *adapters, "lcpfn.eval.speed")):  # and who times them
        return
    assert not [x for x in imported if below(x, adapters)]


def test_no_attics():
    attics = ("utils", "helpers", "common", "misc")
    found = [path for path in FILES.values() if path.stem.strip("_") in attics]
    tests = [path for path in python_files("tests") if path.stem.strip("_") in attics]
    assert not found + tests


def test_the_distribution_holds_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {name for name in FILES if FILES[name].name == "__init__.py"}
    # Checkpoints hold weights, not code.
    assert sorted(listed["packages"]) == sorted(packages | {"lcpfn.checkpoints"})
    assert listed["package-dir"] == {name: top for top, name in FOLDERS.items()}


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f != "lcpfn"])
def test_folders_are_linked_into_the_package(folder):
    link = ROOT / "lcpfn" / folder
    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links")
    assert link.resolve() == ROOT / folder


def loaded(use, names):
    """Which of the named modules a new interpreter has loaded after some code."""
    code = f"import sys, lcpfn; {use}; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_importing_the_package_loads_nothing():
    heavy = ["jax", "flax", "numpyro", "orbax", "optax", "numpy", "scipy", "matplotlib"]
    assert loaded("dir(lcpfn)", heavy) == "[]"


def test_the_runtime_loads_no_training_library():
    # optax is not among them: flax itself imports it.
    use = "lcpfn.Model; lcpfn.EarlyStopping; lcpfn.Forecast"
    assert loaded(use, ["numpyro", "orbax", "tqdm"]) == "[]"


def test_the_front_door():
    import lcpfn

    for name in lcpfn.__all__:
        assert getattr(lcpfn, name).__module__.startswith("lcpfn")
        assert name in dir(lcpfn)
    with pytest.raises(AttributeError, match="no attribute 'extrapolate_all'"):
        _ = lcpfn.extrapolate_all
