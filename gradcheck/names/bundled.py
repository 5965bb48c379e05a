"""Whether `import tinytorch` would give the bundled framework, found without importing anything.

The name also belongs to others. Somebody's own `tinytorch` may do anything when it is imported, so
the text of its `__init__.py` decides: only ours has the marker.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

from gradcheck.source.line import short_path

NAME = "tinytorch"
MARKER = '__distribution__ = "gradcheck-tinytorch"'


def folder() -> Path | None:
    """The folder of the bundled framework; None where `import tinytorch` would not give it."""
    init = _init_file(_spec())
    return init.parent if init is not None and _is_ours(init) else None


def why_not() -> str | None:
    """Why the bundled framework is not in use, as a clause; None when it is in use."""
    spec = _spec()
    if spec is None:
        return (
            "the bundled framework is not installed "
            "(python -m pip install 'pytest-gradcheck[tinytorch]')"
        )
    init = _init_file(spec)
    if init is not None and _is_ours(init):
        return None
    place = short_path(init) if init is not None else "somewhere else"
    return (
        f"the bundled framework is not in use, since `import {NAME}` gives another package "
        f"({place})"
    )


def _spec() -> importlib.machinery.ModuleSpec | None:
    """What the import system would load. Finding a top-level name imports nothing."""
    try:
        return importlib.util.find_spec(NAME)
    except (ImportError, ValueError):  # ValueError: in sys.modules without a spec
        return None


def _init_file(spec: importlib.machinery.ModuleSpec | None) -> Path | None:
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    return Path(spec.origin)


def _is_ours(init: Path) -> bool:
    try:
        lines = init.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # a compiled module, or one inside an archive
        return False
    return MARKER in lines
