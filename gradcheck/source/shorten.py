"""Paths as a person would write them."""

from __future__ import annotations

import inspect
import linecache
import os
from typing import Any


def short_path(file: str) -> str:
    """Relative to the working directory when it lies under it, otherwise as it is."""
    path = os.path.abspath(file)
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path


def defined_at(function: Any) -> str | None:
    """Where a Python function stands, 'file:line' of its `def`; None where it has no source."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    line = code.co_firstlineno  # that of the first decorator, where there is one
    while linecache.getline(code.co_filename, line).lstrip().startswith("@"):
        line += 1
    return f"{short_path(code.co_filename)}:{line}"
