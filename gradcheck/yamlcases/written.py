"""How a thing is written in YAML: shorthands, read by a validator and shown by the JSON Schema."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypeAliasType

Numbers = TypeAliasType("Numbers", "float | bool | list[Numbers]")
"""A number or nested lists of numbers."""


class Written:
    """Annotation: the JSON Schema of a value is that of `form`, which may be any type."""

    def __init__(self, form: Any) -> None:
        self.form = form

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(TypeAdapter(self.form).core_schema)


class Shorthand:
    """Annotation: `read` turns a value of the type `form` into the long form."""

    def __init__(self, read: Any, form: Any) -> None:
        self.read, self.form = read, form

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return BeforeValidator(self.read).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        short = handler(TypeAdapter(self.form).core_schema)
        long = handler(schema)
        return {"anyOf": [short, *long.get("anyOf", [long])]}


class OneOrMany(Shorthand):
    """Annotation of a list: one entry stands for a list of it."""

    def __init__(self) -> None:
        super().__init__(as_many, None)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def as_many(value: Any) -> Any:
    """One thing stands for a list of one."""
    return value if isinstance(value, (list, tuple)) else [value]


def given(*keys: str) -> JsonSchemaValue:
    """The JSON Schema of an object in which all these keys are there and not null."""
    return {"required": list(keys), "properties": {k: {"not": {"type": "null"}} for k in keys}}
