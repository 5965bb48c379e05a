"""Sizes with a name: `x: [B=2, N=5], weight: [N]`.

A name says that two axes belong together. Derived inputs change all axes of a name at once, so that
an op that trusts its shapes, or does not broadcast as numpy does, gets what fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gradcheck.phrases import closest
from gradcheck.yamlcases.problem import Problem

if TYPE_CHECKING:
    from gradcheck.yamlcases.case import InputSpec

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
FORM = rf"^({NAME})(?: *= *([0-9]{{1,8}}))?$"


class Dim(int):
    """A size with a name. gives: whether the size is written here (`N=5`), or elsewhere (`N`).
    known: whether it is written anywhere."""

    name: str
    gives: bool
    known: bool

    def __new__(cls, size: int, name: str, gives: bool = False, known: bool = True) -> Dim:
        made = super().__new__(cls, size)
        made.name, made.gives, made.known = name, gives, known
        return made

    def __getnewargs__(self) -> tuple[int, str, bool, bool]:  # type: ignore[override]
        return int(self), self.name, self.gives, self.known

    def of(self, size: int) -> Dim:
        """The same name with another size."""
        return Dim(size, self.name, self.gives)


class MayBeNamed:
    """Annotation of a number: it may be written as a name. sized: also as a name with a size."""

    def __init__(self, *, sized: bool) -> None:
        self.sized = sized

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        own = handler(schema)
        name = {"type": "string", "pattern": FORM if self.sized else f"^{NAME}$"}
        return {"anyOf": [*own.get("anyOf", [own]), name]}

    def _read(self, value: Any, handler: Any) -> Any:
        if isinstance(value, Dim):
            return value
        found = re.match(FORM, value) if isinstance(value, str) else None
        if found is None or (found[2] and not self.sized):
            return handler(value)
        if found[2] is None:
            return Dim(0, found[1], known=False)
        return Dim(handler(int(found[2])), found[1], gives=True)


def resolved(inputs: dict[str, InputSpec]) -> dict[str, InputSpec]:
    """The inputs with the size of every name that has one."""
    sizes = sizes_of(inputs)
    if not sizes:
        return inputs
    return {name: resized(spec, sizes) for name, spec in inputs.items()}


def sizes_of(inputs: Mapping[str, InputSpec]) -> dict[str, int]:
    """By name the size that is written first."""
    sizes: dict[str, int] = {}
    for spec in inputs.values():
        for dim in spec.shape or ():
            if isinstance(dim, Dim) and dim.gives:
                sizes.setdefault(dim.name, int(dim))
    return sizes


def resized(spec: InputSpec, sizes: Mapping[str, int]) -> InputSpec:
    """An input with other sizes for its names; where the size is written, it stays."""
    changes: dict[str, Any] = {}
    if spec.shape is not None and any(isinstance(n, Dim) for n in spec.shape):
        changes["shape"] = tuple(_sized(n, sizes) for n in spec.shape)
    if isinstance(spec.high, Dim):
        changes["high"] = _sized(spec.high, sizes)
    return spec.model_copy(update=changes) if changes else spec


def _sized(value: Any, sizes: Mapping[str, int]) -> Any:
    if not isinstance(value, Dim) or value.gives or value.name not in sizes:
        return value
    return Dim(sizes[value.name], value.name)


def problems(inputs: Mapping[str, InputSpec]) -> Iterator[tuple[str, Problem]]:
    """(input, what is wrong with its names): a name without a size, or with two."""
    sizes = sizes_of(inputs)
    for name, spec in inputs.items():
        named: list[tuple[tuple[str | int, ...], Any]] = [
            (("shape", i), n) for i, n in enumerate(spec.shape or ())
        ]
        for path, value in [*named, (("high",), spec.high)]:
            if not isinstance(value, Dim):
                continue
            if value.gives and int(value) != sizes[value.name]:
                said = f"{value.name} is {sizes[value.name]} before and {int(value)} here"
                yield name, Problem(path, f"{said}; a name has one size")
            elif not value.known and value.name not in sizes:
                near = closest(value.name, sizes)
                hint = f"did you mean {near}?" if near else f"write its size once: {value.name}=5"
                yield name, Problem(path, f"{value.name} has no size; {hint}")
