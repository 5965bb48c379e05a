"""The rooms of numerics/: what its README says is true."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import gradcheck.numerics

HOME = Path(gradcheck.numerics.__file__).parent
README = (HOME / "README.md").read_text("utf-8")


def imports(path: Path) -> list[str]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    found = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    return found + [n.module or "." for n in nodes if isinstance(n, ast.ImportFrom)]


@pytest.mark.parametrize("path", sorted((HOME / "core").glob("*.py")), ids=lambda p: p.name)
def test_core_knows_arrays_only(path):
    ours = [name for name in imports(path) if name.startswith((".", "gradcheck"))]
    assert [n for n in ours if not n.startswith("gradcheck.numerics.core.")] == []


ROOMS = re.findall(r"^\*\*(\w+)/\*\*", README, re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_itself_and_the_rooms_above_it(room):
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "numerics"}
    for path in (HOME / room).glob("*.py"):
        found = [n.split(".")[2] for n in imports(path) if n.startswith("gradcheck.numerics.")]
        assert set(found) <= allowed, path.name


def test_the_idea_in_twenty_lines_runs():
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(snippet, names)  # its own asserts
    x = names["x"]
    wrong_entry = names["check"](lambda x: x**3, lambda x, g: 3 * x**2 * g * (x < 0.9), x)
    assert wrong_entry is not None


def test_the_map_shows_every_file():
    shown = set(re.findall(r"`(?:\w+/)?(\w+\.py)`", README))
    files = {p.name for p in HOME.rglob("*.py") if p.name != "__init__.py"}
    assert files - shown - {p.name for p in (HOME / "inputs").glob("*.py")} == set()
    assert shown - files == set()
