"""Whatever is in a file: errors with a place, never a crash, and nothing runs."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gradcheck.yamlcases.load import CaseFile
from gradcheck.yamlcases.text import YamlProblem, compose
from tests.yamlcases.shelf import load
from tests.yamlcases.strategies import FILE, as_yaml, edited, fuzz, mutated, texts


def check(loaded: CaseFile, text: str | bytes) -> None:
    """What holds for every file: a case, or an error that says where."""
    assert loaded.cases or loaded.errors
    lines = text.count("\n" if isinstance(text, str) else b"\n") + 1
    exotic = not isinstance(text, str) or any(c in text for c in "\r\x85\u2028\u2029")
    for error in loaded.errors:
        assert error.line >= 1
        assert error.column >= 1
        assert exotic or error.line <= lines + 1
        assert error.message
        assert "\n" not in error.message
        assert len(error.message) < 1500
        assert "Input should" not in error.message


@given(texts)
@fuzz(150)
@example("a: !!int x")
@example("!!float a: 1")
@example("? [a]\n: b")
@example("&a [*a]")
@example("&a {<<: *a}")
@example("cases: &a {b: *a}")
@example('"\\UFFFFFFFF"')
@example("%TAG ! tag:yaml.org,2002:\n---\n!null x")
@example("{<<: 1, <<: 2}")
@example("!!map [a]")
@example("!!seq {a: b}")
@example("schema: 1\ncases: {<<: {a: {op: tanh}}}")
def test_any_text(text: str) -> None:
    check(load(text), text)


@given(st.binary(max_size=200))
@fuzz(100)
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
@example(b"\xed\xa0\x80")
def test_any_bytes(data: bytes) -> None:
    check(load(data), data)


@given(edited())
@fuzz(200)
def test_edited_texts(text: str) -> None:
    check(load(text), text)


@given(mutated())
@fuzz(200)
def test_mutated_documents(document: dict[str, Any]) -> None:
    text = as_yaml(document)
    check(load(text), text)


@given(st.one_of(edited(), texts))
@fuzz(100)
def test_the_python_parser_does_not_crash_either(text: str) -> None:
    with contextlib.suppress(YamlProblem):
        compose(text, pure=True)


def test_nothing_runs_and_nothing_is_read() -> None:
    """An audit hook sees every import, file and process that a file of a stranger could cause."""
    seen: list[str] = []
    watching = [True]

    def hook(event: str, args: Any) -> None:
        if watching[0] and event.partition(".")[0] in (
            "open",
            "exec",
            "subprocess",
            "os",
            "socket",
        ):
            seen.append(event)

    load(FILE)
    tags = [
        "python/object/apply:os.system",
        "python/name:os.system",
        "python/module:os",
        "!include",
    ]
    sys.addaudithook(hook)
    try:
        for tag in tags:
            load(FILE.replace("layer_norm", f"!!{tag} [a]"))
            load(FILE.replace("op: layer_norm", f"op: !<tag:yaml.org,2002:{tag}> /etc/hosts"))
    finally:
        watching[0] = False
    assert seen == []
