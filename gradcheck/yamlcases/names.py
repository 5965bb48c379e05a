"""The names in a case against the registry: things, their arguments, and the options of checks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gradcheck.frameworks.protocol import low_dtypes
from gradcheck.names.registry import Entry, Registry, UnknownName
from gradcheck.phrases import one_line
from gradcheck.yamlcases import dims, inputs
from gradcheck.yamlcases.case import Case, DeclaresInputs, InputSpec, NamesOps
from gradcheck.yamlcases.problem import Location, Problem
from gradcheck.yamlcases.values import clip
from gradcheck.yamlcases.wording import did_you_mean, dotted, problems_of

PASSED = {"model": 0, "op": 0, "loss": 2, "optimizer": 1, "dataset": 0}
"""How many arguments gradcheck itself passes, before those of the case."""
EVERYWHERE = ("float32", "float64")
"""The dtypes that every framework has, or rounds to."""


@dataclass(frozen=True)
class Takes:
    """What a registered thing can be called with by name.

    known: parameter -> default (`inspect.Parameter.empty` for none), without those that gradcheck
    passes itself. more: it takes any keyword (`**kwargs`). many: it takes any number of inputs.
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
    passed = PASSED[entry.kind]
    named = [
        p
        for i, p in enumerate(parameters)
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and not (i < passed and p.kind is p.POSITIONAL_OR_KEYWORD)
    ]
    return Takes(
        {p.name: p.default for p in named},
        inspect.Parameter.VAR_KEYWORD in kinds,
        inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.POSITIONAL_ONLY in kinds,
    )


class Names:
    """Looks up the names of many cases in one registry, each name once.

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

    def problems(self, case: Case) -> Iterator[Problem]:
        """Everything in `case` that the registry does not know."""
        framework = self.find("framework", case.framework, case.framework)
        if isinstance(framework, str):
            yield Problem(("framework",), framework)
            yield from self._problems_of_checks(case)
            return
        if case.dtype not in EVERYWHERE:
            can = low_dtypes(self.registry.framework(case.framework))
            if case.dtype not in can:
                there_are = ", ".join(["float64", *can])
                said = f"{case.framework} does not compute in {case.dtype}; there are: {there_are}"
                yield Problem(("dtype",), said)
        if case.op is not None and case.model is None:
            yield from self._problems_of_op(case)
        if case.model is not None and case.op is None:
            yield from self._problems_of(case, "model", case.model, case.args, "model", "args")
        for key, kind in (("data", "dataset"), ("loss", "loss"), ("optimizer", "optimizer")):
            spec = getattr(case, key)
            if spec is not None:
                yield from self._problems_of(case, kind, spec.name, spec.args, key, key)
        if case.step is not None:
            entry = self.find("step", case.step, case.framework)
            if isinstance(entry, str):
                yield Problem(("step",), entry)
        yield from self._problems_of_checks(case)

    def _problems_of(
        self, case: Case, kind: str, name: str, args: Mapping[str, Any], key: str, args_key: str
    ) -> Iterator[Problem]:
        """A registered thing, named at `key`, and its arguments, which are below `args_key`."""
        entry = self.find(kind, name, case.framework)
        if isinstance(entry, str):
            yield Problem((key,) if key != args_key else (key, "name"), entry)
            return
        taken = self.takes(entry)
        thing = f"{kind} {entry.name}"
        if not taken.more:
            for given in args:
                if given not in taken.known:
                    said = f"{thing} takes no argument {clip(given)}; {_hint(given, taken.known)}"
                    yield Problem((args_key, given), said, True)
        missing = [n for n in taken.required if n not in args]
        if missing:
            said = f"{thing} needs the argument {', '.join(map(repr, missing))}; "
            yield Problem((args_key,), f"{said}add it to `{args_key}`", True)

    def _problems_of_op(self, case: Case) -> Iterator[Problem]:
        assert case.op is not None
        entry = self.find("op", case.op, case.framework)
        if isinstance(entry, str):
            yield Problem(("op",), entry)
            return
        taken = self.takes(entry)
        if taken.more or taken.many:
            return
        known = taken.known
        # Ops of some frameworks have parameter names of their own; then inputs go by position.
        by_name = any(name in known for name in case.inputs)
        for name in case.inputs:
            if by_name and name not in known:
                said = f"op {entry.name} has no input {clip(name)}; {_hint(name, known)}"
                yield Problem(("inputs", name), said, True)
        for name in case.args:
            if name not in known:
                said = f"op {entry.name} takes no argument {clip(name)}; {_hint(name, known)}"
                yield Problem(("args", name), said, True)
            elif name in case.inputs:
                said = f"{name!r} is an input and an argument; remove one"
                yield Problem(("args", name), said, True)
        given = [*case.inputs, *case.args] if by_name else list(case.args)
        missing = [n for n in taken.required if n not in given]
        if not by_name:
            missing = missing[len(case.inputs) :]
        if missing and case.inputs:
            said = f"op {entry.name} needs {', '.join(map(repr, missing))}; add it to `inputs`, or "
            yield Problem(("inputs",), f"{said}to `args` if it is not an array", True)
        if not by_name and len(case.inputs) > len(known):
            said = f"op {entry.name} takes {len(known)} inputs ({', '.join(known)}), and the case "
            yield Problem(("inputs",), f"{said}has {len(case.inputs)}", True)

    def _problems_of_checks(self, case: Case) -> Iterator[Problem]:
        for name, options in case.checks.items():
            entry = self.find("check", name, case.framework)
            if isinstance(entry, str):
                yield Problem(("checks", name), entry, True)
            elif options:
                above = ("checks", name)
                read, problems = _options(entry.value.Options, options, above)
                yield from problems
                if isinstance(read, DeclaresInputs):
                    for at, declared in read.declared():
                        yield from self._declared(case, (*above, *at), declared)
                if isinstance(read, NamesOps):
                    yield from self._ops_named(case, above, read)

    def _ops_named(self, case: Case, above: Location, read: NamesOps) -> Iterator[Problem]:
        for at, name, others in read.ops_named():
            found = self.find("op", name, case.framework)
            if isinstance(found, str):
                start = found.partition(";")[0]
                said = did_you_mean(name, others, f"{start}; did you mean {{}}?", found)
                yield Problem((*above, *at), said)

    def _declared(
        self, case: Case, at: Location, declared: Mapping[str, InputSpec]
    ) -> Iterator[Problem]:
        """More inputs of the op of a case, declared by the options of a check."""
        if case.op is None:
            yield Problem(at, f"{dotted(at)} declares inputs of an op, and the case has none")
            return
        entry = self.find("op", case.op, case.framework)
        known = None if isinstance(entry, str) else self._inputs_of(entry, case)
        for name, spec in declared.items():
            here = (*at, name)
            if known is not None and name not in known:
                said = f"op {case.op} has no input {clip(name)}; {_hint(name, known)}"
                yield Problem(here, said, True)
            found = inputs.problem(spec)
            if found is not None:
                yield Problem((*here, *found.path), f"{dotted(here)}: {found.sentence}")
        for name, of_dims in dims.problems(declared):
            here = (*at, name)
            yield Problem((*here, *of_dims.path), f"{dotted(here)}: {of_dims.sentence}")

    def _inputs_of(self, entry: Entry, case: Case) -> dict[str, Any] | None:
        """The names that an input may have beside those of the case; None for any name."""
        taken = self.takes(entry)
        if taken.more or taken.many:
            return None
        by_name = any(name in taken.known for name in case.inputs)
        more = [n for n in taken.known if n not in case.args] if by_name else []
        return dict.fromkeys([*case.inputs, *more])


def _hint(name: str, known: Mapping[str, Any]) -> str:
    every = ", ".join(known) or "none"
    return did_you_mean(name, known, "did you mean {}?", f"it takes: {every}")


def _options(model: Any, written: Any, above: Location) -> tuple[Any, list[Problem]]:
    """The options of a check as its model reads them, None if it cannot; and what is wrong."""
    try:
        return model.model_validate(written), []
    except ValidationError as error:
        return None, list(problems_of(error, model, above))
    except Exception as error:  # a validator of a plugin that breaks must not hide the other cases
        said = one_line(error)[:200]
        message = f"the options of check {above[-1]} cannot be validated: "
        return None, [Problem(above, f"{message}{type(error).__name__}: {said}")]
