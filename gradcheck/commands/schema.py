"""Print the JSON Schema of case files, with the names and options of the loaded plugins: an editor
that is given it completes and checks case files."""

from __future__ import annotations

import argparse
from pathlib import Path

from gradcheck.commands.common import add_plugin_folder, registry_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there instead")


def run(arguments: argparse.Namespace) -> int:
    from gradcheck.yamlcases.export.jsonschema import dump, export

    text = dump(export(registry_of(arguments)))
    if arguments.output:
        Path(arguments.output).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0
