"""One case as written -> `Case`: defaults, parameters, validation, names, checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import ValidationError

from gradcheck.yamlcases import paths as casepaths
from gradcheck.yamlcases.case import Case, CaseKeys, Place, WrittenCase
from gradcheck.yamlcases.names import Names
from gradcheck.yamlcases.parametrize import Variant, apply, variants
from gradcheck.yamlcases.problem import Location, Problem
from gradcheck.yamlcases.schema import (
    ALL_CHECKS,
    CASE_KEYS,
    DEFAULT_CHECKS,
    MAX_ID,
    NAMED,
    NO_CHECK,
    rules,
    rules_of_checks,
    with_defaults,
)
from gradcheck.yamlcases.values import find
from gradcheck.yamlcases.wording import problems_of, unknown_key

_HIDDEN = ("name", "place")
"""Fields of a `Case` that are not keys of YAML."""

MAY_BE_MISSING = [(key,) for key in (*NAMED, "args", "inputs")]
"""Where something may be missing because it could not be read, or because it comes later."""


class Sink(Protocol):
    """Takes the errors of a file."""

    file: str

    @property
    def full(self) -> bool: ...
    def add(self, at: yaml.Node, message: str, case: str | None = None) -> None: ...


@dataclass(frozen=True)
class Origin:
    """Where a case is written: the nodes of its name and keys, and its lines."""

    key: yaml.Node
    node: yaml.Node
    text: str


class CaseBuilder:
    """Builds the cases of one file."""

    def __init__(
        self,
        names: Names,
        errors: Sink,
        defaults: Mapping[str, Any],
        defaults_node: yaml.Node | None,
        folder: Path,
    ) -> None:
        self.folder = folder
        self.names = names
        self.errors = errors
        self.defaults = {k: v for k, v in defaults.items() if k not in _HIDDEN}
        self.all_defaults = defaults
        self.defaults_node = defaults_node
        self._broken = False
        self._registered = [e.name for e in names.registry.entries("check")]

    def look_at_defaults(self) -> None:
        """Report what no case can take from `defaults`; what is missing there, cases may add."""
        node = self.defaults_node
        if node is None:
            return
        where = _Finder(Origin(node, node, ""), None, None)
        keys = {k: v for k, v in self.all_defaults.items() if v is not None or k not in CASE_KEYS}
        if keys.get("checks") == ALL_CHECKS:
            del keys["checks"]
        for key in NAMED:
            if isinstance(keys.get(key), dict):  # `data: {batch: 8}`: the cases name it
                keys[key] = {"name": "", **keys[key]}
        case, problems = self._read(keys, "defaults", Place(), CaseKeys)
        for problem in problems:
            self._add(where(problem), problem.sentence)
            if problem.of_key and len(problem.path) == 1:  # said once; no fault of the cases
                self.defaults.pop(str(problem.path[0]), None)
        if case is None:
            return
        if "checks" in keys and not case.checks and not problems:
            self._add(where(Problem(("checks",), NO_CHECK)), NO_CHECK)
        for problem in self.names.problems(case):
            if self.errors.full:
                return
            if where.written(problem.path) and not self._left_to_cases(problem.path, case):
                self._add(where(problem), problem.sentence)

    def _left_to_cases(self, path: Location, case: Case) -> bool:
        """Whether cases may put this right: they give an argument that is missing, or are of
        another framework, which has the name."""
        if path in MAY_BE_MISSING:
            return True
        key = str(path[0])
        if key not in (*NAMED, "op", "model", "step") or path[-1] not in (key, "name"):
            return False
        thing = getattr(case, key)
        kind = "dataset" if key == "data" else key
        return getattr(thing, "name", thing) in self.names.registry.names(kind)

    def build(
        self, name: str, written: dict[str, Any], origin: Origin, *, broken: bool = False
    ) -> list[Case]:
        """The good cases that `written` stands for: one, or with `parametrize` several.

        broken: some values could not be read, so nothing is said about what is missing.
        """
        self._broken = broken
        asked = written.get("parametrize")
        if asked is None:
            case = self._one(name, written, origin, None)
            return [] if case is None else [case]
        made, problems = variants(asked)
        self._add_parametrized(problems, name, origin)
        plain = {k: v for k, v in written.items() if k != "parametrize"}
        cases = []
        for variant in made:
            if len(name) + len(variant.suffix) > MAX_ID:
                key, value, _ = find(origin.node, ("parametrize",))
                message = f"parametrize makes an id of more than {MAX_ID} characters; give the "
                message += "values names: {small: ..., large: ...}"
                self.errors.add(key or value, message, name)
                break
            varied, problems = apply(plain, variant)
            self._add_parametrized(problems, name, origin)
            case = None if problems else self._one(name + variant.suffix, varied, origin, variant)
            if case is not None:
                cases.append(case)
        return cases

    def _add_parametrized(self, problems: list[Problem], name: str, origin: Origin) -> None:
        for problem in problems:
            key, value, _ = find(origin.node, ("parametrize", *problem.path))
            self._add(key or value, problem.sentence, name)

    def _one(
        self, name: str, written: Mapping[str, Any], origin: Origin, variant: Variant | None
    ) -> Case | None:
        """The case, or None with its errors added."""
        where = _Finder(origin, variant, self.defaults_node)
        keys = with_defaults(written, self.defaults)
        keys.pop("parametrize", None)
        every = keys.get("checks") == ALL_CHECKS
        if every:
            del keys["checks"]
        place = Place.model_construct(
            file=self.errors.file, line=origin.key.start_mark.line + 1, text=origin.text
        )
        case, unread = self._read(keys, name, place, WrittenCase)
        for problem in unread:
            self._add(where(problem), problem.sentence, name)
        if case is None:
            return None
        good = not unread
        if good:
            case = self._with_checks(case, every)
        for problem in self._problems(case) if good else self._problems_of_some(case):
            good = False
            if self.errors.full:  # each takes time to word and to place, and nobody reads it
                self._add(origin.key, problem.sentence, name)
                break
            if problem.path or not self._broken:
                self._add(where(problem), problem.sentence, name)
        return casepaths.with_whole_paths(case, self.folder) if good else None

    def _read(
        self, keys: Mapping[str, Any], name: str, place: Place, model: type[CaseKeys]
    ) -> tuple[Case | None, list[Problem]]:
        """The case that `keys` make, without those that cannot be read, and what is wrong with
        these. None if that does not make a case, or if nobody reads the sentences any more.

        model: whose keys a sentence lists.
        """
        rest = {k: v for k, v in keys.items() if k not in _HIDDEN}
        known = model.model_fields
        problems = [Problem((k,), unknown_key(k, known), True) for k in _HIDDEN if k in keys]
        try:
            return Case.model_validate({**rest, "name": name, "place": place}), problems
        except ValidationError as error:
            if self.errors.full:
                return None, [Problem((), "more")]
            problems += problems_of(error, model)
        for problem in problems:
            _leave_out(rest, problem.path)
        try:
            return Case.model_validate({**rest, "name": name, "place": place}), problems
        except ValidationError:
            return None, problems

    def _problems(self, case: Case) -> Iterator[Problem]:
        """What is wrong with a case whose keys have the right types."""
        yield from rules(case)
        yield from self._names(case)
        yield from rules_of_checks(case)
        yield from casepaths.problems(case, self.folder)
        if not case.checks and "checks" not in case.model_fields_set:
            yield Problem((), "no registered check applies to this case; name `checks`")

    def _problems_of_some(self, case: Case) -> Iterator[Problem]:
        """The same where some keys could not be read, which are not missing."""
        return (p for p in self._names(case) if p.path not in MAY_BE_MISSING)

    def _names(self, case: Case) -> Iterator[Problem]:
        self.names.brief = self.errors.full
        return self.names.problems(case)

    def _with_checks(self, case: Case, every: bool) -> Case:
        """The case with the checks that run when it names none, or `all`."""
        if "checks" in case.model_fields_set:
            return case
        wanted: Iterable[str] = self._registered
        if not every:
            wanted = DEFAULT_CHECKS["op" if case.op is not None else "model"]
        chosen: dict[str, dict[str, Any]] = {
            check: {}
            for check in wanted
            # With `all`, one that does not apply is skipped when it runs, and says why.
            if check in self._registered and (every or self._fits(check, case))
        }
        return case.model_copy(update={"checks": chosen})

    def _fits(self, check: str, case: Case) -> bool:
        try:
            return self.names.registry.get("check", check).value.applies(case) is None
        except Exception:  # the fault of a plugin's check shows when it runs, not here
            return True

    def _add(self, at: yaml.Node, message: str, name: str | None = None) -> None:
        self.errors.add(at, message, name)


def _leave_out(keys: dict[str, Any], loc: Location) -> None:
    """Take what is wrong at `loc` out of the keys of a case: one entry of a mapping, or the key."""
    top = str(loc[0])
    held = keys.get(top)
    entry = loc[1] if len(loc) > 1 else None
    if top in (*NAMED, "checks") and isinstance(held, dict) and entry in held:
        keys[top] = {k: v for k, v in held.items() if k != entry}
    else:
        keys.pop(top, None)


@dataclass(frozen=True)
class _Finder:
    """From a path in a case to the node it was written in: parameters, the case, the defaults."""

    origin: Origin
    variant: Variant | None
    defaults: yaml.Node | None

    def __call__(self, problem: Problem) -> yaml.Node:
        """The node of the value that a problem is about, or of its key."""
        path, is_key = problem.path, problem.of_key
        if not path:
            return self.origin.key
        for above, _, at in self.variant.values if self.variant else ():
            if path[: len(above)] == above:
                below = find(self.origin.node, ("parametrize", *at, *path[len(above) :]))
                return (below[0] if is_key else None) or below[1]
        key, value, found = find(self.origin.node, path)
        if found < len(path) and self.defaults is not None:
            other = find(self.defaults, path)
            if other[2] > found:
                key, value, found = other
        if not found:
            return self.origin.key
        return key if is_key and key is not None else value

    def written(self, path: Location) -> bool:
        """Whether `path` is in the YAML, and not a value that nobody gave."""
        return find(self.origin.node, path)[2] == len(path)
