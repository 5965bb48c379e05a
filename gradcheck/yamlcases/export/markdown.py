"""The case reference in Markdown, made of the JSON Schemas of a case and of the checks' options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from gradcheck.names.registry import Registry
from gradcheck.yamlcases.case import (
    DataSpec,
    InputSpec,
    Named,
    ScheduleSpec,
    SkipIf,
    TrainSpec,
    WrittenCase,
    Xfail,
)
from gradcheck.yamlcases.schema import DEFAULT_CHECKS

Schema = dict[str, Any]

_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
}
_LINKS = {
    "InputSpec": "[input](#an-input)",
    "Named": "[mapping](#a-loss-or-an-optimizer)",
    "DataSpec": "[mapping](#a-dataset)",
    "TrainSpec": "[mapping](#train)",
    "ScheduleSpec": "[mapping](#the-schedule-of-train)",
    "Xfail": "[xfail](#xfail)",
    "SkipIf": "[skip_if](#skip_if)",
    "Numbers": "number, or nested lists of numbers",
}
_LIMITS = (
    ("exclusiveMinimum", ">"),
    ("minimum", "≥"),
    ("exclusiveMaximum", "<"),
    ("maximum", "≤"),
)
_SAID = {
    "checks": "name, list of names, or mapping of names to options",
    "data": f"name, or {_LINKS['DataSpec']}",
    "loss": f"name, or {_LINKS['Named']}",
    "optimizer": f"name, or {_LINKS['Named']}",
}
"""Keys whose values depend on what is registered."""


FILE = """\
## The file

| key | value | default | |
|---|---|---|---|
| `schema` | `1` | required | Version of the file format. |
| `cases` | mapping of cases | required | The name of a case becomes part of its test id: letters, \
digits, `_`, `.` and `-`. |
| `defaults` | keys of a case | | Given to every case that does not set them, see below. |
| `x-...` | any value | | Ignored: a place for anchors. |

Values follow YAML 1.2: `1e-6` is a number, `true` and `false` are the only booleans (`yes`, `no`,
`on` and `off` are text), `010` is ten, dates are text. Anchors, aliases and merges (`<<`) work;
tags (`!...`) and duplicate keys are errors. `null` means that a key is not given.

How `defaults` apply: mappings (`args`, `inputs`, `data`, `loss`, `optimizer`, `train`) are merged
with those of the case, any other value of the case replaces the default, and `null` removes it. A
model, loss, dataset or optimizer of another name does not inherit the default's arguments. A case
that names checks runs only those, with the options that `defaults` give them. Ops do not inherit
the keys of models.

A case has either `op` and `inputs`, or `model`, `data` and `loss` (or a `step` of its own).
"""


def reference(registry: Registry) -> str:
    """All keys of a case and all checks with their options, as Markdown sections."""
    sections = [
        FILE.rstrip(),
        section("Keys of a case", WrittenCase),
        section("An input", InputSpec),
        section("A dataset", DataSpec),
        section("A loss or an optimizer", Named),
        section("`train`", TrainSpec),
        section("The schedule of `train`", ScheduleSpec),
        section("`xfail`", Xfail),
        section("`skip_if`", SkipIf),
        "## Checks\n\n"
        + f"A model without `checks` runs those of {_list(DEFAULT_CHECKS['model'])} that apply; "
        + f"an op runs {_list(DEFAULT_CHECKS['op'])}. `checks: all` runs every check and skips, "
        + "with the reason, those that do not apply.",
    ]
    for entry in registry.entries("check"):
        check = entry.value
        sections.append(
            _joined(f"### `{entry.name}`", _first_paragraph(type(check)), table(check.Options))
        )
    return "\n\n".join(sections) + "\n"


def section(title: str, model: type[BaseModel]) -> str:
    """A heading, the first paragraph of the model's docstring, and a table of its fields."""
    return _joined(f"## {title}", _first_paragraph(model), table(model))


def table(model: type[BaseModel]) -> str:
    """A Markdown table: key, type, default, description."""
    rows = list(_rows(model.model_json_schema()))
    if not rows:
        return "It has no options."
    return "\n".join(["| key | value | default | |", "|---|---|---|---|", *rows])


def _rows(schema: Schema) -> Iterator[str]:
    for name, own in schema.get("properties", {}).items():
        default = "required" if name in schema.get("required", ()) else _default(own)
        words = _SAID.get(name) or _words(own)
        cells = (f"`{name}`", words, default, own.get("description", ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(own: Schema) -> str:
    default = own.get("default")
    if default is None or isinstance(default, (dict, list)) or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _words(own: Schema) -> str:
    """The values that a schema allows, as people call them."""
    if "$ref" in own:
        name = own["$ref"].rpartition("/")[2]
        return _LINKS.get(name, "mapping")
    if "anyOf" in own:
        return _one_of([choice for choice in own["anyOf"] if choice != {"type": "null"}])
    if "const" in own:
        return f"`{own['const']}`"
    if "enum" in own:
        return " or ".join(f"`{value}`" for value in own["enum"])
    if own.get("type") == "array":
        return f"list of {_words(own['items'])}" if own.get("items") else "list"
    if isinstance(own.get("additionalProperties"), dict):
        return f"mapping of names to {_words(own['additionalProperties'])}"
    limits = [f"{sign} {own[key]:,}" for key, sign in _LIMITS if key in own]
    return ", ".join([_WORDS.get(own.get("type", ""), "any value"), *limits])


def _one_of(choices: list[Schema]) -> str:
    first = choices[0]
    if len(choices) == 2 and choices[1].get("items") == first:
        return f"one or a list of {_words(first)}"
    if first.get("type") == "array" and len(choices) == 2:
        return f"shape, or {_words(choices[1])}"
    return " or ".join(_words(choice) for choice in choices)


def _first_paragraph(documented: type) -> str:
    """Of the docstring of a class, in one line; '' where it has none of its own."""
    doc = documented.__dict__.get("__doc__") or ""
    return " ".join(doc.strip().split("\n\n")[0].split())


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)
