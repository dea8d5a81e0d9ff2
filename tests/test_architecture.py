"""Who may import whom, and what an import costs."""

import subprocess
import tomllib
from graphlib import TopologicalSorter

import pytest

from tests.makers import start_python
from tests.source_files import FILES, FOLDERS, ROOT, TESTS, below

DOORS = ("lcpfn.__main__", "lcpfn.cli")
JOINED = ("lcpfn.priors", "lcpfn.train", "lcpfn.eval")
STUDIES = ("lcpfn.eval.studies",)


def wrong_imports(allowed):
    """All imports of ours, `module: name`, that `allowed(module, name)` refuses."""
    return {
        f"{module.name}: {name}"
        for module in FILES.values()
        for name in module.imported
        if not allowed(module.name, name)
    }


def test_the_walk_finds_the_code():
    assert {"lcpfn.network", "lcpfn.priors.base", "lcpfn.train.step"} <= set(FILES)
    assert "lcpfn.tokens" in FILES["lcpfn.network"].imported
    assert {"tests.test_architecture", "tests.makers"} <= set(TESTS)


# --- who may import whom


def test_top_level_folders_are_imported_through_the_package():
    assert not wrong_imports(
        lambda _, name: not below(name, ("priors", "train", "eval"))
    )


def test_nothing_is_unpickled():
    risky = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
    assert not wrong_imports(lambda _, name: not below(name, risky))


def test_leaves_and_tops():
    def allowed(module, name):
        if below(module, ("lcpfn.priors",)):
            return (
                name == "lcpfn"
                or below(name, ("lcpfn.priors",))
                or not below(name, ("lcpfn",))
            )
        if below(module, DOORS + STUDIES):
            return True
        if below(module, ("lcpfn.train",)):
            return not below(name, ("lcpfn.eval",))
        if below(module, ("lcpfn.eval",)):
            return not below(name, ("lcpfn.train",))
        return not below(name, JOINED)

    assert not wrong_imports(allowed)


def test_only_the_doors_know_the_command_line():
    """What commands share lies with what they show, not the other way round."""
    assert not wrong_imports(
        lambda module, name: not below(module, JOINED) or not below(name, DOORS)
    )


def test_the_runtime_needs_no_training_library():
    assert not wrong_imports(
        lambda module, name: (
            below(module, DOORS + JOINED) or not below(name, ("numpyro", "optax"))
        )
    )


def test_adapters_know_their_own_framework_alone():
    """And not before they are used: nothing of theirs is imported by the runtime."""
    adapters = ("lcpfn.integrations",)
    # And what measures them.
    users = DOORS + adapters + ("lcpfn.eval.speed", "lcpfn.eval.studies.in_optuna")
    assert not wrong_imports(
        lambda module, name: below(module, users) or not below(name, adapters)
    )


def test_no_import_circles():
    """Not inside functions either; the error names the modules of a circle."""
    imported = {name: module.imported_modules for name, module in FILES.items()}
    TopologicalSorter(imported).prepare()


# --- where things are


def test_the_distribution_holds_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {name for name, m in FILES.items() if m.path.name == "__init__.py"}
    # Checkpoints hold weights, not code.
    assert sorted(listed["packages"]) == sorted(packages | {"lcpfn.checkpoints"})
    assert listed["package-dir"] == {name: top for top, name in FOLDERS.items()}


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f != "lcpfn"])
def test_folders_are_linked_into_the_package(folder):
    link = ROOT / "lcpfn" / folder
    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links")
    assert link.resolve() == ROOT / folder


# --- what an import costs


def loaded(use, names):
    """Which of the named modules a new interpreter has loaded after some code."""
    code = f"import sys, lcpfn; {use}; print([m for m in {names} if m in sys.modules])"
    out, _ = start_python("-c", code, stdout=subprocess.PIPE, text=True).communicate()
    return out.strip()


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
