"""Case files: `load_cases(path, registry, root)` gives the cases of a file and all its errors.

A file never raises: what is wrong with it is a list of `CaseError`, each with line and column, and
a broken case does not hide the good ones beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gradcheck.names.registry import SO, Registry
from gradcheck.yamlcases.build import CaseBuilder, Origin
from gradcheck.yamlcases.case import Case
from gradcheck.yamlcases.names import Names
from gradcheck.yamlcases.schema import CASE_ID, FREE_KEY, MAX_ID, TOP_KEYS, VERSION, CaseError
from gradcheck.yamlcases.text import MAX_BYTES, YamlProblem, compose, decode, place, split_lines
from gradcheck.yamlcases.values import Values, clip, find
from gradcheck.yamlcases.wording import did_you_mean, unknown_key

__all__ = ["CaseError", "CaseFile", "load_cases", "load_text"]

MAX_ERRORS = 100
MAX_CASES = 20_000
SHOWN_LINES = 100
SHOWN_WIDTH = 300

_EXAMPLE = "`cases: {tanh: {op: tanh, inputs: {x: [2, 5]}}}`"


@dataclass(frozen=True)
class CaseFile:
    """What is in a file: the cases that can run, in the order of the file, and every error."""

    path: Path
    cases: tuple[Case, ...]
    errors: tuple[CaseError, ...]


class Errors:
    """Collects errors: each once, at most MAX_ERRORS, in the order of the file at the end.

    causes: sentences about plugins that failed. Each is told at the first name that is missing for
    that reason, and no more.
    """

    def __init__(self, file: str, causes: Sequence[str] = ()) -> None:
        self.file = file
        self._causes = causes
        self._found: dict[tuple[int, int, str], CaseError] = {}
        self._unreadable: set[tuple[int, int]] = set()
        """Where a value could not be read: errors that follow from that are left out."""
        self._more = False

    @property
    def full(self) -> bool:
        return len(self._found) >= MAX_ERRORS

    def add(self, at: yaml.Node | YamlProblem, message: str, case: str | None = None) -> None:
        line, column = (at.line, at.column) if isinstance(at, YamlProblem) else place(at)
        key = (line, column, message)
        if key in self._found or (line, column) in self._unreadable:
            return
        if isinstance(at, YamlProblem):
            self._unreadable.add((line, column))
        if self.full:
            self._more = True
            return
        self._found[key] = CaseError(self.file, line, column, message, case)

    def all(self) -> tuple[CaseError, ...]:
        found = sorted(self._found.values(), key=lambda e: (e.line, e.column))
        found = list(_told_once(found, self._causes))
        if self._more:
            last = found[-1]
            found.append(
                CaseError(
                    self.file,
                    last.line,
                    last.column,
                    "this file has more errors; fix those above first",
                )
            )
        return tuple(found)


def _told_once(errors: Iterable[CaseError], causes: Sequence[str]) -> Iterator[CaseError]:
    told: dict[str, int] = {}
    for error in errors:
        message = error.message
        for cause in causes:
            if cause not in message:
                continue
            if cause in told:
                so = f"{cause}{SO}"
                if message.startswith(so):
                    message = (
                        f"{message.removeprefix(so)}, for the reason given at line {told[cause]}"
                    )
                else:
                    message = message.replace(f"; {cause}", "")
            told.setdefault(cause, error.line)
        yield dataclasses.replace(error, message=message)


def load_cases(path: Path, registry: Registry, root: Path) -> CaseFile:
    """The cases of a file. `Place.file` is relative to `root`, with '/'. Never raises."""
    path = Path(path)
    file = relative(path, root)
    try:
        if not path.is_file():
            raise OSError("it is not a file" if path.exists() else "it does not exist")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"the file cannot be read: {reason[0].lower()}{reason[1:]}"
        return CaseFile(path, (), (CaseError(file, 1, 1, message),))
    return load_text(data, registry, file=file, path=path)


def load_text(
    text: bytes | str, registry: Registry, *, file: str = "<case>", path: Path | None = None
) -> CaseFile:
    """The cases in the text of a case file. Never raises."""
    errors = Errors(file, registry.failures)
    cases: list[Case] = []
    with collector_paused():
        try:
            cases = _read(text, registry, errors, Path(os.curdir) if path is None else path.parent)
        except YamlProblem as problem:
            errors.add(problem, problem.message)
    return CaseFile(path or Path(file), tuple(cases), errors.all())


def relative(path: Path, root: Path) -> str:
    """`path` as seen from `root`, with '/'."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which takes half of the time while many objects are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(data: bytes | str, registry: Registry, errors: Errors, folder: Path) -> list[Case]:
    """The cases; errors are added to `errors`. Raises YamlProblem when the text is unreadable."""
    text = decode(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    root = compose(text)
    values = Values()
    whole = None if root is None else values.build(root)
    for problem in values.problems:
        errors.add(problem, problem.message)
    if root is None or whole is None:
        if not errors.all():
            raise YamlProblem(1, 1, f"the file is empty; write `schema: {VERSION}` and {_EXAMPLE}")
        return []
    if not isinstance(whole, dict):
        raise YamlProblem(
            *place(root),
            f"a case file is a mapping with the keys schema and cases, not {clip(whole)}; "
            f"write `schema: {VERSION}` and {_EXAMPLE}",
        )
    if not _top_level(whole, root, errors):
        return []
    defaults = whole.get("defaults")
    defaults_node = find(root, ("defaults",))[1] if isinstance(defaults, dict) else None
    given = defaults if isinstance(defaults, dict) else {}
    builder = CaseBuilder(Names(registry), errors, given, defaults_node, folder)
    builder.look_at_defaults()
    return _cases(whole["cases"], find(root, ("cases",))[1], values, builder, text, errors)


def _top_level(whole: dict[str, Any], root: yaml.Node, errors: Errors) -> bool:
    """Look at the top-level keys. Whether there are cases to read."""
    for key in whole:
        if errors.full:  # finding the place of a key takes time
            break
        if key not in TOP_KEYS and not FREE_KEY.fullmatch(key):
            at, value, _ = find(root, (key,))
            if isinstance(whole[key], dict) and ("op" in whole[key] or "model" in whole[key]):
                errors.add(at or value, f"{clip(key)} is a case; move it under the key `cases`")
                continue
            hint = did_you_mean(key, TOP_KEYS, "did you mean {}?", "")
            message = unknown_key(key, (*TOP_KEYS, "x-..."))
            errors.add(at or value, f"unknown key {clip(key)}; {hint}" if hint else message)
    version = whole.get("schema")
    key_node, node, _ = find(root, ("schema",))
    if "schema" not in whole:
        errors.add(root, f"the key `schema` is missing; add `schema: {VERSION}` as the first line")
    elif type(version) is not int or version != VERSION:
        newer = type(version) is int and version > VERSION
        errors.add(
            node,
            f"the file is written for schema {clip(version)}, but this gradcheck reads schema "
            f"{VERSION}; " + ("update pytest-gradcheck" if newer else f"write `schema: {VERSION}`"),
        )
        return False
    defaults = whole.get("defaults")
    if defaults is not None and not isinstance(defaults, dict):
        errors.add(
            find(root, ("defaults",))[1],
            f"defaults must be a mapping of keys of cases, not {clip(defaults)}",
        )
    cases = whole.get("cases")
    key_node, node, _ = find(root, ("cases",))
    if "cases" not in whole:
        errors.add(root, f"the key `cases` is missing; add {_EXAMPLE}")
    elif isinstance(cases, list):
        errors.add(node, f"cases must be a mapping of names to cases, not a list; write {_EXAMPLE}")
    elif not isinstance(cases, dict) and cases is not None:
        errors.add(node, f"cases must be a mapping of names to cases, not {clip(cases)}")
    elif not cases:
        errors.add(key_node or node, f"`cases` is empty; add one, for example {_EXAMPLE}")
    return isinstance(cases, dict) and bool(cases)


def _cases(
    written: dict[str, Any],
    node: yaml.Node,
    values: Values,
    builder: CaseBuilder,
    text: str,
    errors: Errors,
) -> list[Case]:
    pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            pairs.setdefault(key.value, (key, value))
    if len(written) > MAX_CASES:
        errors.add(node, f"more than {MAX_CASES:,} cases in one file; split the file")
        return []
    lines = split_lines(text)
    made: list[Case] = []
    taken: dict[str, int] = {}
    for name, keys in written.items():
        if name not in pairs:  # it comes from a merge
            found_key, found_value, _ = find(node, (name,))
            pairs[name] = (found_key or found_value, found_value)
        key_node, value_node = pairs[name]
        if not CASE_ID.fullmatch(name) or len(name) > MAX_ID:
            errors.add(
                key_node,
                f"{clip(name)} cannot name a case: it becomes part of a test id; use up to "
                f"{MAX_ID} letters, digits, '_', '.' and '-'",
                name,
            )
            continue
        if not isinstance(keys, dict):
            errors.add(
                value_node if keys is not None else key_node,
                f"case {clip(name)} must be a mapping, not {clip(keys)}; "
                "write for example {op: tanh, inputs: {x: [2, 5]}}",
                name,
            )
            continue
        origin = Origin(key_node, value_node, lines_of(key_node, value_node, lines))
        broken = values.is_broken(value_node)
        cases = builder.build(name, keys, origin, broken=broken)
        if broken:
            continue
        for case in cases:
            if case.name in taken:
                errors.add(
                    key_node,
                    f"parametrize makes the id {clip(case.name)}, which line {taken[case.name]} "
                    "already has; rename one of the cases",
                    name,
                )
                continue
            if len(made) >= MAX_CASES:
                errors.add(key_node, f"more than {MAX_CASES:,} cases in one file; split the file")
                return made
            taken[case.name] = case.place.line
            made.append(case)
    return made


def lines_of(key: yaml.Node, value: yaml.Node, lines: list[str]) -> str:
    """The YAML lines of a case, as written, without the blank lines and comments after it."""
    first, last = key.start_mark.line, min(value.end_mark.line, len(lines) - 1)
    indent = key.start_mark.column
    if value.start_mark.line < first:  # an alias: its lines are elsewhere
        last = first
    last = min(last, first + SHOWN_LINES)
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        while last > first and _outside(lines[last], indent):
            last -= 1
    return "\n".join(
        line if len(line) <= SHOWN_WIDTH else line[:SHOWN_WIDTH] + " ..."
        for line in lines[first : last + 1]
    )


def _outside(line: str, indent: int) -> bool:
    """Whether a line after a block does not belong to it: blank, a comment, or not deeper."""
    bare = line.lstrip(" ")
    return not bare.strip() or bare.startswith("#") or len(line) - len(bare) <= indent
