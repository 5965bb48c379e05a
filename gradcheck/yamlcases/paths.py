"""Files that a case names: none outside the folder of the case file is read.

A case may come from a stranger. Of the arguments of a dataset, those called `path` or `..._path`
are files: relative to the case file, and in its folder or below. The dataset gets the absolute
path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gradcheck.yamlcases.case import Case
from gradcheck.yamlcases.problem import Problem


def paths_of(case: Case) -> dict[str, str]:
    """The arguments of the case's dataset that are files, as written."""
    given = {} if case.data is None else case.data.args
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and (name == "path" or name.endswith("_path"))
    }


def problems(case: Case, folder: Path) -> Iterator[Problem]:
    """The paths that lead out of `folder`: by '..', from the root, from a home, by a link."""
    for name, value in paths_of(case).items():
        if not _inside(value, folder):
            yield Problem(
                ("data", name),
                f"data.{name} is outside the folder of the case file, and a case reads no file "
                "elsewhere; put the file beside the case, or let a dataset of a plugin find it",
            )


def _inside(value: str, folder: Path) -> bool:
    try:
        top = os.path.realpath(folder)
        real = os.path.realpath(os.path.join(folder, value))
        return not value.startswith("~") and os.path.commonpath([top, real]) == top
    except (ValueError, OSError):  # not a path, or on another drive
        return False


def with_whole_paths(case: Case, folder: Path) -> Case:
    """The case with absolute paths of its files."""
    found = paths_of(case)
    if not found or case.data is None:
        return case
    whole = {name: os.path.join(os.path.abspath(folder), value) for name, value in found.items()}
    return case.model_copy(update={"data": case.data.model_copy(update=whole)})
