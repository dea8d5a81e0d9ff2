"""What a file may hold, and where it is.

A rule goes through all files and names those that break it.
"""

import ast
from pathlib import Path

from tests.source_files import (
    FILES,
    IMPORTS,
    OTHERS,
    TESTS,
    below,
)

LINES, FUNCTION_LINES = 300, 50

# Functions that are too long today. None may be added; whoever mends one takes it out,
# and a test says so if that was forgotten.
LONG_FUNCTIONS = {
    "lcpfn.plot.decisions: timeline",
    "lcpfn.priors.broad: broad_model",
    "lcpfn.tokens: _describe",
    "lcpfn.train.batches: make_tasks",
    "lcpfn.train.finetune: finetune",
    "lcpfn.trajectories: _roll",
}


def test_no_attics():
    attics = ("utils", "helpers", "common", "misc")
    named = [m.path.stem.strip("_") for m in (FILES | TESTS | OTHERS).values()]
    assert not set(named) & set(attics)


def test_files_fit_on_a_few_screens():
    found = {
        name
        for name, module in (FILES | OTHERS).items()
        if len(module.text.splitlines()) > LINES
    }
    assert not found


def test_functions_fit_on_one_screen():
    found = {
        f"{module.name}: {node.name}"
        for module in FILES.values()
        for node in module.nodes
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    }
    assert found == LONG_FUNCTIONS


def test_our_own_names_are_not_changed_by_an_import():
    found = {
        f"{module.name}: {alias.name} as {alias.asname}"
        for module in (FILES | TESTS | OTHERS).values()
        for node in module.nodes
        if isinstance(node, IMPORTS)
        for alias in node.names
        if alias.asname and alias.asname != alias.name
        if below(getattr(node, "module", None) or alias.name, ("lcpfn",))
    }
    assert not found


def names_defined(module):
    """Names of functions, classes, variables and attributes that a module makes."""
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def private(name):
    return name.startswith("_") and not name.startswith("__")


def test_private_names_are_used_where_they_are_made():
    """Private names of other libraries are not our rule's business."""
    made = {name: set(names_defined(module)) for name, module in FILES.items()}
    ours = {x for names in made.values() for x in names if private(x)}
    found = set()
    for name, module in FILES.items():
        for node in module.nodes:
            if isinstance(node, ast.Attribute):
                used = [node.attr]
            elif isinstance(node, ast.ImportFrom):
                used = [alias.name for alias in node.names]
            else:
                continue
            foreign = {x for x in used if x in ours and x not in made[name]}
            found |= {f"{name}: {x}" for x in foreign}
    assert not found


def test_no_code_in_strings():
    """A linter does not read it, and the rules about imports are easily evaded by it.

    One line that imports a thing, for a new interpreter to time it, is no program.
    """
    found = {
        name
        for name, module in FILES.items()
        if any(len(program.body) > 1 for program in module.code_in_strings)
    }
    assert not found


def test_nothing_is_executed_from_text():
    called = {
        f"{module.name}: {node.func.id}"
        for module in FILES.values()
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    for name in ("exec", "eval", "compile", "__import__"):
        assert not [x for x in called if x.endswith(f": {name}")]


def test_tests_mirror_the_package():
    """`tests/io` is about `lcpfn/io`, `tests/train/test_fit.py` about `train/fit`.

    In most folders a file of tests may be about several modules.
    """
    folders = {Path(*name.split(".")[1:-1]) for name in FILES}
    folders |= {Path("browser"), Path("checkpoints"), Path("docs")}
    for name in TESTS:
        *parents, file = name.split(".")[1:]
        assert Path(*parents) in folders, name
        if parents in ([], ["train"], ["priors"]) and file.startswith("test_"):
            folder, about = ".".join(["lcpfn", *parents]), file.split("_")[1:]
            tested = {"_".join(about[:n]) for n in range(1, len(about) + 1)}
            modules = {x.rpartition(".")[2] for x in FILES if x.startswith(folder)}
            assert tested & (modules | {"architecture", "house_rules"}), name
