"""The form of a case file: its top-level keys, what defaults give to a case, what goes together.

schema: 1
defaults: {...}      # keys of cases, given to every case that does not set them
cases: {name: {...}}
x-anything: ...      # ignored: a place for anchors
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradcheck.yamlcases import dims, inputs
from gradcheck.yamlcases.case import Case, WrittenCase, as_checks, as_named
from gradcheck.yamlcases.problem import Problem

VERSION = 1
TOP_KEYS = ("schema", "defaults", "cases")
FREE_KEY = re.compile(r"x-.*", re.DOTALL)
CASE_ID = re.compile(r"[A-Za-z0-9_.-]+")
MAX_ID = 200

CASE_KEYS = tuple(WrittenCase.model_fields)
OP_ONLY = ("inputs",)
MODEL_ONLY = ("data", "loss", "optimizer", "step", "train")
NAMED = ("data", "loss", "optimizer")
ALL_CHECKS = "all"
NO_CHECK = "no check is named; leave `checks` out to run the default ones"

DEFAULT_CHECKS = {"op": ("gradient",), "model": ("graph", "gradient", "updates", "overfit")}
"""What runs when a case names no check: those of these that are registered and apply."""


@dataclass(frozen=True)
class CaseError:
    """What is wrong with a case file, and where. case: name of the invalid case, or None."""

    file: str
    line: int
    column: int
    message: str
    case: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def with_defaults(written: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a case, with the file's defaults under them.

    - A mapping is merged with the default's; anything else replaces it. null takes it away.
    - A thing of another name (an optimizer, the model) does not take the default's arguments.
    - A case that names checks runs those alone; the defaults then only give their options.
    - Defaults of models do not reach ops, nor the other way round.
    """
    own = {k: v for k, v in written.items() if v is not None or k not in CASE_KEYS}
    if not defaults:
        return own
    given = {k: v for k, v in defaults.items() if v is not None and k not in written}
    if "op" in own or "model" in own:
        given.pop("op", None)
        given.pop("model", None)
    merged = {**given, **own}
    for key in MODEL_ONLY if "op" in merged else OP_ONLY if "model" in merged else ():
        if key in given:
            del merged[key]
    same_subject = all(own.get(k, defaults.get(k)) == defaults.get(k) for k in ("op", "model"))
    if not same_subject and ("op" in defaults or "model" in defaults):
        for key in ("args", "inputs"):
            if key in given:
                merged.pop(key, None)
    for key in own.keys() & defaults.keys():
        default = defaults[key]
        if default is None or (key in ("args", "inputs") and not same_subject):
            continue
        if key in NAMED:
            merged[key] = _merge_named(own[key], default)
        elif key == "checks":
            merged[key] = _merge_checks(own[key], default)
        elif key in ("args", "inputs", "train"):
            merged[key] = deep_merge(own[key], default)
    return merged


def deep_merge(own: Any, default: Any) -> Any:
    """Mappings key by key; otherwise `own`. Neither is changed."""
    if not (isinstance(own, dict) and isinstance(default, dict)):
        return own
    merged = dict(default)
    for key, value in own.items():
        merged[key] = deep_merge(value, default[key]) if key in default else value
    return merged


def _merge_named(own: Any, default: Any) -> Any:
    own, default = as_named(own), as_named(default)
    both = isinstance(own, dict) and isinstance(default, dict)
    if both and own.get("name", default.get("name")) != default.get("name"):
        return own
    return deep_merge(own, default)


def _merge_checks(own: Any, default: Any) -> Any:
    own, default = as_checks(own), as_checks(default)
    if not (isinstance(own, dict) and isinstance(default, dict)):
        return own
    return {name: deep_merge(options, default.get(name)) for name, options in own.items()}


def rules(case: Case) -> Iterator[Problem]:
    """What the keys of a case must fulfil together."""
    given = case.model_fields_set
    if case.op is not None and case.model is not None:
        yield Problem(("model",), "the case has both `op` and `model`; make it two cases")
    elif case.op is not None:
        yield from _rules_of_op(case)
    elif case.model is not None:
        yield from _rules_of_model(case)
    else:
        yield Problem((), "the case has neither `op` nor `model`; add the one to check")
    for name, spec in case.inputs.items():
        found = inputs.problem(spec)
        if found is not None:
            said = f"input {name[:60]!r}: {found.sentence}"
            yield Problem(("inputs", name, *found.path), said)
    for name, of_dims in dims.problems(case.inputs):
        said = f"input {name[:60]!r}: {of_dims.sentence}"
        yield Problem(("inputs", name, *of_dims.path), said)
    for i, condition in enumerate(case.skip_if):
        if not (condition.platform or condition.python or condition.missing):
            said = "skip_if has no condition; add platform, python or missing"
            yield Problem(("skip_if", i), said)
    if "checks" in given and not case.checks:
        yield Problem(("checks",), NO_CHECK)


def _rules_of_op(case: Case) -> Iterator[Problem]:
    for key in MODEL_ONLY:
        if key in case.model_fields_set:
            said = f"`{key}` belongs to a model, and this is a case of an op; remove it"
            yield Problem((key,), said)
    if not case.inputs:
        yield Problem((), "a case of an op needs `inputs`, such as `inputs: {x: [2, 5]}`")


def _rules_of_model(case: Case) -> Iterator[Problem]:
    if "inputs" in case.model_fields_set:
        said = "`inputs` belong to an op; a model takes `data: {name: ...}`"
        yield Problem(("inputs",), said)
    if case.step is not None:
        return
    for key, example in (("data", "{name: digits, batch: 32}"), ("loss", "cross_entropy")):
        if getattr(case, key) is None:
            said = f"a case of a model needs `{key}` (or a `step` of its own); "
            yield Problem((), f"{said}add `{key}: {example}`")


def rules_of_checks(case: Case) -> Iterator[Problem]:
    """What follows once the checks of the case are known."""
    seen: set[str] = set()
    for i, xfail in enumerate(case.xfail):
        at = ("xfail", i, "check")
        if xfail.check not in case.checks:
            said = f"xfail names the check {xfail.check[:60]!r}, which the case does not run; "
            yield Problem(at, f"{said}it runs: {', '.join(case.checks)}")
        elif xfail.check in seen:
            yield Problem(at, f"xfail names {xfail.check!r} twice; one finding is enough")
        seen.add(xfail.check)
