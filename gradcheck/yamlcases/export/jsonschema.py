"""JSON Schema (draft 2020-12) of case files, for editors: from the pydantic models, with the names
and the check options of the loaded plugins.

It agrees with `load.load_cases` but for what a schema cannot say: what follows from `defaults`
or `parametrize`, whether `xfail` names a check of the case, which framework a name belongs to, the
form of `values`, whether a size with a name has exactly one value, and that 2.0 is not a whole
number in YAML.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any

from gradcheck.names.registry import Entry, Registry
from gradcheck.yamlcases.case import WrittenCase
from gradcheck.yamlcases.names import Takes, takes
from gradcheck.yamlcases.schema import ALL_CHECKS, MAX_ID, MODEL_ONLY, OP_ONLY, VERSION
from gradcheck.yamlcases.written import given

Schema = dict[str, Any]

ID = "https://json-schema.org/draft/2020-12/schema"
NULL: Schema = {"type": "null"}
REF = "#/$defs/{model}"


def export(registry: Registry) -> Schema:
    """The schema of a case file, as JSON values."""
    case = WrittenCase.model_json_schema(ref_template=REF)
    definitions: Schema = case.pop("$defs")
    properties = case["properties"]
    _keys(properties, registry, definitions)
    for name, own in properties.items():
        description = own.pop("description", None)
        own.pop("default", None)
        own.pop("title", None)
        properties[name] = {"description": description, "anyOf": [*_choices(own), NULL]}
    definitions["keys"] = {
        "description": "Keys of a case.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "allOf": [{"not": given("op", "model")}, *_arguments_of_subjects(registry)],
    }
    definitions["case"] = {
        "allOf": [
            {"$ref": "#/$defs/keys"},
            {"if": given("parametrize"), "else": {"$ref": "#/$defs/complete"}},
        ]
    }
    definitions["complete"] = _complete(registry)
    return {
        "$schema": ID,
        "title": "Cases of gradcheck",
        "type": "object",
        "required": ["schema", "cases"],
        "additionalProperties": False,
        "patternProperties": {"^x-": {"description": "Ignored: a place for anchors."}},
        "properties": {
            "schema": {"description": "Version of the file format.", "const": VERSION},
            "defaults": {
                "description": "Keys given to every case that does not set them.",
                "anyOf": [
                    {"$ref": "#/$defs/keys", "properties": {"parametrize": NULL}},
                    NULL,
                ],
            },
            "cases": {
                "description": "Cases by name; the name is part of the test id.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": "^[A-Za-z0-9_.-]+$", "maxLength": MAX_ID},
                "additionalProperties": {"$ref": "#/$defs/keys"},
            },
        },
        "if": {"properties": {"defaults": {"type": "object"}}, "required": ["defaults"]},
        "else": {"properties": {"cases": {"additionalProperties": {"$ref": "#/$defs/case"}}}},
        "$defs": definitions,
    }


def dump(schema: Schema) -> str:
    """The text of `case.schema.json`."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


# --- the keys of a case ---------------------------------------------------------------------


def _keys(properties: Schema, registry: Registry, definitions: Schema) -> None:
    """Shorthands and names, which the models leave to validators and to the registry."""
    for key in ("framework", "op", "model", "step"):
        properties[key]["anyOf"] = [_names(registry.names(key))]
        properties[key].pop("type", None)
    for key, kind in (("data", "dataset"), ("loss", "loss"), ("optimizer", "optimizer")):
        model = "DataSpec" if key == "data" else "Named"
        properties[key]["anyOf"] = [
            _names(registry.names(kind)),
            _named(registry, kind, definitions[model]["properties"]),
        ]
    for unused in ("DataSpec", "Named"):
        definitions.pop(unused)
    properties["checks"] = {
        "description": properties["checks"]["description"],
        "anyOf": _checks(registry, definitions),
    }


def _choices(own: Schema) -> list[Schema]:
    """The alternatives of a property, without null."""
    found = own["anyOf"] if set(own) == {"anyOf"} else [own]
    return [choice for choice in found if choice != NULL]


def _names(names: Iterable[str]) -> Schema:
    return {"enum": list(names)}


def _named(registry: Registry, kind: str, fields: Schema) -> Schema:
    """A mapping of `name` and the arguments of what has that name."""
    own = {k: {**v} for k, v in fields.items() if k != "name"}
    rules = []
    for name, (known, more) in _known(registry, kind).items():
        arguments = {"properties": {**_defaults(known), "name": {}, **{k: {} for k in own}}}
        closed = {} if more else {"additionalProperties": False}
        rules.append({"if": _is("name", name), "then": {**arguments, **closed}})
    named = {"type": "object", "properties": {"name": _names(registry.names(kind)), **own}}
    return {**named, "allOf": rules} if rules else named


def _arguments_of_subjects(registry: Registry) -> list[Schema]:
    """`args` (and, for completion, `inputs`) by the name of the op or model."""
    rules = []
    for kind in ("op", "model"):
        for name, (known, more) in _known(registry, kind).items():
            args: Schema = {"properties": _defaults(known)}
            if not more:
                args["additionalProperties"] = False
            then: Schema = {"properties": {"args": args}}
            if kind == "op" and known:
                then["properties"]["inputs"] = {"properties": {n: {} for n in known}}
            rules.append({"if": _is(kind, name), "then": then})
    return rules


def _known(registry: Registry, kind: str) -> dict[str, tuple[dict[str, Any], bool]]:
    """What the things of a kind take, by name; frameworks that share a name are put together."""
    found: dict[str, tuple[dict[str, Any], bool]] = {}
    for entry in sorted(registry.entries(kind), key=lambda e: (e.name, e.framework or "")):
        taken: Takes = takes(entry)
        known, more = found.get(entry.name, ({}, False))
        open_op = kind == "op" and taken.many
        found[entry.name] = ({**known, **taken.known}, more or taken.more or open_op)
    return found


def _defaults(known: dict[str, Any]) -> Schema:
    """Argument -> its default, where that is a JSON value."""
    plain = (bool, int, float, str)
    return {n: {"default": d} if type(d) in plain else {} for n, d in known.items()}


# --- checks ---------------------------------------------------------------------------------


def _checks(registry: Registry, definitions: Schema) -> list[Schema]:
    names = registry.names("check")
    options: Schema = {}
    for name in names:
        entry: Entry = registry.get("check", name)
        model = entry.value.Options
        schema = model.model_json_schema(ref_template=REF)
        own = schema.pop("$defs", {})
        if any(definitions.get(k, v) != v for k, v in own.items()):  # a name that is taken
            schema = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
            own = {f"{name}.{k}": v for k, v in schema.pop("$defs").items()}
        definitions.update(own)
        schema.pop("title", None)
        first = (type(entry.value).__doc__ or "").strip().partition("\n")[0]
        if first:
            schema["description"] = first
        definitions[f"check.{name}"] = schema
        options[name] = {"anyOf": [{"$ref": f"#/$defs/check.{name}"}, NULL]}
    return [
        _names([ALL_CHECKS, *names]),
        {"type": "array", "items": _names(names), "minItems": 1},
        {
            "type": "object",
            "properties": options,
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]


# --- what goes together ---------------------------------------------------------------------


def _is(key: str, value: str) -> Schema:
    return {"required": [key], "properties": {key: {"const": value}}}


def _complete(registry: Registry) -> Schema:
    """What a case must have by itself, when neither defaults nor parameters add to it."""
    needs = []
    for name, (known, _) in _known(registry, "model").items():
        required = [n for n, d in known.items() if d is inspect.Parameter.empty]
        if required:
            args = {"required": required}
            needs.append(
                {
                    "if": _is("model", name),
                    "then": {"required": ["args"], "properties": {"args": args}},
                }
            )
    return {
        "anyOf": [given("op"), given("model")],
        "properties": {
            key: {"if": {"type": "object"}, "then": {"required": ["name"]}}
            for key in ("data", "loss", "optimizer")
        },
        "allOf": [
            {
                "if": given("op"),
                "then": {
                    **given("inputs"),
                    "not": {"anyOf": [given(key) for key in MODEL_ONLY]},
                    "allOf": [{"properties": {"inputs": {"minProperties": 1}}}],
                },
                "else": {
                    "not": {"anyOf": [given(key) for key in OP_ONLY]},
                    "anyOf": [given("step"), given("data", "loss")],
                },
            },
            *needs,
        ],
    }
