"""The case reference in Markdown, made of the pydantic models and the options of all checks."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gradcheck.names.registry import Registry
from gradcheck.yamlcases.case import (
    CaseKeys,
    DataSpec,
    InputSpec,
    Named,
    ScheduleSpec,
    SkipIf,
    TrainSpec,
    Xfail,
    as_many,
)
from gradcheck.yamlcases.parametrize import DESCRIPTION
from gradcheck.yamlcases.schema import DEFAULT_CHECKS

_WORDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Any: "any value",
    type(None): "null",
}
_SAID = {"checks": "name, list of names, or mapping of names to options", "skip": "text, or true"}
_MODELS = {
    InputSpec: "shape, or [input](#an-input)",
    Named: "name, or [mapping](#a-loss-or-an-optimizer)",
    DataSpec: "name, or [mapping](#a-dataset)",
    TrainSpec: "[mapping](#train)",
    ScheduleSpec: "name, or [mapping](#the-schedule-of-train)",
    Xfail: "[xfail](#xfail)",
    SkipIf: "[skip_if](#skip_if)",
}


FILE = """\
## The file

| key | value | default | |
|---|---|---|---|
| `schema` | `1` | required | Version of the form of the file. |
| `cases` | mapping of cases | required | The name of a case becomes part of its test id: letters, \
digits, `_`, `.` and `-`. |
| `defaults` | keys of a case | | Given to every case that does not set them, see below. |
| `x-...` | any value | | Ignored: a place for anchors. |

Words are read as in YAML 1.2: `1e-6` is a number, `true` and `false` are the only booleans (`yes`,
`no`, `on` and `off` are text), `010` is ten, dates are text. Anchors, aliases and merges (`<<`)
work; tags (`!...`) and duplicate keys are errors. `null` stands for a key that is not given.

What `defaults` give: mappings (`args`, `inputs`, `data`, `loss`, `optimizer`, `train`) are merged
with those of the case, anything else is replaced, and `null` takes a default away. A model, loss,
dataset or optimizer of another name does not take the default's arguments. A case that names
checks runs those alone, with the options that `defaults` give them. Keys of models do not reach
ops.

A case has either `op` and `inputs`, or `model`, `data` and `loss` (or a `step` of its own).
"""


def reference(registry: Registry) -> str:
    """All keys of a case and all checks with their options, as Markdown sections."""
    sections = [
        FILE.rstrip(),
        section("Keys of a case", CaseKeys) + f"\n| `parametrize` | mapping | | {DESCRIPTION} |",
        section("An input", InputSpec),
        section("A dataset", DataSpec),
        section("A loss or an optimizer", Named),
        section("`train`", TrainSpec),
        section("The schedule of `train`", ScheduleSpec),
        section("`xfail`", Xfail),
        section("`skip_if`", SkipIf),
        "## Checks\n\n"
        + f"A model that names no check runs {_list(DEFAULT_CHECKS['model'])}, those of them that "
        + f"apply; an op runs {_list(DEFAULT_CHECKS['op'])}. `checks: all` runs every one, and "
        + "skips those that do not apply, with the reason.",
    ]
    for entry in registry.entries("check"):
        sections.append(_check(entry.name, entry.value))
    return "\n\n".join(sections) + "\n"


def section(title: str, model: type[BaseModel], level: int = 2) -> str:
    """A heading, the first paragraph of the model's docstring, and a table of its fields."""
    intro = (model.__doc__ or "").strip().split("\n\n")[0]
    intro = " ".join(intro.split()) if model.__doc__ != BaseModel.__doc__ else ""
    return "\n\n".join(part for part in ("#" * level + f" {title}", intro, table(model)) if part)


def table(model: type[BaseModel]) -> str:
    """A Markdown table: key, type, default, description."""
    rows = list(_rows(model))
    if not rows:
        return "It has no options."
    return "\n".join(["| key | value | default | |", "|---|---|---|---|", *rows])


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        cells = (
            f"`{name}`",
            _SAID.get(name) or _type(field),
            _default(field),
            field.description or "",
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _check(name: str, check: Any) -> str:
    first = (type(check).__doc__ or "").strip().split("\n\n")[0]
    return "\n\n".join(
        part for part in (f"### `{name}`", " ".join(first.split()), table(check.Options)) if part
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ({}, (), [], ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(field: FieldInfo) -> str:
    limits = []
    for rule in field.metadata:
        for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            bound = getattr(rule, attribute, None)
            if bound is not None:
                limits.append(f"{sign} {bound:,}")
    words = _words(field.annotation)
    if any(getattr(rule, "func", None) is as_many for rule in field.metadata):
        words = f"one or a {words}"
    return ", ".join([words, *limits])


def _words(annotation: Any) -> str:
    """A type as people call it."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    if annotation in _MODELS:
        return _MODELS[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _words(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(a) for a in inner if a is not type(None))
    if origin in (tuple, list, set, frozenset):
        return f"list of {_words(inner[0])}" if inner else "list"
    if origin is dict:
        return f"mapping of {_words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return getattr(annotation, "__name__", str(annotation))


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)
