"""Words of YAML to values: the 1.2 core schema, with merges, the same from either parser."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gradcheck.yamlcases.text import compose, decode, position, split_lines
from gradcheck.yamlcases.values import Values, find

BOTH = pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "python"])


def read(text: str, *, pure: bool = False) -> Any:
    node = compose(text, pure=pure)
    assert node is not None
    values = Values()
    value = values.build(node)
    assert values.problems == []
    return value


WORDS: list[tuple[str, Any]] = [
    ("1e-6", 1e-6),
    ("1E6", 1e6),
    ("-2.5e+3", -2500.0),
    (".5", 0.5),
    ("1.", 1.0),
    ("+.inf", math.inf),
    ("-.Inf", -math.inf),
    ("7", 7),
    ("-7", -7),
    ("+7", 7),
    ("010", 10),
    ("0o17", 15),
    ("0x1F", 31),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("0b11", "0b11"),
    ("2020-01-01", "2020-01-01"),
    ("true", True),
    ("FALSE", False),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("Off", "Off"),
    ("y", "y"),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("1e", "1e"),
    ("e5", "e5"),
    ("-", "-"),
    ("'1e-6'", "1e-6"),
    ('"true"', "true"),
    ("!!str 12", "12"),
    ("!!float 12", 12.0),
    ("=", "="),
]


@BOTH
@pytest.mark.parametrize(("word", "value"), WORDS, ids=[w for w, _ in WORDS])
def test_plain_words(word: str, value: Any, pure: bool) -> None:
    if word == "-":
        word = "'-'"
    read_value = read(f"a: {word}\n", pure=pure)["a"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(read("a: .nan")["a"])


@BOTH
def test_merges(pure: bool) -> None:
    text = """\
one: &one {a: 1, b: 1}
two: &two {b: 2, c: 2}
x: {<<: *one, b: 3}
y: {b: 3, <<: [*one, *two]}
z: {<<: {a: 9}, d: 4}
"""
    value = read(text, pure=pure)
    assert value["x"] == {"a": 1, "b": 3}
    assert value["y"] == {"a": 1, "b": 3, "c": 2}
    assert value["z"] == {"a": 9, "d": 4}
    assert read("'<<': 1") == {"<<": 1}


@BOTH
def test_duplicates_are_found_at_every_level(pure: bool) -> None:
    node = compose("a: {b: 1, b: 2}\na: 3\nc: [{d: 1, 'd': 2}]\n", pure=pure)
    assert node is not None
    values = Values()
    assert values.build(node) == {"a": {"b": 1}, "c": [{"d": 1}]}
    assert [(p.line, p.column, p.message) for p in values.problems] == [
        (1, 11, "duplicate key 'b': first defined on line 1"),
        (2, 1, "duplicate key 'a': first defined on line 1"),
        (3, 12, "duplicate key 'd': first defined on line 3"),
    ]


def test_an_alias_is_built_once() -> None:
    value = read("a: &a [1, 2]\nb: [*a, *a]\n")
    assert value["b"][0] is value["b"][1] is value["a"]


def test_byte_order_mark_and_line_ends() -> None:
    assert read(decode(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")) == {"a": 1, "b": 2}
    assert split_lines("a\r\nb\rc\nd") == ["a", "b", "c", "d"]
    assert position("ab\r\ncd", 5) == (2, 2)


def test_find_passes_over_shorthands() -> None:
    node = compose("x: [2, 5]\ny: &y {k: 1}\nz: {<<: *y, own: adam}\nw: [graph, gradient]\n")
    assert node is not None

    def at(*path: str | int) -> tuple[int, int, int]:
        _, value, found = find(node, path)
        return value.start_mark.line + 1, value.start_mark.column + 1, found

    assert at("x", "shape", 1) == (1, 8, 3)
    assert at("z", "k") == (2, 11, 2)
    assert at("z", "own", "name") == (3, 18, 3)
    assert at("w", "gradient") == (4, 12, 2)
    assert at("z", "nothing", "else") == (3, 4, 1)


def test_find_is_quick_in_a_net_of_merges() -> None:
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{i + 1}: &m{i + 1} {{<<: [*m{i}, *m{i}]}}" for i in range(18)]
    node = compose("\n".join(lines))
    assert node is not None
    assert find(node, ("m18", "missing"))[2] == 1
