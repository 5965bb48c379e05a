"""An installed but unused plugin costs nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gradcheck

PROBE = """
import sys

def pytest_unconfigure():
    heavy = {"numpy", "yaml", "pydantic", "tinytorch"} & set(sys.modules)
    ours = sorted(m for m in sys.modules if m.startswith("gradcheck"))
    print("HEAVY", sorted(heavy))
    print("OURS", ours)
"""


def test_a_run_without_cases_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(PROBE)
    pytester.makepyfile("def test_nothing(): pass")
    pytester.makefile(".yaml", other="a: 1")
    result = pytester.runpytest_subprocess("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["HEAVY []", "OURS *"])
    loaded = next(line for line in result.outlines if line.startswith("OURS"))
    ours = ast.literal_eval(loaded.removeprefix("OURS "))
    assert ours == [
        "gradcheck",
        "gradcheck.in_pytest",
        "gradcheck.in_pytest.hooks",
        "gradcheck.options",
        "gradcheck.plugin",
    ]


def test_with_the_flag_but_without_a_case_nothing_heavy_either(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(PROBE)
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("-s", "--gradcheck", ".")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["HEAVY []"])


def test_nothing_is_imported_from_pytests_inside() -> None:
    folder = Path(gradcheck.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(n.split(".")[0] == "_pytest" for n in names), f"{path}:{node.lineno}"
