"""The names in a case against the registry: things, their arguments, and the options of checks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gradcheck.names.registry import Entry, Registry, UnknownName
from gradcheck.phrases import one_line
from gradcheck.yamlcases.case import Case
from gradcheck.yamlcases.values import clip
from gradcheck.yamlcases.wording import Location, did_you_mean, sentence, telling

HANDED = {"model": 0, "op": 0, "loss": 2, "optimizer": 1, "dataset": 0}
"""How many arguments gradcheck itself hands over, before those of the case."""


@dataclass(frozen=True)
class Takes:
    """What a registered thing can be called with by name.

    known: parameter -> default (`inspect.Parameter.empty` for none), without those that gradcheck
    hands over. more: it takes any keyword (`**kwargs`). many: it takes any number of inputs.
    """

    known: Mapping[str, Any]
    more: bool
    many: bool

    @property
    def required(self) -> list[str]:
        return [n for n, default in self.known.items() if default is inspect.Parameter.empty]


ANYTHING = Takes({}, True, True)


def takes(entry: Entry) -> Takes:
    """From the signature of the registered thing; `ANYTHING` where there is none."""
    try:
        parameters = list(inspect.signature(entry.value).parameters.values())
    except (TypeError, ValueError):
        return ANYTHING
    kinds = [p.kind for p in parameters]
    handed = HANDED[entry.kind]
    named = [
        p
        for i, p in enumerate(parameters)
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and not (i < handed and p.kind is p.POSITIONAL_OR_KEYWORD)
    ]
    return Takes(
        {p.name: p.default for p in named},
        inspect.Parameter.VAR_KEYWORD in kinds,
        inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.POSITIONAL_ONLY in kinds,
    )


class Names:
    """Looks the names of many cases up in one registry, each name once.

    brief: leave out 'did you mean', which takes time, once nobody reads the sentences any more.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.brief = False
        self._found: dict[tuple[str, str, str], Entry | str] = {}
        self._names: dict[tuple[str, str], frozenset[str]] = {}
        self._takes: dict[tuple[str, str | None, str], Takes] = {}

    def find(self, kind: str, name: str, framework: str) -> Entry | str:
        """The entry, or the sentence that says that there is none."""
        key = (kind, framework, name)
        found = self._found.get(key)
        if found is None:
            if self.brief and name not in self._every(kind, framework):
                return f"no {kind} is called {name[:60]!r}"
            try:
                found = self.registry.get(kind, name, framework)
            except UnknownName:
                found = self.registry.unknown(kind, name[:60], framework)
            self._found[key] = found
        return found

    def _every(self, kind: str, framework: str) -> frozenset[str]:
        key = (kind, framework)
        if key not in self._names:
            self._names[key] = frozenset(self.registry.names(kind, framework))
        return self._names[key]

    def takes(self, entry: Entry) -> Takes:
        key = (entry.kind, entry.framework, entry.name)
        known = self._takes.get(key)
        if known is None:
            known = self._takes[key] = takes(entry)
        return known

    # --- problems: (the key it is about, whether the key itself is wrong, a sentence) --------

    def problems(self, case: Case) -> Iterator[tuple[Location, bool, str]]:
        """Everything in `case` that the registry does not know."""
        framework = self.find("framework", case.framework, case.framework)
        if isinstance(framework, str):
            yield ("framework",), False, framework
            yield from self._problems_of_checks(case)
            return
        if case.op is not None and case.model is None:
            yield from self._problems_of_op(case)
        if case.model is not None and case.op is None:
            entry = self.find("model", case.model, case.framework)
            if isinstance(entry, str):
                yield ("model",), False, entry
            else:
                yield from self._arguments(entry, case.args, ("args",))
        for key, kind in (("data", "dataset"), ("loss", "loss"), ("optimizer", "optimizer")):
            spec = getattr(case, key)
            if spec is None:
                continue
            entry = self.find(kind, spec.name, case.framework)
            if isinstance(entry, str):
                yield (key, "name"), False, entry
            else:
                yield from self._arguments(entry, spec.__pydantic_extra__ or {}, (key,))
        if case.step is not None:
            entry = self.find("step", case.step, case.framework)
            if isinstance(entry, str):
                yield ("step",), False, entry
        yield from self._problems_of_checks(case)

    def _arguments(
        self, entry: Entry, args: Mapping[str, Any], at: Location
    ) -> Iterator[tuple[Location, bool, str]]:
        taken = self.takes(entry)
        if not taken.more:
            for name in args:
                if name not in taken.known:
                    yield (
                        (*at, name),
                        True,
                        f"{entry.kind} {entry.name} takes no argument {clip(name)}; "
                        + _hint(name, taken.known),
                    )
        missing = [n for n in taken.required if n not in args]
        if missing:
            yield (
                at,
                True,
                f"{entry.kind} {entry.name} needs the argument {', '.join(map(repr, missing))}; "
                f"add it to `{at[0]}`",
            )

    def _problems_of_op(self, case: Case) -> Iterator[tuple[Location, bool, str]]:
        assert case.op is not None
        entry = self.find("op", case.op, case.framework)
        if isinstance(entry, str):
            yield ("op",), False, entry
            return
        taken = self.takes(entry)
        if taken.more or taken.many:
            return
        known = taken.known
        # Ops of some frameworks have parameter names of their own; then inputs go by position.
        by_name = any(name in known for name in case.inputs)
        for name in case.inputs:
            if by_name and name not in known:
                yield (
                    ("inputs", name),
                    True,
                    f"op {entry.name} has no input {clip(name)}; " + _hint(name, known),
                )
        given = [*case.inputs, *case.args] if by_name else list(case.args)
        for name in case.args:
            if name not in known:
                yield (
                    ("args", name),
                    True,
                    f"op {entry.name} takes no argument {clip(name)}; " + _hint(name, known),
                )
            elif name in case.inputs:
                yield ("args", name), True, f"{name!r} is an input and an argument; remove one"
        missing = [n for n in taken.required if n not in given]
        if not by_name:
            missing = missing[len(case.inputs) :]
        if missing and case.inputs:
            yield (
                ("inputs",),
                True,
                f"op {entry.name} needs {', '.join(map(repr, missing))}; add it to `inputs`, or to "
                "`args` if it is no array",
            )
        if not by_name and len(case.inputs) > len(known):
            yield (
                ("inputs",),
                True,
                f"op {entry.name} takes {len(known)} inputs ({', '.join(known)}), and the case "
                f"has {len(case.inputs)}",
            )

    def _problems_of_checks(self, case: Case) -> Iterator[tuple[Location, bool, str]]:
        for name, options in case.checks.items():
            entry = self.find("check", name, case.framework)
            if isinstance(entry, str):
                yield ("checks", name), True, entry
            elif options:
                yield from _options(entry.value.Options, name, options)


def _hint(name: str, known: Mapping[str, Any]) -> str:
    every = ", ".join(known) or "none"
    return did_you_mean(name, known, "did you mean {}?", f"it takes: {every}")


def _options(model: Any, name: str, options: Any) -> Iterator[tuple[Location, bool, str]]:
    """Problems of the options of one check."""
    try:
        model.model_validate(options)
    except ValidationError as error:
        for found in telling(error.errors(include_url=False)):
            above = ("checks", name)
            yield (
                (*above, *found["loc"]),
                found["type"] in ("extra_forbidden", "missing"),
                sentence(found, model, above),
            )
    except Exception as error:  # a validator of a plugin that breaks must not hide the other cases
        said = one_line(error)[:200]
        yield (
            ("checks", name),
            False,
            f"the options of check {name} cannot be validated: {type(error).__name__}: {said}",
        )
