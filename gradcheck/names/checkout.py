"""A plugin folder that is the source tree of an installed package of plugins stands in for it.

Whoever changes a plugin in a checkout and runs the checks there means the file in front of them,
not the copy that was installed earlier: the package is then imported from the folder, under its
own name, so that every import of it, absolute or relative, gives the same modules.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path


def use_checkouts(folders: Iterable[Path], points: Iterable[importlib.metadata.EntryPoint]) -> None:
    """Let each folder stand in for the top-level package of an entry point that it is a copy of.

    It is one when both have the same `__init__.py`, which is not empty.
    """
    packages = {point.module.partition(".")[0] for point in points}
    for folder in folders:
        init = folder / "__init__.py"
        if not init.is_file() or not init.read_bytes().strip():
            continue
        for package in packages:
            installed = _init_of(package)
            if installed is None or installed.resolve() == init.resolve():
                continue
            if installed.read_bytes() == init.read_bytes():
                _import_from(package, init)


def _init_of(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.origin)
    return path if path.name == "__init__.py" and path.is_file() else None


def _import_from(package: str, init: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        package, init, submodule_search_locations=[str(init.parent)]
    )
    assert spec is not None
    assert spec.loader is not None
    for old in [m for m in sys.modules if m == package or m.startswith(f"{package}.")]:
        del sys.modules[old]
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)
