"""What several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """The registry with the plugins of the given folders, and with these plugins by name."""
    from gradcheck.names import load as plugins

    return plugins.load([Path(p) for p in arguments.plugins or ["plugins"]], objects=objects)
