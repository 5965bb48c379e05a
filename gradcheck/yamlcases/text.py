"""YAML text to nodes that know their line and column. Data only: no tag runs code or reads a file.

Plain words follow the YAML 1.2 core schema: `1e-6` is a number, `true` and `false` are the only
booleans (`yes`, `no`, `on`, `off` stay text), `010` is ten, dates stay text. `<<` merges as in 1.1.

Everything is bounded (bytes, nodes, depth), because a case file may come from a stranger. Whatever
is wrong with a text is one `YamlProblem`: a sentence with its line and column.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 600_000
MAX_DEPTH = 64

STR = "tag:yaml.org,2002:str"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"
BOOL = "tag:yaml.org,2002:bool"
NULL = "tag:yaml.org,2002:null"
SEQ = "tag:yaml.org,2002:seq"
MAP = "tag:yaml.org,2002:map"
MERGE = "tag:yaml.org,2002:merge"

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_BOOL = ("true", "True", "TRUE", "false", "False", "FALSE")
_NULL = ("", "~", "null", "Null", "NULL")
_STARTS = frozenset("0123456789-+.~nNtTfF<")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%(YAML|TAG)\b", re.MULTILINE)
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_NO_TABS = "there is a tab in the indentation; YAML indents with spaces only: replace the tab"


class YamlProblem(Exception):
    """Why a text cannot be read: a sentence, with the line and column (from 1) it is about."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message


def decode(data: bytes) -> str:
    """UTF-8 text, with or without a byte order mark. Raises YamlProblem."""
    if len(data) > MAX_BYTES:
        raise YamlProblem(
            1,
            1,
            f"the file has more than {MAX_BYTES // 2**20} MB, the most that a case file may have; "
            "split it into several files",
        )
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise YamlProblem(1, 1, "the file is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = position(before, len(before))
        raise YamlProblem(
            line, column, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    return text


def compose(text: str, *, pure: bool = False) -> yaml.Node | None:
    """The root node of the one document in `text`, None when there is none. Raises YamlProblem.

    pure: use the Python parser although the C one is there.
    """
    _refuse(text)
    loader = _PureLoader(text) if pure or _CLoader is None else _CLoader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    except yaml.MarkedYAMLError as error:
        raise _problem(error, text) from None
    except yaml.YAMLError as error:  # a reader error has no place; `_refuse` finds them first
        raise YamlProblem(1, 1, f"the file is not YAML: {' '.join(str(error).split())}") from None
    except (ValueError, OverflowError):  # an escape such as "\UFFFFFFFF" in the Python parser
        raise YamlProblem(1, 1, "the file has an escape that is not a character") from None
    finally:
        loader.dispose()


def split_lines(text: str) -> list[str]:
    """Lines as YAML counts them."""
    return _LINE_END.split(text)


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of a character of `text`."""
    ends = [m.end() for m in _LINE_END.finditer(text, 0, index)]
    return len(ends) + 1, index - (ends[-1] if ends else 0) + 1


def place(node: yaml.Node) -> tuple[int, int]:
    """Line and column, from 1, where a node starts."""
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def classify(word: str) -> str:
    """The tag of a plain (unquoted) word."""
    if word and word[0] not in _STARTS:
        return STR
    if word in _NULL:
        return NULL
    if word in _BOOL:
        return BOOL
    if _INT.fullmatch(word):
        return INT
    if _FLOAT.fullmatch(word):
        return FLOAT
    return MERGE if word == "<<" else STR


class _Rules:
    """What both loaders ask while composing: the tag of a node, and leave to go deeper."""

    _words: dict[str, str]
    _nodes = 0
    _depth = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is not yaml.ScalarNode:
            return MAP if kind is yaml.MappingNode else SEQ
        if not implicit[0]:
            return STR
        tag = self._words.get(value)
        if tag is None:
            tag = self._words[value] = classify(value)
        return tag

    def descend_resolver(self, parent: yaml.Node | None, index: Any) -> None:
        self._nodes += 1
        self._depth += 1
        if parent is None:
            return
        if self._depth > MAX_DEPTH:
            raise YamlProblem(*place(parent), f"more than {MAX_DEPTH} levels deep; flatten it")
        if self._nodes > MAX_NODES:
            raise YamlProblem(
                *place(parent), f"more than {MAX_NODES:,} values in one file; split the file"
            )

    def ascend_resolver(self) -> None:
        self._depth -= 1


class _PureLoader(_Rules, Reader, Scanner, Parser, Composer):
    def __init__(self, text: str) -> None:
        self._words = {}
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)


_CLoader: Any = None
if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _LibyamlLoader(_Rules, CParser):
        def __init__(self, text: str) -> None:
            self._words = {}
            CParser.__init__(self, text)

        def dispose(self) -> None:
            pass

    _CLoader = _LibyamlLoader


def _refuse(text: str) -> None:
    """What the parsers report badly, or slowly."""
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        line, column = position(text, bad.start())
        raise YamlProblem(
            line, column, f"character U+{ord(bad.group()):04X} is not allowed in YAML; remove it"
        )
    directive = _DIRECTIVE.search(text)
    if directive is not None:
        line, column = position(text, directive.start())
        raise YamlProblem(
            line, column, f"{directive.group()} directives are not used in case files; remove it"
        )


_SENTENCES = (
    ("undefined alias", "the alias here has no anchor of that name (&name) above it"),
    ("duplicate anchor", "the anchor here (&name) is already taken above; give it another name"),
    (
        "single document",
        "a second document starts here; put all cases under the one `cases:`, or in two files",
    ),
    (
        "mapping values are not allowed",
        "a ':' is where no key can be; look for a wrong indentation, a line above without its "
        "':', or a text with ': ' that needs quotes",
    ),
    (
        "could not find expected ':'",
        "this line has no ':'; write `key: value`, or indent it under the key it belongs to",
    ),
    (
        "cannot start any token",
        "the character here cannot start a value; put the text in quotes",
    ),
    # libyaml from 0.2.6 on has a limit of its own, and may meet it while it looks ahead.
    ("maximum nesting depth", f"more than {MAX_DEPTH} levels deep; flatten it"),
    ("tag handle", "tags (!...) are not allowed in a case file; write plain values"),
    ("escape", "the text in double quotes has a \\ that YAML does not know; write \\\\"),
)


def _problem(error: yaml.MarkedYAMLError, text: str) -> YamlProblem:
    """The parsers' error as a sentence."""
    mark = error.problem_mark or error.context_mark
    assert mark is not None
    line, column = mark.line + 1, mark.column + 1
    said = f"{error.problem or ''} {error.context or ''}"
    lines = split_lines(text)
    for near in (line, line - 1):  # a tab may be noticed only at the start of the next token
        written = lines[near - 1] if 0 < near <= len(lines) else ""
        indentation = written[: len(written) - len(written.lstrip(" \t"))]
        if "\t" in indentation:
            return YamlProblem(near, indentation.index("\t") + 1, _NO_TABS)
    since = error.context_mark.line + 1 if error.context_mark else line
    start = error.context_mark
    if start is not None and "quoted scalar" in said and "end of stream" in said:
        return YamlProblem(since, start.column + 1, "the quote here is never closed")
    for sign, sentence in _SENTENCES:
        if sign in said:
            return YamlProblem(line, column, sentence)
    if "flow" in said:
        return YamlProblem(
            line,
            column,
            f"expected ',' or the end of the [...] or {{...}} that starts on line {since}",
        )
    if "block" in said:
        return YamlProblem(
            line,
            column,
            f"the indentation here matches nothing above; align it with line {since}",
        )
    return YamlProblem(line, column, f"this is not YAML: {' '.join(said.split())}")
