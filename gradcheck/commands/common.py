"""What several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.commands import Mistake

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry


def add_plugin_folder(parser: argparse.ArgumentParser) -> None:
    """The option that says where the project's own plugins are."""
    parser.add_argument(
        "--plugins",
        metavar="FOLDER",
        action="append",
        default=None,
        help="folder of plugins (default: plugins); may be repeated",
    )


def registry_of(arguments: argparse.Namespace, objects: Iterable[tuple[str, Any]] = ()) -> Registry:
    """The registry with the plugins of the given folders, and with these plugins by name. They may
    import what lies in the folder where the command was started.

    Raises Mistake for a folder that was named and is not there.
    """
    from gradcheck.names import load as plugins

    for folder in arguments.plugins or ():
        if not Path(folder).is_dir():
            raise Mistake(f"--plugins {folder}: there is no such folder")
    folders = [Path(p) for p in arguments.plugins or ["plugins"]]
    return plugins.load(folders, objects=objects, root=Path.cwd())
