"""Paths as a person would write them."""

from __future__ import annotations

import os


def short_path(file: str) -> str:
    """Relative to the working directory when it lies under it, otherwise as it is."""
    path = os.path.abspath(file)
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path
