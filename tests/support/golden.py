"""Texts that tests pin, in golden files: `pytest --write-golden` writes them again.

A golden file lies beside its test module (`test_report_text.py` has `test_report_text.golden`) and
has a section for each test, under a line `=== name`. Read the difference with `git diff` before
you commit it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MARK = "=== "


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="write the golden files of the tests that run, instead of comparing with them",
    )


def read_sections(path: Path) -> tuple[str, dict[str, str]]:
    """The text before the first section of a golden file, and the sections by name."""
    if not path.exists():
        return "", {}
    head, *rest = re.split(rf"^{MARK}(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return head, {name: text.rstrip("\n") for name, text in zip(rest[::2], rest[1::2])}


def write_section(path: Path, name: str, text: str) -> None:
    """Put one section into a golden file; several processes may do so at the same time."""
    with _locked(path):
        head, sections = read_sections(path)
        sections[name] = text.rstrip("\n")
        body = "\n\n".join(f"{MARK}{key}\n{value}" for key, value in sections.items())
        path.write_text(f"{head}{body}\n", encoding="utf-8")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl  # only for writing: Windows, which has none, can still compare

    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


class Golden:
    """`golden(text)` fails unless the text equals the section of this test in the golden file."""

    def __init__(self, path: Path, name: str, writing: bool) -> None:
        self.path, self.name, self.writing = path, name, writing

    def __call__(self, text: str, *, name: str | None = None, path: Path | None = None) -> None:
        """name: of the section, where a test has several; path: of another golden file."""
        path, name, text = path or self.path, name or self.name, text.rstrip("\n")
        assert not re.search(rf"^{MARK}", text, re.MULTILINE), f"the text has a line {MARK!r}"
        wanted = read_sections(path)[1].get(name)
        if wanted == text:
            return
        if self.writing:
            write_section(path, name, text)
            return
        if wanted is None:
            pytest.fail(f"{path.name} has no section {name!r}; run pytest --write-golden")
        changed = difflib.unified_diff(
            wanted.splitlines(), text.splitlines(), f"{path.name}: {name}", "this run", lineterm=""
        )
        pytest.fail(
            "\n".join([*changed, "", "if it is as intended, run pytest --write-golden"]),
            pytrace=False,
        )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The golden file of this test module; see `tests/support/golden.py`."""
    writing = bool(request.config.getoption("--write-golden"))
    return Golden(request.path.with_suffix(".golden"), request.node.name, writing)
