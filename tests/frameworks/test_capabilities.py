"""Every capability is declared in protocol.py and documented; none is asked for by a bare name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gradcheck.frameworks import protocol

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "gradcheck" / "frameworks" / "tinytorch.py"  # asks the modules of its framework
FILES = [p for p in sorted((ROOT / "gradcheck").rglob("*.py")) if p != ADAPTER]
ADAPTERS = {"framework", "adapter", "trace"}


def members(cls: type) -> list[str]:
    """The names that a protocol declares, in order."""
    return [n for n in vars(cls) if not n.startswith("_")]


def capabilities() -> dict[str, list[str]]:
    """Names of the capabilities -> what an object must have."""
    found = {}
    for name, cls in vars(protocol).items():
        if isinstance(cls, type) and (cls.__doc__ or "").startswith("Capability"):
            found[name] = members(cls)
    return found


def test_a_capability_can_be_asked_of_any_object() -> None:
    for name in capabilities():
        assert isinstance(object(), getattr(protocol, name)) is False


def test_nothing_asks_for_a_capability_by_a_bare_name() -> None:
    declared = {member for names in capabilities().values() for member in names}
    wrong = [place for path in FILES for place in bare_names(path, declared)]
    assert wrong == [], "ask with isinstance and a protocol"


def bare_names(path: Path, declared: set[str]) -> Iterator[str]:
    """Where a file calls getattr or hasattr with the name of a capability, or on an adapter."""
    text = path.read_text()
    if "getattr" not in text and "hasattr" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in ("getattr", "hasattr") or len(node.args) < 2:
            continue
        of, name = node.args[:2]
        whose = of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", "")
        if isinstance(name, ast.Constant) and (name.value in declared or whose in ADAPTERS):
            yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_table_in_the_docs_lists_all_capabilities_with_their_methods() -> None:
    text = (ROOT / "docs" / "frameworks.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, flags=re.MULTILINE)
    documented = {name: re.findall(r"`(\w+)", methods) for name, methods in rows}
    assert documented == capabilities()
