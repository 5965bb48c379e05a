"""Lines of source: how they are shown, and how they are read back."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

from gradcheck.source.line import Line, short_path, short_place, with_code
from gradcheck.source.where import defined_at


def test_a_file_below_the_working_directory_is_shown_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Line(str(tmp_path / "a" / "b.py"), 3)) == "a/b.py:3"
    assert short_place(f"{tmp_path}/b.py:7") == "b.py:7"


def test_a_file_elsewhere_is_shown_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert short_path(tmp_path / "here_too.py") == str(tmp_path / "here_too.py")


def test_a_link_to_the_working_directory_is_seen_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    assert short_path(tmp_path / "link" / "a.py") == "a.py"


@pytest.mark.parametrize("text", [None, "", "<unknown>", "model.py", ":3", "model.py:x"])
def test_what_is_not_a_place_is_not_read_as_one(text: str | None) -> None:
    assert Line.parse(text) is None
    assert short_place(text) == text
    assert with_code(text) == text


def test_a_place_is_read_back() -> None:
    assert Line.parse("a/b.py:12") == Line("a/b.py", 12)


def test_a_line_knows_what_is_written_there() -> None:
    here = Line.of_frame(sys._getframe())
    assert here.code == "here = Line.of_frame(sys._getframe())"
    assert here.function == "test_a_line_knows_what_is_written_there"
    assert with_code(str(here)) == f"{here}   {here.code}"


@functools.cache
def decorated() -> None:
    pass


def test_a_function_is_defined_below_its_decorators() -> None:
    at = Line.parse(defined_at(decorated))
    assert at is not None
    assert at.code == "def decorated() -> None:"
