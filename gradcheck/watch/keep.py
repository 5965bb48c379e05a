"""A test that keeps a script free of what was found."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gradcheck.watch.run import CHECKS, Wanted

TEMPLATE = '''\
"""Keeps {script} free of what `gradcheck watch` finds."""

from pathlib import Path

from gradcheck.watch import assert_script


def test_{name}_trains():
    assert_script({arguments}folder={folder})
'''


def test_of(wanted: Wanted, path: Path) -> str:
    """The text of a pytest file at `path` that watches the script again, in this folder."""
    here = Path.cwd()
    target = path.resolve().parent
    if here == target:
        folder = "Path(__file__).parent"
    elif here in target.parents:
        folder = f"Path(__file__).parents[{len(target.relative_to(here).parts)}]"
    else:
        folder = repr(os.fspath(here))
    arguments = [wanted.script, *wanted.arguments]
    text = "".join(f"{quoted(a)}, " for a in arguments)
    if wanted.checks != CHECKS:
        text += f"checks={list(wanted.checks)!r}, ".replace("'", '"')
    if wanted.steps != 40:
        text += f"steps={wanted.steps}, "
    name = re.sub(r"\W+", "_", Path(wanted.script).stem).strip("_").lower()
    return TEMPLATE.format(script=wanted.script, name=name, arguments=text, folder=folder)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
