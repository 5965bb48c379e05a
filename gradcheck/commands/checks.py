"""List the checks, each with its options, their defaults and what they mean."""

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
    listing = describe(registry_of(arguments))
    print(json.dumps(listing, indent=2) if arguments.json else as_text(listing))
    return 0


def describe(registry: Registry) -> list[dict[str, Any]]:
    """The checks as JSON values, in the order of registration."""
    from gradcheck.result import plain

    return [
        {
            "name": entry.name,
            "plugin": entry.plugin,
            "where": entry.where,
            "about": ((type(entry.value).__doc__ or "").strip().splitlines() or [""])[0],
            "options": [
                {
                    "name": name,
                    "default": plain(field.get_default(call_default_factory=True)),
                    "about": field.description or "",
                }
                for name, field in entry.value.Options.model_fields.items()
            ],
        }
        for entry in registry.entries("check")
    ]


def as_text(listing: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for check in listing:
        lines.append(f"{check['name']}: {check['about']}  ({check['plugin']})")
        for option in check["options"]:
            lines.append(f"  {option['name']}: {json.dumps(option['default'])}")
            lines.append(f"      {option['about']}")
    return "\n".join(lines)
