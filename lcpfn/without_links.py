"""A checkout without symbolic links, as some on Windows are.

There `priors/`, `train/`, `eval/` and `checkpoints/` lie beside this package instead of
inside it. A finder that knows these four names, and no others, finds them there.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parent
FOLDERS = {f"lcpfn.{name}": name for name in ("checkpoints", "eval", "priors", "train")}


class FoldersBeside(MetaPathFinder):
    """Finds the packages that are folders beside this one."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The package, if it is one of the four."""
        if fullname not in FOLDERS:
            return None
        folder = PACKAGE.parent / FOLDERS[fullname]
        if not (folder / "__init__.py").exists():  # weights alone
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(folder)]
            return spec
        return importlib.util.spec_from_file_location(fullname, folder / "__init__.py")


def find_folders_beside() -> None:
    """Makes them importable where they are not inside this package."""
    if not (PACKAGE / "priors").is_dir():
        # Before the others: without links, git leaves small files of these names.
        sys.meta_path.insert(0, FoldersBeside())
