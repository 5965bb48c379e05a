"""List the plugins: where each comes from, its version and API number, what it registers, and
what failed. The exit status is 1 if anything failed."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from gradcheck.commands.common import add_plugin_folder, registry_of

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    registry = registry_of(arguments)
    listing = describe(registry)
    print(json.dumps(listing, indent=2) if arguments.json else as_text(listing))
    return 1 if registry.failures else 0


def describe(registry: Registry) -> dict[str, Any]:
    """The plugins as JSON values, in the order of loading."""
    from gradcheck import API_VERSION
    from gradcheck.names.registry import KINDS

    found = []
    for info in registry.plugins.values():
        contributions = [
            {"kind": e.kind, "name": e.name, "framework": e.framework, "where": e.where}
            for kind in KINDS
            for e in registry.entries(kind)
            if e.plugin == info.name
        ]
        found.append(
            {
                "name": info.name,
                "door": info.door,
                "source": info.source,
                "version": info.version,
                "api": info.api,
                "contributions": contributions,
                "failures": info.failures,
            }
        )
    return {
        "api": API_VERSION,
        "plugins": found,
        "absent": registry.absent,
        "failures": registry.failures,
    }


def as_text(listing: dict[str, Any]) -> str:
    lines = []
    for plugin in listing["plugins"]:
        version = f" {plugin['version']}" if plugin["version"] else ""
        lines.append(
            f"{plugin['name']}{version}  ({plugin['door']}, API {plugin['api']})  "
            f"{plugin['source']}"
        )
        by_kind: dict[str, list[str]] = {}
        for entry in plugin["contributions"]:
            by_kind.setdefault(entry["kind"], []).append(entry["name"])
        for kind, names in by_kind.items():
            lines += _wrapped(f"{kind}:", names)
    lines += [f"{name}: {reason}" for name, reason in listing["absent"].items()]
    if listing["failures"]:
        lines += ["", "What failed:", *(f"  {f}" for f in listing["failures"])]
    return "\n".join(lines)


def _wrapped(title: str, names: list[str]) -> list[str]:
    import textwrap

    return textwrap.wrap(
        ", ".join(names),
        width=100,
        initial_indent=f"  {title:<12}",
        subsequent_indent=" " * 14,
        break_on_hyphens=False,
    )
