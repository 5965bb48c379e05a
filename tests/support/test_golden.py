"""The golden files: what a test sees that differs from its section, has none, or writes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.golden import Golden, read_sections, write_section


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "test_it.golden"
    path.write_text("About the file.\n\n=== one\na\nb\n\n=== two\n  c\n", encoding="utf-8")
    return path


def test_the_same_text_passes(path: Path) -> None:
    Golden(path, "one", writing=False)("a\nb\n")


def test_another_text_fails_with_the_difference(path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"(?s)\n-b\n\+B\n.*--write-golden"):
        Golden(path, "one", writing=False)("a\nB")


def test_a_missing_section_fails(path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"no section 'three'; run .*--write-golden"):
        Golden(path, "three", writing=False)("")
    with pytest.raises(pytest.fail.Exception, match="no section"):
        Golden(path.with_name("other.golden"), "one", writing=False)("a\nb")


def test_writing_changes_one_section(path: Path) -> None:
    Golden(path, "one", writing=True)("A")
    assert path.read_text("utf-8") == "About the file.\n\n=== one\nA\n\n=== two\n  c\n"


def test_several_writers_lose_nothing(path: Path) -> None:
    names = [f"n{i}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: write_section(path, name, f"text of {name}"), names))
    head, sections = read_sections(path)
    assert head == "About the file.\n\n"
    assert {n: sections[n] for n in names} == {n: f"text of {n}" for n in names}
