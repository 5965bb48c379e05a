"""Write a plugin and its case to start from. Both pass at once:

    python -m gradcheck new op softsign
    pytest --gradcheck cases/softsign.yaml

Existing files are never overwritten."""

from __future__ import annotations

import argparse
import keyword
import re
from pathlib import Path

from gradcheck.commands import Mistake

KINDS = ("op", "model", "check", "dataset", "framework")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", metavar="NAME", help="lower case, as in YAML: my_op")
    parser.add_argument("--plugins", default="plugins", metavar="FOLDER", help="default: plugins")
    parser.add_argument("--cases", default="cases", metavar="FOLDER", help="default: cases")


def run(arguments: argparse.Namespace) -> int:
    reject_taken(arguments)
    plugin, case = write(
        arguments.kind, arguments.name, Path(arguments.plugins), Path(arguments.cases)
    )
    print(f"wrote {plugin}\nwrote {case}\nrun it:  pytest --gradcheck {case}")
    return 0


def reject_taken(arguments: argparse.Namespace) -> None:
    """Raise Mistake if a plugin already registers something of this kind under the name."""
    from gradcheck.commands.common import registry_of

    there = [arguments.plugins] if Path(arguments.plugins).is_dir() else None
    for entry in registry_of(argparse.Namespace(plugins=there)).entries(arguments.kind):
        if entry.name == arguments.name and entry.framework in (None, "tinytorch"):
            raise Mistake(
                f"{entry.kind} {entry.name!r} is already registered by plugin {entry.plugin} "
                f"({entry.where}); choose another name"
            )


def write(kind: str, name: str, plugins: Path, cases: Path) -> tuple[Path, Path]:
    """Write the two files of `kind` under `name`; their paths.

    Raises Mistake when the name cannot be one, or when a file is already there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise Mistake(
            f"{name!r} cannot be the name of a Python module; use lower-case letters, digits "
            "and '_', beginning with a letter"
        )
    if name.startswith(("test_", "conftest")):
        raise Mistake(f"{name!r} looks like a test file to pytest; choose another name")
    plugin, case = plugins / f"{name}.py", cases / f"{name}.yaml"
    for path in (plugin, case, plugins / name):
        if path.exists():
            raise Mistake(f"{path} exists already; choose another name, or remove it first")
    for path, text in ((plugin, template(kind, "py", name)), (case, template(kind, "yaml", name))):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return plugin, case


def template(kind: str, suffix: str, name: str) -> str:
    """Fill in a template: NAME becomes the name, CLASS its class."""
    text = (Path(__file__).parent / "templates" / f"{kind}.{suffix}.txt").read_text("utf-8")
    camel = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("NAME", name).replace("CLASS", camel)
