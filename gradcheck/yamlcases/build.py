"""One case as written -> `Case`: defaults, parameters, validation, names, checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import ValidationError

from gradcheck.yamlcases import paths as casepaths
from gradcheck.yamlcases.case import Case, CaseKeys, Place
from gradcheck.yamlcases.names import Names
from gradcheck.yamlcases.parametrize import Variant, apply, variants
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
from gradcheck.yamlcases.wording import Location, sentence, telling, unknown_key

_HIDDEN = ("name", "place")
"""Fields of a `Case` that are no keys of YAML."""


class Sink(Protocol):
    """Where errors go."""

    file: str

    @property
    def full(self) -> bool: ...
    def add(self, at: yaml.Node, message: str, case: str | None = None) -> None: ...


@dataclass(frozen=True)
class Origin:
    """Where a case stands: the nodes of its name and its keys, and its lines as written."""

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
        """Report the keys of `defaults` that no case can have, and values of a wrong type."""
        node = self.defaults_node
        if node is None:
            return
        given = {
            k: v
            for k, v in self.all_defaults.items()
            if v is not None or k not in CaseKeys.model_fields
        }
        if given.get("checks") == ALL_CHECKS:
            del given["checks"]
        for key in ("name", "place", "parametrize"):
            if key in given:
                at, value, _ = find(node, (key,))
                self.errors.add(at or value, unknown_key(key, CaseKeys.model_fields))
                del given[key]
                self.defaults.pop(key, None)
        try:
            CaseKeys.model_validate(given)
        except ValidationError as error:
            for found in telling(error.errors(include_url=False)):
                loc = tuple(found["loc"])
                spoilt = given.pop(str(loc[0]), None) is not None
                if found["type"] == "missing" and loc[0] in NAMED and len(loc) == 2:
                    continue  # `defaults: {data: {batch: 8}}`: the cases name it
                if self.errors.full:
                    self.errors.add(node, "more")
                    return
                extra = found["type"] == "extra_forbidden"
                key_node, value, _ = find(node, loc)
                self.errors.add(
                    key_node if extra and key_node is not None else value,
                    sentence(found, CaseKeys),
                )
                if extra and len(loc) == 1 and spoilt:  # said once; it is no fault of the cases
                    self.defaults.pop(str(loc[0]), None)
        self._names_in_defaults(given, node)

    def _names_in_defaults(self, given: Mapping[str, Any], node: yaml.Node) -> None:
        """Report the names that no framework has, and wrong options of checks."""
        registry = self.names.registry
        case = Case.model_validate({**given, "name": "defaults"})
        if "checks" in given and not case.checks:
            self.errors.add(find(node, ("checks",))[1], NO_CHECK)
        for path, is_key, message in self.names.problems(case):
            if self.errors.full:
                return
            at = path[0] if path else ""
            kind = "dataset" if at == "data" else str(at)
            if len(path) == 1 and at in (*NAMED, "args", "inputs"):
                continue  # an argument that the cases may give
            if at in (*NAMED, "op", "model", "step") and path[-1] in (at, "name"):
                thing = getattr(case, str(at))
                if getattr(thing, "name", thing) in registry.names(kind):
                    continue  # of another framework, which the cases may name
            key_node, value, found = find(node, path)
            if found:
                self.errors.add((key_node if is_key else None) or value, message)

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
        for path, message in problems:
            key, value, _ = find(origin.node, ("parametrize", *path))
            self.errors.add(key or value, message, name)
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
            for path, message in problems:
                key, value, _ = find(origin.node, ("parametrize", *path))
                self.errors.add(key or value, message, name)
            case = None if problems else self._one(name + variant.suffix, varied, origin, variant)
            if case is not None:
                cases.append(case)
        return cases

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
        hidden = [key for key in _HIDDEN if key in keys]
        for key in hidden:
            del keys[key]
            self._add(where((key,), True), unknown_key(key, CASE_KEYS), name)
        place = Place.model_construct(
            file=self.errors.file, line=origin.key.start_mark.line + 1, text=origin.text
        )
        try:
            case = Case.model_validate({**keys, "name": name, "place": place})
        except ValidationError as error:
            self._report(error, keys, name, where)
            return None
        case = self._with_checks(case, every)
        good = not hidden
        for path, is_key, message in self._problems(case):
            good = False
            if self.errors.full:  # each takes time to word and to place, and nobody reads it
                self._add(origin.key, message, name)
                break
            if path or not self._broken:
                self._add(where(path, is_key), message, name)
        return casepaths.with_whole_paths(case, self.folder) if good else None

    def _problems(self, case: Case) -> Iterator[tuple[Location, bool, str]]:
        """What is wrong with a case whose keys have the right types."""
        for path, message in rules(case):
            yield path, False, message
        yield from self._names(case)
        for path, message in rules_of_checks(case):
            yield path, False, message
        yield from casepaths.problems(case, self.folder)
        if not case.checks and "checks" not in case.model_fields_set:
            yield (), False, "no registered check applies to this case; name `checks`"

    def _names(self, case: Case) -> Iterable[tuple[Location, bool, str]]:
        self.names.brief = self.errors.full
        return self.names.problems(case)

    def _report(
        self, error: ValidationError, keys: dict[str, Any], name: str, where: _Finder
    ) -> None:
        """The errors of pydantic, and what else is wrong with the keys that it accepts."""
        if self.errors.full:
            self._add(where.origin.key, "more", name)
            return
        rest = dict(keys)
        for found in telling(error.errors(include_url=False)):
            loc = tuple(found["loc"])
            _leave_out(rest, loc)
            if self.errors.full:
                self._add(where.origin.key, "more", name)
                return
            message = sentence(found, Case)
            if found["type"] == "missing":
                self._add(where(loc[:-1], True), message, name)
                continue
            if found["type"] == "extra_forbidden" and len(loc) == 1:
                message = unknown_key(str(loc[0]), CASE_KEYS)
            self._add(where(loc, found["type"] == "extra_forbidden"), message, name)
        try:
            case = Case.model_validate({**rest, "name": name})
        except ValidationError:
            return
        for path, is_key, message in self._names(case):
            if self.errors.full:
                return
            # A key that could not be read is not missing.
            if path not in (("args",), ("inputs",), ("data",), ("loss",), ("optimizer",)):
                self._add(where(path, is_key), message, name)

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

    def _add(self, at: yaml.Node, message: str, name: str) -> None:
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

    def __call__(self, path: Location, is_key: bool) -> yaml.Node:
        """The node of the value at `path`, or of its key."""
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
