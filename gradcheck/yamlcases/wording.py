"""Pydantic's errors as sentences: what is wrong, and what to write instead."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from gradcheck.phrases import closest
from gradcheck.yamlcases.case import PYTHON_SPEC, WORD, InputSpec, SkipIf, Xfail
from gradcheck.yamlcases.problem import Location, Problem
from gradcheck.yamlcases.values import clip

_WANTED = {
    "int_type": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "finite_number": "a finite number",
    "none_required": "null",
}
_LIMITS = {
    "greater_than": ("gt", "greater than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "multiple_of": ("multiple_of", "a multiple of {}"),
    "string_pattern_mismatch": ("pattern", "text of the form {}"),
}
_FORMS = {
    WORD: "a word of letters, digits and '_'",
    PYTHON_SPEC: "versions of Python such as '>=3.10, <3.12'",
}
_MAPPINGS = ("dict_type", "model_type", "model_attributes_type")
_OWN_FORMS: dict[Any, str] = {
    ("data",): "the name of a dataset, or a mapping such as {name: digits, batch: 32}",
    ("loss",): "the name of a loss, or a mapping with a `name`",
    ("optimizer",): "the name of an optimizer, or a mapping such as {name: adam, lr: 0.01}",
    InputSpec: "a shape such as [2, 5], or a mapping such as {shape: [2, 5], low: 0.1}",
    Xfail: "a mapping such as {check: gradient, finding: wrong_gradient}",
    SkipIf: "a mapping such as {platform: win32}, {python: '<3.11'} or {missing: torch}",
}
"""What else than a mapping a key or a model may be written as, or an example."""
_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_WORDS = {"true": "true", "false": "false", "1": "true", "0": "false"}


def problems_of(error: ValidationError, model: Any, above: Location = ()) -> Iterator[Problem]:
    """Everything that pydantic found. model, above: as for `sentence`."""
    for found in _telling(error.errors(include_url=False)):
        loc: Location = (*above, *found["loc"])
        missing = found["type"] == "missing"
        yield Problem(
            loc[:-1] if missing else loc,
            sentence(found, model, above),
            of_key=missing or found["type"] == "extra_forbidden",
        )


def sentence(error: Mapping[str, Any], model: Any, above: Location = ()) -> str:
    """One pydantic error as a sentence.

    model: the type that was validated. above: its path in the case, for the key's full name.
    """
    loc: Location = tuple(error["loc"])
    kind = error["type"]
    key = dotted((*above, *loc))
    if kind == "extra_forbidden":
        return unknown_key(str(loc[-1]), fields_at(model, loc[:-1]), inside=(*above, *loc[:-1]))
    if kind == "missing":
        owner = dotted((*above, *loc[:-1]))
        return f"{owner or 'the case'} has no `{loc[-1]}`; add it"
    given = error.get("input")
    context = error.get("ctx") or {}
    if kind in _WANTED:
        form = _form_of(model, loc, above) if kind in _MAPPINGS else None
        if form is not None:
            return f"{key} must be {form}, not {clip(given)}"
        return f"{key} must be {_WANTED[kind]}, not {clip(given)}{_hint(kind, given)}"
    if kind == "string_pattern_mismatch" and context.get("pattern") in _FORMS:
        return f"{key} must be {_FORMS[context['pattern']]}, not {clip(given)}"
    if kind in _LIMITS:
        name, form = _LIMITS[kind]
        return f"{key} must be {form.format(_number(context.get(name)))}, not {clip(given)}"
    if kind == "literal_error":
        return f"{key} must be {context.get('expected')}, not {clip(given)}" + did_you_mean(
            given, _literals(str(context.get("expected"))), "; did you mean {}?", ""
        )
    if kind in ("too_long", "too_short"):
        if context.get("min_length") == 1:
            return f"{key} must not be empty"
        most = context.get("max_length", context.get("min_length"))
        return f"{key} must have at {'most' if kind == 'too_long' else 'least'} {most} entries"
    if kind == "string_too_short":
        return f"{key} must not be empty"
    if kind == "string_too_long":
        return f"{key} must have at most {context.get('max_length')} characters"
    said = str(error.get("msg", "is not valid"))
    said = said.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{key}: {said[:200]}"


def unknown_key(name: str, known: Iterable[str], *, inside: Location = ()) -> str:
    """The sentence for an unknown key."""
    names = list(known)
    where = f" in {dotted(inside)}" if inside else ""
    other = f"the keys are: {', '.join(names)}" if names else "remove it"
    return f"unknown key {clip(name)}{where}; " + did_you_mean(
        name, names, "did you mean {}?", other
    )


def did_you_mean(name: Any, known: Iterable[str], form: str, otherwise: str) -> str:
    """`form` with the known name that is close to `name`, or `otherwise`."""
    close = closest(name, known) if isinstance(name, str) else None
    return form.format(repr(close)) if close else otherwise


def dotted(loc: Sequence[str | int]) -> str:
    """`inputs.x.shape[1]`."""
    text = ""
    for step in loc:
        if step == "":  # an entry that stands for the whole mapping
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step[:60]}" if text else step[:60]
    return text


def _telling(errors: Sequence[Any]) -> list[Any]:
    """The errors of a `ValidationError` without those that only follow from another one: a list is
    too short for pydantic when its entries are wrong."""
    inside = {tuple(e["loc"])[:i] for e in errors for i in range(len(e["loc"]))}
    return [e for e in errors if e["type"] != "too_short" or tuple(e["loc"]) not in inside]


def fields_at(model: Any, loc: Location) -> list[str]:
    """Names of the fields of the model at `loc` inside `model`; none if unclear."""
    found = _type_at(model, loc)
    return list(found.model_fields) if _is_model(found) else []


def _type_at(model: Any, loc: Location) -> Any:
    for step in loc:
        model = _inside(model, step)
    return _stripped(model)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _form_of(model: Any, loc: Location, above: Location) -> str | None:
    return _OWN_FORMS.get((*above, *loc)) or _OWN_FORMS.get(_type_at(model, loc))


def _stripped(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    while True:
        origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            annotation = inner[0]
        elif origin in (typing.Union, types.UnionType):
            some = [a for a in inner if a is not type(None)]
            if len(some) != 1:
                return None
            annotation = some[0]
        else:
            return annotation


def _inside(annotation: Any, step: str | int) -> Any:
    """The annotation of a field of a model, an entry of a list, a value of a mapping."""
    annotation = _stripped(annotation)
    if _is_model(annotation):
        field = annotation.model_fields.get(str(step))
        return None if field is None else field.annotation
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        return inner[1]
    return inner[0] if inner else None


def _hint(kind: str, given: Any) -> str:
    if isinstance(given, str):
        if kind == "bool_type":
            word = {**_BOOLEANS, **_WORDS}.get(given.lower())
            return f"; write {word}" if word else ""
        if kind in ("int_type", "float_type"):
            try:
                number = float(given)
            except ValueError:
                return ""
            if "_" in given:
                return f"; write {given.replace('_', '')}"
            return "; remove the quotes" if math.isfinite(number) else ""
    if isinstance(given, float) and kind == "int_type" and given.is_integer():
        return f"; write {clip(int(given))}"
    return "; put it in quotes" if kind == "string_type" and _plain(given) else ""


def _plain(given: Any) -> bool:
    return isinstance(given, (bool, int, float))


def _literals(expected: str) -> list[str]:
    return [word.strip("', ") for word in expected.replace(" or ", ", ").split(",")]


def _number(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
