"""YAML nodes to plain values: duplicate keys found, merges done, aliases bounded.

What is wrong with single values is collected in `Values.problems`; what makes the whole text
unreadable (an alias inside itself, a 'YAML bomb') raises `YamlProblem`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from gradcheck.yamlcases.text import (
    BOOL,
    FLOAT,
    INT,
    MAP,
    MAX_DEPTH,
    MERGE,
    NULL,
    SEQ,
    STR,
    YamlProblem,
    place,
)

MAX_VALUES = 1_500_000
"""Values in a file after its aliases and merges are written out."""
MAX_DIGITS = 300

_SHORT = {STR: "str", INT: "int", FLOAT: "float", BOOL: "bool", NULL: "null", SEQ: "seq"}
_SHORT |= {MAP: "map", MERGE: "merge"}


_SHORTLY = reprlib.Repr()  # a long list is not written out to be cut then
_SHORTLY.maxstring = _SHORTLY.maxother = _SHORTLY.maxlong = 60


class Built(NamedTuple):
    """A list or mapping. size: values in it, aliases written out. broken: has a problem inside."""

    value: Any
    size: int
    depth: int
    broken: bool


_UNDER_WAY = Built(None, 0, 0, True)


class Values:
    """Builds plain values from nodes; an aliased node is built once and shared."""

    def __init__(self) -> None:
        self.problems: list[YamlProblem] = []
        self._built: dict[int, Built] = {}
        self._scalars: dict[tuple[str, str], Any] = {}

    def build(self, node: yaml.Node) -> Any:
        """The value of `node`. Raises YamlProblem when it is endless."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        return self._collection(node).value

    def is_broken(self, node: yaml.Node) -> bool:
        """Whether a problem was found inside `node`."""
        built = self._built.get(id(node))
        return built is not None and built.broken

    def note(self, node: yaml.Node, message: str) -> None:
        self.problems.append(YamlProblem(*place(node), message))

    def _collection(self, node: yaml.Node) -> Built:
        known = self._built.get(id(node))
        if known is not None:
            if known is _UNDER_WAY:
                raise YamlProblem(
                    *place(node),
                    "the anchor here is used inside itself; an alias can only repeat what is "
                    "complete",
                )
            return known
        self._built[id(node)] = _UNDER_WAY
        built = self._mapping(node) if type(node) is yaml.MappingNode else self._sequence(node)
        if built.size > MAX_VALUES:
            raise YamlProblem(
                *place(node),
                f"aliases and merges make more than {MAX_VALUES:,} values here; use fewer of them",
            )
        if built.depth > MAX_DEPTH:
            raise YamlProblem(
                *place(node), f"aliases nest more than {MAX_DEPTH} levels deep here; flatten it"
            )
        self._built[id(node)] = built
        return built

    def _sequence(self, node: yaml.Node) -> Built:
        before = len(self.problems)
        broken = self._bad_tag(node, SEQ)
        out = []
        size = 1
        depth = 0
        for item in node.value:
            if type(item) is yaml.ScalarNode:
                size += 1
                out.append(item.value if item.tag == STR else self._scalar(item))
            else:
                inner = self._collection(item)
                size += inner.size
                depth = max(depth, inner.depth)
                broken = broken or inner.broken
                out.append(inner.value)
        return Built(out, size, depth + 1, broken or len(self.problems) > before)

    def _mapping(self, node: yaml.Node) -> Built:
        before = len(self.problems)
        broken = self._bad_tag(node, MAP)
        out: dict[str, Any] = {}
        size = 1
        depth = 0
        merge: tuple[yaml.Node, yaml.Node] | None = None
        for key, item in node.value:
            if key.tag != STR or type(key) is not yaml.ScalarNode:
                if key.tag == MERGE:
                    if merge is not None:
                        self.note(key, "a second '<<' here; write one: `<<: [*first, *second]`")
                    else:
                        merge = key, item
                    continue
                self.note(key, _bad_key(key))
                continue
            size += 1
            value: Any
            if type(item) is yaml.ScalarNode:
                value = item.value if item.tag == STR else self._scalar(item)
            else:
                inner = self._collection(item)
                size += inner.size
                depth = max(depth, inner.depth)
                broken = broken or inner.broken
                value = inner.value
            if key.value in out:
                first = next(k for k, _ in node.value if k.value == key.value)
                self.note(
                    key,
                    f"duplicate key {clip(key.value)}: first defined on line "
                    f"{first.start_mark.line + 1}",
                )
                continue
            out[key.value] = value
        if merge is not None:
            merged: dict[str, Any] = {}
            for source in self._sources(*merge):
                size += source.size
                depth = max(depth, source.depth - 1)
                broken = broken or source.broken
                merged = {**source.value, **merged}
            out = {**merged, **out}
        return Built(out, size, depth + 1, broken or len(self.problems) > before)

    def _sources(self, key: yaml.Node, merge: yaml.Node) -> Iterator[Built]:
        """The mappings that '<<' names, the strongest first."""
        listed = merge.value if type(merge) is yaml.SequenceNode else [merge]
        for source in listed:
            if type(source) is yaml.MappingNode:
                yield self._collection(source)
            else:
                # The target of an alias is further up, where nothing is wrong.
                here = source.start_mark.index > key.start_mark.index
                at = source if here else key
                self.note(at, "'<<' takes a mapping (`*name`) or a list of mappings")

    def _bad_tag(self, node: yaml.Node, expected: str) -> bool:
        if node.tag == expected:
            return False
        self.note(node, _tag_sentence(node.tag))
        return True

    def _scalar(self, node: yaml.Node) -> Any:
        """The value of a scalar; None, with a problem noted, when it has none."""
        tag, word = node.tag, node.value
        if tag in (STR, MERGE):
            return word
        key = (tag, word)
        if key in self._scalars:
            return self._scalars[key]
        try:
            value = convert(tag, word)
        except ValueError as error:
            self.note(node, str(error))
            return None
        self._scalars[key] = value
        return value


def convert(tag: str, word: str) -> Any:
    """The Python value of a scalar. Raises ValueError with a sentence."""
    if tag not in _SHORT or tag in (SEQ, MAP):
        raise ValueError(_tag_sentence(tag))
    if tag == NULL:
        return None
    if tag == BOOL:
        if word.lower() not in ("true", "false"):
            raise ValueError(f"{clip(word)} is not a boolean; write true or false")
        return word.lower() == "true"
    if len(word) > MAX_DIGITS:
        raise ValueError(f"a number of {len(word):,} characters; the most is {MAX_DIGITS}")
    try:
        if tag == INT:
            base = {"0x": 16, "0o": 8}.get(word[:2], 10)
            return int(word, base)
        number = float(word.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise ValueError(f"{clip(word)} is not a number; remove its !! tag") from None
    if number in (float("inf"), float("-inf")) and "inf" not in word.lower():
        raise ValueError(f"{clip(word)} is too large for a number; write .inf if that is intended")
    return number


def find(node: yaml.Node, path: Sequence[str | int]) -> tuple[yaml.Node | None, yaml.Node, int]:
    """Follow `path` from `node`: (the key's node, the value's node, how many steps were found).

    Shorthands have fewer levels than what they stand for: a step that does not fit the kind of
    node (a key of a list, an index of a mapping) is passed over. Merges are looked into.
    """
    key: yaml.Node | None = None
    found = 0
    for step in path:
        if type(node) is yaml.MappingNode:
            if isinstance(step, str):
                pair = _pair(node, step)
                if pair is None:
                    return key, node, found
                key, node = pair
        elif type(node) is yaml.SequenceNode:
            if isinstance(step, int) and step < len(node.value):
                key, node = None, node.value[step]
            elif isinstance(step, str):  # a list of names
                item = next((n for n in node.value if n.value == step), None)
                key, node = item, item or node
        found += 1
    return key, node, found


def _pair(
    node: yaml.Node, name: str, seen: frozenset[int] = frozenset()
) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and value nodes of `name` in a mapping or what it merges."""
    merge = None
    for key, value in node.value:
        if key.tag == MERGE:
            merge = merge or value
        elif key.value == name:
            return key, value
    if merge is None:
        return None
    for source in merge.value if type(merge) is yaml.SequenceNode else [merge]:
        if type(source) is yaml.MappingNode and id(source) not in seen:
            pair = _pair(source, name, seen)
            if pair is not None:
                return pair
            seen = seen | {id(source)}  # a mapping merged many times is looked into once
    return None


def clip(value: Any, most: int = 60) -> str:
    """A value from a file, as one would write it, short enough for a sentence."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[: most + 1]) if isinstance(value, str) else _SHORTLY.repr(value)
    return text if len(text) <= most else text[: most - 4] + "..." + text[-1]


def _bad_key(key: yaml.Node) -> str:
    if type(key) is not yaml.ScalarNode:
        return "a key cannot be a list or mapping; keys are text"
    if key.tag == NULL:
        return "a key is missing or null here; keys are text"
    if key.tag in _SHORT:
        return f"the key {key.value[:40]} is not text; write '{key.value[:40]}' in quotes"
    return _tag_sentence(key.tag)


def _tag_sentence(tag: str) -> str:
    short = tag.replace("tag:yaml.org,2002:", "!!", 1)
    return f"the tag {short[:60]} is not allowed in a case file; write plain values"
