"""Workers on other machines, or in other folders: they stand where pytest was started.

A worker of `--tx socket=HOST:PORT` runs in a folder of its own, with a copy of the project below it
(`--rsyncdir`). All paths that people read are relative to where pytest was started, and user code
opens its files from there; so such a worker goes to the same place in its copy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

STARTED_IN = "gradcheck_started_in"
"""The key of `workerinput` for where pytest was started, relative to the rootdir."""

NEIGHBOURS = "gradcheck_neighbours"
"""The key of `workerinput` for the number of workers on the worker's machine, itself included."""


ROOTDIR = "gradcheck_rootdir"
"""The key of `workerinput` for the rootdir of the process that reports."""


def tell_worker(config: pytest.Config, node: Any) -> None:
    """In the controller, before a worker starts."""
    machine = machine_of(str(node.gateway.spec))
    specs = [str(spec) for spec in node.nodemanager.specs]
    node.workerinput[NEIGHBOURS] = sum(machine_of(spec) == machine for spec in specs)
    node.workerinput[ROOTDIR] = str(config.rootpath)
    try:
        started = os.path.relpath(config.invocation_params.dir, config.rootpath)
    except ValueError:  # another drive
        return
    node.workerinput[STARTED_IN] = Path(started).as_posix()


def started_in(config: pytest.Config) -> Path:
    """The folder where pytest was started; in a worker, its copy of that folder."""
    workerinput: dict[str, Any] = getattr(config, "workerinput", {})
    if STARTED_IN not in workerinput:
        return config.invocation_params.dir
    copy = Path(os.path.normpath(config.rootpath / workerinput[STARTED_IN]))
    return copy if copy.is_dir() else config.rootpath  # a folder that was not sent


def stand_where_started(config: pytest.Config) -> None:
    """In a worker, before anything is loaded. Workers of `-n` stand there already."""
    folder = started_in(config)
    if not folder.samefile(os.curdir):
        os.chdir(folder)


def as_at_home(config: pytest.Config, value: Any) -> Any:
    """A JSON value of a worker, with the paths of its copy of the project as those of the project:
    a file above the folder where pytest was started is named by its whole path."""
    home = getattr(config, "workerinput", {}).get(ROOTDIR)
    copy = str(config.rootpath)
    if home is None or home == copy:
        return value
    if isinstance(value, str):
        return value.replace(copy + os.sep, home + os.sep)
    if isinstance(value, list):
        return [as_at_home(config, v) for v in value]
    if isinstance(value, dict):
        return {k: as_at_home(config, v) for k, v in value.items()}
    return value


def parts_of(spec: str) -> dict[str, str]:
    """`2*socket=host:8888//chdir=there` as {'socket': 'host:8888', 'chdir': 'there'}."""
    count, star, rest = spec.partition("*")
    return dict(p.partition("=")[::2] for p in (rest if star else count).split("//"))


def machine_of(spec: str) -> str:
    """What tells the machine of one `--tx` value from that of another."""
    parts = parts_of(spec)
    if "popen" in parts:
        return "here"
    if "socket" in parts:
        return parts["socket"].rpartition(":")[0]
    return str(sorted((k, v) for k, v in parts.items() if k not in ("id", "chdir", "python")))


def distant(spec: str) -> bool:
    """Whether the worker of a `--tx` value has a folder of its own."""
    parts = parts_of(spec)
    return "popen" not in parts or "chdir" in parts


def reject_unreachable(config: pytest.Config) -> None:
    """Raise pytest.UsageError for a command line that xdist cannot hand to other machines, where
    xdist itself would stop with a traceback, or a worker would not find the project."""
    specs = [spec for spec in getattr(config.option, "tx", ()) if distant(spec)]
    if not specs or getattr(config.option, "dist", "no") == "no":
        return
    given = [*config.option.rsyncdir, *config.getini("rsyncdirs")]
    roots = [Path(folder).resolve() for folder in given]
    here = config.invocation_params.dir
    found = False
    for argument in map(str, config.invocation_params.args):
        path = Path(argument.partition("::")[0])
        if not Path(here, path).exists():
            continue
        if path.is_absolute() and any(root == path or root in path.parents for root in roots):
            found = True
            continue
        full = Path(os.path.normpath(Path(here, path)))
        raise pytest.UsageError(
            f"{argument!r} means nothing to the workers of --tx, which have a folder of their own; "
            f"write {full} in full and have it sent by --rsyncdir, or, if it is the value of an "
            "option, join it to the option with '=' instead of a blank"
        )
    if not found and any("chdir" not in parts_of(spec) for spec in specs):
        raise pytest.UsageError(
            "the workers of --tx have a folder of their own and do not know where the project is "
            f"in it; send it with --rsyncdir {here} (the full path, with a blank, not '=')"
        )
