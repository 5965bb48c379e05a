"""pytest looks for its rootdir before it knows a plugin's options.

`--gradcheck-json out/r.json` is then an unknown flag and a path, and where that path exists, pytest
takes it for a test path and moves its rootdir there. `--gradcheck-json=out/r.json` does not.
"""

from __future__ import annotations

import os
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from gradcheck.options import OPTIONS

PATH_FLAGS = tuple(o.flag for o in OPTIONS if o.kind == "path" and o.flag is not None)


def paths_apart(config: pytest.Config) -> list[tuple[str, Path]]:
    """(flag, path) of the path options that were written with a blank instead of '='."""
    arguments = [str(a) for a in config.invocation_params.args]
    folder = config.invocation_params.dir
    return [(a, Path(folder, b)) for a, b in pairwise(arguments) if a in PATH_FLAGS]


def reject_moved(config: pytest.Config) -> None:
    """Raise pytest.UsageError when such a path has moved the rootdir away from here."""
    here = config.invocation_params.dir.resolve()
    root = config.rootpath.resolve()
    if here == root or (root in here.parents and config.inipath is not None):
        return
    for flag, path in paths_apart(config):
        if path.exists() and root in path.resolve().parents:
            raise pytest.UsageError(
                f"pytest takes {path} for a test path and moved its rootdir to {root}; "
                f"write {flag}={path}, with '=' instead of a blank"
            )


def pin_for_workers(config: pytest.Config) -> None:
    """xdist's workers read the same command line when the report already exists: give them the
    rootdir and the ini file of this process."""
    if getattr(config.option, "dist", "no") == "no" or not paths_apart(config):
        return
    before = os.environ.get("PYTEST_ADDOPTS")
    pinned = [f"--rootdir={config.rootpath}"]
    if config.inipath is not None:
        pinned += ["-c", str(config.inipath)]
    os.environ["PYTEST_ADDOPTS"] = " ".join(filter(None, [before, shlex.join(pinned)]))

    def restore() -> None:
        if before is None:
            os.environ.pop("PYTEST_ADDOPTS", None)
        else:
            os.environ["PYTEST_ADDOPTS"] = before

    config.add_cleanup(restore)
