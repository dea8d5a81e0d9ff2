"""Every Python file of the repository, parsed once, for the rules about files."""

import ast
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Import name of each top-level folder.
FOLDERS = {
    "lcpfn": "lcpfn",
    "priors": "lcpfn.priors",
    "train": "lcpfn.train",
    "eval": "lcpfn.eval",
    "checkpoints": "lcpfn.checkpoints",
}
IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Module:
    """A Python file and what a rule asks about it."""

    name: str
    path: Path

    @cached_property
    def text(self):
        return self.path.read_text()

    @cached_property
    def tree(self):
        return ast.parse(self.text)

    @cached_property
    def nodes(self):
        return list(ast.walk(self.tree))

    @cached_property
    def code_in_strings(self):
        """Parsed string constants that are programs: they import something."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Constant) and "import " in str(node.value):
                try:
                    program = ast.parse(str(node.value))
                except SyntaxError:
                    continue
                if any(isinstance(x, IMPORTS) for x in ast.walk(program)):
                    found.append(program)
        return found

    @cached_property
    def imported(self):
        """Full names of all that is imported, wherever, and be it by code in a string.

        A module named in a string, as in `python -m lcpfn.train`, counts as imported.
        """
        programs = [self.nodes, *map(ast.walk, self.code_in_strings)]
        names = {name for nodes in programs for name in self.names(nodes)}
        strings = {n.value for n in self.nodes if isinstance(n, ast.Constant)}
        return names | {x for x in strings if isinstance(x, str) and x in FILES}

    @cached_property
    def imported_modules(self):
        """Our modules that it imports at run time, not for the type checker alone."""
        hidden = {
            child
            for node in self.nodes
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for child in ast.walk(node)
        }
        found = set()
        for node in self.nodes:
            if node in hidden:
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                # What is imported from a package may be one of its modules.
                source = self.source(node)
                members = {f"{source}.{alias.name}" for alias in node.names}
                found |= {name if name in FILES else source for name in members}
        return found & FILES.keys() - {self.name}

    def names(self, nodes):
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self.source(node)
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)

    def source(self, node):
        """The full name of what `from ... import` imports from."""
        if not node.level:
            return node.module
        is_package = self.path.name == "__init__.py"
        package = self.name if is_package else self.name.rpartition(".")[0]
        parents = package.split(".")[: package.count(".") + 2 - node.level]
        return ".".join([*parents, node.module or ""]).rstrip(".")


def python_files(folder):
    """Files below a top-level folder, not those behind its symbolic links."""
    for base, folders, files in os.walk(ROOT / folder):
        folders[:] = [f for f in folders if f != "__pycache__"]
        yield from (Path(base) / f for f in files if f.endswith(".py"))


def modules_of(folder, package):
    for path in sorted(python_files(folder)):
        parts = path.relative_to(ROOT / folder).with_suffix("").parts
        name = ".".join([package, *parts]).removesuffix(".__init__")
        yield Module(name, path)


FILES = {m.name: m for top, name in FOLDERS.items() for m in modules_of(top, name)}
TESTS = {m.name: m for m in modules_of("tests", "tests")}
OTHERS = {
    m.name: m for folder in ("docs", "examples") for m in modules_of(folder, folder)
}


def below(name, packages):
    return any(name == p or name.startswith(p + ".") for p in packages)
